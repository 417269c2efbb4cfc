// SPDX-License-Identifier: Apache-2.0
/** The beginning: continue the session, follow what changes, show the page. */
import { effect } from "@preact/signals";
import { render } from "preact";
import { token } from "./api/client.js";
import { App, loadAhead } from "./app.js";
import { html } from "./html.js";
import { takeLinks } from "./router.js";
import { followSession } from "./state/events.js";
import { start } from "./state/session.js";

const root = document.getElementById("app");
if (!root) throw new Error("index.html has no element for the page");
takeLinks();
followSession();
effect(() => void (token.value && loadAhead())); // while the session reads its projects
render(html`<${App} />`, root);
void start();

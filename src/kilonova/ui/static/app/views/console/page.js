// SPDX-License-Identifier: Apache-2.0
/**
 * A console in a window of its own.  The URL of a remote console opens it once without a login, and loses its token at
 * once; every further opening needs a session.
 */
import { useEffect, useState } from "preact/hooks";
import { html } from "../../html.js";
import { Failure, Loading } from "../../parts/page.js";
import { go, place } from "../../router.js";
import { phase } from "../../state/session.js";
import { t } from "../../words/index.js";
import { Login } from "../login/login.js";
import { load } from "./load.js";

/** @param {{ kind: string, id: string }} props */
export function ConsolePage({ kind, id }) {
  const [address] = useState(() => (place.value.query.has("token") ? location.href : undefined));
  const [Module, setModule] = useState(/** @type {{ View: any } | null} */ (null));
  const [error, setError] = useState(/** @type {unknown} */ (null));
  useEffect(() => {
    document.title = `${t("server.tab.console")} · Kilonova`;
    if (address) go(place.value.path, { replace: true });
    load(kind).then((View) => setModule({ View }), setError);
  }, []);
  if (!address && phase.value === "starting") return html`<div class="start"><${Loading} /></div>`;
  if (!address && phase.value !== "in") return html`<${Login} />`;
  if (error) return html`<${Failure} error=${new Error(t("error.code"))} again=${() => location.reload()} />`;
  return html`<main class="console-page"><h1 class="hidden">${t("server.tab.console")}</h1>
    ${Module ? html`<${Module.View} id=${id} address=${address} />` : html`<${Loading} />`}</main>`;
}

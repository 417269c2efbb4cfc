// SPDX-License-Identifier: Apache-2.0
/** One action: what was requested of which server, by whom, how it ended, and its steps. */
import "../../words/live.js";
import { useEffect } from "preact/hooks";
import * as api from "../../api/actions.js";
import { html } from "../../html.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { link } from "../../router.js";
import { everyProject, projectName } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { t, time } from "../../words/index.js";
import { lasted, ofServer, Outcome, ServerLink } from "./columns.js";
import { actionName, userName } from "./names.js";
import { Steps } from "./steps.js";

/** @typedef {import("../../api/actions.js").ListedAction} Listed */

const UP = { path: "/actions", text: t("nav.actions") };

/** @param {{ id: string, request: string }} props of the server and of the request */
export default function ActionPage({ id, request }) {
  const everywhere = isAdmin.value ? 1 : undefined;
  const { value, error, read } = useWatched(() => api.list({ server_id: id, request_id: request, all_projects: everywhere }), id, [request]);
  useEffect(() => (isAdmin.value ? void everyProject.refresh() : undefined), []);
  if (!value.value) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const action = value.value.actions[0];
  if (!action) return html`<${Page} title=${t("actions.gone")} up=${UP}><${Empty}><p>${t("actions.gone.text")}</p><//><//>`;
  const title = t("actions.title", { action: actionName(action.action), name: action.server_name });
  return html`
    <${Page} title=${title} up=${UP} beside=${html`<${Outcome} action=${action} />`} command=${["openstack", "server", "event", "show", id, request]}
      buttons=${html`<a class="button" href=${link(ofServer(action))}>${t("actions.more")}</a>`}>
      ${error.value && html`<${Failure} error=${error.value} again=${read} />`}
      <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${facts(action)} /></section>
      <section class="panel panel-wide" aria-label=${t("request.steps")}>
        <${Steps} id=${id} request=${request} isRunning=${action.state === "open"} also=${[action.state]} /></section>
    <//>`;
}

/** @param {Listed} action @returns {[string, any][]} */
const facts = (action) => [
  [t("actions.server"), html`<${ServerLink} action=${action} />`],
  [t("actions.user"), userName(action.user_id)],
  [t("server.project"), projectName(action.project_id)],
  [t("actions.start"), html`<time datetime=${action.started_at}>${time(action.started_at)}</time>`],
  [t("actions.lasted"), lasted(action)],
  .../** @type {[string, any][]} */ (action.host ? [[t("server.host"), action.host]] : []),
];

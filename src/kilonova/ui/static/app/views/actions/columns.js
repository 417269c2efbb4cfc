// SPDX-License-Identifier: Apache-2.0
/** The columns of the list of actions. */
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { link } from "../../router.js";
import { projectName } from "../../state/resources.js";
import { age, duration, known, t, time } from "../../words/index.js";
import { Cancel } from "./cancel.js";
import { actionName, userName } from "./names.js";

/** @typedef {import("../../api/actions.js").ListedAction} Listed */

/** @type {Record<string, import("../../parts/badge.js").Tone>} */
const TONES = { open: "busy", done: "good", superseded: "attention", cancelled: "attention" };

/** @param {{ action: Listed }} props */
export const Outcome = ({ action }) => html`<${Badge} tone=${TONES[action.state] ?? "bad"} text=${known(`outcome.${action.state}`, action.state)} />`;

/** Where the actions of a server are, also when it is deleted. @param {Listed} action */
export const ofServer = (action) => `/actions?server_id=${action.server_id}`;

/** The actions of a request, of all its servers. @param {{ id: string }} props */
export const RequestLink = ({ id }) => html`<a class="mono" href=${link(`/actions?request_id=${encodeURIComponent(id)}`)}>${id}</a>`;

/** @param {{ action: Listed }} props */
export const ServerLink = ({ action }) =>
  action.server_deleted
    ? html`<a href=${link(ofServer(action))}>${action.server_name}</a> <span class="dim">${t("actions.deleted")}</span>`
    : html`<a href=${link(`/servers/${action.server_id}`)}>${action.server_name}</a>`;

/** @param {Listed} action */
export const lasted = (action) => (action.ended_at ? duration(action.started_at, action.ended_at) : age(action.started_at));

/**
 * @param {boolean} withProject
 * @param {boolean} withHost
 * @returns {import("../../parts/table.js").Column<Listed>[]}
 */
export const columns = (withProject, withHost) => [
  { key: "action", title: t("actions.action"), rank: 1, cell: (row) => html`<a class="name" href=${link(`/actions/${row.server_id}/${encodeURIComponent(row.request_id)}`)}>${actionName(row.action)}</a>` },
  { key: "state", title: t("actions.outcome"), rank: 1, cell: (row) => html`<${Outcome} action=${row} />${row.state === "open" && html` <${Cancel} id=${row.server_id} action=${row.action} />`}` },
  { key: "server", title: t("actions.server"), rank: 1, cell: (row) => html`<${ServerLink} action=${row} />` },
  { key: "start", title: t("actions.start"), rank: 2, cell: (row) => html`<time datetime=${row.started_at} title=${time(row.started_at)}>${t("ago", { age: age(row.started_at) })}</time>` },
  { key: "lasted", title: t("actions.lasted"), rank: 3, numeric: true, cell: lasted },
  { key: "user", title: t("actions.user"), rank: 3, cell: (row) => userName(row.user_id) },
  ...(withProject ? [/** @type {import("../../parts/table.js").Column<Listed>} */ ({ key: "project", title: t("server.project"), rank: 3, cell: (row) => projectName(row.project_id) })] : []),
  ...(withHost ? [/** @type {import("../../parts/table.js").Column<Listed>} */ ({ key: "host", title: t("server.host"), rank: 3, cell: (row) => row.host ?? "" })] : []),
  { key: "message", title: t("actions.message"), rank: 4, cell: (row) => html`<span class="dim">${row.message ?? ""}</span>` },
  { key: "request", title: t("actions.request"), rank: 4, cell: (row) => html`<${RequestLink} id=${row.request_id} />` },
];

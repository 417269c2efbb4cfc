// SPDX-License-Identifier: Apache-2.0
/** The application credentials of a user: a part of the page of the user, and of the own account. */
import { useEffect } from "preact/hooks";
import * as api from "../../api/credentials.js";
import { html } from "../../html.js";
import { ask } from "../../parts/formdialog.js";
import { Failure } from "../../parts/page.js";
import { offer } from "../../parts/palette.js";
import { Table } from "../../parts/table.js";
import { projectName } from "../../state/resources.js";
import { useWatched } from "../../state/watched.js";
import { t, time } from "../../words/index.js";
import { openCreate } from "./credential.js";

/** @typedef {import("../../api/credentials.js").Credential} Credential */

/** @param {{ userId: string, isOwn?: boolean }} props only users themselves can create credentials */
export function Credentials({ userId, isOwn }) {
  const { value, error, read } = useWatched(() => api.list(userId), userId);
  useEffect(() => (isOwn ? offer(() => [{ text: t("credentials.create"), run: () => openCreate(read) }]) : undefined), [userId]);
  const rows = value.value;
  return html`
    <section class="panel panel-wide" aria-labelledby="credentials-head">
      <header><h2 id="credentials-head">${t("credentials.title")}</h2>
        ${isOwn && html`<button type="button" class="small" onClick=${() => openCreate(read)}>${t("credentials.create")}</button>`}</header>
      ${isOwn && html`<p class="dim">${t("credentials.text")}</p>`}
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${rows?.length === 0 && html`<p class="dim">${t("credentials.none")}</p>`}
      ${rows && rows.length > 0 && html`<${Table} label=${t("credentials.title")} columns=${columns(userId, read)} rows=${rows} rowKey=${(/** @type {Credential} */ row) => row.id} />`}
    </section>`;
}

/** @param {Credential} row */
const rolesOf = (row) => row.roles.map((role) => role.name).join(", ");

/** @param {Credential} row */
const hasEnded = (row) => row.expires_at !== null && Date.parse(`${row.expires_at}Z`) <= Date.now();

/** @param {Credential} row */
function end(row) {
  if (row.expires_at === null) return t("never");
  return html`<span class=${hasEnded(row) ? "dim" : undefined}>${time(row.expires_at)}${hasEnded(row) && ` (${t("credential.ended")})`}</span>`;
}

/**
 * @param {string} userId @param {() => void} changed
 * @returns {import("../../parts/table.js").Column<Credential>[]}
 */
const columns = (userId, changed) => [
  { key: "name", title: t("server.name"), rank: 1, cell: (row) => html`<span class="name" title=${row.description}>${row.name}</span>` },
  { key: "project", title: t("server.project"), rank: 2, cell: (row) => projectName(row.project_id) },
  { key: "roles", title: t("account.roles"), rank: 2, cell: rolesOf },
  { key: "end", title: t("credential.end"), rank: 2, cell: end },
  { key: "kind", title: t("credential.kind"), rank: 3, cell: (row) => t(row.unrestricted ? "credential.unrestricted" : "credential.restricted") },
  { key: "id", title: t("server.id"), rank: 4, cell: (row) => html`<span class="mono">${row.id}</span>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<button type="button" class="small danger" aria-label=${t("credential.delete", { name: row.name })} onClick=${() => remove(userId, row, changed)}>${t("delete")}</button>`,
  },
];

/** @param {string} userId @param {Credential} row @param {() => void} changed */
const remove = (userId, row, changed) =>
  ask({
    action: t("delete"), ask: t("credential.delete.ask"), message: t("credential.delete.done", { name: "{name}" }), done: changed,
    targets: [{ key: row.id, name: row.name }], command: ["openstack", "application", "credential", "delete"], run: ({ key }) => api.remove(userId, key),
  });

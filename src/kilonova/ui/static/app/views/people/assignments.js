// SPDX-License-Identifier: Apache-2.0
/** The roles of a project, of a user, of a group, or the holders of a role: a part of their pages. */
import { html } from "../../html.js";
import { Failure } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { refreshProjects } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { t } from "../../words/index.js";
import { openAssign, withdraw } from "./assign.js";
import { holderLink, holderName, roleLink, scopeLink, scopeName } from "./shared.js";

/** @typedef {import("../../api/roles.js").Assignment} Assignment */

/**
 * @param {{ title: string, none: string, fixed: import("./assign.js").Fixed, load: () => Promise<Assignment[]> }} props
 */
export function Assignments({ title, none, fixed, load }) {
  const id = (fixed.user ?? fixed.group ?? fixed.project ?? fixed.role)?.id ?? "";
  const { value, error, read } = useWatched(load, id);
  const changed = () => void Promise.all([read(), refreshProjects()]);
  const rows = value.value;
  return html`
    <section class="panel panel-wide" aria-labelledby="assignments-head">
      <header><h2 id="assignments-head">${title}</h2>
        <button type="button" class="small" onClick=${() => openAssign(fixed, changed)}>${t("assignment.add")}</button></header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${rows?.length === 0 && html`<p class="dim">${none}</p>`}
      ${rows && rows.length > 0 && html`<${Table} label=${title} columns=${columns(fixed, changed)} rows=${rows} rowKey=${assignmentKey} />`}
    </section>`;
}

/** @param {Assignment} row */
export const assignmentKey = ({ role, user, group, scope }) => [role.id, user?.id ?? group?.id, scope.project?.id ?? scope.domain?.id ?? "system"].join();

/**
 * @param {import("./assign.js").Fixed} fixed @param {() => void} changed
 * @returns {import("../../parts/table.js").Column<Assignment>[]}
 */
const columns = (fixed, changed) => [
  ...(fixed.user || fixed.group ? [] : [holderColumn()]),
  ...(fixed.role ? [] : [roleColumn()]),
  ...(fixed.project ? [] : [whereColumn(fixed.user || fixed.group ? 1 : 2)]),
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => (fixed.user && row.group ? holderLink(row)
      : html`<button type="button" class="small danger" aria-label=${t("assignment.remove.of", { role: row.role.name, name: holderName(row), where: scopeName(row.scope) })}
          onClick=${() => withdraw(row, changed)}>${t("assignment.remove")}</button>`),
  },
];

/** @returns {import("../../parts/table.js").Column<Assignment>} */
export const holderColumn = () => ({ key: "name", title: t("assignment.who"), rank: 1, by: holderName, cell: holderLink });
/** @returns {import("../../parts/table.js").Column<Assignment>} */
export const roleColumn = () => ({ key: "role", title: t("people.role"), rank: 1, by: (row) => row.role.name, cell: (row) => roleLink(row.role) });
/** @param {1 | 2} rank 2 where a narrow window has no room beside who @returns {import("../../parts/table.js").Column<Assignment>} */
export const whereColumn = (rank) => ({ key: "where", title: t("assignment.where"), rank, by: (row) => scopeName(row.scope), cell: (row) => scopeLink(row.scope) });

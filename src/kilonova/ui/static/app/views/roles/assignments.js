// SPDX-License-Identifier: Apache-2.0
/** Who has which role where: all role assignments, for administrators. */
import "../../words/people.js";
import * as api from "../../api/roles.js";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { collection, useCollection } from "../../state/collection.js";
import { refreshProjects } from "../../state/session.js";
import { t } from "../../words/index.js";
import { openAssign, withdraw } from "../people/assign.js";
import { assignmentKey, holderColumn, roleColumn, whereColumn } from "../people/assignments.js";
import { holderName, scopeName } from "../people/shared.js";

/** @typedef {import("../../api/roles.js").Assignment} Assignment */

const assignments = collection(() => api.assignments());
const refresh = () => void Promise.all([assignments.refresh(), refreshProjects()]);

export default function AllAssignments() {
  useCollection(assignments);
  const button = html`<button type="button" class="primary" onClick=${() => openAssign({}, refresh)}><${Icon} name="plus" />${t("assignment.add")}</button>`;
  return html`
    <${Listing} title=${t("assignments.title")} command=${["openstack", "role", "assignment", "list", "--names"]} rows=${assignments.items.value} error=${assignments.error.value} again=${refresh}
      columns=${columns()} searchText=${searchText} searchHint=${t("assignments.search")} buttons=${button} empty=${button} rowKey=${assignmentKey}
      filter=${{ name: "role", label: t("people.role"), of: (/** @type {Assignment} */ row) => row.role.name, text: String }} />`;
}

/** @param {Assignment} row */
const searchText = (row) => [holderName(row), row.role.name, scopeName(row.scope)].join("\n");

/** @returns {import("../../parts/table.js").Column<Assignment>[]} */
const columns = () => [
  holderColumn(), roleColumn(), whereColumn(2),
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<button type="button" class="small danger" aria-label=${t("assignment.remove.of", { role: row.role.name, name: holderName(row), where: scopeName(row.scope) })}
      onClick=${() => withdraw(row, refresh)}>${t("assignment.remove")}</button>`,
  },
];

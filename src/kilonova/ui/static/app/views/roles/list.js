// SPDX-License-Identifier: Apache-2.0
/** All roles, for administrators. */
import "../../words/people.js";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { link } from "../../router.js";
import { useCollection } from "../../state/collection.js";
import { roles } from "../../state/people.js";
import { known, t } from "../../words/index.js";
import { deleteRole, openCreate, openEdit } from "./edit.js";

/** @typedef {import("../../api/roles.js").Role} Role */

const refresh = () => void roles.refresh();

export default function Roles() {
  useCollection(roles);
  const buttons = html`
    <a class="button" href=${link("/roles/assignments")}>${t("assignments.title")}</a>
    <button type="button" class="primary" onClick=${() => openCreate(refresh)}><${Icon} name="plus" />${t("roles.create")}</button>`;
  return html`
    <${Listing} title=${t("nav.roles")} command=${["openstack", "role", "list"]} rows=${roles.items.value} error=${roles.error.value} again=${refresh} columns=${columns()}
      searchText=${(/** @type {Role} */ row) => `${row.name}\n${row.id}\n${meaning(row)}`} searchHint=${t("roles.search")} buttons=${buttons} empty=${buttons}
      rowKey=${(/** @type {Role} */ row) => row.id} />`;
}

/** What a role is for. @param {Role} role */
export const meaning = (role) => role.description ?? known(`meaning.${role.name}`, t("role.other"));

/** @returns {import("../../parts/table.js").Column<Role>[]} */
const columns = () => [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/roles/${row.id}`)}>${row.name}</a>` },
  { key: "meaning", title: t("role.meaning"), rank: 2, by: meaning, cell: (row) => html`<span title=${meaning(row)}>${meaning(row)}</span>` },
  { key: "id", title: t("server.id"), rank: 4, cell: (row) => html`<span class="mono">${row.id}</span>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => !row.options.immutable && html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [
      { text: t("edit"), run: () => openEdit(row, refresh) }, { text: t("delete"), danger: true, line: true, run: () => deleteRole(row, refresh) },
    ]}><${Icon} name="more" /><//>`,
  },
];

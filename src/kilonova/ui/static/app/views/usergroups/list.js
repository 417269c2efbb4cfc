// SPDX-License-Identifier: Apache-2.0
/** All groups of users, for administrators. */
import "../../words/people.js";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "../../html.js";
import { Chosen } from "../../parts/chosen.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { offer } from "../../parts/palette.js";
import { link } from "../../router.js";
import { useCollection } from "../../state/collection.js";
import { userGroups } from "../../state/people.js";
import { t } from "../../words/index.js";
import { deleteGroups, openCreate, openEdit } from "./edit.js";

/** @typedef {import("../../api/usergroups.js").UserGroup} UserGroup */

const refresh = () => void userGroups.refresh();

export default function UserGroups() {
  const chosen = useSignal(/** @type {Set<string>} */ (new Set()));
  useCollection(userGroups);
  useEffect(() => offer(() => (userGroups.items.value ?? []).map((each) => ({ text: each.name, detail: each.id, path: `/usergroups/${each.id}` }))), []);
  const targets = (userGroups.items.value ?? []).filter((row) => chosen.value.has(row.id));
  const button = html`<button type="button" class="primary" onClick=${() => openCreate(refresh)}><${Icon} name="plus" />${t("usergroups.create")}</button>`;
  return html`
    <${Listing} title=${t("nav.usergroups")} command=${["openstack", "group", "list", "--long"]} rows=${userGroups.items.value} error=${userGroups.error.value} again=${refresh}
      columns=${columns()} searchText=${(/** @type {UserGroup} */ row) => `${row.name}\n${row.id}\n${row.description}`} searchHint=${t("projects.search")} buttons=${button} chosen=${chosen}
      empty=${html`<h2>${t("usergroups.empty")}</h2><p>${t("usergroups.text")}</p>${button}`}
      above=${html`<${Chosen} label=${t("usergroups.chosen")} chosen=${chosen} count=${targets.length} onDelete=${() => deleteGroups(targets, () => ((chosen.value = new Set()), refresh()))} />`}
      rowKey=${(/** @type {UserGroup} */ row) => row.id} rowName=${(/** @type {UserGroup} */ row) => row.name} />`;
}

/** @returns {import("../../parts/table.js").Column<UserGroup>[]} */
const columns = () => [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/usergroups/${row.id}`)}>${row.name}</a>` },
  { key: "description", title: t("server.description"), rank: 2, by: (row) => row.description, cell: (row) => html`<span title=${row.description}>${row.description}</span>` },
  { key: "id", title: t("server.id"), rank: 4, cell: (row) => html`<span class="mono">${row.id}</span>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [
      { text: t("edit"), run: () => openEdit(row, refresh) },
      { text: t("delete"), danger: true, line: true, run: () => deleteGroups([row], refresh) },
    ]}><${Icon} name="more" /><//>`,
  },
];

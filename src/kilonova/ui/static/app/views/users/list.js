// SPDX-License-Identifier: Apache-2.0
/** All users, for administrators. */
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
import { users } from "../../state/people.js";
import { everyProject, projectName } from "../../state/resources.js";
import { t } from "../../words/index.js";
import { BY_ENABLED, Enabled } from "../people/shared.js";
import { openCreate } from "./create.js";
import { deleteUsers, openEdit, openPassword } from "./edit.js";
import { turn } from "./turn.js";

/** @typedef {import("../../api/users.js").User} User */

const refresh = () => void users.refresh();

export default function Users() {
  const chosen = useSignal(/** @type {Set<string>} */ (new Set()));
  useCollection(users);
  useCollection(everyProject);
  useEffect(() => offer(() => (users.items.value ?? []).map((each) => ({ text: each.name, detail: each.id, path: `/users/${each.id}` }))), []);
  const targets = (users.items.value ?? []).filter((row) => chosen.value.has(row.id));
  const button = html`<button type="button" class="primary" onClick=${() => openCreate(refresh)}><${Icon} name="plus" />${t("users.create")}</button>`;
  return html`
    <${Listing} title=${t("nav.users")} command=${["openstack", "user", "list", "--long"]} rows=${users.items.value} error=${users.error.value} again=${refresh}
      columns=${columns()} searchText=${searchText} searchHint=${t("users.search")} buttons=${button} filter=${BY_ENABLED} chosen=${chosen} empty=${button}
      above=${html`<${Chosen} label=${t("users.chosen")} chosen=${chosen} count=${targets.length} onDelete=${() => deleteUsers(targets, () => ((chosen.value = new Set()), refresh()))} />`}
      rowKey=${(/** @type {User} */ row) => row.id} rowName=${(/** @type {User} */ row) => row.name} />`;
}

/** @param {User} row */
const home = (row) => (row.default_project_id ? projectName(row.default_project_id) : "");
/** @param {User} row */
const searchText = (row) => [row.name, row.id, row.email ?? "", row.description, home(row)].join("\n");

/** @returns {import("../../parts/table.js").Column<User>[]} */
const columns = () => [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/users/${row.id}`)}>${row.name}</a>` },
  { key: "enabled", title: t("server.state"), rank: 1, by: (row) => Number(!row.enabled), cell: (row) => html`<${Enabled} on=${row.enabled} />` },
  { key: "project", title: t("user.home"), rank: 2, by: home, cell: home },
  { key: "email", title: t("user.email"), rank: 3, by: (row) => row.email ?? "", cell: (row) => row.email ?? "" },
  { key: "description", title: t("server.description"), rank: 3, by: (row) => row.description, cell: (row) => html`<span title=${row.description}>${row.description}</span>` },
  { key: "id", title: t("server.id"), rank: 4, cell: (row) => html`<span class="mono">${row.id}</span>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [
      { text: t("edit"), run: () => openEdit(row, refresh) },
      { text: t("user.password.set"), run: () => openPassword(row, refresh) },
      { text: t(row.enabled ? "user.disable" : "user.enable"), run: () => turn(row, refresh) },
      { text: t("delete"), danger: true, line: true, run: () => deleteUsers([row], refresh) },
    ]}><${Icon} name="more" /><//>`,
  },
];

// SPDX-License-Identifier: Apache-2.0
/** The users in a group. */
import { useEffect } from "preact/hooks";
import * as api from "../../api/usergroups.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { Failure } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { link } from "../../router.js";
import { users } from "../../state/people.js";
import { useWatched } from "../../state/watched.js";
import { t } from "../../words/index.js";
import { Enabled } from "../people/shared.js";

/** @typedef {import("../../api/usergroups.js").UserGroup} UserGroup */
/** @typedef {import("../../api/users.js").User} User */

/** @param {{ group: UserGroup }} props */
export function Members({ group }) {
  const { value, error, read } = useWatched(() => api.members(group.id), group.id);
  const rows = value.value;
  const add = () => openDialog(() => html`<${AddMember} group=${group} members=${rows ?? []} changed=${read} />`);
  return html`
    <section class="panel panel-wide" aria-labelledby="members-head">
      <header><h2 id="members-head">${t("usergroup.members")}</h2>
        <button type="button" class="small" onClick=${add}>${t("usergroup.add")}</button></header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${rows?.length === 0 && html`<p class="dim">${t("usergroup.members.none")}</p>`}
      ${rows && rows.length > 0 && html`<${Table} label=${t("usergroup.members")} columns=${columns(group, read)} rows=${rows} rowKey=${(/** @type {User} */ row) => row.id} />`}
    </section>`;
}

/**
 * @param {UserGroup} group @param {() => void} changed
 * @returns {import("../../parts/table.js").Column<User>[]}
 */
const columns = (group, changed) => [
  { key: "name", title: t("people.user"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/users/${row.id}`)}>${row.name}</a>` },
  { key: "enabled", title: t("server.state"), rank: 1, cell: (row) => html`<${Enabled} on=${row.enabled} />` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<button type="button" class="small danger" aria-label=${t("usergroup.remove.of", { name: row.name })} onClick=${() => remove(group, row, changed)}>${t("usergroup.remove")}</button>`,
  },
];

/** @param {UserGroup} group @param {User} user @param {() => void} changed */
const remove = (group, user, changed) =>
  ask({
    action: t("usergroup.remove"), ask: t("usergroup.remove.ask"), message: t("usergroup.remove.done", { name: "{name}", group: group.name }), done: changed,
    targets: [{ key: user.id, name: user.name }], command: ["openstack", "group", "remove", "user", group.name], run: ({ key }) => api.removeMember(group.id, key),
  });

/** @param {{ group: UserGroup, members: User[], changed: () => void }} props */
function AddMember({ group, members, changed }) {
  useEffect(() => void users.refresh(), []);
  const others = (users.items.value ?? []).filter((user) => !members.some((each) => each.id === user.id));
  const form = useForm({
    initial: { user: "" },
    check: (values) => missing(values, ["user"]),
    send: async ({ user }) => {
      await api.addMember(group.id, user);
      changed();
      closeDialog();
    },
  });
  const chosen = others.find((user) => user.id === form.values.value.user)?.name ?? "USER";
  return html`<${FormDialog} heading=${`${t("usergroup.add")}: ${group.name}`} form=${form} submit=${t("usergroup.add")} command=${["openstack", "group", "add", "user", group.name, chosen]}>
    <p>${t("usergroup.add.ask")}</p>
    <${Field} form=${form} name="user" type="select" label=${t("people.user")} required focus options=${[{ value: "", text: t("form.choose") }, ...others.map(({ id, name }) => ({ value: id, text: name }))]} />
  <//>`;
}

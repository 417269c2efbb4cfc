// SPDX-License-Identifier: Apache-2.0
/** One group of users: its members, and its roles. */
import "../../words/people.js";
import { ApiError } from "../../api/client.js";
import { assignments } from "../../api/roles.js";
import * as api from "../../api/usergroups.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { go, link } from "../../router.js";
import { userGroups } from "../../state/people.js";
import { useWatched } from "../../state/watched.js";
import { t } from "../../words/index.js";
import { Assignments } from "../people/assignments.js";
import { deleteGroups, openEdit } from "./edit.js";
import { Members } from "./members.js";

/** @typedef {import("../../api/usergroups.js").UserGroup} UserGroup */

const UP = { path: "/usergroups", text: t("nav.usergroups") };

/** @param {{ id: string }} props */
export default function UserGroupPage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  const group = value.value;
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${group?.name ?? t("usergroup.gone")} up=${UP}><${Empty}><h2>${t("usergroup.gone")}</h2><a class="button" href=${link("/usergroups")}>${t("nav.usergroups")}</a><//><//>`;
  }
  if (!group) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const changed = () => void Promise.all([read(), userGroups.refresh()]);
  const buttons = html`
    <button type="button" onClick=${() => openEdit(group, changed)}>${t("edit")}</button>
    <button type="button" class="danger" onClick=${() => deleteGroups([group], () => go("/usergroups"))}>${t("delete")}</button>`;
  return html`
    <${Page} title=${group.name} up=${UP} buttons=${buttons} command=${["openstack", "group", "show", group.name]}>
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${facts(group)} /></section>
        <${Members} group=${group} />
        <${Assignments} title=${t("usergroup.roles")} none=${t("usergroup.roles.none")} fixed=${{ group }} load=${() => assignments({ "group.id": id })} />
      </div>
    <//>`;
}

/** @param {UserGroup} group @returns {[string, any][]} */
const facts = (group) => [
  [t("server.id"), html`<span class="mono">${group.id}</span><${Copy} text=${group.id} label=${t("server.id.copy")} />`],
  [t("server.description"), group.description || t("none")],
];

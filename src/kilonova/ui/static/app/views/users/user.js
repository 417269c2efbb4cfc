// SPDX-License-Identifier: Apache-2.0
/** One user: roles, groups, application credentials. */
import "../../words/people.js";
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api/client.js";
import { assignments } from "../../api/roles.js";
import * as api from "../../api/users.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { go, link } from "../../router.js";
import { users } from "../../state/people.js";
import { everyProject, projectName } from "../../state/resources.js";
import { useWatched } from "../../state/watched.js";
import { t } from "../../words/index.js";
import { Credentials } from "../account/credentials.js";
import { Assignments } from "../people/assignments.js";
import { Enabled } from "../people/shared.js";
import { deleteUsers, openEdit, openPassword } from "./edit.js";
import { turn } from "./turn.js";

/** @typedef {import("../../api/users.js").User} User */

const UP = { path: "/users", text: t("nav.users") };

/** @param {{ id: string }} props */
export default function UserPage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  useEffect(() => void everyProject.refresh(), []);
  const user = value.value;
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${user?.name ?? t("user.gone")} up=${UP}><${Empty}><h2>${t("user.gone")}</h2><a class="button" href=${link("/users")}>${t("nav.users")}</a><//><//>`;
  }
  if (!user) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const changed = () => void Promise.all([read(), users.refresh()]);
  const buttons = html`
    <button type="button" onClick=${() => openEdit(user, changed)}>${t("edit")}</button>
    <button type="button" onClick=${() => openPassword(user, changed)}>${t("user.password.set")}</button>
    <button type="button" onClick=${() => turn(user, changed)}>${t(user.enabled ? "user.disable" : "user.enable")}</button>
    <button type="button" class="danger" onClick=${() => deleteUsers([user], () => go("/users"))}>${t("delete")}</button>`;
  return html`
    <${Page} title=${user.name} up=${UP} buttons=${buttons} command=${["openstack", "user", "show", user.name]}>
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${facts(user)} /></section>
        <${Assignments} title=${t("user.roles")} none=${t("user.roles.none")} fixed=${{ user }} load=${() => rolesOf(id)} />
        <${Credentials} userId=${id} />
      </div>
    <//>`;
}

/** With those of the user's groups. @param {string} id */
async function rolesOf(id) {
  const [own, groups] = await Promise.all([assignments({ "user.id": id }), api.groups(id)]);
  const theirs = await Promise.all(groups.map((group) => assignments({ "group.id": group.id })));
  return [...own, ...theirs.flat()];
}

/** @param {User} user @returns {[string, any][]} */
const facts = (user) => [
  [t("server.id"), html`<span class="mono">${user.id}</span><${Copy} text=${user.id} label=${t("server.id.copy")} />`],
  [t("server.state"), html`<${Enabled} on=${user.enabled} />`],
  [t("user.home"), user.default_project_id ? html`<a href=${link(`/projects/${user.default_project_id}`)}>${projectName(user.default_project_id)}</a>` : t("none")],
  [t("user.email"), user.email ?? t("none")],
  [t("server.description"), user.description || t("none")],
];

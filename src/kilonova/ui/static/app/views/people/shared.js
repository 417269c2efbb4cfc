// SPDX-License-Identifier: Apache-2.0
/** What the pages of projects, users and roles share. */
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { link } from "../../router.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/roles.js").Assignment} Assignment */

/** @param {{ on: boolean }} props */
export const Enabled = ({ on }) => html`<${Badge} tone=${on ? "good" : "idle"} text=${t(on ? "people.enabled" : "people.disabled")} />`;

/** Rows by whether they are enabled. @type {import("../../parts/listing.js").Filter<{ enabled: boolean }>} */
export const BY_ENABLED = {
  name: "enabled", get label() { return t("server.state"); }, of: (row) => String(row.enabled), text: (value) => t(value === "true" ? "people.enabled" : "people.disabled"),
};

/** The user or the group that has a role. @param {Assignment} row */
export const holderName = ({ user, group }) => user?.name ?? t("assignment.group", { name: group?.name ?? "" });

/** Where a role applies. @param {Assignment["scope"]} scope */
export const scopeName = (scope) => scope.project?.name ?? t(scope.system ? "assignment.system" : "assignment.domain");

/** @param {Assignment} row */
export const holderLink = (row) => html`<a class="name" href=${link(row.user ? `/users/${row.user.id}` : `/usergroups/${row.group?.id}`)}>${holderName(row)}</a>`;

/** @param {Assignment["scope"]} scope */
export const scopeLink = (scope) => (scope.project ? html`<a class="name" href=${link(`/projects/${scope.project.id}`)}>${scopeName(scope)}</a>` : scopeName(scope));

/** @param {import("../../api/roles.js").Named} role */
export const roleLink = (role) => html`<a class="name" href=${link(`/roles/${role.id}`)}>${role.name}</a>`;

/** The options of `openstack role add` that name who and where. @param {Pick<Assignment, "user" | "group" | "scope">} row */
export const assignmentWords = ({ user, group, scope }) => [
  ...(user ? ["--user", user.name] : ["--group", group?.name ?? ""]),
  ...(scope.project ? ["--project", scope.project.name] : scope.system ? ["--system", "all"] : ["--domain", "default"]),
];

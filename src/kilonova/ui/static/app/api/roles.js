// SPDX-License-Identifier: Apache-2.0
/** Roles, what the policy permits to them, and who has them where. */
import { request } from "./client.js";

/** @typedef {{ id: string, name: string, description: string | null, options: { immutable?: boolean } }} Role */
/** @typedef {{ id: string, name: string }} Named */
/** @typedef {{ role: Named, user?: Named, group?: Named, scope: { project?: Named, domain?: Named, system?: { all: true } } }} Assignment */
/** @typedef {{ rule: string, check: string, permitted: boolean }} Permission */

/** @returns {Promise<Role[]>} */
export const list = async () => (await request("identity", "GET", "/roles")).data.roles;

/** @param {string} id @returns {Promise<Role>} */
export const get = async (id) => (await request("identity", "GET", path(id))).data.role;

/** @param {{ name: string, description: string | null }} role @returns {Promise<Role>} */
export const create = async (role) => (await request("identity", "POST", "/roles", { body: { role } })).data.role;

/** @param {string} id @param {{ name?: string, description?: string | null }} changes */
export const update = (id, changes) => request("identity", "PATCH", path(id), { body: { role: changes } });

/** @param {string} id */
export const remove = (id) => request("identity", "DELETE", path(id));

/** Every rule of the policy, for a user with this role in a project. @param {string} id @returns {Promise<Permission[]>} */
export const permissions = async (id) => (await request("ui", "GET", `/api${path(id)}/permissions`)).data.rules;

/** @param {Record<string, string>} [only] such as "user.id" or "scope.project.id" @returns {Promise<Assignment[]>} */
export const assignments = async (only = {}) =>
  (await request("identity", "GET", "/role_assignments", { query: { include_names: "true", ...only } })).data.role_assignments;

/** @param {Assignment} assignment */
export const assign = (assignment) => request("identity", "PUT", assigned(assignment));

/** @param {Assignment} assignment */
export const withdraw = (assignment) => request("identity", "DELETE", assigned(assignment));

/** @param {Assignment} assignment */
function assigned({ role, user, group, scope }) {
  const place = scope.project ? `/projects/${encodeURIComponent(scope.project.id)}` : scope.domain ? `/domains/${encodeURIComponent(scope.domain.id)}` : "/system";
  const holder = user ? `/users/${encodeURIComponent(user.id)}` : `/groups/${encodeURIComponent(group?.id ?? "")}`;
  return `${place}${holder}${path(role.id)}`;
}

/** @param {string} id */
const path = (id) => `/roles/${encodeURIComponent(id)}`;

// SPDX-License-Identifier: Apache-2.0
/** Users, their passwords, and the groups that they are in. */
import { request } from "./client.js";

/** @typedef {{ id: string, name: string, enabled: boolean, description: string, email?: string, default_project_id?: string }} User */
/** @typedef {{ name: string, password: string, enabled: boolean, description: string, email: string | null, default_project_id: string | null }} UserFields */

/** @returns {Promise<User[]>} */
export const list = async () => (await request("identity", "GET", "/users")).data.users;

/** @param {string} id @returns {Promise<User>} */
export const get = async (id) => (await request("identity", "GET", path(id))).data.user;

/** @param {Partial<UserFields>} user @returns {Promise<User>} */
export const create = async (user) => (await request("identity", "POST", "/users", { body: { user } })).data.user;

/** @param {string} id @param {Partial<UserFields>} changes */
export const update = (id, changes) => request("identity", "PATCH", path(id), { body: { user: changes } });

/** @param {string} id */
export const remove = (id) => request("identity", "DELETE", path(id));

/** Change a password by the present one.  All tokens of the user end. @param {string} id @param {string} original @param {string} password */
export const changePassword = (id, original, password) =>
  request("identity", "POST", `${path(id)}/password`, { body: { user: { original_password: original, password } }, hasPassword: true });

/** @param {string} id @returns {Promise<{ id: string, name: string }[]>} */
export const groups = async (id) => (await request("identity", "GET", `${path(id)}/groups`)).data.groups;

/** @param {string} id */
const path = (id) => `/users/${encodeURIComponent(id)}`;

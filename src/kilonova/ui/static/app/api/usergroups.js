// SPDX-License-Identifier: Apache-2.0
/** Groups of users. */
import { request } from "./client.js";

/** @typedef {{ id: string, name: string, description: string }} UserGroup */
/** @typedef {import("./users.js").User} User */

/** @returns {Promise<UserGroup[]>} */
export const list = async () => (await request("identity", "GET", "/groups")).data.groups;

/** @param {string} id @returns {Promise<UserGroup>} */
export const get = async (id) => (await request("identity", "GET", path(id))).data.group;

/** @param {{ name: string, description: string }} group @returns {Promise<UserGroup>} */
export const create = async (group) => (await request("identity", "POST", "/groups", { body: { group } })).data.group;

/** @param {string} id @param {{ name?: string, description?: string }} changes */
export const update = (id, changes) => request("identity", "PATCH", path(id), { body: { group: changes } });

/** @param {string} id */
export const remove = (id) => request("identity", "DELETE", path(id));

/** @param {string} id @returns {Promise<User[]>} */
export const members = async (id) => (await request("identity", "GET", `${path(id)}/users`)).data.users;

/** @param {string} id @param {string} user */
export const addMember = (id, user) => request("identity", "PUT", `${path(id)}/users/${encodeURIComponent(user)}`);

/** @param {string} id @param {string} user */
export const removeMember = (id, user) => request("identity", "DELETE", `${path(id)}/users/${encodeURIComponent(user)}`);

/** @param {string} id */
const path = (id) => `/groups/${encodeURIComponent(id)}`;

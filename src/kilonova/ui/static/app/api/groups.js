// SPDX-License-Identifier: Apache-2.0
/** Server groups. */
import { request } from "./client.js";

/**
 * @typedef {{ id: string, name: string, policy: string, rules: { max_server_per_host?: number }, members: string[], project_id: string,
 *   user_id: string }} ServerGroup
 */

/** @param {{ all?: boolean }} [wish] `all`: of all projects @returns {Promise<ServerGroup[]>} */
export const list = async ({ all } = {}) =>
  (await request("compute", "GET", "/os-server-groups", { query: { all_projects: all ? "1" : undefined } })).data.server_groups;

/** @param {string} id @returns {Promise<ServerGroup>} */
export const get = async (id) => (await request("compute", "GET", path(id))).data.server_group;

/** @param {Record<string, unknown>} group @returns {Promise<ServerGroup>} */
export const create = async (group) => (await request("compute", "POST", "/os-server-groups", { body: { server_group: group } })).data.server_group;

/** @param {string} id */
export const remove = (id) => request("compute", "DELETE", path(id));

/** @param {string} id */
const path = (id) => `/os-server-groups/${encodeURIComponent(id)}`;

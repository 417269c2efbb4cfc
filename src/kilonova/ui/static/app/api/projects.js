// SPDX-License-Identifier: Apache-2.0
/** Projects. */
import { request } from "./client.js";

/** @typedef {{ id: string, name: string, enabled: boolean, description: string }} Project */

/** All that the user may see. @returns {Promise<Project[]>} */
export const list = async () => (await request("identity", "GET", "/projects")).data.projects;

/** @param {string} id @returns {Promise<Project>} */
export const get = async (id) => (await request("identity", "GET", path(id))).data.project;

/** @param {Partial<Project>} project @returns {Promise<Project>} */
export const create = async (project) => (await request("identity", "POST", "/projects", { body: { project } })).data.project;

/** @param {string} id @param {Partial<Project>} changes */
export const update = (id, changes) => request("identity", "PATCH", path(id), { body: { project: changes } });

/** @param {string} id */
export const remove = (id) => request("identity", "DELETE", path(id));

/** @param {string} id */
const path = (id) => `/projects/${encodeURIComponent(id)}`;

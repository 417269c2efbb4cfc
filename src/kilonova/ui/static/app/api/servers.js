// SPDX-License-Identifier: Apache-2.0
/** Servers and what belongs to them. */
import { listAll, request } from "./client.js";

/** @typedef {{ version: number, addr: string, "OS-EXT-IPS:type": string, "OS-EXT-IPS-MAC:mac_addr": string }} Address */
/**
 * @typedef {object} PlainServer the members with plain names
 * @property {string} id
 * @property {string} name
 * @property {string} status
 * @property {string} tenant_id
 * @property {string} user_id
 * @property {Record<string, string>} metadata
 * @property {{ id: string } | ""} image
 * @property {{ vcpus: number, ram: number, disk: number, ephemeral: number, swap: number, original_name: string, extra_specs: Record<string, string> }} flavor
 * @property {string} created
 * @property {string} updated
 * @property {number} [progress]
 * @property {{ code: number, created: string, message: string }} [fault]
 * @property {Record<string, Address[]>} addresses
 * @property {string | null} key_name
 * @property {string} config_drive
 * @property {string | null} description
 * @property {string[]} tags
 * @property {boolean} locked
 * @property {string | null} locked_reason
 * @property {string} hostId
 * @property {string[]} [server_groups]
 * @property {string} [host_status]
 */
/**
 * @typedef {{
 *   "OS-EXT-STS:task_state": string | null,
 *   "OS-EXT-STS:vm_state": string,
 *   "OS-EXT-STS:power_state": number,
 *   "OS-EXT-AZ:availability_zone": string,
 *   "OS-SRV-USG:launched_at": string | null,
 *   "OS-EXT-SRV-ATTR:host"?: string | null,
 *   "OS-EXT-SRV-ATTR:instance_name"?: string,
 *   "OS-EXT-SRV-ATTR:hostname"?: string,
 * }} ExtendedServer the members of extensions
 */
/** @typedef {PlainServer & ExtendedServer} Server as Compute 2.90 describes it; what only administrators get is optional */
/**
 * @typedef {object} Action
 * @property {string} action
 * @property {string} request_id
 * @property {string} user_id
 * @property {string} project_id
 * @property {string} start_time
 * @property {string} updated_at
 * @property {string | null} message
 * @property {{ event: string, start_time: string | null, finish_time: string | null, result: string | null, details: string | null, host?: string | null, traceback?: string | null }[]} [events]
 */

/**
 * @param {{ all?: boolean, since?: string }} [wish] `all`: of all projects; `since`: only what changed, with what was deleted
 * @returns {Promise<Server[]>}
 */
export const list = ({ all, since } = {}) =>
  listAll("compute", "/servers/detail", "servers", { query: { all_tenants: all ? 1 : undefined, "changes-since": since } });

/** @param {string} id @returns {Promise<Server>} */
export const get = async (id) => (await request("compute", "GET", path(id))).data.server;

/** @param {Record<string, unknown>} body @returns {Promise<{ id: string, adminPass?: string }>} */
export const create = async (body) => (await request("compute", "POST", "/servers", { body })).data.server;

/** @param {string} id @param {Record<string, unknown>} changes */
export const update = (id, changes) => request("compute", "PUT", path(id), { body: { server: changes } });

/** @param {string} id */
export const remove = (id) => request("compute", "DELETE", path(id));

/** @param {string} id @param {Record<string, unknown>} body */
export const act = (id, body) => request("compute", "POST", `${path(id)}/action`, { body });

/** @param {string} id @param {Record<string, string>} metadata */
export const setMetadata = (id, metadata) => request("compute", "PUT", `${path(id)}/metadata`, { body: { metadata } });

/** @param {string} id @param {string[]} tags */
export const setTags = (id, tags) => request("compute", "PUT", `${path(id)}/tags`, { body: { tags } });

/** @param {string} id @returns {Promise<Action[]>} */
export const actions = async (id) => (await request("compute", "GET", `${path(id)}/os-instance-actions`)).data.instanceActions;

/** @param {string} id @param {string} requestId @returns {Promise<Action>} */
export const action = async (id, requestId) =>
  (await request("compute", "GET", `${path(id)}/os-instance-actions/${encodeURIComponent(requestId)}`)).data.instanceAction;

/** @param {string} id @param {number | null} length in lines; null is all that is kept @returns {Promise<string>} */
export const consoleOutput = async (id, length) =>
  (await act(id, { "os-getConsoleOutput": length === null ? {} : { length } })).data.output;

/** @param {string} id @param {"serial" | "vnc"} protocol @returns {Promise<string>} the URL of a console */
export const remoteConsole = async (id, protocol) => {
  const wish = { protocol, type: protocol === "serial" ? "serial" : "novnc" };
  return (await request("compute", "POST", `${path(id)}/remote-consoles`, { body: { remote_console: wish } })).data.remote_console.url;
};

/** @param {string} id @returns {Promise<any>} */
export const diagnostics = async (id) => (await request("compute", "GET", `${path(id)}/diagnostics`)).data;

/** @param {string} id */
const path = (id) => `/servers/${encodeURIComponent(id)}`;

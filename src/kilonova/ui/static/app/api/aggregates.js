// SPDX-License-Identifier: Apache-2.0
/** Host aggregates and availability zones with their hosts; for administrators. */
import { request } from "./client.js";

/**
 * @typedef {{ id: number, uuid: string, name: string, availability_zone: string | null, hosts: string[], metadata: Record<string, string>,
 *   created_at: string, updated_at: string | null }} Aggregate
 */
/** @typedef {{ zoneName: string, zoneState: { available: boolean }, hosts: Record<string, object> | null }} Zone */

/** The key under which the metadata of an aggregate shows its zone. */
export const ZONE = "availability_zone";

/** @returns {Promise<Aggregate[]>} */
export const list = async () => (await request("compute", "GET", "/os-aggregates")).data.aggregates;

/** @param {string} id @returns {Promise<Aggregate>} */
export const get = async (id) => (await request("compute", "GET", path(id))).data.aggregate;

/** @param {{ name: string, availability_zone?: string }} aggregate @returns {Promise<Aggregate>} */
export const create = async (aggregate) => (await request("compute", "POST", "/os-aggregates", { body: { aggregate } })).data.aggregate;

/** @param {number} id @param {{ name?: string, availability_zone?: string | null }} changes */
export const update = (id, changes) => request("compute", "PUT", path(id), { body: { aggregate: changes } });

/** @param {string | number} id */
export const remove = (id) => request("compute", "DELETE", path(id));

/** @param {number} id @param {"add_host" | "remove_host"} action @param {string} host */
export const changeHost = (id, action, host) => request("compute", "POST", `${path(id)}/action`, { body: { [action]: { host } } });

/** Change metadata; null removes a key. @param {number} id @param {Record<string, string | null>} metadata */
export const setMetadata = (id, metadata) => request("compute", "POST", `${path(id)}/action`, { body: { set_metadata: { metadata } } });

/** @returns {Promise<Zone[]>} all zones, with the hosts that are enabled */
export const zones = async () => (await request("compute", "GET", "/os-availability-zone/detail")).data.availabilityZoneInfo;

/** @param {string | number} id */
const path = (id) => `/os-aggregates/${encodeURIComponent(id)}`;

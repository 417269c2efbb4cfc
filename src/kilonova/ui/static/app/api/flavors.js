// SPDX-License-Identifier: Apache-2.0
/** Flavors, their extra specs, and which projects may use those that are not public. */
import { listAll, request } from "./client.js";

/**
 * @typedef {object} PlainFlavor
 * @property {string} id
 * @property {string} name
 * @property {string | null} description
 * @property {number} vcpus
 * @property {number} ram in MiB
 * @property {number} disk in GiB
 * @property {number} swap in MiB
 * @property {number} rxtx_factor
 * @property {Record<string, string>} extra_specs
 */
/** @typedef {PlainFlavor & { "OS-FLV-EXT-DATA:ephemeral": number, "os-flavor-access:is_public": boolean }} Flavor */

/** @param {{ every?: boolean }} [wish] `every`: also those of other projects; administrators only @returns {Promise<Flavor[]>} */
export const list = ({ every } = {}) => listAll("compute", "/flavors/detail", "flavors", { query: { is_public: every ? "none" : undefined } });

/** @param {string} id @returns {Promise<Flavor>} */
export const get = async (id) => (await request("compute", "GET", path(id))).data.flavor;

/** @param {Record<string, unknown>} flavor @returns {Promise<Flavor>} */
export const create = async (flavor) => (await request("compute", "POST", "/flavors", { body: { flavor } })).data.flavor;

/** @param {string} id @param {string | null} description */
export const describe = (id, description) => request("compute", "PUT", path(id), { body: { flavor: { description } } });

/** @param {string} id */
export const remove = (id) => request("compute", "DELETE", path(id));

/** Add extra specs, or change them. @param {string} id @param {Record<string, string>} specs */
export const setSpecs = (id, specs) => request("compute", "POST", `${path(id)}/os-extra_specs`, { body: { extra_specs: specs } });

/** @param {string} id @param {string} key */
export const removeSpec = (id, key) => request("compute", "DELETE", `${path(id)}/os-extra_specs/${encodeURIComponent(key)}`);

/** The ids of the projects that may use a flavor that is not public. @param {string} id @returns {Promise<string[]>} */
export const access = async (id) =>
  (await request("compute", "GET", `${path(id)}/os-flavor-access`)).data.flavor_access.map((/** @type {{ tenant_id: string }} */ each) => each.tenant_id);

/** @param {string} id @param {string} tenant @param {"addTenantAccess" | "removeTenantAccess"} action */
export const changeAccess = (id, tenant, action) => request("compute", "POST", `${path(id)}/action`, { body: { [action]: { tenant } } });

/** @param {string} id */
const path = (id) => `/flavors/${encodeURIComponent(id)}`;

// SPDX-License-Identifier: Apache-2.0
/** What a project may use, and what it uses. */
import { request } from "./client.js";

/** @typedef {{ limit: number, in_use: number }} Quota a limit of -1 is none */
/** @typedef {{ total_hours: number, total_vcpus_usage: number, total_memory_mb_usage: number, total_local_gb_usage: number }} Usage sums of amounts times hours */

/** Limits that Compute counts, in the order to show. */
export const COUNTED = /** @type {const} */ (["instances", "cores", "ram", "server_groups"]);
/** Limits of one request or one thing; nothing of them is in use. */
export const SINGLE = /** @type {const} */ (["key_pairs", "metadata_items", "server_group_members"]);
/** @typedef {(typeof COUNTED)[number] | (typeof SINGLE)[number]} Resource */

/** @param {string} projectId @returns {Promise<Record<Resource, Quota>>} */
export const get = async (projectId) => (await request("compute", "GET", `${path(projectId)}/detail`)).data.quota_set;

/** @param {string} projectId @param {Record<string, number | boolean>} limits */
export const update = (projectId, limits) => request("compute", "PUT", path(projectId), { body: { quota_set: limits } });

/** Back to the defaults. @param {string} projectId */
export const reset = (projectId) => request("compute", "DELETE", path(projectId));

/** Of the project of the session. @returns {Promise<Record<"image_count_total" | "image_size_total", { limit: number, usage: number }>>} */
export const images = async () => (await request("image", "GET", "/info/usage")).data.usage;

/** @param {string} projectId @param {Date} start @returns {Promise<Partial<Usage>>} nothing when no server ran */
export const usage = async (projectId, start) => {
  const query = { start: start.toISOString().slice(0, 19) };
  return (await request("compute", "GET", `/os-simple-tenant-usage/${encodeURIComponent(projectId)}`, { query })).data.tenant_usage;
};

/** Limits of Image, which Identity keeps. */
export const OF_IMAGES = /** @type {const} */ (["image_count_total", "image_size_total"]);
/** @typedef {{ limit: number, id: string | null, serviceId: string }} ImageLimit `id`: null where the default applies; the size is in MiB */

/** @param {string} projectId @returns {Promise<Record<(typeof OF_IMAGES)[number], ImageLimit>>} */
export async function imageLimits(projectId) {
  const answers = await Promise.all([request("identity", "GET", "/registered_limits"), request("identity", "GET", "/limits", { query: { project_id: projectId } })]);
  const [defaults, own] = [answers[0].data.registered_limits, answers[1].data.limits];
  const found = OF_IMAGES.map((name) => {
    const usual = defaults.find((/** @type {any} */ each) => each.resource_name === name);
    const mine = own.find((/** @type {any} */ each) => each.resource_name === name);
    return [name, { limit: mine?.resource_limit ?? usual.default_limit, id: mine?.id ?? null, serviceId: usual.service_id }];
  });
  return Object.fromEntries(found);
}

/** @param {string} projectId @param {(typeof OF_IMAGES)[number]} name @param {ImageLimit} now @param {number} limit */
export function setImageLimit(projectId, name, now, limit) {
  if (now.id) return request("identity", "PATCH", `/limits/${encodeURIComponent(now.id)}`, { body: { limit: { resource_limit: limit } } });
  const body = { limits: [{ project_id: projectId, service_id: now.serviceId, resource_name: name, resource_limit: limit }] };
  return request("identity", "POST", "/limits", { body });
}

/** @param {string} projectId */
const path = (projectId) => `/os-quota-sets/${encodeURIComponent(projectId)}`;

// SPDX-License-Identifier: Apache-2.0
/** Actions of all servers, and why a server has no host (docs/ui.md). */
import { request } from "./client.js";

/**
 * @typedef {object} ListedAction
 * @property {string} id
 * @property {string} action
 * @property {"open" | "done" | "failed" | "superseded" | "cancelled" | "abandoned"} state
 * @property {string} server_id
 * @property {string} server_name
 * @property {boolean} server_deleted
 * @property {string} project_id of the server
 * @property {string} user_id
 * @property {string} request_id
 * @property {string} started_at
 * @property {string | null} ended_at
 * @property {string | null} message
 * @property {string | null} [host] for administrators
 */
/** @typedef {{ filter: string, count: number, hosts: string[], reason: string }} Refused */
/** @typedef {{ at: string | null, hosts: number, candidates: number, host: string | null, refused: Refused[], weighed: { host: string, weight: number }[], lost: { host: string, reason: string }[], failure: string | null }} Try */
/** @typedef {{ request_id: string, message: string | null, reasons: string[], tries: Try[] | null }} Reasons `tries` for administrators */

/**
 * The newest first.  `next` is the `before` of the next page.
 * @param {{ all_projects?: 1, state?: string | null, action?: string | null, server_id?: string | null, request_id?: string | null, before?: string | null }} wanted
 * @returns {Promise<{ actions: ListedAction[], next: string | null }>}
 */
export const list = async (wanted) => (await request("ui", "GET", "/api/actions", { query: wanted })).data;

/**
 * Why the last placement of a server, or that of a request, found no host; null when none is recorded.
 * @param {string} id
 * @param {string} [requestId]
 * @returns {Promise<Reasons | null>}
 */
export const why = async (id, requestId) =>
  (await request("ui", "GET", `/api/servers/${encodeURIComponent(id)}/why`, { query: { request_id: requestId } })).data.why;

/** @typedef {{ id: string, action: string, server_id: string, result: "cancelled" | "continues" | "cleaning-up" | "ended", message: string | null }} Cancelled */

/** Cancel the action in progress on a server. @param {string} id of the server @returns {Promise<Cancelled[]>} */
export const cancel = async (id) => (await request("compute", "POST", "/kilonova/cancel", { body: { cancel: { id } } })).data.cancel.actions;

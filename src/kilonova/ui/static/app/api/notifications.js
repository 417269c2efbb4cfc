// SPDX-License-Identifier: Apache-2.0
/** Notifications of all projects, for administrators. */
import { request } from "./client.js";

/**
 * @typedef {{ number: number, message_id: string, publisher_id: string, event_type: string, priority: string, timestamp: string,
 *   payload: Record<string, string> }} Notification
 */
/** @typedef {{ numbered: number, published: number, waiting: number, waiting_since: string | null }} Delivery */
/** @typedef {{ after?: number, before?: number, limit?: number, type?: string, server?: string }} Wanted */

/** The first after a number, or else the newest; the oldest first. @param {Wanted} wanted @returns {Promise<{ notifications: Notification[], delivery: Delivery }>} */
export const find = async (wanted) => (await request("ui", "GET", "/api/notifications", { query: wanted })).data;

// SPDX-License-Identifier: Apache-2.0
/** What a server used over the last hour (docs/ui.md). */
import { request } from "./client.js";

/**
 * @typedef {object} Figures all lists have one entry per sample; null is not known
 * @property {number} period in seconds
 * @property {number} vcpus
 * @property {number} memory_maximum in MiB
 * @property {number[]} at in seconds since 1970
 * @property {(number | null)[]} cpu in percent of all virtual CPUs
 * @property {(number | null)[]} memory in MiB
 * @property {(number | null)[]} disk_read in bytes a second, as the next three
 * @property {(number | null)[]} disk_write
 * @property {(number | null)[]} net_rx
 * @property {(number | null)[]} net_tx
 */

/** @param {string} id @returns {Promise<Figures>} */
export const figures = async (id) => (await request("ui", "GET", `/api/servers/${encodeURIComponent(id)}/figures`)).data.figures;

// SPDX-License-Identifier: Apache-2.0
/** Availability zones. */
import { request } from "./client.js";

/** @returns {Promise<string[]>} the names of those that have a host that works */
export const zones = async () => {
  const found = (await request("compute", "GET", "/os-availability-zone")).data.availabilityZoneInfo;
  return found.filter((/** @type {any} */ zone) => zone.zoneState.available).map((/** @type {any} */ zone) => zone.zoneName);
};

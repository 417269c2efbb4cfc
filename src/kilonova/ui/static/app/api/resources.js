// SPDX-License-Identifier: Apache-2.0
/** What servers are made of: images, flavors, key pairs, networks, server groups, zones. */
import { listAll, request } from "./client.js";

/** @typedef {{ id: string, name: string | null, status: string, size: number | null, min_disk: number, min_ram: number, visibility: string, disk_format: string }} Image */
/** @typedef {{ id: string, name: string, vcpus: number, ram: number, disk: number, swap: number, "OS-FLV-EXT-DATA:ephemeral": number, extra_specs: Record<string, string> }} Flavor */
/** @typedef {{ name: string, fingerprint: string, type: string }} Keypair */
/** @typedef {{ id: string, name: string, description: string, is_default: boolean, subnets: string[] }} Network */
/** @typedef {{ id: string, name: string, policy: string, members: string[] }} ServerGroup */

/** @returns {Promise<Image[]>} */
export const images = () => listAll("image", "/images", "images");

/** @returns {Promise<Flavor[]>} */
export const flavors = () => listAll("compute", "/flavors/detail", "flavors");

/** @returns {Promise<Keypair[]>} */
export const keypairs = async () => (await listAll("compute", "/os-keypairs", "keypairs")).map((each) => each.keypair);

/** @returns {Promise<Network[]>} */
export const networks = () => listAll("network", "/networks", "networks");

/** @returns {Promise<ServerGroup[]>} */
export const serverGroups = async () => (await request("compute", "GET", "/os-server-groups")).data.server_groups;

/** @returns {Promise<string[]>} */
export const zones = async () => {
  const found = (await request("compute", "GET", "/os-availability-zone")).data.availabilityZoneInfo;
  return found.filter((/** @type {any} */ zone) => zone.zoneState.available).map((/** @type {any} */ zone) => zone.zoneName);
};

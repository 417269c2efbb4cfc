// SPDX-License-Identifier: Apache-2.0
/** Networks, their subnets, and the ports of servers. */
import { listAll, request } from "./client.js";

/**
 * @typedef {{ id: string, name: string, description: string, is_default: boolean, shared: boolean, status: string, mtu: number,
 *   subnets: string[], availability_zones: string[] }} Network
 */
/**
 * @typedef {{ id: string, network_id: string, description: string, cidr: string, gateway_ip: string | null, enable_dhcp: boolean,
 *   allocation_pools: { start: string, end: string }[], dns_nameservers: string[] }} Subnet
 */
/**
 * @typedef {{ id: string, network_id: string, project_id: string, device_id: string, mac_address: string, status: string, dns_name: string,
 *   fixed_ips: { subnet_id: string, ip_address: string }[], "binding:host_id"?: string }} Port
 */

/** @returns {Promise<Network[]>} */
export const list = () => listAll("network", "/networks", "networks");

/** @param {string} id @returns {Promise<Network>} */
export const get = async (id) => (await request("network", "GET", `/networks/${encodeURIComponent(id)}`)).data.network;

/** @returns {Promise<Subnet[]>} */
export const subnets = () => listAll("network", "/subnets", "subnets");

/** The most ports that `ports` returns: a fleet may have 100,000. */
export const MOST_PORTS = 1000;

/** Of the project; for administrators of all projects.  Not more than MOST_PORTS. @returns {Promise<Port[]>} */
export const ports = async () => (await request("network", "GET", "/ports", { query: { limit: MOST_PORTS } })).data.ports;

/** How many addresses a subnet has for guests. @param {Subnet} subnet */
export const poolSize = (subnet) =>
  subnet.allocation_pools.reduce((sum, pool) => sum + number(pool.end) - number(pool.start) + 1, 0);

/** An IPv4 address as a number. @param {string} address */
const number = (address) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

// SPDX-License-Identifier: Apache-2.0
/** Hosts, compute services, and what the doctor finds; for administrators. */
import { listAll, request } from "./client.js";

/** The last microversion in which Compute shows what a hypervisor has. */
const WITH_RESOURCES = "2.87";
export const COMPUTE = "nova-compute";

/**
 * @typedef {object} Service
 * @property {string} id
 * @property {string} binary
 * @property {string} host
 * @property {string} zone
 * @property {"enabled" | "disabled"} status
 * @property {"up" | "down"} state
 * @property {string | null} updated_at the time of its last report
 * @property {string | null} disabled_reason
 * @property {boolean} forced_down
 */
/**
 * @typedef {object} Hypervisor as Compute 2.87 describes it
 * @property {string} id
 * @property {string} hypervisor_hostname
 * @property {string} host_ip
 * @property {string} hypervisor_type
 * @property {number} hypervisor_version
 * @property {number} running_vms
 * @property {{ arch?: string, model?: string, vendor?: string, topology?: { sockets?: number, cores?: number, threads?: number } }} cpu_info
 * @property {{ host: string }} service
 */
/** @typedef {{ physical: number, capacity: number, used: number }} Amounts `capacity`: what servers may claim */
/**
 * @typedef {object} Capacity docs/ui.md
 * @property {string} host
 * @property {number} code_version
 * @property {Amounts} vcpus
 * @property {Amounts} memory_mib
 * @property {Amounts} disk_gib
 * @property {number} disk_work open actions that work with disks there
 * @property {number} failed_builds
 * @property {string} disk_short why no disks are placed there, or ""
 */
/** @typedef {{ name: string, service: Service, hypervisor: Hypervisor | null, capacity: Capacity | null }} Host */
/** @typedef {{ check: string, level: string, found: string, cure: string }} Finding */
/** @typedef {{ host: string, at: string, findings: Finding[] }} Examination */

/** @returns {Promise<Service[]>} */
export const services = async () => (await request("compute", "GET", "/os-services")).data.services;

/** @returns {Promise<Host[]>} */
export async function list() {
  /** @type {[Service[], Hypervisor[], Capacity[]]} */
  const [found, hypervisors, capacities] = await Promise.all([
    services(),
    listAll("compute", "/os-hypervisors/detail", "hypervisors", { microversion: WITH_RESOURCES }),
    request("ui", "GET", "/api/hosts").then(({ data }) => data.hosts),
  ]);
  const nodes = new Map(hypervisors.map((each) => [each.service.host, each]));
  const amounts = new Map(capacities.map((each) => [each.host, each]));
  return found.filter((service) => service.binary === COMPUTE).map((service) => ({
    name: service.host, service, hypervisor: nodes.get(service.host) ?? null, capacity: amounts.get(service.host) ?? null,
  }));
}

/** The line of `uptime`; null when the host does not answer. @param {string} id of the hypervisor @returns {Promise<string | null>} */
export const uptime = async (id) => (await request("compute", "GET", `/os-hypervisors/${encodeURIComponent(id)}`)).data.hypervisor.uptime;

/** The servers of all projects on a host. @param {string} host @returns {Promise<import("./servers.js").Server[]>} */
export const servers = (host) => listAll("compute", "/servers/detail", "servers", { query: { all_tenants: 1, host } });

/** @param {string} id of a service @param {{ status?: "enabled" | "disabled", disabled_reason?: string, forced_down?: boolean }} changes */
export const update = (id, changes) => request("compute", "PUT", `/os-services/${encodeURIComponent(id)}`, { body: changes });

/** @param {string} id of a service */
export const remove = (id) => request("compute", "DELETE", `/os-services/${encodeURIComponent(id)}`);

/** What the doctor finds on a host. @param {string} host @returns {Promise<Examination>} */
export const examineHost = async (host) => (await request("ui", "GET", `/api/hosts/${encodeURIComponent(host)}/doctor`)).data.examination;

/** What the doctor finds on the machine of the API process. @returns {Promise<Examination>} */
export const examineService = async () => (await request("ui", "GET", "/api/doctor")).data.examination;

// SPDX-License-Identifier: Apache-2.0
/** What the pages of networks know: subnets, and the ports of servers. */
import * as api from "../../api/networks.js";
import { collection } from "../../state/collection.js";

export const subnets = collection(api.subnets);
/** Of the project; for administrators of all projects. */
export const ports = collection(api.ports);

/** The ports of a network. @param {{ id: string }} network */
export const portsOf = (network) => (ports.items.value ?? []).filter((port) => port.network_id === network.id);

/** Whether there are ports that the page has not read. */
export const isCut = () => (ports.items.value?.length ?? 0) >= api.MOST_PORTS;

/** How many addresses of a network servers have, as far as one may see them. @param {{ id: string }} network */
export const usedOf = (network) => portsOf(network).reduce((sum, port) => sum + port.fixed_ips.length, 0);

// SPDX-License-Identifier: Apache-2.0
/** One network: its subnets, their addresses, and the servers on it. */
import "../../words/resources.js";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/networks.js";
import { classes, html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Copy } from "../../parts/copy.js";
import { Meter } from "../../parts/meter.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { link } from "../../router.js";
import { useCollection } from "../../state/collection.js";
import { isAdmin } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { t } from "../../words/index.js";
import { isCut, ports, portsOf, subnets } from "./facts.js";

/** @typedef {import("../../api/networks.js").Network} Network */
/** @typedef {import("../../api/networks.js").Subnet} Subnet */
/** @typedef {import("../../api/networks.js").Port} Port */

const UP = { path: "/networks", text: t("nav.networks") };

/** @param {{ id: string }} props */
export default function NetworkPage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  useCollection(subnets);
  useCollection(ports, "server");
  const network = value.value;
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${t("network.gone")} up=${UP}><${Empty}><h2>${t("network.gone")}</h2><p>${t("network.gone.text")}</p><a class="button" href=${link("/networks")}>${t("nav.networks")}</a><//><//>`;
  }
  if (!network) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const found = portsOf(network);
  const own = (subnets.items.value ?? []).filter((subnet) => subnet.network_id === id);
  const failed = subnets.error.value ?? ports.error.value;
  return html`
    <${Page} title=${network.name} up=${UP} command=${["openstack", "network", "show", network.name]} buttons=${html`<a class="button primary" href=${link(`/servers/create?network=${id}`)}>${t("servers.create")}</a>`}
      beside=${network.is_default && html`<span class="tag">${t("network.default")}</span>`}>
      ${failed && html`<${Failure} error=${failed} again=${() => void Promise.all([subnets.refresh(), ports.refresh()])} />`}
      <div class="panels">
        <section class=${classes("panel", own.length !== 1 && "panel-wide")} aria-label=${t("server.facts")}><${Facts} rows=${facts(network, found)} /></section>
        ${own.map((subnet) => html`<${SubnetPanel} key=${subnet.id} subnet=${subnet} ports=${found} />`)}
        <${Ports} found=${found} />
      </div>
    <//>`;
}

/** @param {Network} network @param {Port[]} found @returns {[string, any][]} */
function facts(network, found) {
  const hosts = [...new Set(found.map((port) => port["binding:host_id"]).filter(Boolean))].sort();
  /** @type {[string, any][]} */
  const rows = [
    [t("server.id"), html`<span class="mono">${network.id}</span><${Copy} text=${network.id} label=${t("server.id.copy")} />`],
    [t("network.kind"), network.description],
    [t("network.mtu"), network.mtu],
    [t("server.zone"), network.availability_zones.join(", ") || t("none")],
  ];
  if (isAdmin.value) rows.push([t("network.hosts"), hosts.join(", ") || t("none")]);
  return rows;
}

/** @param {{ subnet: Subnet, ports: Port[] }} props */
function SubnetPanel({ subnet, ports: found }) {
  const used = found.flatMap((port) => port.fixed_ips).filter((address) => address.subnet_id === subnet.id).length;
  const headId = `subnet-${subnet.id}`;
  return html`
    <section class="panel" aria-labelledby=${headId}>
      <header><h2 id=${headId} class="mono">${subnet.cidr}</h2></header>
      <${Meter} label=${t(isAdmin.value ? "network.used" : "network.used.own")} used=${used} limit=${api.poolSize(subnet)} />
      ${!isAdmin.value && html`<p class="dim">${t("network.used.hint")}</p>`}
      ${isCut() && html`<p class="dim">${t("network.cut", { count: api.MOST_PORTS })}</p>`}
      <${Facts} rows=${[
        [t("network.gateway"), subnet.gateway_ip ?? t("none")],
        [t("network.pools"), html`<span class="mono">${subnet.allocation_pools.map((pool) => `${pool.start} – ${pool.end}`).join(", ") || t("none")}</span>`],
        [t("network.dhcp"), t(subnet.enable_dhcp ? "network.dhcp.yes" : "network.dhcp.no")],
        [t("network.dns"), subnet.dns_nameservers.join(", ") || t("none")],
        ...(subnet.description ? [[t("server.description"), subnet.description]] : []),
      ]} />
    </section>`;
}

/** @param {{ found: Port[] }} props */
function Ports({ found }) {
  /** @type {import("../../parts/table.js").Column<Port>[]} */
  const columns = [
    { key: "server", title: t("network.server"), rank: 1, cell: (row) => html`<a class="name" href=${link(`/servers/${row.device_id}`)}>${row.dns_name || row.device_id}</a>` },
    { key: "addr", title: t("address.address"), rank: 1, cell: (row) => html`<span class="mono">${row.fixed_ips.map((address) => address.ip_address).join(", ")}</span>` },
    { key: "mac", title: t("address.mac"), rank: 3, cell: (row) => html`<span class="mono">${row.mac_address}</span>` },
    { key: "status", title: t("server.state"), rank: 2, cell: (row) => html`<${Badge} tone=${row.status === "ACTIVE" ? "good" : "idle"} text=${t(row.status === "ACTIVE" ? "port.ACTIVE" : "port.DOWN")} />` },
    ...(isAdmin.value ? [/** @type {import("../../parts/table.js").Column<Port>} */ ({ key: "host", title: t("server.host"), rank: 2, cell: (row) => row["binding:host_id"] ?? "" })] : []),
  ];
  return html`
    <section class="panel panel-wide" aria-labelledby="ports-head">
      <header><h2 id="ports-head">${t("network.servers")}</h2></header>
      ${found.length === 0 ? html`<p class="dim">${t("network.servers.none")}</p>` : html`<${Table} label=${t("network.servers")} columns=${columns} rows=${found} rowKey=${(/** @type {Port} */ row) => row.id} />`}
    </section>`;
}

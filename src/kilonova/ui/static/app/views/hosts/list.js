// SPDX-License-Identifier: Apache-2.0
/** The hosts: whether they answer, how full they are, whether they receive new servers; for administrators. */
import "../../words/hosts.js";
import { useEffect } from "preact/hooks";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { offer } from "../../parts/palette.js";
import { link } from "../../router.js";
import { age, known, t, time } from "../../words/index.js";
import { items } from "./actions.js";
import { changed, dotted, gibibytes, hosts, mebibytes, pathOf, ServiceState, ServiceStatus, Share, stateOf, useFresh } from "./facts.js";

/** @typedef {import("../../api/hosts.js").Host} Host */

export default function Hosts() {
  const list = useFresh(hosts);
  useEffect(() => offer(() => (hosts.items.value ?? []).map((each) => ({ text: each.name, detail: each.service.zone, path: pathOf(each.name) }))), []);
  return html`
    <${Listing} title=${t("nav.hosts")} command=${["openstack", "hypervisor", "list", "--long"]} rows=${list.items.value} error=${list.error.value} again=${list.refresh}
      columns=${COLUMNS} searchText=${searchText} searchHint=${t("hosts.search")} rowKey=${(/** @type {Host} */ row) => row.name}
      filter=${{ name: "state", label: t("server.state"), of: (/** @type {Host} */ row) => stateOf(row.service), text: (/** @type {string} */ value) => known(`hosts.state.${value}`, value) }}
      empty=${html`<h2>${t("hosts.empty")}</h2><p>${t("hosts.empty.text")}</p>`} />`;
}

/** @param {Host} row */
const searchText = ({ name, service, hypervisor }) => [name, service.zone, service.disabled_reason ?? "", hypervisor?.hypervisor_hostname ?? "", hypervisor?.host_ip ?? ""].join("\n");

/** @param {"vcpus" | "memory_mib" | "disk_gib"} what @returns {(row: Host) => number} */
const full = (what) => ({ capacity }) => (capacity ? capacity[what].used / (capacity[what].capacity || 1) : 0);

/** @type {import("../../parts/table.js").Column<Host>[]} */
const COLUMNS = [
  { key: "name", title: t("server.host"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(pathOf(row.name))}>${row.name}</a>` },
  { key: "state", title: t("server.state"), rank: 1, by: (row) => stateOf(row.service), cell: (row) => html`<${ServiceState} service=${row.service} />` },
  { key: "status", title: t("host.status"), rank: 2, by: (row) => row.service.status, cell: (row) => html`<${ServiceStatus} service=${row.service} />` },
  { key: "vcpus", title: t("host.vcpus"), rank: 2, by: full("vcpus"), cell: (row) => html`<${Share} label=${t("host.vcpus.of", { host: row.name })} amounts=${row.capacity?.vcpus} />` },
  { key: "memory", title: t("host.memory"), rank: 2, by: full("memory_mib"), cell: (row) => html`<${Share} label=${t("host.memory.of", { host: row.name })} amounts=${row.capacity?.memory_mib} text=${mebibytes} />` },
  { key: "disk", title: t("host.disk"), rank: 3, by: full("disk_gib"), cell: (row) => html`<${Share} label=${t("host.disk.of", { host: row.name })} amounts=${row.capacity?.disk_gib} text=${gibibytes} />` },
  { key: "servers", title: t("nav.servers"), rank: 2, numeric: true, by: (row) => row.hypervisor?.running_vms ?? 0, cell: (row) => row.hypervisor?.running_vms ?? "" },
  { key: "zone", title: t("server.zone"), rank: 3, by: (row) => row.service.zone, cell: (row) => row.service.zone },
  { key: "version", title: t("host.hypervisor"), rank: 4, by: (row) => row.hypervisor?.hypervisor_version ?? 0, cell: ({ hypervisor }) => hypervisor && `${hypervisor.hypervisor_type} ${dotted(hypervisor.hypervisor_version)}` },
  { key: "seen", title: t("host.seen"), rank: 4, by: (row) => row.service.updated_at ?? "", cell: ({ service }) => html`<time datetime=${service.updated_at} title=${time(service.updated_at)}>${age(service.updated_at)}</time>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => items(row.service, changed)}><${Icon} name="more" /><//>`,
  },
];

// SPDX-License-Identifier: Apache-2.0
/** The networks on which servers get addresses.  They are made in the configuration of the hosts, not by the API. */
import "../../words/resources.js";
import { useEffect } from "preact/hooks";
import * as api from "../../api/networks.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { offer } from "../../parts/palette.js";
import { link } from "../../router.js";
import { useCollection } from "../../state/collection.js";
import { networks } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { t } from "../../words/index.js";
import { isCut, ports, subnets, usedOf } from "./facts.js";

/** @typedef {import("../../api/networks.js").Network} Network */

export default function Networks() {
  const list = useCollection(networks);
  useCollection(subnets);
  useCollection(ports);
  useEffect(() => offer(() => (networks.items.value ?? []).map((each) => ({ text: each.name, detail: each.id, path: `/networks/${each.id}` }))), []);
  return html`
    <${Listing} title=${t("nav.networks")} command=${["openstack", "network", "list", "--long"]} rows=${list.items.value} error=${list.error.value ?? subnets.error.value} again=${refresh}
      columns=${columns(isAdmin.value)} searchText=${searchText} searchHint=${t("networks.search")} rowKey=${(/** @type {Network} */ row) => row.id}
      empty=${html`<h2>${t("networks.empty")}</h2><p>${t("networks.empty.text")}</p>`} />`;
}

const refresh = () => void Promise.all([networks.refresh(), subnets.refresh(), ports.refresh()]);

/** @param {Network} network */
const subnetsOf = (network) => (subnets.items.value ?? []).filter((subnet) => subnet.network_id === network.id);
/** @param {Network} network */
const cidrs = (network) => subnetsOf(network).map((subnet) => subnet.cidr);
/** @param {Network} network */
const size = (network) => subnetsOf(network).reduce((sum, subnet) => sum + api.poolSize(subnet), 0);
/** @param {Network} network */
const searchText = (network) => [network.name, network.id, network.description, ...cidrs(network), ...network.availability_zones].join("\n");

/** @param {boolean} admin @returns {import("../../parts/table.js").Column<Network>[]} */
const columns = (admin) => [
  {
    key: "name", title: t("server.name"), rank: 1, by: (row) => row.name,
    cell: (row) => html`<a class="name" href=${link(`/networks/${row.id}`)}>${row.name}</a> ${row.is_default && html`<span class="tag">${t("network.default")}</span>`}`,
  },
  { key: "status", title: t("server.state"), rank: 2, by: (row) => row.status, cell: (row) => html`<${Badge} tone=${row.status === "ACTIVE" ? "good" : "attention"} text=${row.status === "ACTIVE" ? t("status.ACTIVE") : row.status} />` },
  { key: "cidr", title: t("network.subnets"), rank: 1, by: (row) => cidrs(row).join(), cell: (row) => html`<span class="mono">${cidrs(row).join(", ")}</span>` },
  { key: "used", title: t(admin ? "network.used" : "network.used.own"), rank: 2, numeric: true, by: usedOf, cell: (row) => (isCut() ? t("network.used.least", { count: usedOf(row) }) : usedOf(row)) },
  { key: "size", title: t("network.pool"), rank: 2, numeric: true, by: size, cell: size },
  { key: "kind", title: t("network.kind"), rank: 3, by: (row) => row.description, cell: (row) => html`<span title=${row.description}>${row.description}</span>` },
  { key: "zones", title: t("server.zone"), rank: 4, cell: (row) => row.availability_zones.join(", ") },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [{ text: t("servers.create"), href: link(`/servers/create?network=${row.id}`) }]}><${Icon} name="more" /><//>`,
  },
];

// SPDX-License-Identifier: Apache-2.0
/** Host aggregates, and the availability zones that they make; for administrators. */
import "../../words/hosts.js";
import { useEffect } from "preact/hooks";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Command } from "../../parts/copy.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { Failure } from "../../parts/page.js";
import { offer } from "../../parts/palette.js";
import { Table } from "../../parts/table.js";
import { link } from "../../router.js";
import { t } from "../../words/index.js";
import { aggregates, changed, pathOf, useFresh, zoneList } from "../hosts/facts.js";
import { deleteAggregates, metadataOf, openCreate, openEdit } from "./edit.js";

/** @typedef {import("../../api/aggregates.js").Aggregate} Aggregate */
/** @typedef {import("../../api/aggregates.js").Zone} Zone */

export default function Aggregates() {
  const list = useFresh(aggregates);
  useEffect(() => offer(() => (aggregates.items.value ?? []).map((each) => ({ text: each.name, detail: each.availability_zone ?? "", path: `/aggregates/${each.id}` }))), []);
  const button = html`<button type="button" class="primary" onClick=${() => openCreate(changed)}><${Icon} name="plus" />${t("aggregates.create")}</button>`;
  return html`
    <${Listing} title=${t("nav.aggregates")} command=${["openstack", "aggregate", "list", "--long"]} rows=${list.items.value} error=${list.error.value} again=${list.refresh}
      columns=${COLUMNS} searchText=${searchText} searchHint=${t("aggregates.search")} buttons=${button} rowKey=${(/** @type {Aggregate} */ row) => String(row.id)} above=${html`<${Zones} />`}
      empty=${html`<h2>${t("aggregates.empty")}</h2><p>${t("aggregates.empty.text")}</p>${button}`} />`;
}

/** @param {Aggregate} row */
const searchText = (row) => [row.name, row.availability_zone ?? "", ...row.hosts, ...Object.entries(row.metadata).map((pair) => pair.join("="))].join("\n");

/** @type {import("../../parts/table.js").Column<Aggregate>[]} */
const COLUMNS = [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/aggregates/${row.id}`)}>${row.name}</a>` },
  { key: "zone", title: t("server.zone"), rank: 1, by: (row) => row.availability_zone ?? "", cell: (row) => row.availability_zone ?? "" },
  { key: "hosts", title: t("nav.hosts"), rank: 2, by: (row) => row.hosts.length, cell: (row) => row.hosts.join(", ") },
  { key: "metadata", title: t("server.metadata"), rank: 3, cell: (row) => Object.entries(metadataOf(row)).map(([key, value]) => html`<span class="tag" key=${key}>${`${key}=${value}`}</span>`) },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [
      { text: t("edit"), run: () => openEdit(row, changed) }, { text: t("delete"), danger: true, line: true, run: () => deleteAggregates([row], changed) },
    ]}><${Icon} name="more" /><//>`,
  },
];

/** The zones that users choose from. */
function Zones() {
  const list = useFresh(zoneList);
  /** @type {import("../../parts/table.js").Column<Zone>[]} */
  const columns = [
    { key: "name", title: t("server.zone"), rank: 1, cell: (row) => row.zoneName },
    { key: "state", title: t("server.state"), rank: 1, cell: (row) => html`<${Badge} tone=${row.zoneState.available ? "good" : "idle"} text=${t(row.zoneState.available ? "zone.available" : "zone.unavailable")} />` },
    { key: "hosts", title: t("zone.hosts"), rank: 1, cell: (row) => hostsOf(row).map((name, index) => html`${index > 0 && ", "}<a key=${name} href=${link(pathOf(name))}>${name}</a>`) },
  ];
  const rows = (list.items.value ?? []).filter((zone) => zone.zoneName !== INTERNAL);
  return html`
    <section class="panel above" aria-labelledby="zones-head">
      <header><h2 id="zones-head">${t("zones.title")}</h2></header>
      ${list.error.value && html`<${Failure} error=${list.error.value} again=${list.refresh} />`}
      ${rows.length > 0 && html`<${Table} label=${t("zones.title")} columns=${columns} rows=${rows} rowKey=${(/** @type {Zone} */ row) => row.zoneName} />`}
      <${Command} words=${["openstack", "availability", "zone", "list", "--long"]} />
    </section>`;
}

/** The zone of processes that run no servers. */
const INTERNAL = "internal";

/** @param {Zone} zone */
const hostsOf = (zone) => Object.keys(zone.hosts ?? {}).sort();

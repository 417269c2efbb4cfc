// SPDX-License-Identifier: Apache-2.0
/** One aggregate: its zone, its metadata, its hosts. */
import "../../words/hosts.js";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/aggregates.js";
import { html } from "../../html.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { go, link } from "../../router.js";
import { useWatched } from "../../state/watched.js";
import { t, time } from "../../words/index.js";
import { changed, hosts, pathOf, ServiceState, useFresh } from "../hosts/facts.js";
import { deleteAggregates, metadataOf, openAddHost, openEdit, openMetadata, removeHost } from "./edit.js";

/** @typedef {import("../../api/aggregates.js").Aggregate} Aggregate */

const UP = { path: "/aggregates", text: t("nav.aggregates") };

/** @param {{ id: string }} props */
export default function AggregatePage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  useFresh(hosts);
  const aggregate = value.value;
  const done = () => (void read(), changed());
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${aggregate?.name ?? t("aggregate.gone")} up=${UP}><${Empty}><h2>${t("aggregate.gone")}</h2><a class="button" href=${link("/aggregates")}>${t("nav.aggregates")}</a><//><//>`;
  }
  if (!aggregate) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const metadata = Object.entries(metadataOf(aggregate));
  const buttons = html`
    <button type="button" onClick=${() => openEdit(aggregate, done)}>${t("edit")}</button>
    <button type="button" class="danger" onClick=${() => deleteAggregates([aggregate], () => (go("/aggregates"), changed()))}>${t("delete")}</button>`;
  return html`
    <${Page} title=${aggregate.name} up=${UP} buttons=${buttons} command=${["openstack", "aggregate", "show", aggregate.name]}>
      <div class="panels">
        <section class="panel" aria-label=${t("server.facts")}><${Facts} rows=${facts(aggregate)} /></section>
        <section class="panel" aria-labelledby="metadata-head">
          <header><h2 id="metadata-head">${t("server.metadata")}</h2><button type="button" class="small" onClick=${() => openMetadata(aggregate, done)}>${t("metadata.edit")}</button></header>
          ${metadata.length === 0 ? html`<p class="dim">${t("metadata.none")}</p>` : html`<${Facts} rows=${metadata} />`}
        </section>
        <${Members} aggregate=${aggregate} done=${done} />
      </div>
    <//>`;
}

/** @param {Aggregate} aggregate @returns {[string, any][]} */
const facts = (aggregate) => [
  [t("server.id"), html`<span class="mono">${aggregate.uuid}</span>`],
  [t("server.zone"), aggregate.availability_zone ?? t("none")],
  [t("server.createdAt"), html`<time datetime=${aggregate.created_at}>${time(aggregate.created_at)}</time>`],
];

/** @param {{ aggregate: Aggregate, done: () => void }} props */
function Members({ aggregate, done }) {
  const rows = aggregate.hosts.map((name) => ({ name, host: hosts.items.value?.find((each) => each.name === name) }));
  /** @type {import("../../parts/table.js").Column<typeof rows[0]>[]} */
  const columns = [
    { key: "name", title: t("server.host"), rank: 1, cell: ({ name }) => html`<a class="name" href=${link(pathOf(name))}>${name}</a>` },
    { key: "state", title: t("server.state"), rank: 1, cell: ({ host }) => host && html`<${ServiceState} service=${host.service} />` },
    { key: "servers", title: t("nav.servers"), rank: 2, numeric: true, cell: ({ host }) => host?.hypervisor?.running_vms ?? "" },
    { key: "actions", title: t("table.actions"), rank: 1, numeric: true, cell: ({ name }) => html`<button type="button" class="small danger" onClick=${() => removeHost(aggregate, name, done)}>${t("aggregate.remove")}</button>` },
  ];
  return html`
    <section class="panel panel-wide" aria-labelledby="members-head">
      <header><h2 id="members-head">${t("nav.hosts")}</h2><button type="button" class="small" onClick=${() => openAddHost(aggregate, done)}>${t("aggregate.add")}</button></header>
      ${rows.length === 0 ? html`<p class="dim">${t("aggregate.hosts.none")}</p>` : html`<${Table} label=${t("nav.hosts")} columns=${columns} rows=${rows} rowKey=${(/** @type {typeof rows[0]} */ row) => row.name} />`}
    </section>`;
}

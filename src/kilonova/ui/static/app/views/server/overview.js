// SPDX-License-Identifier: Apache-2.0
/** What a server is: facts, addresses, metadata, tags. */
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { Facts } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { projectName } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { age, memory, t, time } from "../../words/index.js";
import { imageName } from "../servers/columns.js";
import { openMetadata, openTags } from "./edit.js";
import { Figures } from "./figures.js";

/** @typedef {import("../../api/servers.js").Server} Server */

/** @param {{ server: Server }} props */
export const Overview = ({ server }) => html`
  <div class="panels">
    <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${facts(server)} /></section>
    <${Figures} server=${server} />
    <${Addresses} server=${server} />
    <section class="panel" aria-labelledby="tags-head">
      <header><h2 id="tags-head">${t("server.tags")}</h2><button type="button" class="small" onClick=${() => openTags(server)}>${t("tags.edit")}</button></header>
      ${server.tags.length === 0 ? html`<p class="dim">${t("tags.none")}</p>` : html`<p>${server.tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`)}</p>`}
    </section>
    <section class="panel" aria-labelledby="metadata-head">
      <header><h2 id="metadata-head">${t("server.metadata")}</h2><button type="button" class="small" onClick=${() => openMetadata(server)}>${t("metadata.edit")}</button></header>
      ${Object.keys(server.metadata).length === 0 ? html`<p class="dim">${t("metadata.none")}</p>` : html`<${Facts} rows=${Object.entries(server.metadata)} />`}
    </section>
  </div>`;

/** @param {string | null | undefined} iso */
const moment = (iso) => html`<time datetime=${iso}>${time(iso)}</time> <span class="dim">${t("ago", { age: age(iso) })}</span>`;

/** @param {Server} server @returns {[string, any][]} */
function facts(server) {
  const flavor = server.flavor;
  /** @type {[string, any][]} */
  const found = [
    [t("server.id"), html`<span class="mono">${server.id}</span><${Copy} text=${server.id} label=${t("server.id.copy")} />`],
    [t("server.flavor"), html`${flavor.original_name} <span class="dim">${t("flavor.size", { vcpus: flavor.vcpus, memory: memory(flavor.ram), disk: flavor.disk })}</span>`],
    [t("server.image"), imageName(server)],
    [t("server.key"), server.key_name ?? t("none")],
    [t("server.project"), projectName(server.tenant_id)],
    [t("server.zone"), server["OS-EXT-AZ:availability_zone"]],
    [t("server.hostname"), server["OS-EXT-SRV-ATTR:hostname"]],
    [t("server.createdAt"), moment(server.created)],
    [t("server.launchedAt"), server["OS-SRV-USG:launched_at"] ? moment(server["OS-SRV-USG:launched_at"]) : t("never")],
  ];
  if (server.description) found.push([t("server.description"), server.description]);
  if (isAdmin.value) found.push([t("server.host"), server["OS-EXT-SRV-ATTR:host"] ?? t("none")]);
  return found;
}

/** @param {{ server: Server }} props */
function Addresses({ server }) {
  const rows = Object.entries(server.addresses).flatMap(([network, found]) => found.map((address) => ({ network, ...address })));
  /** @type {import("../../parts/table.js").Column<typeof rows[0]>[]} */
  const columns = [
    { key: "network", title: t("address.network"), rank: 1, cell: (row) => row.network },
    { key: "addr", title: t("address.address"), rank: 1, cell: (row) => html`<span class="mono">${row.addr}</span><${Copy} text=${row.addr} label=${t("address.copy", { address: row.addr })} />` },
    { key: "type", title: t("address.type"), rank: 2, cell: (row) => row["OS-EXT-IPS:type"] },
    { key: "mac", title: t("address.mac"), rank: 2, cell: (row) => html`<span class="mono">${row["OS-EXT-IPS-MAC:mac_addr"]}</span>` },
  ];
  return html`
    <section class="panel panel-wide" aria-labelledby="addresses-head">
      <header><h2 id="addresses-head">${t("server.addresses")}</h2></header>
      ${rows.length === 0 ? html`<p class="dim">${t("address.none")}</p>`
        : html`<${Table} label=${t("server.addresses")} columns=${columns} rows=${rows} rowKey=${(/** @type {typeof rows[0]} */ row) => `${row.network} ${row.addr}`} />`}
    </section>`;
}

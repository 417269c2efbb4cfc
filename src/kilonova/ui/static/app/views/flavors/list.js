// SPDX-License-Identifier: Apache-2.0
/** The sizes that servers can have. */
import "../../words/resources.js";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../../api/flavors.js";
import { html } from "../../html.js";
import { Chosen } from "../../parts/chosen.js";
import { ask } from "../../parts/formdialog.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { offer } from "../../parts/palette.js";
import { link } from "../../router.js";
import { collection, useCollection } from "../../state/collection.js";
import { flavors } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { memory, t } from "../../words/index.js";
import { openCreate, openSpecs } from "./edit.js";

/** @typedef {import("../../api/flavors.js").Flavor} Flavor */

/** With those of other projects. */
const everyFlavor = collection(() => api.list({ every: true }));

export default function Flavors() {
  const chosen = useSignal(/** @type {Set<string>} */ (new Set()));
  const admin = isAdmin.value;
  const list = useCollection(admin ? everyFlavor : flavors);
  const refresh = () => void list.refresh();
  useEffect(() => offer(() => (list.items.value ?? []).map((each) => ({ text: each.name, detail: each.id, path: `/flavors/${encodeURIComponent(each.id)}` }))), [list]);
  const targets = (list.items.value ?? []).filter((row) => chosen.value.has(row.id));
  const button = admin && html`<button type="button" class="primary" onClick=${() => openCreate(refresh)}><${Icon} name="plus" />${t("flavors.create")}</button>`;
  return html`
    <${Listing} title=${t("nav.flavors")} command=${["openstack", "flavor", "list", ...(admin ? ["--all"] : []), "--long"]} rows=${list.items.value} error=${list.error.value} again=${refresh}
      columns=${columns(admin, refresh)} sort="ram" searchText=${searchText} searchHint=${t("flavors.search")} buttons=${button} chosen=${admin ? chosen : undefined}
      above=${html`<${Chosen} label=${t("flavors.chosen")} chosen=${chosen} count=${targets.length} onDelete=${() => deleteFlavors(targets, () => ((chosen.value = new Set()), refresh()))} />`}
      empty=${html`<h2>${t("flavors.empty")}</h2><p>${t(admin ? "flavors.empty.admin" : "flavors.empty.text")}</p>${button}`}
      rowKey=${(/** @type {Flavor} */ row) => row.id} rowName=${(/** @type {Flavor} */ row) => row.name} />`;
}

/** @param {Flavor} row */
const searchText = (row) => [row.name, row.id, row.description ?? "", ...Object.entries(row.extra_specs).map((pair) => pair.join("="))].join("\n");

/** @param {Flavor[]} found @param {() => void} done */
export const deleteFlavors = (found, done) =>
  ask({
    action: t("delete"), ask: t("flavor.delete.ask"), message: t("flavor.delete.done", { name: "{name}" }), done,
    targets: found.map(({ id, name }) => ({ key: id, name })), command: ["openstack", "flavor", "delete"], run: ({ key }) => api.remove(key),
  });

/**
 * @param {boolean} admin
 * @param {() => void} changed
 * @returns {import("../../parts/table.js").Column<Flavor>[]}
 */
const columns = (admin, changed) => [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/flavors/${encodeURIComponent(row.id)}`)}>${row.name}</a>` },
  { key: "vcpus", title: t("flavor.vcpus"), rank: 2, numeric: true, by: (row) => row.vcpus, cell: (row) => row.vcpus },
  { key: "ram", title: t("flavor.ram"), rank: 1, numeric: true, by: (row) => row.ram, cell: (row) => memory(row.ram) },
  { key: "disk", title: t("flavor.disk"), rank: 2, numeric: true, by: (row) => row.disk, cell: (row) => (row.disk ? `${row.disk} GiB` : t("flavor.disk.image")) },
  { key: "ephemeral", title: t("flavor.ephemeral"), rank: 3, numeric: true, by: (row) => row["OS-FLV-EXT-DATA:ephemeral"], cell: (row) => (row["OS-FLV-EXT-DATA:ephemeral"] ? `${row["OS-FLV-EXT-DATA:ephemeral"]} GiB` : "") },
  { key: "swap", title: t("flavor.swap"), rank: 4, numeric: true, by: (row) => row.swap, cell: (row) => (row.swap ? memory(row.swap) : "") },
  ...(admin ? [/** @type {import("../../parts/table.js").Column<Flavor>} */ ({ key: "public", title: t("flavor.public"), rank: 3, by: (row) => Number(row["os-flavor-access:is_public"]), cell: (row) => t(row["os-flavor-access:is_public"] ? "flavor.everybody" : "flavor.some") })] : []),
  { key: "specs", title: t("flavor.specs"), rank: 4, cell: (row) => Object.keys(row.extra_specs).map((key) => html`<span class="tag" key=${key} title=${`${key}=${row.extra_specs[key]}`}>${key}</span>`) },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [
      { text: t("servers.create"), href: link(`/servers/create?flavor=${encodeURIComponent(row.id)}`) },
      ...(admin ? [{ text: t("flavor.specs.edit"), run: () => openSpecs(row, changed) }, { text: t("delete"), danger: true, line: true, run: () => deleteFlavors([row], changed) }] : []),
    ]}><${Icon} name="more" /><//>`,
  },
];

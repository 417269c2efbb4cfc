// SPDX-License-Identifier: Apache-2.0
/** Server groups: servers that shall be on one host, or on different ones. */
import "../../words/resources.js";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../../api/groups.js";
import { html } from "../../html.js";
import { Chosen } from "../../parts/chosen.js";
import { ask } from "../../parts/formdialog.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { offer } from "../../parts/palette.js";
import { link } from "../../router.js";
import { collection, useCollection } from "../../state/collection.js";
import { projectName, serverGroups } from "../../state/resources.js";
import { seesAll } from "../../state/session.js";
import { known, t } from "../../words/index.js";
import { openCreate } from "./create.js";

/** @typedef {import("../../api/groups.js").ServerGroup} ServerGroup */

const everyGroup = collection(() => api.list({ all: true }));

export default function Groups() {
  const chosen = useSignal(/** @type {Set<string>} */ (new Set()));
  const all = seesAll.value;
  const list = useCollection(all ? everyGroup : serverGroups, "server");
  const refresh = () => void list.refresh();
  useEffect(() => offer(() => (list.items.value ?? []).map((each) => ({ text: each.name, detail: each.id, path: `/groups/${each.id}` }))), [list]);
  const targets = (list.items.value ?? []).filter((row) => chosen.value.has(row.id));
  const button = html`<button type="button" class="primary" onClick=${() => openCreate(refresh)}><${Icon} name="plus" />${t("groups.create")}</button>`;
  return html`
    <${Listing} title=${t("nav.groups")} command=${["openstack", "server", "group", "list", ...(all ? ["--all-projects"] : [])]} rows=${list.items.value} error=${list.error.value} again=${refresh}
      columns=${columns(all, refresh)} searchText=${(/** @type {ServerGroup} */ row) => `${row.name}\n${row.id}\n${row.policy}`} searchHint=${t("groups.search")} buttons=${button} chosen=${chosen}
      filter=${{ name: "policy", label: t("group.policy"), of: (/** @type {ServerGroup} */ row) => row.policy, text: (/** @type {string} */ value) => known(`policy.${value}`, value) }}
      above=${html`<${Chosen} label=${t("groups.chosen")} chosen=${chosen} count=${targets.length} onDelete=${() => deleteGroups(targets, () => ((chosen.value = new Set()), refresh()))} />`}
      empty=${html`<h2>${t("groups.empty")}</h2><p>${t("groups.empty.text")}</p>${button}`} rowKey=${(/** @type {ServerGroup} */ row) => row.id} rowName=${(/** @type {ServerGroup} */ row) => row.name} />`;
}

/** @param {ServerGroup[]} found @param {() => void} done */
export const deleteGroups = (found, done) =>
  ask({
    action: t("delete"), ask: t("group.delete.ask"), message: t("group.delete.done", { name: "{name}" }), done,
    targets: found.map(({ id, name }) => ({ key: id, name })), command: ["openstack", "server", "group", "delete"], run: ({ key }) => api.remove(key),
  });

/**
 * @param {boolean} withProject @param {() => void} changed
 * @returns {import("../../parts/table.js").Column<ServerGroup>[]}
 */
const columns = (withProject, changed) => [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/groups/${row.id}`)}>${row.name}</a>` },
  { key: "policy", title: t("group.policy"), rank: 1, by: (row) => row.policy, cell: (row) => known(`policy.${row.policy}`, row.policy) },
  { key: "members", title: t("nav.servers"), rank: 2, numeric: true, by: (row) => row.members.length, cell: (row) => row.members.length },
  ...(withProject ? [/** @type {import("../../parts/table.js").Column<ServerGroup>} */ ({ key: "project", title: t("server.project"), rank: 2, by: (row) => projectName(row.project_id), cell: (row) => projectName(row.project_id) })] : []),
  { key: "id", title: t("server.id"), rank: 4, cell: (row) => html`<span class="mono">${row.id}</span>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [
      { text: t("group.add"), href: link(`/servers/create?group=${row.id}`) }, { text: t("delete"), danger: true, line: true, run: () => deleteGroups([row], changed) },
    ]}><${Icon} name="more" /><//>`,
  },
];

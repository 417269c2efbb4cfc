// SPDX-License-Identifier: Apache-2.0
/** One server group and its servers. */
import "../../words/resources.js";
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/groups.js";
import { html } from "../../html.js";
import { ServerState } from "../../parts/badge.js";
import { Copy } from "../../parts/copy.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { go, link } from "../../router.js";
import { listen } from "../../state/events.js";
import { projectName } from "../../state/resources.js";
import { holdServers, servers } from "../../state/servers.js";
import { isAdmin } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { known, t } from "../../words/index.js";
import { deleteGroups } from "./list.js";

/** @typedef {import("../../api/groups.js").ServerGroup} ServerGroup */

const UP = { path: "/groups", text: t("nav.groups") };

/** @param {{ id: string }} props */
export default function GroupPage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  const group = value.value;
  useEffect(holdServers, []);
  useEffect(() => listen((change) => void (/\.(create|delete)\.end$/.test(change.type ?? "") && read())), [id]);
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${group?.name ?? t("group.gone")} up=${UP}><${Empty}><h2>${t("group.gone")}</h2><a class="button" href=${link("/groups")}>${t("nav.groups")}</a><//><//>`;
  }
  if (!group) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const buttons = html`
    <a class="button primary" href=${link(`/servers/create?group=${id}`)}>${t("group.add")}</a>
    <button type="button" class="danger" onClick=${() => deleteGroups([group], () => go("/groups"))}>${t("delete")}</button>`;
  return html`
    <${Page} title=${group.name} up=${UP} buttons=${buttons} command=${["openstack", "server", "group", "show", group.id]}>
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${facts(group)} /></section>
        <${Members} group=${group} />
      </div>
    <//>`;
}

/** @param {ServerGroup} group @returns {[string, any][]} */
const facts = (group) => [
  [t("server.id"), html`<span class="mono">${group.id}</span><${Copy} text=${group.id} label=${t("server.id.copy")} />`],
  [t("group.policy"), html`${known(`policy.${group.policy}`, group.policy)} <span class="dim">${known(`policy.${group.policy}.hint`, "")}</span>`],
  [t("server.project"), projectName(group.project_id)],
  ...(group.rules.max_server_per_host ? [/** @type {[string, any]} */ ([t("group.most"), group.rules.max_server_per_host])] : []),
];

/** @param {{ group: ServerGroup }} props */
function Members({ group }) {
  const rows = group.members.map((id) => ({ id, server: servers.value?.get(id) }));
  /** @type {import("../../parts/table.js").Column<typeof rows[0]>[]} */
  const columns = [
    { key: "name", title: t("server.name"), rank: 1, cell: ({ id, server }) => html`<a class="name" href=${link(`/servers/${id}`)}>${server?.name ?? id}</a>` },
    { key: "state", title: t("server.state"), rank: 1, cell: ({ server }) => server && html`<${ServerState} server=${server} />` },
    ...(isAdmin.value ? [/** @type {import("../../parts/table.js").Column<typeof rows[0]>} */ ({ key: "host", title: t("server.host"), rank: 2, cell: ({ server }) => server?.["OS-EXT-SRV-ATTR:host"] ?? "" })] : []),
  ];
  return html`
    <section class="panel panel-wide" aria-labelledby="members-head">
      <header><h2 id="members-head">${t("nav.servers")}</h2></header>
      ${rows.length === 0 ? html`<p class="dim">${t("group.members.none")}</p>` : html`<${Table} label=${t("nav.servers")} columns=${columns} rows=${rows} rowKey=${(/** @type {typeof rows[0]} */ row) => row.id} />`}
    </section>`;
}

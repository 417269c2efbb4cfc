// SPDX-License-Identifier: Apache-2.0
/** The list of servers, live: search, states, columns, choice of several. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { Menu } from "../../parts/menu.js";
import { Empty, Failure, Loading, Page } from "../../parts/page.js";
import { offer } from "../../parts/palette.js";
import { sorted, Table } from "../../parts/table.js";
import { link, place, setQuery } from "../../router.js";
import { holdServers, readAll, servers, serversError } from "../../state/servers.js";
import { everyProject, images, networks, projectName } from "../../state/resources.js";
import { allProjects, isAdmin, seesAll } from "../../state/session.js";
import { stored } from "../../state/stored.js";
import { known, t } from "../../words/index.js";
import { ACTIONS, isPossible } from "./actions.js";
import { start } from "./dialog.js";
import { title } from "./run.js";
import { allColumns, searchText } from "./columns.js";

/** @typedef {import("../../api/servers.js").Server} Server */

const hidden = stored("servers.hidden", /** @type {string[]} */ (["created", "key", "tags"]));
const IN_BULK = ["start", "stop", "reboot", "rebootHard", "delete"];

export default function Servers() {
  const chosen = useSignal(/** @type {Set<string>} */ (new Set()));
  useEffect(holdServers, []);
  useEffect(() => void Promise.all([images.refresh(), networks.refresh()]), []);
  const project = isAdmin.value ? place.value.query.get("project") : null;
  useEffect(() => {
    if (!project) return;
    allProjects.value = true;
    void everyProject.refresh();
  }, [project]);
  useEffect(() => offer(() => [...(servers.value?.values() ?? [])].map((each) => ({ text: each.name, detail: each.id, path: `/servers/${each.id}` }))), []);
  const all = useComputed(() => [...(servers.value?.values() ?? [])]);
  const query = place.value.query;
  const columns = allColumns(seesAll.value, isAdmin.value).filter((column) => column.rank === 1 || !hidden.value.includes(column.key));
  const sort = readSort(query.get("sort"));
  const rows = sorted(all.value.filter((server) => fits(server, query)), columns, sort);
  const buttons = html`<a class="button primary" href=${link("/servers/create")}><${Icon} name="plus" />${t("servers.create")}</a>`;
  return html`
    <${Page} title=${t("nav.servers")} buttons=${buttons} command=${["openstack", "server", "list", ...(seesAll.value ? ["--all-projects"] : []), ...commandFilters(query)]}
      beside=${servers.value && html`<span class="count">${t("servers.count", { shown: rows.length, all: all.value.length })}</span>`}>
      <${Toolbar} all=${all.value} query=${query} />
      ${chosen.value.size > 0 && html`<${Bulk} chosen=${chosen} />`}
      ${serversError.value && html`<${Failure} error=${serversError.value} again=${readAll} />`}
      ${content(rows, all.value, columns, sort, chosen)}
    <//>`;
}

/**
 * @param {Server[]} rows @param {Server[]} all
 * @param {import("../../parts/table.js").Column<Server>[]} columns
 * @param {import("../../parts/table.js").Sort} sort
 * @param {import("@preact/signals").Signal<Set<string>>} chosen
 */
function content(rows, all, columns, sort, chosen) {
  if (servers.value === null) return serversError.value ? null : html`<${Loading} />`;
  if (all.length === 0) {
    return html`<${Empty}><h2>${t("servers.empty")}</h2><p>${t("servers.empty.text")}</p>
      <a class="button primary" href=${link("/servers/create")}>${t("servers.create")}</a><//>`;
  }
  if (rows.length === 0) {
    return html`<${Empty}><h2>${t("servers.none")}</h2><button type="button" onClick=${() => setQuery({ q: null, status: null, project: null })}>${t("servers.clear")}</button><//>`;
  }
  return html`<${Table} label=${t("nav.servers")} columns=${columns} rows=${rows} rowKey=${(/** @type {Server} */ row) => row.id}
    rowName=${(/** @type {Server} */ row) => row.name} sort=${sort} chosen=${chosen}
    onSort=${(/** @type {import("../../parts/table.js").Sort} */ next) => setQuery({ sort: (next.down ? "-" : "") + next.key })} />`;
}

/** @param {string | null} text such as "name" or "-created" */
const readSort = (text) => ({ key: text?.replace(/^-/, "") ?? "name", down: text?.startsWith("-") ?? false });

/** @param {Server} server @param {URLSearchParams} query */
function fits(server, query) {
  const status = query.get("status");
  if (status && server.status !== status) return false;
  const project = query.get("project");
  if (project && server.tenant_id !== project) return false;
  const words = (query.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 || words.every((word) => searchText(server).includes(word));
}

/** @param {URLSearchParams} query */
const commandFilters = (query) => [
  ...(query.get("status") ? ["--status", query.get("status") ?? ""] : []),
  ...(query.get("project") ? ["--project", projectName(query.get("project") ?? "")] : []),
  ...(query.get("q") ? ["--name", query.get("q") ?? ""] : []),
];

/** @param {{ all: Server[], query: URLSearchParams }} props */
function Toolbar({ all, query }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const server of all) counts.set(server.status, (counts.get(server.status) ?? 0) + 1);
  const status = query.get("status") ?? "";
  const project = query.get("project");
  if (status && !counts.has(status)) counts.set(status, 0);
  const columns = allColumns(seesAll.value, isAdmin.value).filter((column) => column.rank !== 1);
  const choices = columns.map((column) => ({
    text: column.title, checked: !hidden.value.includes(column.key),
    run: () => (hidden.value = hidden.value.includes(column.key) ? hidden.value.filter((key) => key !== column.key) : [...hidden.value, column.key]),
  }));
  return html`
    <div class="toolbar">
      <label class="search"><${Icon} name="search" /><input type="search" aria-label=${t("servers.search")} placeholder=${t("servers.search")}
        value=${query.get("q") ?? ""} onInput=${(/** @type {any} */ event) => setQuery({ q: event.currentTarget.value })} /><kbd>/</kbd></label>
      <div class="filters" role="group" aria-label=${t("servers.states")}>
        ${[...counts].sort(([a], [b]) => a.localeCompare(b)).map(([name, count]) => html`<button key=${name} type="button" class="chip" aria-pressed=${String(status === name)}
          onClick=${() => setQuery({ status: status === name ? null : name })}>${known(`status.${name}`, name)} <span>${count}</span></button>`)}
        ${project && html`<button type="button" class="chip" aria-pressed="true" onClick=${() => setQuery({ project: null })}>${t("servers.project", { name: projectName(project) })}</button>`}
      </div>
      <${Menu} label=${t("table.columns")} items=${choices}><${Icon} name="columns" /><//>
    </div>`;
}

/** What one can do with the servers that are chosen. @param {{ chosen: import("@preact/signals").Signal<Set<string>> }} props */
function Bulk({ chosen }) {
  const targets = [...chosen.value].map((id) => servers.value?.get(id)).filter((server) => server !== undefined);
  if (targets.length === 0) return null;
  return html`
    <div class="bulk" role="group" aria-label=${t("servers.chosen")}>
      <span>${t("servers.several", { count: targets.length })}</span>
      ${ACTIONS.filter((kind) => IN_BULK.includes(kind.name)).map((kind) => {
        const possible = targets.filter((server) => isPossible(kind, server, isAdmin.value));
        return html`<button key=${kind.name} type="button" class=${kind.danger ? "danger" : ""} disabled=${possible.length === 0}
          onClick=${() => start(kind, possible, () => (chosen.value = new Set()))}>${title(kind)}</button>`;
      })}
      <button type="button" class="plain" onClick=${() => (chosen.value = new Set())}>${t("servers.unchoose")}</button>
    </div>`;
}

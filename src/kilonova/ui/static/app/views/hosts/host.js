// SPDX-License-Identifier: Apache-2.0
/** One host: its capacity, its servers, what the doctor finds on it, and what an administrator can do with it. */
import "../../words/hosts.js";
import { useEffect } from "preact/hooks";
import * as api from "../../api/hosts.js";
import { html } from "../../html.js";
import { ServerState } from "../../parts/badge.js";
import { Meter } from "../../parts/meter.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { go, link } from "../../router.js";
import { listen } from "../../state/events.js";
import { everyProject, projectName } from "../../state/resources.js";
import { useWatched } from "../../state/watched.js";
import { age, t, time } from "../../words/index.js";
import { isDangerous, kinds, open, titleOf } from "./actions.js";
import { aggregates, aggregatesOf, changed, dotted, gibibytes, hosts, mebibytes, ServiceState, useFresh } from "./facts.js";
import { Findings } from "./findings.js";

/** @typedef {import("../../api/hosts.js").Host} Host */
/** @typedef {import("../../api/servers.js").Server} Server */

const UP = { path: "/hosts", text: t("nav.hosts") };

/** @param {{ host: string }} props */
export default function HostPage({ host: name }) {
  const list = useFresh(hosts);
  useFresh(aggregates);
  useEffect(() => void everyProject.refresh(), []);
  const host = list.items.value?.find((each) => each.name === name);
  if (!list.items.value) return list.error.value ? html`<${Failure} error=${list.error.value} again=${list.refresh} />` : html`<${Loading} />`;
  if (!host) {
    return html`<${Page} title=${name} up=${UP}><${Empty}><h2>${t("host.gone")}</h2><p>${t("host.gone.text")}</p><a class="button" href=${link("/hosts")}>${t("nav.hosts")}</a><//><//>`;
  }
  const { service } = host;
  const done = (/** @type {string} */ kind) => (kind === "delete" ? (go("/hosts"), changed()) : changed());
  const buttons = kinds(service).map((kind) => html`<button key=${kind} type="button" class=${isDangerous(kind) ? "danger" : ""} onClick=${() => open(kind, service, () => done(kind))}>${titleOf(kind)}</button>`);
  return html`
    <${Page} title=${name} up=${UP} buttons=${buttons} beside=${html`<${ServiceState} service=${service} />`} command=${["openstack", "hypervisor", "show", host.hypervisor?.hypervisor_hostname ?? name]}>
      ${list.error.value && html`<${Failure} error=${list.error.value} again=${list.refresh} />`}
      <${Notices} host=${host} />
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${HostFacts} host=${host} /></section>
        <${CapacityPanel} host=${host} />
        <${Servers} host=${name} />
        <${Findings} examine=${() => api.examineHost(name)} />
      </div>
    <//>`;
}

/** What one should know. @param {{ host: Host }} props */
function Notices({ host: { service, capacity } }) {
  const texts = [
    service.forced_down ? t("host.notice.forced") : service.state === "down" ? t("host.notice.down", { age: age(service.updated_at) }) : "",
    service.status === "disabled" ? t("host.notice.disabled", { reason: service.disabled_reason ?? t("none") }) : "",
    capacity?.disk_short ? t("host.notice.disk", { reason: capacity.disk_short }) : "",
  ].filter(Boolean);
  return html`${texts.map((text) => html`<div key=${text} class="notice notice-attention" role="status"><p>${text}</p></div>`)}`;
}

/** @param {{ host: Host }} props */
function HostFacts({ host: { name, service, hypervisor, capacity } }) {
  const id = hypervisor?.id ?? "";
  const { value } = useWatched(async () => (id && service.state === "up" ? { line: await api.uptime(id) } : null), name, [id, service.state]);
  const cpu = hypervisor?.cpu_info;
  const of = aggregatesOf(name);
  /** @type {[string, any][]} */
  const rows = [
    [t("host.node"), hypervisor?.hypervisor_hostname ?? t("host.unknown")],
    [t("host.hypervisor"), hypervisor ? `${hypervisor.hypervisor_type} ${dotted(hypervisor.hypervisor_version)}` : t("host.unknown")],
    [t("host.address"), html`<span class="mono">${hypervisor?.host_ip ?? ""}</span>`],
    [t("host.cpu"), [cpu?.vendor, cpu?.model, cpu?.arch].filter(Boolean).join(" ") || t("host.unknown")],
    [t("server.zone"), service.zone],
    [t("nav.aggregates"), of.length ? of.map((each) => html`<a key=${each.id} class="tag" href=${link(`/aggregates/${each.id}`)}>${each.name}</a>`) : t("none")],
    [t("host.seen"), html`<time datetime=${service.updated_at}>${time(service.updated_at)}</time> <span class="dim">${t("ago", { age: age(service.updated_at) })}</span>`],
    [t("host.uptime"), value.value?.line ?? t("host.unknown")],
    [t("host.version"), capacity?.code_version ?? t("host.unknown")],
    [t("host.work"), capacity?.disk_work ?? t("host.unknown")],
  ];
  return html`<${Facts} rows=${rows} />`;
}

/** @param {{ host: Host }} props */
function CapacityPanel({ host: { capacity } }) {
  return html`
    <section class="panel" aria-labelledby="capacity-head">
      <header><h2 id="capacity-head">${t("host.capacity")}</h2></header>
      ${!capacity && html`<p class="dim">${t("host.capacity.none")}</p>`}
      ${capacity && html`
        <${Amounts} label=${t("host.vcpus")} amounts=${capacity.vcpus} text=${String} />
        <${Amounts} label=${t("host.memory")} amounts=${capacity.memory_mib} text=${mebibytes} />
        <${Amounts} label=${t("host.disk")} amounts=${capacity.disk_gib} text=${gibibytes} />`}
    </section>`;
}

/** @param {{ label: string, amounts: import("../../api/hosts.js").Amounts, text: (value: number) => string }} props */
const Amounts = ({ label, amounts, text }) => html`
  <${Meter} label=${label} used=${amounts.used} limit=${amounts.capacity} text=${text} />
  ${amounts.physical !== amounts.capacity && html`<p class="dim">${t("host.physical", { physical: text(amounts.physical), capacity: text(amounts.capacity) })}</p>`}`;

/** @param {{ host: string }} props */
function Servers({ host }) {
  const { value, error, read } = useWatched(() => api.servers(host), host);
  useEffect(() => follow(host, () => value.peek() ?? [], read), [host]);
  /** @type {import("../../parts/table.js").Column<Server>[]} */
  const columns = [
    { key: "name", title: t("server.name"), rank: 1, cell: (row) => html`<a class="name" href=${link(`/servers/${row.id}`)}>${row.name}</a>` },
    { key: "state", title: t("server.state"), rank: 1, cell: (row) => html`<${ServerState} server=${row} />` },
    { key: "project", title: t("server.project"), rank: 2, cell: (row) => projectName(row.tenant_id) },
  ];
  return html`
    <section class="panel" aria-labelledby="servers-head">
      <header><h2 id="servers-head">${t("nav.servers")}</h2></header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${value.value?.length === 0 && html`<p class="dim">${t("host.servers.none")}</p>`}
      ${value.value && value.value.length > 0 && html`<${Table} label=${t("nav.servers")} columns=${columns} rows=${value.value} rowKey=${(/** @type {Server} */ row) => row.id} />`}
    </section>`;
}

const TOGETHER_MS = 500;

/** Read the servers again when one of them changed, or one came; many changes cause one look. @param {string} host @param {() => Server[]} known @param {() => void} read */
function follow(host, known, read) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const stop = listen((change) => {
    const isOurs = change.kind === "server" && (!change.data?.host || change.data.host === host || known().some((each) => each.id === change.id));
    if (isOurs) timer ??= setTimeout(() => ((timer = undefined), read()), TOGETHER_MS);
  });
  return () => (clearTimeout(timer), stop());
}

// SPDX-License-Identifier: Apache-2.0
/** One role: what the policy permits to it, and who has it. */
import "../../words/people.js";
import { useSignal } from "@preact/signals";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/roles.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Icon } from "../../parts/icon.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { go, link } from "../../router.js";
import { useWatched } from "../../state/watched.js";
import { t } from "../../words/index.js";
import { Assignments } from "../people/assignments.js";
import { deleteRole, openEdit } from "./edit.js";
import { meaning } from "./list.js";

/** @typedef {import("../../api/roles.js").Role} Role */
/** @typedef {import("../../api/roles.js").Permission} Permission */

const UP = { path: "/roles", text: t("nav.roles") };

/** @param {{ id: string }} props */
export default function RolePage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  const role = value.value;
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${role?.name ?? t("role.gone")} up=${UP}><${Empty}><h2>${t("role.gone")}</h2><a class="button" href=${link("/roles")}>${t("nav.roles")}</a><//><//>`;
  }
  if (!role) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const buttons = !role.options.immutable && html`
    <button type="button" onClick=${() => openEdit(role, read)}>${t("edit")}</button>
    <button type="button" class="danger" onClick=${() => deleteRole(role, () => go("/roles"))}>${t("delete")}</button>`;
  return html`
    <${Page} title=${role.name} up=${UP} buttons=${buttons} command=${["openstack", "role", "show", role.name]}>
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${[[t("server.id"), html`<span class="mono">${role.id}</span>`], [t("role.meaning"), meaning(role)]]} /></section>
        <${Assignments} title=${t("role.holders")} none=${t("role.holders.none")} fixed=${{ role }} load=${() => api.assignments({ "role.id": id })} />
        <${Permissions} role=${role} />
      </div>
    <//>`;
}

/** The rules of the policy. @param {{ role: Role }} props */
function Permissions({ role }) {
  const { value, error, read } = useWatched(() => api.permissions(role.id), role.id);
  const typed = useSignal("");
  const every = useSignal(false);
  const all = value.value ?? [];
  const words = typed.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = all.filter((each) => (every.value || each.permitted) && words.every((word) => `${each.rule} ${each.check}`.toLowerCase().includes(word)));
  return html`
    <section class="panel panel-wide" aria-labelledby="permissions-head">
      <header><h2 id="permissions-head">${t("role.permissions")}</h2>
        ${value.value && html`<span class="count">${t("list.count", { shown: all.filter((each) => each.permitted).length, all: all.length })}</span>`}</header>
      <p class="dim">${t("role.permissions.text")}</p>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${!value.value && !error.value && html`<${Loading} />`}
      ${value.value && html`
        <div class="toolbar">
          <label class="search"><${Icon} name="search" /><input type="search" aria-label=${t("role.permissions.search")} placeholder=${t("role.permissions.search")} value=${typed.value}
            onInput=${(/** @type {any} */ event) => (typed.value = event.currentTarget.value)} /></label>
          <button type="button" class="chip" aria-pressed=${String(every.value)} onClick=${() => (every.value = !every.value)}>${t("role.permissions.every")}</button>
        </div>
        ${rows.length === 0 ? html`<p class="dim">${t("role.permissions.none")}</p>`
          : html`<${Table} label=${t("role.permissions")} columns=${columns()} rows=${rows} rowKey=${(/** @type {Permission} */ row) => row.rule} />`}`}
    </section>`;
}

/** @returns {import("../../parts/table.js").Column<Permission>[]} */
const columns = () => [
  { key: "rule", title: t("role.rule"), rank: 1, cell: (row) => html`<span class="mono" title=${row.rule}>${row.rule}</span>` },
  { key: "permitted", title: t("role.permitted"), rank: 1, cell: (row) => html`<${Badge} tone=${row.permitted ? "good" : "idle"} text=${t(row.permitted ? "yes" : "no")} />` },
  { key: "check", title: t("role.check"), rank: 2, cell: (row) => html`<span class="mono" title=${row.check}>${row.check || t("role.check.anybody")}</span>` },
];

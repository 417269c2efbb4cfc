// SPDX-License-Identifier: Apache-2.0
/** One flavor; for administrators also who may use it. */
import "../../words/resources.js";
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/flavors.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { go, link } from "../../router.js";
import { everyProject, projectName } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { memory, t } from "../../words/index.js";
import { openDescription, openSpecs } from "./edit.js";
import { deleteFlavors } from "./list.js";

/** @typedef {import("../../api/flavors.js").Flavor} Flavor */

const UP = { path: "/flavors", text: t("nav.flavors") };

/** @param {{ id: string }} props */
export default function FlavorPage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  const flavor = value.value;
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${flavor?.name ?? t("flavor.gone")} up=${UP}><${Empty}><h2>${t("flavor.gone")}</h2><a class="button" href=${link("/flavors")}>${t("nav.flavors")}</a><//><//>`;
  }
  if (!flavor) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const buttons = html`
    <a class="button primary" href=${link(`/servers/create?flavor=${encodeURIComponent(id)}`)}>${t("servers.create")}</a>
    ${isAdmin.value && html`<button type="button" onClick=${() => openDescription(flavor, read)}>${t("flavor.describe")}</button>
      <button type="button" class="danger" onClick=${() => deleteFlavors([flavor], () => go("/flavors"))}>${t("delete")}</button>`}`;
  return html`
    <${Page} title=${flavor.name} up=${UP} buttons=${buttons} command=${["openstack", "flavor", "show", flavor.name]}>
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${facts(flavor)} /></section>
        <section class="panel" aria-labelledby="specs-head">
          <header><h2 id="specs-head">${t("flavor.specs")}</h2>${isAdmin.value && html`<button type="button" class="small" onClick=${() => openSpecs(flavor, read)}>${t("flavor.specs.edit")}</button>`}</header>
          ${Object.keys(flavor.extra_specs).length === 0 ? html`<p class="dim">${t("flavor.specs.none")}</p>` : html`<${Facts} rows=${Object.entries(flavor.extra_specs)} />`}
        </section>
        ${isAdmin.value && !flavor["os-flavor-access:is_public"] && html`<${Access} flavor=${flavor} />`}
      </div>
    <//>`;
}

/** @param {Flavor} flavor @returns {[string, any][]} */
function facts(flavor) {
  /** @type {[string, any][]} */
  const found = [
    [t("server.id"), html`<span class="mono">${flavor.id}</span>`],
    [t("flavor.vcpus"), flavor.vcpus],
    [t("flavor.ram"), memory(flavor.ram)],
    [t("flavor.disk"), flavor.disk ? `${flavor.disk} GiB` : t("flavor.disk.image")],
    [t("flavor.ephemeral"), flavor["OS-FLV-EXT-DATA:ephemeral"] ? `${flavor["OS-FLV-EXT-DATA:ephemeral"]} GiB` : t("none")],
    [t("flavor.swap"), flavor.swap ? memory(flavor.swap) : t("none")],
    [t("flavor.public"), t(flavor["os-flavor-access:is_public"] ? "flavor.everybody" : "flavor.some")],
  ];
  if (flavor.description) found.push([t("server.description"), flavor.description]);
  return found;
}

/** The projects that may use a flavor that is not public. @param {{ flavor: Flavor }} props */
function Access({ flavor }) {
  const { value, error, read } = useWatched(() => api.access(flavor.id), flavor.id);
  useEffect(() => void everyProject.refresh(), []);
  /** @type {import("../../parts/table.js").Column<string>[]} */
  const columns = [
    { key: "project", title: t("server.project"), rank: 1, cell: projectName },
    { key: "actions", title: t("table.actions"), rank: 1, numeric: true, cell: (row) => html`<button type="button" class="small danger" onClick=${() => withdraw(flavor, row, read)}>${t("flavor.withdraw")}</button>` },
  ];
  return html`
    <section class="panel" aria-labelledby="access-head">
      <header><h2 id="access-head">${t("flavor.access")}</h2><button type="button" class="small" onClick=${() => openDialog(() => html`<${Allow} flavor=${flavor} changed=${read} />`)}>${t("flavor.allow")}</button></header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${value.value?.length === 0 && html`<p class="dim">${t("flavor.access.none")}</p>`}
      ${value.value && value.value.length > 0 && html`<${Table} label=${t("flavor.access")} columns=${columns} rows=${value.value} rowKey=${String} />`}
    </section>`;
}

/** @param {Flavor} flavor @param {string} project @param {() => void} changed */
const withdraw = (flavor, project, changed) =>
  ask({
    action: t("flavor.withdraw"), ask: t("flavor.withdraw.ask"), message: t("flavor.withdraw.done", { name: "{name}" }), done: changed,
    targets: [{ key: project, name: projectName(project) }], command: ["openstack", "flavor", "unset", flavor.name, "--project"],
    run: ({ key }) => api.changeAccess(flavor.id, key, "removeTenantAccess"),
  });

/** @param {{ flavor: Flavor, changed: () => void }} props */
function Allow({ flavor, changed }) {
  const form = useForm({
    initial: { project: "" },
    paths: { "addTenantAccess.tenant": "project" },
    check: (values) => missing(values, ["project"]),
    send: async ({ project }) => {
      await api.changeAccess(flavor.id, project, "addTenantAccess");
      changed();
      closeDialog();
    },
  });
  const options = [{ value: "", text: t("form.choose") }, ...(everyProject.items.value ?? []).map((project) => ({ value: project.id, text: project.name }))];
  return html`<${FormDialog} heading=${`${t("flavor.allow")}: ${flavor.name}`} form=${form} submit=${t("flavor.allow")}
    command=${["openstack", "flavor", "set", "--project", projectName(form.values.value.project) || "PROJECT", flavor.name]}>
    <${Field} form=${form} name="project" type="select" label=${t("server.project")} options=${options} required focus />
  <//>`;
}

// SPDX-License-Identifier: Apache-2.0
/** One project: who has which role in it, and what it may use. */
import "../../words/people.js";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/projects.js";
import * as quotasApi from "../../api/quotas.js";
import { assignments } from "../../api/roles.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { Meter } from "../../parts/meter.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { go, link } from "../../router.js";
import { everyProject } from "../../state/resources.js";
import { refreshProjects } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { memory, t } from "../../words/index.js";
import { Assignments } from "../people/assignments.js";
import { Enabled } from "../people/shared.js";
import { deleteProjects, openEdit } from "./edit.js";

/** @typedef {import("../../api/projects.js").Project} Project */

const UP = { path: "/projects", text: t("nav.projects") };

/** @param {{ id: string }} props */
export default function ProjectPage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  const project = value.value;
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${project?.name ?? t("project.gone")} up=${UP}><${Empty}><h2>${t("project.gone")}</h2><a class="button" href=${link("/projects")}>${t("nav.projects")}</a><//><//>`;
  }
  if (!project) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const changed = () => void Promise.all([read(), everyProject.refresh(), refreshProjects()]);
  const buttons = html`
    <button type="button" onClick=${() => openEdit(project, changed)}>${t("edit")}</button>
    <button type="button" class="danger" onClick=${() => deleteProjects([project], () => (go("/projects"), void refreshProjects()))}>${t("delete")}</button>`;
  return html`
    <${Page} title=${project.name} up=${UP} buttons=${buttons} command=${["openstack", "project", "show", project.name]}>
      <div class="panels">
        <section class="panel" aria-label=${t("server.facts")}><${Facts} rows=${facts(project)} /></section>
        <${Use} project=${project} />
        <${Assignments} title=${t("project.members")} none=${t("project.members.none")} fixed=${{ project }} load=${() => assignments({ "scope.project.id": id })} />
      </div>
    <//>`;
}

/** @param {Project} project @returns {[string, any][]} */
const facts = (project) => [
  [t("server.id"), html`<span class="mono">${project.id}</span><${Copy} text=${project.id} label=${t("server.id.copy")} />`],
  [t("server.state"), html`<${Enabled} on=${project.enabled} />`],
  [t("server.description"), project.description || t("none")],
];

/** What the project uses of its quotas. @param {{ project: Project }} props */
function Use({ project }) {
  const { value, error, read } = useWatched(() => quotasApi.get(project.id), project.id);
  const quotas = value.value;
  return html`
    <section class="panel" aria-labelledby="use-head">
      <header><h2 id="use-head">${t("project.use")}</h2>
        <a class="button small" href=${link(`/servers?project=${project.id}`)}>${t("project.servers")}</a>
        <a class="button small" href=${link(`/quotas?project=${project.id}`)}>${t("project.quotas")}</a></header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${quotas && html`
        <${Meter} label=${t("nav.servers")} used=${quotas.instances.in_use} limit=${quotas.instances.limit} />
        <${Meter} label=${t("project.vcpus")} used=${quotas.cores.in_use} limit=${quotas.cores.limit} />
        <${Meter} label=${t("project.memory")} used=${quotas.ram.in_use} limit=${quotas.ram.limit} text=${memory} />`}
    </section>`;
}

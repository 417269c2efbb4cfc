// SPDX-License-Identifier: Apache-2.0
/** What a project may use and what it uses; administrators choose the project and change its limits. */
import "../../words/resources.js";
import { useEffect } from "preact/hooks";
import * as api from "../../api/quotas.js";
import { html } from "../../html.js";
import { ask } from "../../parts/formdialog.js";
import { Meter } from "../../parts/meter.js";
import { Facts, Failure, Loading, Page } from "../../parts/page.js";
import { place, setQuery } from "../../router.js";
import { listen } from "../../state/events.js";
import { everyProject, projectName } from "../../state/resources.js";
import { isAdmin, subject } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { known, memory, t } from "../../words/index.js";
import { openEdit } from "./edit.js";
import { Images } from "./images.js";

const DAYS = 30;
const PAUSE_MS = 500;

export default function Quotas() {
  const own = subject.value?.project?.id ?? "";
  const projectId = (isAdmin.value && place.value.query.get("project")) || own;
  const { value, error, read } = useWatched(() => api.get(projectId), projectId);
  useEffect(() => (isAdmin.value ? void everyProject.refresh() : undefined), []);
  useEffect(() => followServers(read), [projectId]);
  const name = projectName(projectId);
  const reset = () => ask({
    action: t("quota.reset"), ask: t("quota.reset.ask"), message: t("quota.reset.done", { name: "{name}" }), done: () => void read(),
    targets: [{ key: projectId, name }], command: ["openstack", "quota", "delete"], run: ({ key }) => api.reset(key),
  });
  const quotas = value.value;
  const buttons = isAdmin.value && quotas && html`
    <button type="button" onClick=${reset}>${t("quota.reset")}</button><button type="button" class="primary" onClick=${() => openEdit(projectId, quotas, read)}>${t("quota.edit")}</button>`;
  return html`
    <${Page} title=${t("nav.quotas")} buttons=${buttons} command=${["openstack", "quota", "show", "--usage", name]} beside=${isAdmin.value ? html`<${ProjectChoice} at=${projectId} />` : html`<span class="count">${name}</span>`}>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${!quotas && !error.value && html`<${Loading} />`}
      ${quotas && html`<div class="panels">
        <section class="panel" aria-labelledby="compute-head"><header><h2 id="compute-head">${t("quota.compute")}</h2></header>
          ${api.COUNTED.map((each) => html`<${Meter} key=${each} label=${t(`quota.${each}`)} used=${quotas[each].in_use} limit=${quotas[each].limit} text=${each === "ram" ? memory : undefined} />`)}
        </section>
        <div class="stack">
          <${Images} projectId=${projectId} isOwn=${projectId === own} key=${`images ${projectId}`} />
          <${Past} projectId=${projectId} key=${projectId} />
          <section class="panel" aria-labelledby="single-head"><header><h2 id="single-head">${t("quota.single")}</h2></header>
            ${api.SINGLE.map((each) => html`<div class="meter" key=${each}><span class="meter-label">${t(`quota.${each}`)}</span><span class="meter-words">${quotas[each].limit < 0 ? t("quota.none") : t("quota.most", { limit: quotas[each].limit })}</span></div>`)}</section>
        </div>
      </div>`}
    <//>`;
}

/** Servers come and go in crowds; read once for all of them. @param {() => void} read */
function followServers(read) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const stop = listen((change) => {
    if (change.kind === "server") timer ??= setTimeout(() => ((timer = undefined), read()), PAUSE_MS);
  });
  return () => (clearTimeout(timer), stop());
}

/** @param {{ at: string }} props */
const ProjectChoice = ({ at }) => html`
  <select class="choice" aria-label=${t("server.project")} value=${at} onChange=${(/** @type {any} */ event) => setQuery({ project: event.currentTarget.value })}>
    ${(everyProject.items.value ?? [{ id: at, name: projectName(at) }]).map((project) => html`<option key=${project.id} value=${project.id} selected=${project.id === at}>${project.name}</option>`)}
  </select>`;

/** What the servers of a project have used. @param {{ projectId: string }} props */
function Past({ projectId }) {
  const { value, error, read } = useWatched(() => api.usage(projectId, new Date(Date.now() - DAYS * 86400000)), "");
  const found = value.value;
  return html`
    <section class="panel" aria-labelledby="past-head"><header><h2 id="past-head">${t("usage.title", { days: DAYS })}</h2></header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${found && found.total_hours === undefined && html`<p class="dim">${t("usage.none")}</p>`}
      ${found && found.total_hours !== undefined && html`<${Facts} rows=${[
        [t("nav.servers"), hours(found.total_hours, known("usage.server", ""))],
        [t("flavor.vcpus"), hours(found.total_vcpus_usage ?? 0, "vCPU")],
        [t("flavor.ram"), hours((found.total_memory_mb_usage ?? 0) / 1024, "GiB")],
        [t("flavor.disk"), hours(found.total_local_gb_usage ?? 0, "GiB")],
      ]} />`}
    </section>`;
}

/** @param {number} amount @param {string} unit */
const hours = (amount, unit) => t("usage.hours", { amount: amount.toLocaleString("en-GB", { maximumFractionDigits: amount < 10 ? 2 : 0 }), unit });

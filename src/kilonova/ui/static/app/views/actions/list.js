// SPDX-License-Identifier: Apache-2.0
/** All actions of the project, or of all projects, the newest first, as they happen; what is shown is in the address. */
import "../../words/live.js";
import { useEffect } from "preact/hooks";
import * as api from "../../api/actions.js";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { Empty, Failure, Loading, Page } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { go, link, place, setQuery } from "../../router.js";
import { everyProject } from "../../state/resources.js";
import { isAdmin, seesAll } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { t } from "../../words/index.js";
import { columns } from "./columns.js";
import { actionName } from "./names.js";

/** @typedef {import("../../api/actions.js").ListedAction} Listed */

const STATES = /** @type {const} */ (["", "open", "failed"]);
const VERBS = `create delete start stop reboot pause unpause suspend resume rescue unrescue rebuild resize confirmResize revertResize createImage
  createBackup shelve shelveOffload unshelve evacuate lock unlock resetState power-update`.split(/\s+/);

export default function ActionsPage() {
  const query = place.value.query;
  const wanted = { state: query.get("state"), action: query.get("action"), server_id: query.get("server_id"), request_id: query.get("request_id"), before: query.get("before") };
  const all = seesAll.value || (isAdmin.value && (wanted.server_id ?? wanted.request_id) !== null);
  const { value, error, read } = useWatched(() => api.list({ ...wanted, all_projects: all ? 1 : undefined }), null, [JSON.stringify(wanted), all]);
  useEffect(() => (isAdmin.value ? void everyProject.refresh() : undefined), []);
  const found = value.value;
  const command = wanted.server_id ? ["openstack", "server", "event", "list", wanted.server_id] : undefined;
  return html`
    <${Page} title=${t("nav.actions")} command=${command}>
      <${Toolbar} wanted=${wanted} name=${found?.actions[0]?.server_name ?? wanted.server_id ?? ""} />
      ${error.value && html`<${Failure} error=${error.value} again=${read} />`}
      ${found ? content(found.actions, all, Object.values(wanted).some(Boolean)) : !error.value && html`<${Loading} />`}
      <${Pager} next=${found?.next ?? null} isFirst=${!wanted.before} />
    <//>`;
}

/** @param {Listed[]} rows @param {boolean} all @param {boolean} isChosen */
function content(rows, all, isChosen) {
  if (rows.length > 0) return html`<${Table} label=${t("nav.actions")} columns=${columns(all, isAdmin.value)} rows=${rows} rowKey=${(/** @type {Listed} */ row) => row.id} />`;
  if (isChosen) return html`<${Empty}><h2>${t("actions.none")}</h2><button type="button" onClick=${() => go("/actions")}>${t("actions.clear")}</button><//>`;
  return html`<${Empty}><h2>${t("actions.empty")}</h2><p>${t("actions.empty.text")}</p><//>`;
}

/** @param {{ wanted: { state: string | null, action: string | null, server_id: string | null, request_id: string | null }, name: string }} props */
const Toolbar = ({ wanted, name }) => html`
  <div class="toolbar">
    <div class="filters" role="group" aria-label=${t("actions.outcome")}>
      ${STATES.map((state) => html`<button key=${state} type="button" class="chip" aria-pressed=${String((wanted.state ?? "") === state)}
        onClick=${() => setQuery({ state, before: null })}>${t(`actions.show.${state || "all"}`)}</button>`)}
      ${wanted.server_id && html`<button type="button" class="chip" aria-pressed="true" onClick=${() => setQuery({ server_id: null, before: null })}>
        ${t("actions.ofServer", { name })}<${Icon} name="close" /></button>`}
      ${wanted.request_id && html`<button type="button" class="chip" aria-pressed="true" onClick=${() => setQuery({ request_id: null, before: null })}>
        ${t("actions.ofRequest", { id: wanted.request_id })}<${Icon} name="close" /></button>`}
    </div>
    <select class="choice" aria-label=${t("actions.action")} value=${wanted.action ?? ""} onChange=${(/** @type {any} */ event) => setQuery({ action: event.currentTarget.value, before: null })}>
      <option value="">${t("actions.every")}</option>
      ${VERBS.map((verb) => html`<option key=${verb} value=${verb} selected=${verb === wanted.action}>${actionName(verb)}</option>`)}
    </select>
  </div>`;

/** Back in time, and to the newest. @param {{ next: string | null, isFirst: boolean }} props */
function Pager({ next, isFirst }) {
  /** @param {string | null} before */
  const path = (before) => {
    const query = new URLSearchParams(place.value.query);
    query.delete("before");
    if (before) query.set("before", before);
    return link(`/actions${query.size ? `?${query}` : ""}`);
  };
  if (isFirst && !next) return null;
  return html`
    <nav class="pager" aria-label=${t("actions.pages")}>
      ${!isFirst && html`<a class="button" href=${path(null)}>${t("actions.newest")}</a>`}
      ${next && html`<a class="button" href=${path(next)}>${t("actions.earlier")}</a>`}
    </nav>`;
}

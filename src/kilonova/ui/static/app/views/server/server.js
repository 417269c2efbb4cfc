// SPDX-License-Identifier: Apache-2.0
/** One server: its state, what one can do with it, and its tabs. */
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { ServerState } from "../../parts/badge.js";
import { Icon } from "../../parts/icon.js";
import { Menu } from "../../parts/menu.js";
import { Empty, Failure, Loading, Page } from "../../parts/page.js";
import { offer } from "../../parts/palette.js";
import { Tabs } from "../../parts/tabs.js";
import { link, place } from "../../router.js";
import { flavors, images } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { t } from "../../words/index.js";
import { ACTIONS, isPossible } from "../servers/actions.js";
import { actionItems } from "../servers/columns.js";
import { start } from "../servers/dialog.js";
import { title } from "../servers/run.js";
import { WhyNoHost } from "../actions/why.js";
import { Actions } from "./actions.js";
import { Console } from "./console.js";
import { openEdit } from "./edit.js";
import { Overview } from "./overview.js";

/** @typedef {import("../../api/servers.js").Server} Server */

const BESIDE = ["start", "stop", "unpause", "resume", "unrescue", "unshelve", "confirmResize", "revertResize"];
const TABS = /** @type {const} */ (["overview", "actions", "console"]);
const UP = { path: "/servers", text: t("nav.servers") };

/** @param {{ id: string, tab?: string }} props */
export default function ServerPage({ id, tab = "overview" }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  useEffect(() => void Promise.all([images.refresh(), flavors.refresh()]), []);
  useEffect(() => offer(() => (value.value ? actionItems(value.value) : [])), []);
  const server = value.value;
  const gone = error.value instanceof ApiError && error.value.status === 404;
  if (gone) {
    return html`<${Page} title=${server?.name ?? t("server.gone")} up=${UP}>
      <${Empty}>${server && html`<h2>${t("server.deleted")}</h2>`}<p>${t("server.gone.text")}</p><a class="button" href=${link("/servers")}>${t("nav.servers")}</a><//><//>`;
  }
  if (!server) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  return html`
    <${Page} title=${server.name} up=${UP} command=${command(server, tab)} beside=${html`<${ServerState} server=${server} /><${Locked} server=${server} />`}
      buttons=${html`<${Buttons} server=${server} />`}>
      ${error.value && html`<${Failure} error=${error.value} again=${read} />`}
      <${Notices} server=${server} tab=${tab} />
      <${Tabs} label=${server.name} at=${tab} tabs=${TABS.map((name) => ({
        name, text: t(`server.tab.${name}`), path: `/servers/${id}${name === "overview" ? "" : `/${name}`}`,
      }))} />
      ${tab === "overview" && html`<${Overview} server=${server} />`}
      ${tab === "actions" && html`<${Actions} server=${server} />`}
      ${tab === "console" && html`<${Console} server=${server} />`}
    <//>`;
}

/** @param {Server} server @param {string} tab */
function command(server, tab) {
  if (tab === "actions") return ["openstack", "server", "event", "list", server.name];
  if (tab === "console") return consoleCommand(server, place.value.query.get("kind"));
  return ["openstack", "server", "show", server.name];
}

/** @param {Server} server @param {string | null} kind */
function consoleCommand(server, kind) {
  if (kind === "serial" || kind === "vnc") return ["openstack", "console", "url", "show", kind === "serial" ? "--serial" : "--novnc", server.name];
  return ["openstack", "console", "log", "show", server.name];
}

/** @param {{ server: Server }} props */
const Locked = ({ server }) =>
  server.locked && html`<span class="lock"><${Icon} name="lock" /><span>${server.locked_reason ? t("server.lockedFor", { reason: server.locked_reason }) : t("server.locked")}</span></span>`;

/** @param {{ server: Server }} props */
function Buttons({ server }) {
  const beside = ACTIONS.filter((kind) => BESIDE.includes(kind.name) && kind.states !== null && isPossible(kind, server, isAdmin.value) && server.status !== "ERROR");
  return html`
    ${beside.map((kind) => html`<button key=${kind.name} type="button" onClick=${() => start(kind, [server])}>${title(kind)}</button>`)}
    <button type="button" onClick=${() => openEdit(server)}>${t("edit")}</button>
    <${Menu} class="primary" label=${t("server.actions", { name: server.name })} items=${() => actionItems(server)}>${t("table.actions")}<${Icon} name="down" /><//>`;
}

/** What one should know, and do. @param {{ server: Server, tab: string }} props */
function Notices({ server, tab }) {
  if (server.status === "ERROR") {
    return html`<div class="notice notice-bad" role="status"><div><p><strong>${t("server.failed")}</strong> ${server.fault?.message ?? ""}</p>
      ${tab !== "actions" && html`<${WhyNoHost} id=${server.id} also=${[server.fault?.created]} />`}</div>
      <a class="button" href=${link(`/servers/${server.id}/actions`)}>${t("server.why")}</a></div>`;
  }
  if (server.status === "VERIFY_RESIZE") return html`<div class="notice notice-attention" role="status"><p>${t("server.verify")}</p></div>`;
  if (server.status === "UNKNOWN") return html`<div class="notice notice-attention" role="status"><p>${t("server.unknown")}</p></div>`;
  return null;
}

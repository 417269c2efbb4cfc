// SPDX-License-Identifier: Apache-2.0
/** The requests that a server had: each with its steps. */
import { useSignal } from "@preact/signals";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Failure, Loading } from "../../parts/page.js";
import { useWatched } from "../../state/watched.js";
import { age, duration, t, time } from "../../words/index.js";
import { actionName, userName } from "../actions/names.js";
import { Steps } from "../actions/steps.js";

/** @typedef {import("../../api/servers.js").Action} Action */
/** @typedef {import("../../api/servers.js").Server} Server */

/** @param {{ server: Server }} props */
export function Actions({ server }) {
  const { value, error, read } = useWatched(() => api.actions(server.id), server.id, [server["OS-EXT-STS:task_state"]]);
  const opened = useSignal(/** @type {Record<string, boolean>} */ ({}));
  if (!value.value) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const now = server["OS-EXT-STS:task_state"] !== null;
  return html`
    <ol class="actions" aria-label=${t("server.tab.actions")}>
      ${value.value.map((action, index) => html`<${Request} key=${action.request_id} action=${action} server=${server} isRunning=${now && index === 0}
        isOpen=${opened.value[action.request_id] ?? index === 0} turn=${(/** @type {boolean} */ open) => (opened.value = { ...opened.value, [action.request_id]: open })} />`)}
    </ol>`;
}

/** @param {{ action: Action, server: Server, isRunning: boolean, isOpen: boolean, turn: (open: boolean) => void }} props */
function Request({ action, server, isRunning, isOpen, turn }) {
  const failed = action.message !== null;
  return html`
    <li><details open=${isOpen} onToggle=${(/** @type {any} */ event) => event.currentTarget.open !== isOpen && turn(event.currentTarget.open)}>
      <summary>
        <strong>${actionName(action.action)}</strong>
        ${isRunning ? html`<${Badge} tone="busy" text=${t("request.running")} />` : html`<${Badge} tone=${failed ? "bad" : "good"} text=${t(failed ? "request.failed" : "request.done")} />`}
        <span class="dim">${userName(action.user_id)}</span>
        <time class="dim" datetime=${action.start_time} title=${time(action.start_time)}>${t("ago", { age: age(action.start_time) })}</time>
        ${!isRunning && html`<span class="dim">${duration(action.start_time, action.updated_at)}</span>`}
      </summary>
      ${isOpen && html`<${Steps} id=${server.id} request=${action.request_id} isRunning=${isRunning} also=${[action.updated_at, action.message]} />`}
    </details></li>`;
}

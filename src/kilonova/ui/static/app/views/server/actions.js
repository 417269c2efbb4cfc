// SPDX-License-Identifier: Apache-2.0
/** The requests that a server had: each with its steps, their times, hosts and errors, as they happen. */
import { useSignal } from "@preact/signals";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Copy } from "../../parts/copy.js";
import { Failure, Loading } from "../../parts/page.js";
import { isAdmin, subject } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { age, duration, known, t, time } from "../../words/index.js";
import { Placement } from "./placement.js";

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
    </ol>
    ${isAdmin.value && html`<${Placement} server=${server} />`}`;
}

/** @param {{ action: Action, server: Server, isRunning: boolean, isOpen: boolean, turn: (open: boolean) => void }} props */
function Request({ action, server, isRunning, isOpen, turn }) {
  const failed = action.message !== null;
  const who = action.user_id === subject.value?.user.id ? (subject.value?.user.name ?? "") : action.user_id;
  return html`
    <li><details open=${isOpen} onToggle=${(/** @type {any} */ event) => event.currentTarget.open !== isOpen && turn(event.currentTarget.open)}>
      <summary>
        <strong>${known(`request.${action.action}`, action.action)}</strong>
        ${isRunning ? html`<${Badge} tone="busy" text=${t("request.running")} />` : html`<${Badge} tone=${failed ? "bad" : "good"} text=${t(failed ? "request.failed" : "request.done")} />`}
        <span class="dim">${who}</span>
        <time class="dim" datetime=${action.start_time} title=${time(action.start_time)}>${t("ago", { age: age(action.start_time) })}</time>
        ${!isRunning && html`<span class="dim">${duration(action.start_time, action.updated_at)}</span>`}
      </summary>
      ${isOpen && html`<${Steps} action=${action} server=${server} />`}
    </details></li>`;
}

/** @param {{ action: Action, server: Server }} props */
function Steps({ action, server }) {
  const { value, error, read } = useWatched(() => api.action(server.id, action.request_id), server.id, [action.updated_at, action.message]);
  if (!value.value) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const steps = value.value.events ?? [];
  return html`
    <div class="steps">
      <ol aria-label=${t("request.steps")}>${steps.map((step) => html`<${Step} key=${step.event + step.start_time} step=${step} />`)}</ol>
      ${steps.length === 0 && html`<p class="dim">${t("request.noSteps")}</p>`}
      <p class="dim"><span class="mono">${action.request_id}</span><${Copy} text=${action.request_id} label=${t("request.copy")} /></p>
    </div>`;
}

/** @param {{ step: NonNullable<Action["events"]>[0] }} props */
function Step({ step }) {
  const tone = step.finish_time === null ? "busy" : step.result === "Error" ? "bad" : "good";
  const name = step.event.replace(/^[^.]+\./, "");
  return html`
    <li class=${`step step-${tone}`}>
      <span class="step-mark" aria-hidden="true"></span>
      <span class="step-name">${known(`step.${name}`, name.replaceAll("-", " "))}</span>
      <span class="dim">${step.host ?? ""}</span>
      <span class="dim numeric">${step.finish_time === null ? t("request.running") : duration(step.start_time, step.finish_time)}</span>
      ${step.details && html`<span class="step-details">${step.details}</span>`}
      ${step.traceback && html`<pre class="step-details" tabindex="0">${step.traceback}</pre>`}
    </li>`;
}

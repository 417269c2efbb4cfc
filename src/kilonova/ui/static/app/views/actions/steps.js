// SPDX-License-Identifier: Apache-2.0
/** The steps of a request: their times, hosts and errors, as they happen; and what is recorded of its placement. */
import { useEffect } from "preact/hooks";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { Failure, Loading } from "../../parts/page.js";
import { useWatched } from "../../state/watched.js";
import { duration, known, t } from "../../words/index.js";
import { Cancel } from "./cancel.js";
import { RequestLink } from "./columns.js";
import { Placement } from "./why.js";

/** A step has no event. */
const LOOK_MS = 2000;

/**
 * @param {{ id: string, request: string, isRunning: boolean, also: unknown[] }} props
 *   `id` of the server; `also`: values that change with the action
 */
export function Steps({ id, request, isRunning, also }) {
  const { value, error, read } = useWatched(() => api.action(id, request), id, also);
  useEffect(() => {
    if (!isRunning) return;
    const timer = setInterval(read, LOOK_MS);
    return () => clearInterval(timer);
  }, [id, request, isRunning]);
  if (!value.value) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const { action, events = [], message } = value.value;
  const isAtStep = events.some((step) => step.details && message?.includes(step.details));
  return html`
    <div class="steps">
      ${message && !isAtStep && html`<p>${message}</p>`}
      <ol aria-label=${t("request.steps")}>${events.map((step) => html`<${Step} key=${step.event + step.start_time} step=${step} />`)}</ol>
      ${events.length === 0 && html`<p class="dim">${t("request.noSteps")}</p>`}
      ${isRunning && html`<p><${Cancel} id=${id} action=${action} /></p>`}
      <${Placement} id=${id} request=${request} also=${also} />
      <p class="dim"><${RequestLink} id=${request} /><${Copy} text=${request} label=${t("request.copy")} /></p>
    </div>`;
}

/** @param {{ step: NonNullable<import("../../api/servers.js").Action["events"]>[0] }} props */
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

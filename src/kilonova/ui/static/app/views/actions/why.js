// SPDX-License-Identifier: Apache-2.0
/** Why there was no host for a server: kinds of reasons for everybody; for administrators what the scheduler recorded of each host. */
import "../../words/live.js";
import * as api from "../../api/actions.js";
import { html } from "../../html.js";
import { useWatched } from "../../state/watched.js";
import { known, t, time } from "../../words/index.js";

/** @typedef {import("../../api/actions.js").Reasons} Reasons */

/**
 * The reasons why the last placement failed; nothing when it did not.
 * @param {{ id: string, also: unknown[] }} props
 */
export function WhyNoHost({ id, also }) {
  const { value } = useWatched(() => api.why(id), id, also);
  return value.value && html`<${List} reasons=${value.value.reasons} />`;
}

/**
 * What is recorded of the placement of one request.
 * @param {{ id: string, request: string, also: unknown[] }} props
 */
export function Placement({ id, request, also }) {
  const { value } = useWatched(() => api.why(id, request), id, also);
  const why = value.value;
  if (!why || (why.reasons.length === 0 && !why.tries?.length)) return null;
  return html`
    <div class="placement" role="group" aria-label=${t("placement.title")}>
      <h2>${t("placement.title")}</h2>
      <${List} reasons=${why.reasons} />
      ${why.tries && html`<ol class="tries">${why.tries.map((each, index) => html`<${OneTry} key=${index} attempt=${each} />`)}</ol>`}
    </div>`;
}

/** @param {{ reasons: string[] }} props */
const List = ({ reasons }) =>
  reasons.length > 0 && html`<ul class="reasons" aria-label=${t("why.title")}>${reasons.map((reason) => html`<li key=${reason}>${known(`why.${reason}`, reason)}</li>`)}</ul>`;

/** @param {{ attempt: import("../../api/actions.js").Try }} props */
const OneTry = ({ attempt }) => html`
  <li>
    <p><strong>${attempt.host ? t("placement.chosen", { host: attempt.host }) : t("placement.none")}</strong>${" "}
      <span class="dim">${t("placement.counts", { hosts: attempt.hosts, candidates: attempt.candidates })}${attempt.at ? ` · ${time(attempt.at)}` : ""}</span></p>
    ${attempt.failure && html`<p class="field-error">${attempt.failure}</p>`}
    <ul>
      ${attempt.refused.map((each) => html`<li key=${each.filter}><strong>${each.filter}</strong> ${t("placement.refused", { count: each.count, hosts: each.hosts.join(", ") })} <span class="dim">${each.reason}</span></li>`)}
      ${attempt.lost.map((each) => html`<li key=${each.host}><strong>${each.host}</strong> <span class="dim">${each.reason}</span></li>`)}
      ${attempt.weighed.map((each) => html`<li key=${each.host}>${t("placement.weight", { host: each.host, weight: each.weight.toFixed(2) })}</li>`)}
    </ul>
  </li>`;

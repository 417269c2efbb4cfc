// SPDX-License-Identifier: Apache-2.0
/** Why the scheduler chose a host, or why there was "no valid host"; for administrators. */
import { ApiError } from "../../api/client.js";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { useWatched } from "../../state/watched.js";
import { t, time } from "../../words/index.js";

/** @typedef {{ filter: string, count: number, hosts: string[], reason: string }} Refused */
/** @typedef {{ at: string | null, hosts: number, candidates: number, host: string | null, refused: Refused[], weighed: { host: string, weight: number }[], lost: { host: string, reason: string }[], failure: string | null }} Try */

/** @param {{ server: import("../../api/servers.js").Server }} props */
export function Placement({ server }) {
  const { value, error } = useWatched(() => api.placement(server.id), server.id, [server["OS-EXT-STS:task_state"]]);
  if (!value.value) return error.value instanceof ApiError && error.value.status !== 404 ? html`<p class="dim">${error.value.message}</p>` : null;
  /** @type {Try[]} */
  const tries = value.value.tries;
  return html`
    <section class="panel" aria-labelledby="placement-head">
      <header><h2 id="placement-head">${t("placement.title")}</h2></header>
      ${value.value.message && html`<p>${value.value.message}</p>`}
      <ol class="tries">${tries.map((each, index) => html`<${OneTry} key=${index} attempt=${each} />`)}</ol>
    </section>`;
}

/** @param {{ attempt: Try }} props */
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

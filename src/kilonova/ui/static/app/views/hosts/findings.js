// SPDX-License-Identifier: Apache-2.0
/** What the doctor finds: problems first, each with what to do; checks without a problem are folded. */
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Failure, Loading } from "../../parts/page.js";
import { known, t, time } from "../../words/index.js";

/** @typedef {import("../../api/hosts.js").Finding} Finding */
/** @typedef {import("../../api/hosts.js").Examination} Examination */

/** @type {Record<string, import("../../parts/badge.js").Tone>} */
const TONES = { error: "bad", warning: "attention", note: "idle", ok: "good" };
const ORDER = ["error", "warning", "note"];

/** @param {Finding} finding a level of a later version comes before the notes */
const weight = ({ level }) => (ORDER.includes(level) ? ORDER.indexOf(level) : 1.5);

/**
 * An examination takes the machine a second of its time: when the panel opens, and by the button.
 * @param {{ examine: () => Promise<Examination> }} props
 */
export function Findings({ examine }) {
  const found = useSignal(/** @type {Examination | null} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  const busy = useSignal(false);
  const look = async () => {
    busy.value = true;
    error.value = null;
    await examine().then((value) => (found.value = value), (problem) => (error.value = problem));
    busy.value = false;
  };
  useEffect(() => void look(), []);
  return html`
    <section class="panel panel-wide" aria-labelledby="findings-head">
      <header><h2 id="findings-head">${t("findings.title")}</h2>
        ${found.value && html`<span class="dim">${time(found.value.at)}</span>`}
        <button type="button" class="small" aria-disabled=${busy.value} onClick=${() => busy.value || void look()}>${t("findings.again")}</button></header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} />`}
      ${busy.value && !found.value && html`<${Loading} />`}
      ${found.value && html`<${List} findings=${found.value.findings} />`}
    </section>`;
}

/** @param {{ findings: Finding[] }} props */
function List({ findings }) {
  const good = findings.filter((each) => each.level === "ok");
  const rest = findings.filter((each) => each.level !== "ok").sort((a, b) => weight(a) - weight(b));
  return html`
    ${rest.length === 0 && html`<p>${t("findings.none")}</p>`}
    ${rest.length > 0 && html`<ul class="findings" aria-label=${t("findings.title")}>${rest.map((each, index) => html`<${One} key=${index} finding=${each} />`)}</ul>`}
    ${good.length > 0 && html`<details class="more"><summary>${t("findings.good", { count: good.length })}</summary>
      <ul class="findings">${good.map((each, index) => html`<${One} key=${index} finding=${each} />`)}</ul></details>`}`;
}

/** @param {{ finding: Finding }} props */
const One = ({ finding }) => html`
  <li><${Badge} tone=${TONES[finding.level] ?? "attention"} text=${known(`findings.level.${finding.level}`, finding.level)} /><code>${finding.check}</code>
    <div><p>${finding.found}</p>${finding.cure && finding.level !== "ok" && html`<p class="dim">${finding.cure}</p>`}</div></li>`;

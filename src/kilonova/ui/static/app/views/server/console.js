// SPDX-License-Identifier: Apache-2.0
/** The consoles of a server: what the guest has printed, a terminal on its serial port, and its screen. */
import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { Failure, Loading } from "../../parts/page.js";
import { link, place, setQuery } from "../../router.js";
import { t } from "../../words/index.js";
import { load } from "../console/load.js";

/** @typedef {import("../../api/servers.js").Server} Server */

const LENGTHS = [100, 1000];
const KINDS = /** @type {const} */ (["log", "serial", "vnc"]);

/** @param {{ server: Server }} props */
export function Console({ server }) {
  const kind = place.value.query.get("kind") ?? "log";
  return html`
    <div class="toolbar" role="group" aria-label=${t("console.kinds")}>
      ${KINDS.map((name) => html`<button key=${name} type="button" class="chip" aria-pressed=${String(kind === name)} onClick=${() => setQuery({ kind: name === "log" ? null : name })}>
        ${t(`console.${name}`)}</button>`)}
    </div>
    ${kind === "serial" || kind === "vnc" ? html`<${Interactive} key=${kind} kind=${kind} server=${server} />` : html`<${Log} key="log" server=${server} />`}`;
}

/** @param {{ server: Server }} props */
function Log({ server }) {
  const length = useSignal(/** @type {number | null} */ (LENGTHS[0] ?? null));
  const output = useSignal(/** @type {string | null} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  const read = async () => {
    try {
      output.value = await api.consoleOutput(server.id, length.value);
      error.value = null;
    } catch (problem) {
      error.value = problem;
    }
  };
  useEffect(() => void read(), [length.value, server.status]);
  return html`
    <div class="toolbar">
      <label class="inline">${t("console.lines")}
        <select value=${String(length.value)} onChange=${(/** @type {any} */ event) => (length.value = Number(event.currentTarget.value) || null)}>
          ${LENGTHS.map((count) => html`<option key=${count} value=${count}>${count}</option>`)}<option value="null">${t("console.all")}</option>
        </select></label>
      <button type="button" onClick=${read}><${Icon} name="refresh" />${t("console.refresh")}</button>
    </div>
    ${error.value && html`<${Failure} error=${error.value} again=${read} />`}
    ${output.value === null ? !error.value && html`<${Loading} />`
      : html`<pre class="console-log" tabindex="0" role="log" aria-label=${t("console.log")}>${output.value || t("console.nothing")}</pre>`}`;
}

/** A console whose code loads when it is shown. @param {{ server: Server, kind: "serial" | "vnc" }} props */
function Interactive({ server, kind }) {
  const [Module, setModule] = useState(/** @type {{ View: any } | null} */ (null));
  const [error, setError] = useState(/** @type {unknown} */ (null));
  useEffect(() => void load(kind).then((View) => setModule({ View }), setError), []);
  const beside = html`<a class="button" href=${link(`/console/${kind}/${server.id}`)} target="_blank" rel="noopener">${t("console.window")}</a>`;
  if (error) return html`<${Failure} error=${new Error(t("error.code"))} again=${() => location.reload()} />`;
  return Module ? html`<${Module.View} id=${server.id} beside=${beside} />` : html`<${Loading} />`;
}

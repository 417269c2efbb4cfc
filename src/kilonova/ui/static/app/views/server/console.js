// SPDX-License-Identifier: Apache-2.0
/** The console of a server: what the guest has printed, and a terminal on its serial port. */
import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { Failure, Loading } from "../../parts/page.js";
import { place, setQuery } from "../../router.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/servers.js").Server} Server */

const LENGTHS = [100, 1000];
const KINDS = /** @type {const} */ (["log", "serial"]);

/** @param {{ server: Server }} props */
export function Console({ server }) {
  const kind = place.value.query.get("kind") ?? "log";
  return html`
    <div class="toolbar" role="group" aria-label=${t("console.kinds")}>
      ${KINDS.map((name) => html`<button key=${name} type="button" class="chip" aria-pressed=${String(kind === name)} onClick=${() => setQuery({ kind: name === "log" ? null : name })}>
        ${t(`console.${name}`)}</button>`)}
    </div>
    ${kind === "serial" ? html`<${Serial} key="serial" server=${server} />` : html`<${Log} key="log" server=${server} />`}`;
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

/** @param {{ server: Server }} props */
function Serial({ server }) {
  const [Terminal, setTerminal] = useState(/** @type {{ View: any } | null} */ (null));
  const [error, setError] = useState(/** @type {unknown} */ (null));
  useEffect(() => void import("./terminal.js").then((module) => setTerminal({ View: module.SerialTerminal }), setError), []);
  if (error) return html`<${Failure} error=${new Error(t("error.code"))} again=${() => location.reload()} />`;
  return Terminal ? html`<${Terminal.View} server=${server} />` : html`<${Loading} />`;
}

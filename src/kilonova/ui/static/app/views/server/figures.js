// SPDX-License-Identifier: Apache-2.0
/** What a server uses: CPU, memory, disk and network over the last hour, as small plots. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/figures.js";
import { html } from "../../html.js";
import { Plot } from "../../parts/plot.js";
import { size, t } from "../../words/index.js";

const FEWEST = 2;
const FIRST_MS = 10000;

/** @param {number} bytes a second */
const rate = (bytes) => `${size(bytes)}/s`;

/** @param {{ server: import("../../api/servers.js").Server }} props */
export function Figures({ server }) {
  const figures = useSignal(/** @type {import("../../api/figures.js").Figures | null} */ (null));
  const refused = useSignal("");
  useEffect(() => {
    const read = async () => {
      if (document.hidden) return;
      try {
        figures.value = await api.figures(server.id);
        refused.value = "";
      } catch (error) {
        if (error instanceof ApiError && error.status > 0) refused.value = error.message;
      }
    };
    void read();
    const timer = setInterval(read, (figures.value?.period ?? 0) * 1000 || FIRST_MS);
    return () => clearInterval(timer);
  }, [server.id]);
  return html`
    <section class="panel panel-wide" aria-labelledby="figures-head">
      <header><h2 id="figures-head">${t("figures.title")}</h2></header>
      ${refused.value ? html`<p class="dim">${refused.value}</p>` : plots(figures.value)}
    </section>`;
}

/** @param {import("../../api/figures.js").Figures | null} found */
function plots(found) {
  if (!found || found.at.length < FEWEST) return html`<p class="dim">${t("figures.soon")}</p>`;
  return html`
    <div class="plots">
      <${Plot} label=${t("figures.cpu")} at=${found.at} most=${100} show=${(/** @type {number} */ value) => `${Math.round(value)} %`} lines=${[{ label: "", colour: "accent", values: found.cpu }]} />
      <${Plot} label=${t("figures.memory")} at=${found.at} most=${found.memory_maximum || undefined} show=${(/** @type {number} */ value) => size(value * 1048576)} lines=${[{ label: "", colour: "accent", values: found.memory }]} />
      <${Plot} label=${t("figures.disk")} at=${found.at} show=${rate} lines=${[
        { label: t("figures.read"), colour: "accent", values: found.disk_read }, { label: t("figures.write"), colour: "ember", values: found.disk_write }]} />
      <${Plot} label=${t("figures.net")} at=${found.at} show=${rate} lines=${[
        { label: t("figures.received"), colour: "accent", values: found.net_rx }, { label: t("figures.sent"), colour: "ember", values: found.net_tx }]} />
    </div>`;
}

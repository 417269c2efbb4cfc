// SPDX-License-Identifier: Apache-2.0
/** What one can do with the rows of a list that are chosen. */
import { html } from "../html.js";
import { t } from "../words/index.js";

/**
 * @param {{ label: string, chosen: import("@preact/signals").Signal<Set<string>>, count: number, onDelete: () => void }} props
 *   `count` of those that can be deleted
 */
export const Chosen = ({ label, chosen, count, onDelete }) =>
  chosen.value.size > 0 && html`
    <div class="bulk" role="group" aria-label=${label}>
      <span>${t("list.chosen", { count: chosen.value.size })}</span>
      <button type="button" class="danger" disabled=${count === 0} onClick=${onDelete}>${t("delete")}</button>
      <button type="button" class="plain" onClick=${() => (chosen.value = new Set())}>${t("servers.unchoose")}</button>
    </div>`;

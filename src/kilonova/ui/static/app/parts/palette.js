// SPDX-License-Identifier: Apache-2.0
/** The command palette: Ctrl-K, some letters, Enter. */
import { useSignal } from "@preact/signals";
import { html } from "../html.js";
import { go } from "../router.js";
import { t } from "../words/index.js";
import { closeDialog, Dialog, openDialog } from "./dialog.js";

/** @typedef {{ text: string, detail?: string, path?: string, run?: () => void }} Entry */

const SHOWN = 12;

/** Functions that return entries; pages and lists add theirs. @type {Set<() => Entry[]>} */
const sources = new Set();

/** @param {() => Entry[]} source */
export function offer(source) {
  sources.add(source);
  return () => void sources.delete(source);
}

export const openPalette = () => openDialog(Palette);

/** @param {Entry} entry */
function choose(entry) {
  closeDialog();
  if (entry.path) go(entry.path);
  entry.run?.();
}

/** @param {string} text @param {string} words */
const fits = (text, words) => words.toLowerCase().split(/\s+/).every((word) => text.toLowerCase().includes(word));

function Palette() {
  const typed = useSignal("");
  const at = useSignal(0);
  const all = [...sources].flatMap((source) => source());
  const found = all.filter((entry) => fits(`${entry.text} ${entry.detail ?? ""}`, typed.value)).slice(0, SHOWN);
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length > 0) {
      event.preventDefault();
      at.value = (at.value + step + found.length) % found.length;
    }
    const entry = found[at.value];
    if (event.key === "Enter" && entry) choose(entry);
  };
  return html`
    <${Dialog} title=${t("palette.title")} plain>
      <div class="palette" onKeyDown=${key}>
        <input type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list" autofocus
          aria-label=${t("palette.title")} placeholder=${t("palette.hint")} aria-activedescendant=${found.length ? `palette-${at.value}` : undefined}
          value=${typed.value} onInput=${(/** @type {any} */ event) => ((typed.value = event.currentTarget.value), (at.value = 0))} />
        <div id="palette-list" role="listbox" aria-label=${t("palette.title")}>
          ${found.map((entry, index) => html`<div key=${entry.text + entry.path} id=${`palette-${index}`} role="option" aria-selected=${String(index === at.value)}
            onClick=${() => choose(entry)} onMouseMove=${() => (at.value = index)}><span>${entry.text}</span>
            ${entry.detail && html`<span class="dim">${entry.detail}</span>`}</div>`)}
        </div>
        ${found.length === 0 && html`<p class="dim palette-none">${t("palette.none")}</p>`}
      </div>
    <//>`;
}

// SPDX-License-Identifier: Apache-2.0
/** Keys of the whole page, and the dialog that lists them. */
import { html } from "../html.js";
import { go } from "../router.js";
import { phase } from "../state/session.js";
import { t } from "../words/index.js";
import { Dialog, isDialogOpen, openDialog } from "./dialog.js";
import { openPalette } from "./palette.js";

/** @type {[string[], import("../words/index.js").Word][]} */
const KEYS = [
  [["/"], "keys.search"], [["Ctrl", "K"], "keys.palette"], [["?"], "keys.help"], [["N"], "keys.create"],
  [["↑", "↓"], "keys.rows"], [["Enter"], "keys.open"], [["Space"], "keys.choose"], [["Esc"], "keys.close"],
];

export const openHelp = () => openDialog(() => html`
  <${Dialog} title=${t("keys.title")}>
    <dl class="keys">${KEYS.map(([keys, text]) => html`<div key=${text}><dt>${keys.map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${t(text)}</dd></div>`)}</dl>
  <//>`);

/** @type {Record<string, () => void>} */
const PLAIN = {
  "/": () => /** @type {HTMLElement | null} */ (document.querySelector("main input[type=search]"))?.focus(),
  "?": openHelp,
  n: () => go("/servers/create"),
};

/** Listen for the keys until the returned function is called. */
export function takeKeys() {
  /** @param {KeyboardEvent} event */
  const hear = (event) => {
    if (phase.value !== "in" || event.defaultPrevented || isDialogOpen()) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
    }
    const typing = event.target instanceof Element && event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], .xterm, canvas");
    const run = PLAIN[event.key];
    if (!run || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    run();
  };
  addEventListener("keydown", hear);
  return () => removeEventListener("keydown", hear);
}

// SPDX-License-Identifier: Apache-2.0
/** Copying to the clipboard, and the command that does what a page does. */
import { useState } from "preact/hooks";
import { html } from "../html.js";
import { t } from "../words/index.js";
import { Icon } from "./icon.js";

const SHOWN_MS = 1500;

/** Copy without the clipboard API, which browsers offer only to secure origins. @param {string} text */
function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]:last-of-type") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** @param {{ text: string, label?: string }} props */
export function Copy({ text, label = t("copy") }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await (navigator.clipboard?.writeText(text) ?? Promise.reject()).catch(() => copyBySelection(text));
    setDone(true);
    setTimeout(() => setDone(false), SHOWN_MS);
  };
  return html`<button type="button" class="ghost small copy" aria-label=${label} title=${label} onClick=${copy}>
    <${Icon} name=${done ? "check" : "copy"} /></button>`;
}

/**
 * The `openstack` command that is equivalent to a page or a form.
 * @param {{ words: string[] }} props
 */
export function Command({ words }) {
  const text = commandText(words);
  return html`<div class="command" role="group" aria-label=${t("command.label")}>
    <code><span class="command-prompt" aria-hidden="true">$ </span>${text}</code><${Copy} text=${text} label=${t("command.copy")} />
  </div>`;
}

/** The words as a shell reads them. @param {string[]} words */
export const commandText = (words) =>
  words.map((word) => (/^[\w@%+=:,./<>-]+$/.test(word) && !/[<>]/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");

// SPDX-License-Identifier: Apache-2.0
/** Pasting into a guest: the text is typed, a key for each character. */
import { html } from "../../html.js";
import { closeDialog, Dialog, openDialog } from "../../parts/dialog.js";
import { Field, FormError, Submit, useForm } from "../../parts/form.js";
import { t } from "../../words/index.js";

/** @typedef {import("@novnc/novnc").default} Viewer */

/** QEMU keeps about a thousand events of keys, and drops what comes faster than the guest reads. */
const KEYS_AT_ONCE = 10;
const PAUSE_MS = 50;
const UNICODE = 0x01000000;
/** Keys of characters that are none, by the names of X11. @type {Record<string, number>} */
const KEYSYMS = { "\n": 0xff0d, "\t": 0xff09, "\b": 0xff08 };

/** @param {Viewer} viewer */
export const openPaste = (viewer) => openDialog(() => html`<${Paste} viewer=${viewer} />`);

/** @param {{ viewer: Viewer }} props */
function Paste({ viewer }) {
  const form = useForm({
    initial: { text: "" },
    send: async ({ text }) => {
      await type(viewer, text);
      closeDialog();
    },
  });
  return html`
    <${Dialog} title=${t("screen.paste")}>
      <form onSubmit=${form.submit} novalidate>
        <div class="dialog-body"><${FormError} form=${form} /><${Field} form=${form} name="text" type="textarea" label=${t("screen.text")} hint=${t("screen.text.hint")} required focus /></div>
        <footer><button type="button" onClick=${closeDialog}>${t("cancel")}</button><${Submit} form=${form} text=${t("screen.type")} /></footer>
      </form>
    <//>`;
}

/** @param {Viewer} viewer @param {string} text */
async function type(viewer, text) {
  const characters = [...text.replace(/\r\n?/g, "\n")];
  for (const [index, character] of characters.entries()) {
    viewer.sendKey(keysym(character), null);
    if (index % KEYS_AT_ONCE === KEYS_AT_ONCE - 1) await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

/** The number of a character's key in X11. @param {string} character */
function keysym(character) {
  const code = character.codePointAt(0) ?? 0;
  return KEYSYMS[character] ?? (code < 0x100 ? code : UNICODE + code);
}

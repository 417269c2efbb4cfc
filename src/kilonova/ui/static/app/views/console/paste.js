// SPDX-License-Identifier: Apache-2.0
/** Pasting into a guest: the text is typed, a key for each character, in the layout of the guest. */
import "../../words/console.js";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "../../html.js";
import { closeDialog, Dialog, openDialog } from "../../parts/dialog.js";
import { Field, FormError, missing as empty, Submit, useForm } from "../../parts/form.js";
import { Progress } from "../../parts/meter.js";
import { stored } from "../../state/stored.js";
import { duration, known, t } from "../../words/index.js";
import { LAYOUTS } from "./layouts.js";
import { missing, portions, timeOf, type } from "./typing.js";

/** @typedef {import("@novnc/novnc").default} Viewer */

const MOST_SHOWN = 20;
/** The layout of the last paste. */
const usual = stored("layout", "us");
/** A text that has not been typed whole. */
let draft = "";

/** @param {Viewer} viewer */
export const openPaste = (viewer) => openDialog(() => html`<${Paste} viewer=${viewer} />`);

/** @param {{ viewer: Viewer }} props */
function Paste({ viewer }) {
  const plan = useSignal(/** @type {import("./typing.js").Portion[]} */ ([]));
  const done = useSignal(0);
  const stop = useSignal(new AbortController());
  useEffect(() => {
    const lost = () => stop.peek().abort(new Error(t("paste.lost", { count: done.peek() })));
    viewer.addEventListener("disconnect", lost);
    return () => {
      viewer.removeEventListener("disconnect", lost);
      stop.peek().abort();
    };
  }, []);
  const form = useForm({
    initial: { text: draft, layout: usual.peek() in LAYOUTS ? usual.peek() : "us" },
    check: (values) => ({ ...empty(values, ["text"]), ...untypable(values) }),
    send: async ({ text, layout }) => {
      draft = text;
      usual.value = layout;
      plan.value = portions(text, layout);
      done.value = 0;
      await type(keyboardOf(viewer), plan.value, { signal: stop.peek().signal, tell: (count) => (done.value = count), unread: t("paste.unread") });
      draft = "";
      closeDialog();
    },
  });
  return html`
    <${Dialog} title=${t("screen.paste")}>
      <form onSubmit=${form.submit} novalidate>
        <div class="dialog-body"><${FormError} form=${form} />
          <${Field} form=${form} name="text" type="textarea" label=${t("screen.text")} required focus more=${{ readOnly: form.busy.value }} />
          <${Field} form=${form} name="layout" type="select" label=${t("paste.layout")} hint=${t("paste.layout.hint")} required options=${layouts()} />
          ${form.busy.value && html`<${Typing} plan=${plan.value} done=${done.value} />`}
        </div>
        <footer><button type="button" onClick=${closeDialog}>${t("cancel")}</button><${Submit} form=${form} text=${t("screen.type")} /></footer>
      </form>
    <//>`;
}

/** @param {{ plan: import("./typing.js").Portion[], done: number }} props */
function Typing({ plan, done }) {
  const all = plan.reduce((sum, { characters }) => sum + characters, 0);
  const rest = duration("1970-01-01", new Date((timeOf(plan) * (all - done)) / all).toISOString());
  return html`<${Progress} label=${t("paste.progress")} done=${done} total=${all} /><p class="dim">${t("paste.rest", { done, all, time: rest })}</p>`;
}

/** @param {Viewer} viewer @returns {import("./typing.js").Keyboard} */
const keyboardOf = (viewer) => ({ sendKey: (keysym, code, down) => viewer.sendKey(keysym, code, down), capsLock: () => viewer._remoteCapsLock, forgetCapsLock: () => (viewer._remoteCapsLock = null) });

/** Errors of a text that the layout cannot type. @param {import("../../parts/form.js").Values} values @returns {Record<string, string>} */
function untypable({ text, layout }) {
  const characters = missing(text, layout);
  if (characters.length === 0) return {};
  const shown = characters.slice(0, MOST_SHOWN).map((each) => (/[\p{C}\p{Z}\p{M}]/u.test(each) ? codeOf(each) : each));
  return { text: t("paste.missing", { characters: [...shown, ...(characters.length > MOST_SHOWN ? ["…"] : [])].join(" ") }) };
}

/** Such as U+00A0, for what cannot be seen. @param {string} character */
const codeOf = (character) => `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;

const layouts = () => Object.keys(LAYOUTS).map((value) => ({ value, text: known(`layout.${value}`, value) })).sort((a, b) => a.text.localeCompare(b.text));

// SPDX-License-Identifier: Apache-2.0
/** Dialogs with one form: fields and a button, or a question before something that cannot be undone. */
import { html } from "../html.js";
import { t } from "../words/index.js";
import { Command } from "./copy.js";
import { closeDialog, Dialog, openDialog } from "./dialog.js";
import { FormError, Submit, useForm } from "./form.js";
import { toast, toastError } from "./toast.js";

/**
 * @param {{ heading: string, form: import("./form.js").Form, command?: string[], submit?: string, danger?: boolean, children?: any }} props
 */
export const FormDialog = ({ heading, form, command, submit = t("save"), danger, children }) => html`
  <${Dialog} title=${heading}>
    <form onSubmit=${form.submit} novalidate>
      <div class="dialog-body"><${FormError} form=${form} />${children}${command && html`<${Command} words=${command} />`}</div>
      <footer><button type="button" onClick=${closeDialog}>${t("cancel")}</button><${Submit} form=${form} text=${submit} danger=${danger} /></footer>
    </form>
  <//>`;

/** @typedef {{ key: string, name: string }} Target */
/**
 * @typedef {object} Question
 * @property {string} action what the button says
 * @property {string} ask what will happen, in a sentence
 * @property {Target[]} targets
 * @property {string[]} command without the targets
 * @property {(target: Target) => Promise<unknown>} run for each target
 * @property {() => void} done once the API has accepted at least one
 * @property {string} message when it is done, for one target: with {name}
 */

/** Ask, and then do it for each target. @param {Question} question */
export const ask = (question) => openDialog(() => html`<${Confirm} ...${question} />`);

/** @param {Question} props */
function Confirm({ action, ask: words, targets, command, run, done, message }) {
  const form = useForm({
    initial: {},
    send: async () => {
      const outcomes = await Promise.allSettled(targets.map(run));
      const refused = outcomes.filter((each) => each.status === "rejected");
      if (refused.length === targets.length) throw refused[0]?.reason;
      outcomes.forEach((each, index) => each.status === "rejected" && toastError(`${action}: ${targets[index]?.name}`, each.reason));
      toast("ok", message.replaceAll("{name}", targets.filter((_, index) => outcomes[index]?.status === "fulfilled").map((each) => each.name).join(", ")));
      closeDialog();
      done();
    },
  });
  const first = targets.length === 1 ? targets[0]?.name : String(targets.length);
  return html`<${FormDialog} heading=${`${action}: ${first}`} form=${form} submit=${action} danger command=${[...command, ...targets.map((each) => each.name)]}>
    <p>${words}</p>
    ${targets.length > 1 && html`<ul class="dialog-names">${targets.map((each) => html`<li key=${each.key}>${each.name}</li>`)}</ul>`}
  <//>`;
}

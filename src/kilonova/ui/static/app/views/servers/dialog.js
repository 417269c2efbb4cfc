// SPDX-License-Identifier: Apache-2.0
/** The dialog of an action: what will happen, its fields, its command. */
import { useEffect } from "preact/hooks";
import { html } from "../../html.js";
import { Command } from "../../parts/copy.js";
import { closeDialog, Dialog, openDialog } from "../../parts/dialog.js";
import { Field, FormError, Submit, useForm } from "../../parts/form.js";
import { toastError } from "../../parts/toast.js";
import { flavors, images } from "../../state/resources.js";
import { known, t } from "../../words/index.js";
import { commandOf } from "./actions.js";
import { run, title } from "./run.js";

/** @typedef {import("../../api/servers.js").Server} Server */
/** @typedef {import("./actions.js").ActionKind} ActionKind */
/** @typedef {import("../../words/index.js").Word} Word */

/**
 * Do an action, after its dialog where it has one.
 * @param {ActionKind} kind
 * @param {Server[]} targets
 * @param {() => void} [done] when the API has accepted it
 */
export function start(kind, targets, done = () => {}) {
  if (kind.asks || kind.fields) openDialog(() => html`<${ActionDialog} kind=${kind} targets=${targets} done=${done} />`);
  else run(kind, targets, {}).then(done, (error) => toastError(t("run.refused", { action: title(kind), name: names(targets) }), error));
}

/** @param {Server[]} targets */
const names = (targets) => (targets.length === 1 ? (targets[0]?.name ?? "") : t("servers.several", { count: targets.length }));

/** @param {{ kind: ActionKind, targets: Server[], done: () => void }} props */
function ActionDialog({ kind, targets, done }) {
  const first = /** @type {Server} */ (targets[0]);
  const fields = kind.fields ?? [];
  const form = useForm({
    initial: Object.fromEntries(fields.map((field) => [field.name, field.initial?.(first) ?? ""])),
    paths: Object.fromEntries(fields.map((field) => [field.path, field.name])),
    check: (values) => Object.fromEntries(fields.filter((each) => each.required && values[each.name] === "").map((each) => [each.name, t("form.missing")])),
    send: async (values) => {
      await run(kind, targets, values);
      closeDialog();
      done();
    },
  });
  useEffect(() => {
    if (fields.some((field) => field.type === "select")) void Promise.all([images.refresh(), flavors.refresh()]);
  }, []);
  const heading = `${title(kind)}: ${names(targets)}`;
  return html`
    <${Dialog} title=${heading}>
      <form onSubmit=${form.submit} novalidate>
        <div class="dialog-body">
          <p>${t(/** @type {Word} */ (`action.${kind.name}.ask`))}</p>
          ${targets.length > 1 && html`<ul class="dialog-names">${targets.map((server) => html`<li key=${server.id}>${server.name}</li>`)}</ul>`}
          <${FormError} form=${form} />
          ${fields.map((field, index) => html`<${Field} key=${field.name} form=${form} name=${field.name} type=${field.type} required=${field.required}
            focus=${index === 0} label=${known(`action.field.${field.name}`, field.name)} options=${field.options?.(first)} />`)}
          <${Command} words=${commandOf(kind, form.values.value, targets)} />
        </div>
        <footer>
          <button type="button" onClick=${closeDialog}>${t("cancel")}</button>
          <${Submit} form=${form} text=${title(kind)} danger=${kind.danger} />
        </footer>
      </form>
    <//>`;
}

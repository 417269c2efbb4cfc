// SPDX-License-Identifier: Apache-2.0
/** Cancelling the action in progress on a server. */
import { useSignal } from "@preact/signals";
import { cancel } from "../../api/actions.js";
import { html } from "../../html.js";
import { toast, toastError } from "../../parts/toast.js";
import { announce } from "../../state/events.js";
import { t } from "../../words/index.js";
import { actionName } from "./names.js";

/** A delete cannot be cancelled. */
const NEVER = "delete";

/** @typedef {import("../../api/actions.js").Cancelled} Cancelled */

/** @param {{ id: string, action: string }} props `id` of the server */
export function Cancel({ id, action }) {
  const isBusy = useSignal(false);
  if (action === NEVER) return null;
  const name = actionName(action);
  const run = async () => {
    isBusy.value = true;
    try {
      for (const one of await cancel(id)) say(one);
      announce(id);
    } catch (error) {
      toastError(t("actions.cancel.refused", { action: name }), error);
    } finally {
      isBusy.value = false;
    }
  };
  return html`<button type="button" class="small" disabled=${isBusy.value} aria-label=${t("actions.cancel.of", { action: name })} onClick=${run}>${t("actions.cancel")}</button>`;
}

/** @type {Record<Cancelled["result"], import("../../words/index.js").Word>} */
const WORDS = {
  cancelled: "actions.cancel.done", "cleaning-up": "actions.cancel.cleaning", continues: "actions.cancel.continues", ended: "actions.cancel.ended",
};

/** @param {Cancelled} one */
const say = ({ action, result, message }) =>
  toast(result === "continues" ? "error" : "ok", t(WORDS[result], { action: actionName(action) }), { detail: message ?? undefined });

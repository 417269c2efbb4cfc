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

/** @param {Cancelled} one */
function say({ action, result, message }) {
  const detail = message ?? undefined;
  const name = actionName(action);
  if (result === "continues") toast("error", t("actions.cancel.continues", { action: name }), { detail });
  else toast("ok", t(result === "ended" ? "actions.cancel.ended" : "actions.cancel.done", { action: name }), { detail });
}

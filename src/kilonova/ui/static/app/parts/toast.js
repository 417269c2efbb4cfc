// SPDX-License-Identifier: Apache-2.0
/** Short messages in a corner; errors stay until they are closed. */
import { signal } from "@preact/signals";
import { ApiError } from "../api/client.js";
import { classes, html } from "../html.js";
import { t } from "../words/index.js";
import { Icon } from "./icon.js";

const SHOWN_MS = 6000;

/** @typedef {{ id: number, tone: "ok" | "busy" | "error", text: string, detail?: string }} Toast */

/** @type {import("@preact/signals").Signal<Toast[]>} */
const toasts = signal(/** @type {Toast[]} */ ([]));
let last = 0;

/**
 * Show a message; with the `id` of an earlier one it takes its place.
 * @param {Toast["tone"]} tone
 * @param {string} text
 * @param {{ id?: number, detail?: string }} [more]
 */
export function toast(tone, text, { id = ++last, detail } = {}) {
  toasts.value = [...toasts.value.filter((each) => each.id !== id), { id, tone, text, detail }];
  if (tone === "ok") setTimeout(() => dismiss(id), SHOWN_MS);
  return id;
}

/** @param {number} id */
export function dismiss(id) {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

/** One sentence for any error, and what one can do. @param {unknown} error */
export function sentence(error) {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  if (error.status === 0) return t(error.message === "timeout" ? "error.timeout" : "error.network");
  if (error.status === 503) return t("error.unavailable", { message: error.message, seconds: error.retryAfter ?? 5 });
  return error.message;
}

/**
 * Show an error as a message.
 * @param {string} text what failed
 * @param {unknown} error
 * @param {number} [id] of a message to replace
 */
export const toastError = (text, error, id) => toast("error", text, { id, detail: sentence(error) });

export const Toasts = () => html`
  <section class="toasts" aria-label=${t("toasts.label")} aria-live="polite">
    ${toasts.value.map((each) => html`
      <div key=${each.id} class=${classes("toast", `toast-${each.tone}`)} role=${each.tone === "error" ? "alert" : "status"}>
        <span class="toast-mark" aria-hidden="true"></span>
        <div class="toast-words"><strong>${each.text}</strong>${each.detail && html`<div>${each.detail}</div>`}</div>
        <button class="ghost small" type="button" aria-label=${t("close")} onClick=${() => dismiss(each.id)}><${Icon} name="close" /></button>
      </div>`)}
  </section>`;

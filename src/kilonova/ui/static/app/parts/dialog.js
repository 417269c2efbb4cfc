// SPDX-License-Identifier: Apache-2.0
/** Modal dialogs: the browser's own, which hold the focus and close with Esc. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { html } from "../html.js";
import { t } from "../words/index.js";
import { Icon } from "./icon.js";

/** @typedef {() => import("preact").VNode<any>} Content */

/** The open dialogs, the topmost last. @type {import("@preact/signals").Signal<Content[]>} */
const open = signal(/** @type {Content[]} */ ([]));

/** @param {Content} content which renders a Dialog */
export function openDialog(content) {
  open.value = [...open.value, content];
}

export function closeDialog() {
  open.value = open.value.slice(0, -1);
}

export function closeAllDialogs() {
  open.value = [];
}

export const isDialogOpen = () => open.value.length > 0;

export const Dialogs = () => html`${open.value.map((Content, index) => html`<${Content} key=${index} />`)}`;

/**
 * @param {{ title: string, children?: any, wide?: boolean, plain?: boolean }} props `plain` shows no title line
 */
export function Dialog({ title, children, wide, plain }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const before = document.activeElement;
    ref.current?.showModal();
    return () => before instanceof HTMLElement && before.isConnected && before.focus();
  }, []);
  /** @param {MouseEvent} event */
  const outside = (event) => event.target === ref.current && plain && closeDialog();
  return html`
    <dialog ref=${ref} class=${wide ? "wide" : ""} aria-label=${title} onMouseDown=${outside}
      onCancel=${(/** @type {Event} */ event) => (event.preventDefault(), closeDialog())}>
      ${!plain && html`<header>
        <h2>${title}</h2>
        <button type="button" class="ghost small" aria-label=${t("close")} onClick=${closeDialog}><${Icon} name="close" /></button>
      </header>`}
      ${children}
    </dialog>`;
}

// SPDX-License-Identifier: Apache-2.0
/** A button that opens a list of choices; arrow keys move, Esc closes. */
import { useId, useRef, useState } from "preact/hooks";
import { classes, html } from "../html.js";

/**
 * @typedef {object} Item
 * @property {string} text
 * @property {() => void} [run]
 * @property {string} [href]
 * @property {boolean} [danger]
 * @property {boolean} [checked] makes it a choice that can be on or off
 * @property {boolean} [line] draw a line above
 */

const GAP = 4;

/** @param {HTMLElement} list @param {HTMLElement} button */
function put(list, button) {
  const place = button.getBoundingClientRect();
  const size = list.getBoundingClientRect();
  const below = place.bottom + GAP + size.height <= innerHeight || place.top < size.height;
  const left = Math.min(place.left, innerWidth - size.width - GAP);
  list.style.left = `${Math.max(GAP, place.right - size.width > 0 && left < place.left ? place.right - size.width : left)}px`;
  list.style.top = `${below ? Math.min(place.bottom + GAP, Math.max(GAP, innerHeight - size.height - GAP)) : place.top - size.height - GAP}px`;
}

/**
 * @param {{ label: string, items: Item[] | (() => Item[]), children?: any, class?: string }} props `label` names the button where its content is a
 *   picture; a function of items is called when the list opens
 */
export function Menu({ label, items, children, class: name }) {
  const id = useId();
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [isOpen, setOpen] = useState(false);
  /** @param {any} event */
  const toggled = (event) => {
    const open = event.newState === "open";
    button.current?.setAttribute("aria-expanded", String(open));
    if (!open || !list.current || !button.current) return;
    put(list.current, button.current);
    /** @type {HTMLElement | null} */ (list.current.querySelector("[role^=menuitem]"))?.focus();
  };
  return html`
    <button ref=${button} type="button" class=${classes(name ?? "ghost")} aria-label=${label} title=${label}
      aria-haspopup="menu" aria-expanded="false" aria-controls=${id} popovertarget=${id}>${children}</button>
    <div ref=${list} id=${id} class="menu" popover="auto" role="menu" aria-label=${label}
      onBeforeToggle=${(/** @type {any} */ event) => setOpen(event.newState === "open")} onToggle=${toggled} onKeyDown=${move}>
      ${isOpen && (typeof items === "function" ? items() : items).map((item) => html`<${Entry} key=${item.text} item=${item} close=${() => list.current?.hidePopover()} />`)}
    </div>`;
}

/** @param {{ item: Item, close: () => void }} props */
function Entry({ item, close }) {
  const name = classes("menu-item", item.danger && "danger", item.line && "menu-line");
  if (item.href) return html`<a role="menuitem" tabindex="-1" class=${name} href=${item.href} onClick=${close}>${item.text}</a>`;
  const choice = item.checked !== undefined;
  const run = () => {
    if (!choice) close();
    item.run?.();
  };
  return html`<button type="button" tabindex="-1" class=${name} role=${choice ? "menuitemcheckbox" : "menuitem"}
    aria-checked=${choice ? String(item.checked) : undefined} onClick=${run}>${item.text}</button>`;
}

/** @param {KeyboardEvent} event */
function move(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !(event.currentTarget instanceof HTMLElement)) return;
  event.preventDefault();
  const entries = /** @type {HTMLElement[]} */ ([...event.currentTarget.querySelectorAll("[role^=menuitem]")]);
  const now = entries.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  entries[(now + step + entries.length) % entries.length]?.focus();
}

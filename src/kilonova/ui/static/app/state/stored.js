// SPDX-License-Identifier: Apache-2.0
/** Signals whose values a browser keeps: tastes, never secrets. */
import { effect, signal } from "@preact/signals";

const PREFIX = "kilonova:";

/**
 * @template T
 * @param {string} name
 * @param {T} initial
 * @returns {import("@preact/signals").Signal<T>}
 */
export function stored(name, initial) {
  const kept = signal(read(name, initial));
  effect(() => {
    try {
      localStorage.setItem(PREFIX + name, JSON.stringify(kept.value));
    } catch {
      // A browser may have no room, or forbid it: then the value lasts as long as the page.
    }
  });
  return kept;
}

/**
 * @template T
 * @param {string} name
 * @param {T} initial
 * @returns {T}
 */
function read(name, initial) {
  try {
    const found = localStorage.getItem(PREFIX + name);
    return found === null ? initial : JSON.parse(found);
  } catch {
    return initial;
  }
}

/** "" follows the system. */
export const theme = stored("theme", /** @type {"" | "light" | "dark"} */ (""));
effect(() => {
  const root = document.documentElement;
  if (theme.value) root.dataset.theme = theme.value;
  else delete root.dataset.theme;
});

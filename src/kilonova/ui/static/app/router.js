// SPDX-License-Identifier: Apache-2.0
/** Which page is shown: a signal of the address, by the History API, so that links can be shared. */
import { signal } from "@preact/signals";

const ROOT = "/ui";

/** @typedef {{ path: string, query: URLSearchParams }} Place */

/** @returns {Place} */
const read = () => ({
  path: location.pathname.slice(ROOT.length).replace(/\/+$/, "") || "/",
  query: new URLSearchParams(location.search),
});

export const place = signal(read());
window.addEventListener("popstate", () => (place.value = read()));

/**
 * @param {string} path of a page, from /ui on
 * @param {{ replace?: boolean }} [how]
 */
export function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", ROOT + path);
  const before = place.value.path;
  place.value = read();
  if (!replace && before !== place.value.path) window.scrollTo(0, 0);
}

/**
 * Change arguments of the address without a new entry in the history.
 * @param {Record<string, string | null>} changes null removes one
 */
export function setQuery(changes) {
  const query = new URLSearchParams(place.value.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(place.value.path + (text ? `?${text}` : ""), { replace: true });
}

/** The address of a page, for `href`. @param {string} path */
export const link = (path) => ROOT + path;

/** Clicks on links of this page change the page in place; those with a key pressed do what browsers do. */
export function takeLinks() {
  document.addEventListener("click", (event) => {
    const anchor = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!(anchor instanceof HTMLAnchorElement) || !isPlain(event) || anchor.target || anchor.hasAttribute("download")) return;
    const inside = anchor.pathname === ROOT || anchor.pathname.startsWith(`${ROOT}/`);
    if (anchor.origin !== location.origin || !inside || anchor.pathname.startsWith(`${ROOT}/static/`)) return;
    event.preventDefault();
    go(anchor.pathname.slice(ROOT.length) + anchor.search);
  });
}

/** @param {MouseEvent} event */
const isPlain = (event) =>
  !event.defaultPrevented && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;

/**
 * The values of a pattern such as "/servers/:id" in a path; null when it is another path.
 * @param {string} pattern
 * @param {string} path
 * @returns {Record<string, string> | null}
 */
export function match(pattern, path) {
  const names = pattern.split("/");
  const parts = path.split("/");
  if (names.length !== parts.length) return null;
  /** @type {Record<string, string>} */
  const found = {};
  for (const [index, name] of names.entries()) {
    const part = parts[index] ?? "";
    if (name.startsWith(":") && part) found[name.slice(1)] = decodeURIComponent(part);
    else if (name !== part) return null;
  }
  return found;
}

// SPDX-License-Identifier: Apache-2.0
/** Lists of resources that pages share: read once, kept while one moves between pages, read again on demand. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { listen } from "./events.js";
import { onSubjectChange } from "./session.js";

/** Events come in crowds: they cause one look together. */
const TOGETHER_MS = 500;

/**
 * @template T
 * @typedef {object} Collection
 * @property {import("@preact/signals").Signal<T[] | null>} items null before the first answer
 * @property {import("@preact/signals").Signal<Error | null>} error of the last attempt
 * @property {() => Promise<void>} refresh read all of it
 */

/**
 * @template T
 * @param {() => Promise<T[]>} load
 * @returns {Collection<T>}
 */
export function collection(load) {
  /** @type {import("@preact/signals").Signal<T[] | null>} */
  const items = signal(/** @type {T[] | null} */ (null));
  const error = signal(/** @type {Error | null} */ (null));
  let generation = 0;
  /** @type {Promise<void> | null} */
  let running = null;
  let isStale = false;

  const read = async () => {
    const mine = generation;
    try {
      const found = await load();
      if (mine !== generation) return;
      items.value = found;
      error.value = null;
    } catch (problem) {
      if (mine === generation) error.value = /** @type {Error} */ (problem);
    }
  };
  const readAll = async () => {
    const mine = generation;
    do {
      isStale = false;
      await read();
    } while (isStale && mine === generation);
    if (mine === generation) running = null;
  };
  const refresh = () => {
    isStale = true; // what is being read may be older than what asks for it
    return (running ??= readAll());
  };
  onSubjectChange(() => {
    generation += 1;
    running = null;
    items.value = null;
    error.value = null;
  });
  return { items, error, refresh };
}

/**
 * Read a collection when a page opens, and again when events of these kinds come.
 * @template T
 * @param {Collection<T>} what
 * @param {...string} kinds of events; see state/events.js
 */
export function useCollection(what, ...kinds) {
  useEffect(() => {
    void what.refresh();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const stop = listen((change) => {
      if (change.kind !== "reset" && !kinds.includes(change.kind)) return;
      timer ??= setTimeout(() => ((timer = undefined), void what.refresh()), TOGETHER_MS);
    });
    return () => (clearTimeout(timer), stop());
  }, [what]);
  return what;
}

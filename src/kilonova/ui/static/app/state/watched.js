// SPDX-License-Identifier: Apache-2.0
/** One thing that a page shows: read when the page opens, and again when an event names it. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { listen } from "./events.js";

const TOGETHER_MS = 40;

/**
 * @template T
 * @param {() => Promise<T>} load
 * @param {string} id events of this id, and events of everything, read it again
 * @param {unknown[]} [also] values that begin anew when they change
 */
export function useWatched(load, id, also = []) {
  /** @type {import("@preact/signals").Signal<T | null>} */
  const value = useSignal(/** @type {T | null} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  const read = async () => {
    try {
      value.value = await load();
      error.value = null;
    } catch (problem) {
      error.value = problem;
    }
  };
  useEffect(() => {
    void read();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const stop = listen((change) => {
      if (change.kind !== "reset" && change.kind !== "poll" && change.id !== id) return;
      clearTimeout(timer);
      timer = setTimeout(read, TOGETHER_MS);
    });
    return () => (clearTimeout(timer), stop());
  }, [id, ...also]);
  return { value, error, read };
}

// SPDX-License-Identifier: Apache-2.0
/** What a page shows: read when the page opens, and again when an event names it. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { listen } from "./events.js";

const TOGETHER_MS = 40;
/** Events of all servers come in crowds: they cause one look together. */
const CROWD_MS = 300;

/**
 * @template T
 * @param {() => Promise<T>} load
 * @param {string | null} id events of this id (null: of any server), and events of everything, read it again
 * @param {unknown[]} [also] values that begin anew when they change
 */
export function useWatched(load, id, also = []) {
  /** @type {import("@preact/signals").Signal<T | null>} */
  const value = useSignal(/** @type {T | null} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  const reads = useRef(0);
  const read = async () => {
    const mine = ++reads.current; // an answer that comes after a later request may be older
    try {
      const found = await load();
      if (mine !== reads.current) return;
      value.value = found;
      error.value = null;
    } catch (problem) {
      if (mine === reads.current) error.value = problem;
    }
  };
  useEffect(() => {
    void read();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const stop = listen((change) => {
      const isNamed = id === null ? change.kind === "server" : change.id === id;
      if (change.kind !== "reset" && change.kind !== "poll" && !isNamed) return;
      timer ??= setTimeout(() => ((timer = undefined), void read()), id === null ? CROWD_MS : TOGETHER_MS);
    });
    return () => (clearTimeout(timer), stop());
  }, [id, ...also]);
  return { value, error, read };
}

// SPDX-License-Identifier: Apache-2.0
/** The connection to a console: its state, and connecting again, by itself where the service was only restarted. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/servers.js";
import { sentence } from "../../parts/toast.js";

/** @typedef {"connecting" | "open" | "closed"} Phase */
/** @typedef {(phase: Phase, reason?: string, code?: number) => void} Tell `code` is that of the websocket's end */

/** The API process stops; the connection was lost. */
const RESTARTED = [1006, 1012];
const AGAIN_MS = 1500;
const MOST_TRIES = 40;
/** The status of an end for a caller that has no answer of the API. */
const NO_ANSWER = 1006;

/**
 * @param {object} how
 * @param {string} how.id of the server
 * @param {"serial" | "vnc"} how.kind
 * @param {string} [how.address] for the first opening; without one, and for each further opening, the API gives one
 * @param {(address: string, tell: Tell) => () => void} how.open returns what ends it
 */
export function useSession({ id, kind, address, open }) {
  const phase = useSignal(/** @type {Phase} */ ("connecting"));
  const reason = useSignal("");
  const round = useSignal(0);
  const tries = useSignal(0);
  useEffect(() => {
    let ended = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let end = () => {};
    /** @type {Tell} */
    const tell = (next, why = "", code = 0) => {
      if (ended) return;
      phase.value = next;
      reason.value = why;
      if (next === "open") tries.value = 0;
      if (next !== "closed" || !RESTARTED.includes(code) || tries.value >= MOST_TRIES) return;
      tries.value += 1;
      timer = setTimeout(() => (round.value += 1), AGAIN_MS);
    };
    const begin = async () => {
      tell("connecting");
      const given = (round.value === 0 && address) || (await api.remoteConsole(id, kind));
      if (!ended) end = open(given, tell);
    };
    begin().catch((error) => tell("closed", sentence(error), error instanceof ApiError && error.status === 0 ? NO_ANSWER : 0));
    return () => {
      ended = true;
      clearTimeout(timer);
      end();
    };
  }, [id, round.value]);
  const again = () => {
    tries.value = 0;
    round.value += 1;
  };
  return { phase: phase.value, reason: reason.value, again };
}

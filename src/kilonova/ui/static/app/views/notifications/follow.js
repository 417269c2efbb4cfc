// SPDX-License-Identifier: Apache-2.0
/** The newest notifications, with new ones as they come, and older ones on demand. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../../api/notifications.js";
import { listen } from "../../state/events.js";

/** @typedef {import("../../api/notifications.js").Notification} Notification */
/** @typedef {{ rows: Notification[], delivery: import("../../api/notifications.js").Delivery, isAll: boolean }} Found `isAll`: there are no older ones */

const FIRST = 200;
const MORE = 1000;
/** Events of other projects reach the page only while it shows all projects: so the page also looks by itself. */
const LOOK_MS = 5000;
/** Publishing follows the commit after about 0.1 s: a look at once would show each notification as waiting. */
const TOGETHER_MS = 300;

/** @param {string} server the id of a server, or "" for all notifications */
export function useNotifications(server) {
  const found = useSignal(/** @type {Found | null} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  /** @param {(before: Found | null) => Promise<Found>} step */
  const look = async (step) => {
    try {
      found.value = await step(found.value);
      error.value = null;
    } catch (problem) {
      error.value = problem;
    }
  };
  const read = () => look((before) => newer(before, server));
  const readOlder = () => look((before) => older(before, server));
  useEffect(() => follow(read), [server]);
  return { found, error, read, readOlder };
}

/** @param {() => Promise<void>} read */
function follow(read) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let isOver = false;
  const look = async () => {
    clearTimeout(timer);
    if (!document.hidden) await read();
    clearTimeout(timer);
    if (!isOver) timer = setTimeout(look, LOOK_MS);
  };
  const stop = listen(() => (clearTimeout(timer), (timer = setTimeout(look, TOGETHER_MS))));
  void look();
  return () => ((isOver = true), clearTimeout(timer), stop());
}

/** @param {Found | null} before @param {string} server @returns {Promise<Found>} */
async function newer(before, server) {
  if (before === null) return first(server);
  const last = before.delivery.numbered;
  const { notifications, delivery } = await api.find({ after: last, limit: MORE, server });
  if (delivery.numbered < last || notifications.length === MORE) return first(server); // the database was restored, or much is new
  return { ...before, delivery, rows: [...notifications.reverse(), ...before.rows] };
}

/** @param {string} server @returns {Promise<Found>} */
async function first(server) {
  const { notifications, delivery } = await api.find({ limit: FIRST, server });
  return { rows: notifications.reverse(), delivery, isAll: notifications.length < FIRST };
}

/** @param {Found | null} before @param {string} server @returns {Promise<Found>} */
async function older(before, server) {
  const oldest = before?.rows.at(-1);
  if (!before || !oldest) return newer(before, server);
  const { notifications } = await api.find({ before: oldest.number, limit: FIRST, server });
  return { ...before, rows: [...before.rows, ...notifications.reverse()], isAll: notifications.length < FIRST };
}

// SPDX-License-Identifier: Apache-2.0
/** Doing an action: the request, its progress, and how it ended. */
import { ApiError } from "../../api/client.js";
import * as api from "../../api/servers.js";
import { sentence, toast, toastError } from "../../parts/toast.js";
import { announce, listen } from "../../state/events.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/servers.js").Server} Server */
/** @typedef {import("./actions.js").ActionKind} ActionKind */
/** @typedef {import("../../words/index.js").Word} Word */

const LOOK_MS = 3000;
const LONGEST_MS = 600000;

/**
 * Send the request of an action for each server.  Throws the first refusal if the API accepted none of them; the others
 * are shown as messages.  Returns when the requests are answered; messages tell how they end.
 * @param {ActionKind} kind
 * @param {Server[]} targets
 * @param {Record<string, any>} values
 */
export async function run(kind, targets, values) {
  const outcomes = await Promise.allSettled(targets.map((server) => send(kind, server, values)));
  const refused = outcomes.filter((each) => each.status === "rejected");
  if (refused.length === targets.length) throw refused[0]?.reason;
  outcomes.forEach((outcome, index) => {
    const server = /** @type {Server} */ (targets[index]);
    if (outcome.status === "rejected") toastError(t("run.refused", { action: title(kind), name: server.name }), outcome.reason);
    else void follow(kind, server, outcome.value.requestId);
  });
}

/** @param {ActionKind} kind */
export const title = (kind) => t(/** @type {Word} */ (`action.${kind.name}`));

/** @param {ActionKind} kind @param {Server} server @param {Record<string, any>} values */
async function send(kind, server, values) {
  const answer = kind.api === "delete" ? await api.remove(server.id) : await api.act(server.id, kind.body(values, server));
  announce(server.id);
  return answer;
}

/** @param {ActionKind} kind @param {Server} server @param {string | null} requestId */
async function follow(kind, server, requestId) {
  const shown = toast("busy", t("run.busy", { action: title(kind), name: server.name }));
  try {
    await settled(server.id);
    const problem = await problemOf(server.id, requestId);
    if (problem) toast("error", t("run.failed", { action: title(kind), name: server.name }), { id: shown, detail: problem });
    else toast("ok", t(/** @type {Word} */ (`action.${kind.name}.done`), { name: server.name }), { id: shown });
  } catch (error) {
    toast("error", t("run.unknown", { action: title(kind), name: server.name }), { id: shown, detail: sentence(error) });
  }
}

/** Wait until nothing is being done to a server. @param {string} id */
async function settled(id) {
  for (const begun = Date.now(); Date.now() - begun < LONGEST_MS; await changeOf(id)) {
    const server = await find(id);
    if (!server || (server["OS-EXT-STS:task_state"] === null && server.status !== "BUILD")) return;
  }
}

/** @param {string} id @returns {Promise<Server | null>} null once it is gone */
async function find(id) {
  try {
    return await api.get(id);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Until an event of the server, or some seconds. @param {string} id @returns {Promise<void>} */
const changeOf = (id) =>
  new Promise((done) => {
    const end = () => (clearTimeout(timer), stop(), done());
    const timer = setTimeout(end, LOOK_MS);
    const stop = listen((change) => change.id === id && end());
  });

/** The sentence of a request that failed; null when it succeeded. @param {string} id @param {string | null} requestId */
async function problemOf(id, requestId) {
  if (!requestId) return null;
  try {
    const action = await api.action(id, requestId);
    if (!action.message) return null;
    return action.events?.findLast((event) => event.result === "Error")?.details ?? action.message;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

// SPDX-License-Identifier: Apache-2.0
/**
 * What changes, as it happens: one stream of server-sent events from /ui/events.
 * Without the stream, listeners hear `poll` every few seconds and read what has changed.
 */
import { effect, signal } from "@preact/signals";
import { onUnauthorized, token } from "../api/client.js";
import { phase, seesAll, subject } from "./session.js";

/** @typedef {{ kind: string, id?: string, type?: string, data?: any }} Change */

const POLL_MS = 4000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15000;
/** A page that has been hidden so long ends its stream: a browser has few connections for all its windows. */
const HIDDEN_MS = 20000;

/** How changes come: `stream`, `poll`, or `lost` when the API does not answer at all. */
export const live = signal(/** @type {"starting" | "stream" | "poll" | "lost"} */ ("starting"));

/** @type {Set<(change: Change) => void>} */
const listeners = new Set();
/** @type {AbortController | null} */
let running = null;
let lastId = "";

/**
 * Call `hear` for each change until the returned function is called.  `reset` and `poll` are changes of everything.
 * @param {(change: Change) => void} hear
 */
export function listen(hear) {
  listeners.add(hear);
  return () => void listeners.delete(hear);
}

/** @param {Change} change */
const tell = (change) => [...listeners].forEach((hear) => hear(change));

/** Tell the page of a change that it made itself: not every change has an event. @param {string} id of a server */
export const announce = (id) => tell({ kind: "server", id });

/** Read changes as long as somebody is logged in. */
export function followSession() {
  effect(() => {
    const wanted = phase.value === "in" && subject.value !== null && token.value !== "";
    const all = seesAll.value;
    running?.abort();
    running = wanted ? new AbortController() : null;
    lastId = "";
    if (running) void follow(running.signal, all);
  });
}

/**
 * @param {AbortSignal} ended
 * @param {boolean} all
 */
async function follow(ended, all) {
  let pause = FIRST_RETRY_MS;
  while (!ended.aborted) {
    await shown(ended);
    const { signal: hidden, done } = hiddenLong();
    const outcome = await readStream(AbortSignal.any([ended, hidden]), all);
    done();
    if (ended.aborted) return;
    if (hidden.aborted) continue;
    if (outcome === "read") pause = FIRST_RETRY_MS;
    live.value = outcome === "lost" ? "lost" : "poll";
    if (outcome === "absent") tell({ kind: "poll" });
    await sleep(outcome === "absent" ? POLL_MS : pause, ended);
    pause = Math.min(pause * 2, LONGEST_RETRY_MS);
  }
}

/**
 * @param {AbortSignal} ended
 * @param {boolean} all
 * @returns {Promise<"read" | "absent" | "lost">} `read`: it was a stream and has ended
 */
async function readStream(ended, all) {
  /** @type {Record<string, string>} */
  const headers = { "X-Auth-Token": token.value, Accept: "text/event-stream" };
  if (lastId) headers["Last-Event-ID"] = lastId;
  try {
    const reply = await fetch(`/ui/events${all ? "?all_projects=1" : ""}`, { headers, signal: ended, cache: "no-store" });
    if (reply.status === 401) onUnauthorized.call();
    if (!reply.ok || !reply.body) return "absent";
    live.value = "stream";
    if (!lastId) tell({ kind: "poll" }); // what happened between the first look and the beginning of the stream
    await readBlocks(reply.body);
    return "read";
  } catch {
    return "lost";
  }
}

/** @param {ReadableStream<Uint8Array>} body */
async function readBlocks(body) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    blocks.forEach((block) => hearBlock(block));
  }
}

/** @param {string} block lines of one event */
function hearBlock(block) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  if (fields.id) lastId = fields.id;
  if (!fields.event) return;
  const data = fields.data ? JSON.parse(fields.data) : {};
  tell({ kind: fields.event, id: data.id, type: data.type, data });
}

/** Until somebody can see the page. @param {AbortSignal} ended @returns {Promise<void>} */
const shown = (ended) =>
  new Promise((done) => {
    const look = () => {
      if (document.hidden && !ended.aborted) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    ended.addEventListener("abort", look, { once: true });
    look();
  });

/** A signal that is given when the page has been hidden for a while, and what ends the watch. */
function hiddenLong() {
  const control = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => control.abort(), HIDDEN_MS);
  };
  document.addEventListener("visibilitychange", look);
  const done = () => (clearTimeout(timer), document.removeEventListener("visibilitychange", look));
  return { signal: control.signal, done };
}

/**
 * @param {number} duration in milliseconds
 * @param {AbortSignal} ended
 */
const sleep = (duration, ended) =>
  new Promise((done) => {
    const timer = setTimeout(done, duration);
    ended.addEventListener("abort", () => (clearTimeout(timer), done(null)), { once: true });
  });

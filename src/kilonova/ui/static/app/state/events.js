// SPDX-License-Identifier: Apache-2.0
/**
 * What changes, as it happens, by one stream of events for all tabs of a browser (see shared.js).
 * Without the stream, listeners hear `poll` every few seconds and read what has changed.
 */
import { effect, signal } from "@preact/signals";
import { token } from "../api/client.js";
import { phase, seesAll, subject } from "./session.js";
import { canShare, share } from "./shared.js";
import { readStream } from "./stream.js";
import { served, VERSION } from "./version.js";

/** @typedef {{ kind: string, id?: string, type?: string, data?: any }} Change */
/** @typedef {"starting" | "stream" | "poll" | "lost"} Way */
/**
 * @typedef {object} News what the tab that reads has learned
 * @property {string} before the number of the last event before it; "" for none
 * @property {string} last the number of the last event with it
 * @property {Way} [way]
 * @property {string} [version] of the page that the service has
 * @property {Change} [change]
 */

const POLL_MS = 4000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15000;
/** A page that has been hidden so long ends its stream: a browser has few connections for all its windows. */
const HIDDEN_MS = 20000;

/** How changes come: `stream`, `poll`, or `lost` when the API does not answer at all. */
export const live = signal(/** @type {Way} */ ("starting"));

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

/** Tell the page of a change that it made itself: there may be no stream. @param {string} id of a server */
export const announce = (id) => tell({ kind: "server", id });

/** Read changes as long as somebody is logged in. */
export function followSession() {
  effect(() => {
    const who = phase.value === "in" && token.value !== "" ? subject.value : null;
    const all = seesAll.value;
    running?.abort();
    running = who ? new AbortController() : null;
    lastId = "";
    // Tabs share a stream if the service gives the same events to each of them.
    const name = JSON.stringify(["kilonova", VERSION, who?.user.id, who?.project?.id, who?.roles.toSorted(), all]);
    if (running) void follow(running.signal, name, all);
  });
}

/**
 * @param {AbortSignal} ended
 * @param {string} name
 * @param {boolean} all
 */
async function follow(ended, name, all) {
  while (!ended.aborted) {
    await shown(ended);
    const { signal: hidden, done } = hiddenLong();
    const until = AbortSignal.any([ended, hidden]);
    /** @param {AbortSignal} ends @param {(news: News) => void} send */
    const lead = (ends, send) => read(ends, all, send);
    if (canShare()) await share(name, until, { lead, state, hear });
    else await lead(until, () => {});
    done();
  }
}

/** @returns {News} */
const state = () => ({ before: lastId, last: lastId, way: live.peek(), version: served.peek() });

/** What another tab has read.  A tab that missed something, because it came later or was hidden, reads everything again. @param {News} news */
function hear(news) {
  const missed = news.before !== lastId;
  if (missed) tell({ kind: lastId ? "reset" : "poll" });
  take(news);
}

/** @param {News} news */
function take({ last, way, version, change }) {
  lastId = last;
  if (way) live.value = way;
  if (version) served.value = version;
  if (change) tell(change);
}

/**
 * Read the stream, again and again.
 * @param {AbortSignal} until
 * @param {boolean} all
 * @param {(news: News) => void} send
 */
async function read(until, all, send) {
  /** @param {Partial<News>} news */
  const learn = (news) => {
    const whole = { before: lastId, last: lastId, ...news };
    send(whole);
    take(whole);
  };
  let pause = FIRST_RETRY_MS;
  while (!until.aborted) {
    const outcome = await readStream({
      all,
      last: lastId,
      until,
      // Without a number: what happened between the first look and the beginning of the stream is not in it.
      begun: (version) => learn({ way: "stream", version, change: lastId ? undefined : { kind: "poll" } }),
      hear: ({ id, name, data }) => learn({ last: id || lastId, change: { kind: name, id: data.id, type: data.type, data } }),
      beat: () => send(state()),
    });
    if (until.aborted) return;
    if (outcome === "read") pause = FIRST_RETRY_MS;
    learn({ way: outcome === "lost" ? "lost" : "poll", change: outcome === "absent" ? { kind: "poll" } : undefined });
    await sleep(outcome === "absent" ? POLL_MS : pause, until);
    pause = Math.min(pause * 2, LONGEST_RETRY_MS);
  }
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

// SPDX-License-Identifier: Apache-2.0
/**
 * All servers that the subject sees, kept up to date.  An event of one server reads that server again; many events at
 * once, and the poll, read what has changed since the last look.
 */
import { effect, signal } from "@preact/signals";
import { ApiError } from "../api/client.js";
import * as api from "../api/servers.js";
import { listen } from "./events.js";
import { onSubjectChange, seesAll } from "./session.js";

/** @typedef {import("../api/servers.js").Server} Server */

const TOGETHER_MS = 40;
const FEW = 8;
/** Clocks of several API processes may differ by this. */
const OVERLAP_MS = 10000;

/** @type {import("@preact/signals").Signal<Map<string, Server> | null>} null before the first answer */
export const servers = signal(/** @type {Map<string, Server> | null} */ (null));
export const serversError = signal(/** @type {Error | null} */ (null));

/** The first look at all of them, while it lasts. @type {Promise<void> | null} */
let first = null;
let users = 0;
let generation = 0;
let lastLook = 0;
/** @type {Set<string>} */
const changed = new Set();
/** @type {ReturnType<typeof setTimeout> | null} */
let timer = null;

onSubjectChange(forget);
effect(() => {
  void seesAll.value;
  forget();
  if (users > 0) void readAll();
});
listen((change) => {
  if (users === 0 && servers.peek() === null) return;
  if (change.kind === "reset") void readAll();
  else if (change.kind === "poll") void readChanges();
  else if ((change.kind === "server" || change.kind === "action") && change.id) touch(change.id);
});

function forget() {
  generation += 1;
  first = null;
  changed.clear();
  servers.value = null;
  serversError.value = null;
}

/** Hold the list while a page shows it. */
export function holdServers() {
  users += 1;
  if (servers.peek() === null) void readAll();
  return () => void (users -= 1);
}

/** Read a server again soon: something has happened to it. @param {string} id */
function touch(id) {
  changed.add(id);
  timer ??= setTimeout(readTouched, TOGETHER_MS);
}

/** Read all of them. */
export const readAll = () =>
  (first ??= look(() => api.list({ all: seesAll.peek() }), (found) => new Map(found.map((each) => [each.id, each]))).finally(() => (first = null)));

async function readChanges() {
  await first;
  if (servers.peek() === null) return readAll();
  const since = new Date(lastLook - OVERLAP_MS).toISOString().replace(/\.\d+Z$/, "Z");
  return look(() => api.list({ all: seesAll.peek(), since }), merge);
}

async function readTouched() {
  timer = null;
  const ids = [...changed];
  changed.clear();
  if (ids.length > FEW) return readChanges();
  return look(async () => (await Promise.all(ids.map(readOne))).filter((each) => each !== null), merge);
}

/** @param {string} id @returns {Promise<Server | null>} */
async function readOne(id) {
  try {
    return await api.get(id);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    remove(id);
    return null;
  }
}

/**
 * @param {() => Promise<Server[]>} read
 * @param {(found: Server[]) => Map<string, Server>} become
 */
async function look(read, become) {
  const [mine, begun] = [generation, Date.now()];
  try {
    const found = await read();
    if (mine !== generation) return;
    lastLook = begun;
    servers.value = become(found);
    serversError.value = null;
  } catch (error) {
    if (mine === generation) serversError.value = /** @type {Error} */ (error);
  }
}

/** @param {Server[]} found */
function merge(found) {
  const next = new Map(servers.peek());
  for (const server of found) {
    if (server.status === "DELETED") next.delete(server.id);
    else next.set(server.id, server);
  }
  return next;
}

/** @param {string} id */
function remove(id) {
  const next = new Map(servers.peek());
  if (next.delete(id)) servers.value = next;
}

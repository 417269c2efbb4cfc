// SPDX-License-Identifier: Apache-2.0
/** One stream of server-sent events from /ui/events.  It is read by fetch: EventSource cannot send a token. */
import { onUnauthorized, token } from "../api/client.js";

/** The service sends something every 15 seconds; a stream that is silent for so long is broken. */
const SILENT_MS = 40000;

/**
 * @typedef {object} Reader
 * @property {boolean} all of all projects
 * @property {string} last the number of the last event that was read; "" for none
 * @property {AbortSignal} until ends the stream
 * @property {(version: string) => void} begun the stream is there; `version` is that of the page that the service has
 * @property {(event: { id: string, name: string, data: any }) => void} hear
 * @property {() => void} beat something was read, an event or not
 */

/**
 * @param {Reader} reader
 * @returns {Promise<"read" | "absent" | "lost">} `read`: it was a stream and has ended
 */
export async function readStream(reader) {
  /** @type {Record<string, string>} */
  const headers = { "X-Auth-Token": token.value, Accept: "text/event-stream" };
  if (reader.last) headers["Last-Event-ID"] = reader.last;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENT_MS);
  const beat = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENT_MS);
    reader.beat();
  };
  try {
    const signal = AbortSignal.any([reader.until, silence.signal]);
    const reply = await fetch(`/ui/events${reader.all ? "?all_projects=1" : ""}`, { headers, signal, cache: "no-store" });
    if (reply.status === 401) onUnauthorized.call();
    if (!reply.ok || !reply.body) return "absent";
    reader.begun(reply.headers.get("x-kilonova-ui-version") ?? "");
    await readBlocks(reply.body, beat, reader.hear);
    return "read";
  } catch {
    return "lost";
  } finally {
    clearTimeout(timer);
  }
}

/** @param {ReadableStream<Uint8Array>} body @param {() => void} beat @param {Reader["hear"]} hear */
async function readBlocks(body, beat, hear) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    beat();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parse(block);
      if (event) hear(event);
    }
  }
}

/** @param {string} block lines of one event, or of a comment */
function parse(block) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  return fields.event ? { id: fields.id ?? "", name: fields.event, data: fields.data ? JSON.parse(fields.data) : {} } : null;
}

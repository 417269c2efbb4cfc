// SPDX-License-Identifier: Apache-2.0
/**
 * Uploads of images.  They continue while one moves between pages, and end with the page.
 * The Image API takes an image as one request, and keeps nothing of a request that ends early; so an upload that broke off
 * starts from its beginning, into the same image.
 */
import { signal } from "@preact/signals";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/images.js";
import { sentence, toast } from "../../parts/toast.js";
import { t } from "../../words/index.js";
import { images } from "../../state/resources.js";
import { onSubjectChange, subject } from "../../state/session.js";

const LOOK_MS = 300;
const LOOKS = 100;

/**
 * @typedef {object} Upload
 * @property {string} id of the image
 * @property {string} name
 * @property {Blob} bytes
 * @property {number} sent bytes
 * @property {number} begun milliseconds
 * @property {"running" | "stopped" | "broken"} phase
 * @property {string} problem the sentence of what broke it
 * @property {string | undefined} user
 * @property {AbortController} stop
 */

/** By the id of the image; an upload leaves when it is complete. @type {import("@preact/signals").Signal<Map<string, Upload>>} */
export const uploads = signal(/** @type {Map<string, Upload>} */ (new Map()));

onSubjectChange(() => {
  for (const upload of uploads.peek().values()) {
    if (upload.user === subject.value?.user.id) continue;
    upload.stop.abort();
    forget(upload.id);
  }
});

addEventListener("beforeunload", (event) => {
  if ([...uploads.peek().values()].some((upload) => upload.phase === "running")) event.preventDefault();
});

/** @param {string} id @param {Partial<Upload>} changes */
function change(id, changes) {
  const upload = uploads.peek().get(id);
  if (upload) uploads.value = new Map(uploads.peek()).set(id, { ...upload, ...changes });
}

/** @param {string} id */
export function forget(id) {
  const next = new Map(uploads.peek());
  next.delete(id);
  uploads.value = next;
}

/** Send the bytes of an image, from the first one. @param {string} id @param {string} name @param {Blob} bytes */
export async function begin(id, name, bytes) {
  const stop = new AbortController();
  /** @type {Upload} */
  const upload = { id, name, bytes, sent: 0, begun: Date.now(), phase: "running", problem: "", user: subject.peek()?.user.id, stop };
  uploads.value = new Map(uploads.peek()).set(id, upload);
  try {
    await send(upload);
    forget(id);
    toast("ok", t("upload.done", { name }));
  } catch (error) {
    if (stop.signal.aborted) change(id, { phase: "stopped" });
    else change(id, { phase: "broken", problem: sentence(error) });
  }
  void images.refresh();
}

/** @param {Upload} upload */
async function send({ id, bytes, stop }) {
  if (await isComplete(id, stop.signal)) return;
  void images.refresh();
  await api.upload(id, bytes, (sent) => change(id, { sent }), stop.signal);
}

/** Wait until the service has noticed the end of an earlier attempt.  It may have received everything. @param {string} id @param {AbortSignal} stopped */
async function isComplete(id, stopped) {
  for (let look = 0; look < LOOKS && !stopped.aborted; look += 1) {
    const { status } = await api.get(id);
    if (status === "active") return true;
    if (status !== "saving") return false;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  throw new ApiError(409, t("upload.stuck"));
}

/** Stop sending; the image stays, without bytes. @param {string} id */
export const cancel = (id) => uploads.peek().get(id)?.stop.abort();

/** Send the same bytes once more. @param {string} id */
export function again(id) {
  const upload = uploads.peek().get(id);
  if (upload) void begin(id, upload.name, upload.bytes);
}

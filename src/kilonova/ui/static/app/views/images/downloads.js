// SPDX-License-Identifier: Apache-2.0
/**
 * Downloads of images.  The request carries the token in a header, so a link cannot do it.  Where the browser can write a file that its
 * user chooses, the bytes go there as they come; other browsers keep them until the end, so there is a limit.
 */
import { signal } from "@preact/signals";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/images.js";
import { save } from "../../parts/save.js";
import { sentence, toast, toastError } from "../../parts/toast.js";
import { onSubjectChange } from "../../state/session.js";
import { size, t } from "../../words/index.js";

/** @typedef {import("../../api/images.js").Image} Image */
/**
 * @typedef {object} Download
 * @property {Image} image
 * @property {number} received bytes
 * @property {string} problem the sentence of what ended it early
 * @property {AbortController} stop
 */

const MOST_KEPT_BYTES = 2 ** 31;
const SHOWN_MS = 100;

/** By the id of the image; a download leaves when it is complete. @type {import("@preact/signals").Signal<Map<string, Download>>} */
export const downloads = signal(/** @type {Map<string, Download>} */ (new Map()));

onSubjectChange(() => [...downloads.peek().keys()].forEach(forget));

/** @param {Download} download */
const show = (download) => void (downloads.value = new Map(downloads.peek()).set(download.image.id, download));

/** Stop a download, if it still runs, and do not show it any more. @param {string} id */
export function forget(id) {
  const next = new Map(downloads.peek());
  next.get(id)?.stop.abort();
  next.delete(id);
  downloads.value = next;
}

/** Ask for a file where the browser can, and fetch the image. @param {Image} image */
export async function begin(image) {
  if (downloads.peek().get(image.id)?.problem === "") return;
  const name = fileName(image);
  const file = await chosen(name);
  if (file === "none") return;
  if (!file && (image.size ?? 0) > MOST_KEPT_BYTES) {
    toastError(name, new Error(t("download.large", { most: size(MOST_KEPT_BYTES) })));
    return;
  }
  const stop = new AbortController();
  show({ image, received: 0, problem: "", stop });
  try {
    const bytes = (await api.download(image.id, stop.signal)).pipeThrough(counted(image, stop));
    if (file) await bytes.pipeTo(await file.createWritable(), { signal: stop.signal });
    else save(name, await new Response(bytes).blob());
    forget(image.id);
    toast("ok", t("download.done", { name }));
  } catch (error) {
    const reason = error instanceof TypeError ? new ApiError(0, "network") : error;
    if (!stop.signal.aborted) show({ image, received: 0, problem: sentence(reason), stop });
  }
}

/** The file that the user chose; "none" when they chose none, undefined when the browser cannot ask. @param {string} suggestedName */
async function chosen(suggestedName) {
  const ask = /** @type {any} */ (window).showSaveFilePicker;
  if (!ask) return undefined;
  try {
    return /** @type {FileSystemFileHandle} */ (await ask({ suggestedName }));
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return "none";
    throw error;
  }
}

/**
 * Passes bytes on, and shows how many.
 * @param {Image} image
 * @param {AbortController} stop
 * @returns {TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>}
 */
function counted(image, stop) {
  let received = 0;
  let shown = 0;
  return new TransformStream({
    transform(chunk, next) {
      received += chunk.byteLength;
      next.enqueue(chunk);
      if (stop.signal.aborted || Date.now() - shown < SHOWN_MS) return;
      shown = Date.now();
      show({ image, received, problem: "", stop });
    },
  });
}

/** @param {Image} image */
function fileName({ name, id, disk_format: format }) {
  const plain = (name || id).replace(/[\p{Cc}/\\:*?"<>|]/gu, "_");
  const suffix = format === "raw" ? "img" : (format ?? "img");
  return /\.\w{2,6}$/.test(plain) ? plain : `${plain}.${suffix}`;
}

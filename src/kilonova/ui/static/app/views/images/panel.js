// SPDX-License-Identifier: Apache-2.0
/** Uploads and downloads that run, and those that ended early with a way on. */
import { html } from "../../html.js";
import { Progress } from "../../parts/meter.js";
import { link } from "../../router.js";
import { images } from "../../state/resources.js";
import { duration, size, t } from "../../words/index.js";
import { deleteImages } from "./actions.js";
import { downloads, forget } from "./downloads.js";
import { again, cancel, uploads } from "./uploads.js";

/** @typedef {import("./uploads.js").Upload} UploadState */

/** @param {{ only?: string }} props `only`: the upload of that image */
export function UploadsPanel({ only }) {
  const shown = [...uploads.value.values()].filter((upload) => !only || upload.id === only);
  if (shown.length === 0) return null;
  return html`
    <section class="panel uploads" aria-label=${t("uploads.label")}>
      ${shown.map((upload) => html`<${Row} key=${upload.id} upload=${upload} />`)}
    </section>`;
}

/** @param {{ upload: UploadState }} props */
function Row({ upload }) {
  const { id, name, bytes, sent, phase } = upload;
  const running = phase === "running";
  const remove = () => deleteImages([/** @type {any} */ ({ id, name })], () => void images.refresh());
  return html`
    <div class="upload">
      <a class="name" href=${link(`/images/${id}`)}>${name}</a>
      <${Progress} label=${t("uploads.of", { name })} done=${sent} total=${bytes.size} tone=${running ? "free" : "full"} />
      <span class="upload-words" role=${running ? undefined : "alert"}>${running ? progress(upload) : html`<strong>${t(phase === "stopped" ? "upload.stopped" : "upload.broken")}</strong> ${upload.problem} ${t("upload.again.hint")}`}</span>
      <span class="row-buttons">${running ? html`<button type="button" class="small" onClick=${() => cancel(id)}>${t("cancel")}</button>`
        : html`<button type="button" class="small" onClick=${() => again(id)}>${t("upload.again")}</button><button type="button" class="small danger" onClick=${remove}>${t("upload.delete")}</button>`}</span>
    </div>`;
}

/** @param {UploadState} upload */
function progress({ bytes, sent, begun }) {
  if (sent === bytes.size) return t("upload.saving");
  const passed = Date.now() - begun;
  const rest = sent > 0 && passed > 1000 ? t("upload.rest", { rate: size((sent / passed) * 1000), time: duration("1970-01-01", new Date(((bytes.size - sent) * passed) / sent).toISOString()) }) : "";
  return `${t("upload.progress", { percent: Math.floor((sent / bytes.size) * 100), sent: size(sent), all: size(bytes.size) })}${rest}`;
}

/** @param {{ only?: string }} props `only`: the download of that image */
export function DownloadsPanel({ only }) {
  const shown = [...downloads.value.values()].filter(({ image }) => !only || image.id === only);
  if (shown.length === 0) return null;
  return html`
    <section class="panel uploads" aria-label=${t("downloads.label")}>
      ${shown.map((download) => html`<${DownloadRow} key=${download.image.id} download=${download} />`)}
    </section>`;
}

/** @param {{ download: import("./downloads.js").Download }} props */
function DownloadRow({ download: { image, received, problem } }) {
  const all = image.size ?? 0;
  return html`
    <div class="upload">
      <a class="name" href=${link(`/images/${image.id}`)}>${image.name || image.id}</a>
      <${Progress} label=${t("downloads.of", { name: image.name || image.id })} done=${received} total=${all} tone=${problem ? "full" : "free"} />
      ${problem ? html`<span class="upload-words" role="alert"><strong>${t("download.broken")}</strong> ${problem}</span>`
        : html`<span class="upload-words">${t("upload.progress", { percent: Math.floor((received / (all || 1)) * 100), sent: size(received), all: size(all) })}</span>`}
      <span class="row-buttons"><button type="button" class="small" onClick=${() => forget(image.id)}>${t(problem ? "close" : "cancel")}</button></span>
    </div>`;
}

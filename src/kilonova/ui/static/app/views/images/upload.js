// SPDX-License-Identifier: Apache-2.0
/** The form of a new image: the file, what it is, and who sees it. */
import { useSignal } from "@preact/signals";
import * as api from "../../api/images.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { pairs, readList } from "../../parts/pairs.js";
import { images } from "../../state/resources.js";
import { size, t } from "../../words/index.js";
import { visibilities, visibilityHint } from "./edit.js";
import { inspect, nameFrom } from "./file.js";
import { begin } from "./uploads.js";

const PATHS = { name: "name", disk_format: "format", visibility: "visibility", min_disk: "minDisk", min_ram: "minRam", tags: "tags" };
const BLANK = { file: null, name: "", format: "qcow2", visibility: "shared", minDisk: "0", minRam: "0", tags: "", properties: "" };

export const openUpload = () => openDialog(() => html`<${Upload} />`);

function Upload() {
  const verdict = useSignal(/** @type {import("./file.js").Verdict | null} */ (null));
  const form = useForm({
    initial: BLANK,
    paths: PATHS,
    check: (values) => ({
      ...(values.file ? {} : { file: t("image.file.missing") }), ...(verdict.value?.refused ? { file: verdict.value.text } : {}),
      ...missing(values, ["name"]), ...pairs(values.properties).errors("properties"),
    }),
    send: async (values) => {
      const image = await api.create(recordOf(values));
      closeDialog();
      void images.refresh();
      void begin(image.id, values.name, values.file);
    },
  });
  const values = form.values.value;
  /** @param {File} file */
  const choose = async (file) => {
    form.set("file", file);
    if (!values.name) form.set("name", nameFrom(file.name));
    verdict.value = await inspect(file);
    if (verdict.value.format) form.set("format", verdict.value.format);
  };
  return html`<${FormDialog} heading=${t("images.upload")} form=${form} submit=${t("image.upload.submit")} command=${commandOf(values)}>
    <${FileField} label=${t("image.file")} file=${values.file} error=${form.errors.value.file} verdict=${verdict.value} choose=${choose} />
    <${Field} form=${form} name="name" label=${t("image.name")} required />
    <div class="columns">
      <${Field} form=${form} name="format" type="select" label=${t("image.format")} required options=${["qcow2", "raw"].map((value) => ({ value, text: t(value === "raw" ? "image.format.raw" : "image.format.qcow2") }))} />
      <${Field} form=${form} name="visibility" type="select" label=${t("image.visibility")} required options=${visibilities("shared")} hint=${visibilityHint(values.visibility)} />
    </div>
    <details class="more"><summary>${t("image.more")}</summary>
      <div class="columns">
        <${Field} form=${form} name="minDisk" type="number" label=${t("image.minDisk")} required more=${{ min: 0 }} />
        <${Field} form=${form} name="minRam" type="number" label=${t("image.minRam")} required more=${{ min: 0 }} />
      </div>
      <${Field} form=${form} name="tags" label=${t("server.tags")} hint=${t("tags.hint")} />
      <${Field} form=${form} name="properties" type="textarea" label=${t("image.properties")} hint=${t("image.properties.hint")} />
    </details>
    <p class="dim">${t("image.upload.hint")}</p>
  <//>`;
}

/**
 * A field for a file, which can also be dropped on it.
 * @param {{ label: string, file: File | null, error?: string, verdict: import("./file.js").Verdict | null, choose: (file: File) => void }} props
 */
function FileField({ label, file, error, verdict, choose }) {
  const over = useSignal(false);
  /** @param {boolean} value */
  const mark = (value) => (/** @type {Event} */ event) => (event.preventDefault(), (over.value = value));
  /** @param {DragEvent} event */
  const drop = (event) => {
    mark(false)(event);
    const [dropped] = event.dataTransfer?.files ?? [];
    if (dropped) choose(dropped);
  };
  return html`
    <div class=${`field ${error ? "field-bad" : ""}`}>
      <label class=${`drop ${over.value ? "drop-over" : ""}`} onDragOver=${mark(true)} onDragLeave=${mark(false)} onDrop=${drop}>
        <span class="drop-label">${label}</span>
        <input type="file" autofocus aria-describedby="file-words" aria-invalid=${error ? true : undefined} onChange=${(/** @type {any} */ event) => event.currentTarget.files[0] && choose(event.currentTarget.files[0])} />
        <span class="dim">${file ? `${file.name}, ${size(file.size)}` : t("image.file.hint")}</span>
      </label>
      <div id="file-words" aria-live="polite">
        ${error ? html`<div class="field-error" role="alert">${error}</div>` : verdict && html`<span class=${`verdict verdict-${verdict.refused ? "bad" : "good"}`}>${verdict.text}</span>`}
      </div>
    </div>`;
}

/** @param {import("../../parts/form.js").Values} values */
const recordOf = (values) => ({
  name: values.name, disk_format: values.format, container_format: "bare", visibility: values.visibility, min_disk: Number(values.minDisk), min_ram: Number(values.minRam),
  tags: readList(values.tags), ...pairs(values.properties).found,
});

/** @param {import("../../parts/form.js").Values} values */
const commandOf = (values) => [
  "openstack", "image", "create", "--file", values.file?.name ?? "FILE", "--disk-format", values.format, `--${values.visibility}`,
  ...(Number(values.minDisk) ? ["--min-disk", values.minDisk] : []), ...(Number(values.minRam) ? ["--min-ram", values.minRam] : []),
  ...readList(values.tags).flatMap((tag) => ["--tag", tag]), ...Object.entries(pairs(values.properties).found).flatMap(([name, value]) => ["--property", `${name}=${value}`]),
  values.name || "NAME",
];

// SPDX-License-Identifier: Apache-2.0
/** The dialog that changes an image: name, who sees it, what it needs, tags and properties. */
import * as api from "../../api/images.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { listText, pairs, pairsText, readList } from "../../parts/pairs.js";
import { isAdmin } from "../../state/session.js";
import { known, t } from "../../words/index.js";

/** @typedef {import("../../api/images.js").Image} Image */

const PATHS = { name: "name", visibility: "visibility", min_disk: "minDisk", min_ram: "minRam", tags: "tags", properties: "properties", disk_format: "format" };

/** What a project may choose; administrators also "public". @param {string} now */
export const visibilities = (now) =>
  [...(isAdmin.value || now === "public" ? ["public"] : []), "community", "shared", "private"].map((value) => ({ value, text: known(`visibility.${value}`, value) }));

/** @param {string} visibility what it means */
export const visibilityHint = (visibility) => known(`visibility.${visibility}.long`, "");

/** @param {Image} image @param {() => void} changed */
export const openEdit = (image, changed) => openDialog(() => html`<${Edit} image=${image} changed=${changed} />`);

/** @param {{ image: Image, changed: () => void }} props */
function Edit({ image, changed }) {
  const form = useForm({
    initial: {
      name: image.name ?? "", visibility: image.visibility, minDisk: String(image.min_disk), minRam: String(image.min_ram), hidden: image.os_hidden,
      tags: listText(image.tags), properties: pairsText(api.properties(image)),
    },
    paths: PATHS,
    check: ({ properties }) => pairs(properties).errors("properties"),
    send: async (values) => {
      const operations = operationsOf(image, values);
      if (operations.length > 0) await api.change(image.id, operations);
      changed();
      closeDialog();
    },
  });
  return html`<${FormDialog} heading=${t("image.edit.title", { name: image.name || image.id })} form=${form} command=${commandOf(image, form.values.value)}>
    <${Field} form=${form} name="name" label=${t("image.name")} focus />
    <${Field} form=${form} name="visibility" type="select" label=${t("image.visibility")} required options=${visibilities(image.visibility)} hint=${visibilityHint(form.values.value.visibility)} />
    <div class="columns">
      <${Field} form=${form} name="minDisk" type="number" label=${t("image.minDisk")} required more=${{ min: 0 }} />
      <${Field} form=${form} name="minRam" type="number" label=${t("image.minRam")} required more=${{ min: 0 }} />
    </div>
    <${Field} form=${form} name="tags" label=${t("server.tags")} hint=${t("tags.hint")} />
    <${Field} form=${form} name="properties" type="textarea" label=${t("image.properties")} hint=${t("image.properties.hint")} />
    <${Field} form=${form} name="hidden" type="checkbox" label=${t("image.hidden")} hint=${t("image.hidden.hint")} />
  <//>`;
}

/** @param {Image} image @param {import("../../parts/form.js").Values} values */
function operationsOf(image, values) {
  const fields = {
    name: values.name || null, visibility: values.visibility, min_disk: Number(values.minDisk), min_ram: Number(values.minRam), os_hidden: values.hidden,
    tags: readList(values.tags).sort(),
  };
  return api.difference(image, fields, pairs(values.properties).found);
}

/** @param {Image} image @param {import("../../parts/form.js").Values} values */
function commandOf(image, values) {
  /** @type {Record<string, string>} */
  const options = { name: "--name", min_disk: "--min-disk", min_ram: "--min-ram" };
  const words = operationsOf(image, values).flatMap(({ op, path, value }) => {
    const name = path.slice(1);
    if (name in options) return [options[name] ?? "", String(value ?? "")];
    if (name === "visibility") return [`--${value}`];
    if (name === "os_hidden") return [value ? "--hidden" : "--unhidden"];
    if (name === "tags") return /** @type {string[]} */ (value).filter((tag) => !image.tags.includes(tag)).flatMap((tag) => ["--tag", tag]);
    return op === "remove" ? [] : ["--property", `${name}=${value}`];
  });
  return ["openstack", "image", "set", ...words, image.name || image.id];
}

// SPDX-License-Identifier: Apache-2.0
/** One image: facts, properties, tags, and the projects that may use it. */
import "../../words/resources.js";
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/images.js";
import { html } from "../../html.js";
import { ImageState } from "../../parts/badge.js";
import { Copy } from "../../parts/copy.js";
import { Icon } from "../../parts/icon.js";
import { Menu } from "../../parts/menu.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { offer } from "../../parts/palette.js";
import { link } from "../../router.js";
import { everyProject, projectName } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { age, known, memory, size, t, time } from "../../words/index.js";
import { imageItems, isOwn } from "../images/actions.js";
import { DownloadsPanel, UploadsPanel } from "../images/panel.js";
import { begin, uploads } from "../images/uploads.js";
import { Members } from "./members.js";

/** @typedef {import("../../api/images.js").Image} Image */

const UP = { path: "/images", text: t("nav.images") };

/** @param {{ id: string }} props */
export default function ImagePage({ id }) {
  const { value, error, read } = useWatched(() => api.get(id), id);
  const image = value.value;
  const upload = uploads.value.get(id);
  useEffect(() => (isAdmin.value ? void everyProject.refresh() : undefined), []);
  useEffect(() => void read(), [upload === undefined]);
  useEffect(() => offer(() => (value.value ? imageItems(value.value, read) : [])), []);
  if (error.value instanceof ApiError && error.value.status === 404) return html`<${Gone} name=${image?.name} />`;
  if (!image) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  return html`
    <${Page} title=${image.name || image.id} up=${UP} command=${["openstack", "image", "show", image.name || image.id]}
      beside=${html`<${ImageState} status=${image.status} />${image.protected && html`<span class="lock"><${Icon} name="lock" /><span>${t("image.protected")}</span></span>`}`}
      buttons=${html`<${Buttons} image=${image} changed=${read} />`}>
      ${error.value && html`<${Failure} error=${error.value} again=${read} />`}
      <${UploadsPanel} only=${id} /><${DownloadsPanel} only=${id} />
      ${image.status === "queued" && !upload && isOwn(image) && html`<${NoData} image=${image} />`}
      ${image.status === "deactivated" && html`<div class="notice notice-attention" role="status"><p>${t("image.deactivated")}</p></div>`}
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${facts(image)} /></section>
        ${image.visibility === "shared" && html`<${Members} image=${image} />`}
        <${Properties} image=${image} />
      </div>
    <//>`;
}

/** @param {{ name?: string | null }} props */
const Gone = ({ name }) => html`
  <${Page} title=${name ?? t("image.gone")} up=${UP}>
    <${Empty}><h2>${t("image.gone")}</h2><p>${t("image.gone.text")}</p><a class="button" href=${link("/images")}>${t("nav.images")}</a><//><//>`;

/** @param {{ image: Image, changed: () => void }} props */
const Buttons = ({ image, changed }) => html`
  ${image.status === "active" && html`<a class="button primary" href=${link(`/servers/create?image=${image.id}`)}>${t("servers.create")}</a>`}
  <${Menu} label=${t("server.actions", { name: image.name || image.id })} class="" items=${() => imageItems(image, changed).filter((item) => !item.href)}>${t("table.actions")}<${Icon} name="down" /><//>`;

/** A record whose bytes never came, or whose upload broke off. @param {{ image: Image }} props */
const NoData = ({ image }) => html`
  <div class="notice notice-attention" role="status"><p>${t("image.queued")}</p>
    <label class="button file-button">${t("image.queued.choose")}<input class="hidden" type="file"
      onChange=${(/** @type {any} */ event) => event.currentTarget.files[0] && begin(image.id, image.name ?? image.id, event.currentTarget.files[0])} /></label></div>`;

/** @param {Image} image @returns {[string, any][]} */
function facts(image) {
  /** @type {[string, any][]} */
  const found = [
    [t("server.id"), html`<span class="mono">${image.id}</span><${Copy} text=${image.id} label=${t("server.id.copy")} />`],
    [t("image.visibility"), known(`visibility.${image.visibility}.long`, image.visibility)],
    [t("image.format"), image.disk_format ?? t("none")],
    [t("image.size"), image.size === null ? t("none") : size(image.size)],
    [t("image.virtual"), image.virtual_size === null ? t("none") : size(image.virtual_size)],
    [t("image.needs"), image.min_disk || image.min_ram ? t("image.needs.both", { disk: image.min_disk, memory: memory(image.min_ram) }) : t("none")],
    [t("server.project"), projectName(image.owner)],
    [t("server.createdAt"), html`<time datetime=${image.created_at}>${time(image.created_at)}</time> <span class="dim">${t("ago", { age: age(image.created_at) })}</span>`],
  ];
  if (image.os_hidden) found.push([t("image.hidden"), t("image.hidden.hint")]);
  if (image.os_hash_value) found.push([t("image.hash"), html`<span class="mono hash">${image.os_hash_value}</span><${Copy} text=${image.os_hash_value} label=${t("image.hash.copy")} />`]);
  return found;
}

/** @param {{ image: Image }} props */
function Properties({ image }) {
  const found = Object.entries(api.properties(image)).sort(([a], [b]) => a.localeCompare(b));
  return html`
    <section class="panel" aria-labelledby="properties-head">
      <header><h2 id="properties-head">${t("image.properties")}</h2></header>
      ${found.length === 0 ? html`<p class="dim">${t("image.properties.none")}</p>` : html`<${Facts} rows=${found} />`}
    </section>
    <section class="panel" aria-labelledby="tags-head">
      <header><h2 id="tags-head">${t("server.tags")}</h2></header>
      ${image.tags.length === 0 ? html`<p class="dim">${t("tags.none")}</p>` : html`<p>${image.tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`)}</p>`}
    </section>`;
}

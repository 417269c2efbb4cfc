// SPDX-License-Identifier: Apache-2.0
/** The columns of the list of images. */
import { properties } from "../../api/images.js";
import { html } from "../../html.js";
import { ImageState } from "../../parts/badge.js";
import { Icon } from "../../parts/icon.js";
import { Menu } from "../../parts/menu.js";
import { link } from "../../router.js";
import { projectName } from "../../state/resources.js";
import { age, known, size, t, time } from "../../words/index.js";
import { imageItems, replyTo } from "./actions.js";

/** @typedef {import("../../api/images.js").Image} Image */

/** What the search compares. @param {Image} image */
export const searchText = (image) =>
  [image.name ?? "", image.id, image.disk_format ?? "", image.status, ...image.tags, ...Object.entries(properties(image)).map((pair) => pair.join("="))].join("\n");

/** @param {{ image: Image }} props */
const Name = ({ image }) => html`
  <a class="name" href=${link(`/images/${image.id}`)}>${image.name || image.id}</a>
  ${image.protected && html`<span class="lock" title=${t("image.protected.hint")}><${Icon} name="lock" /><span class="hidden">${t("image.protected")}</span></span>`}`;

/**
 * @param {boolean} withProject
 * @param {boolean} offered whether the images wait for a reply
 * @param {() => void} changed
 * @returns {import("../../parts/table.js").Column<Image>[]}
 */
export const columns = (withProject, offered, changed) => [
  { key: "name", title: t("image.name"), rank: 1, by: (row) => row.name ?? "", cell: (row) => html`<${Name} image=${row} />` },
  { key: "status", title: t("image.status"), rank: 1, by: (row) => row.status, cell: (row) => html`<${ImageState} status=${row.status} />` },
  { key: "visibility", title: t("image.visibility"), rank: 2, by: (row) => row.visibility, cell: (row) => known(`visibility.${row.visibility}`, row.visibility) },
  { key: "size", title: t("image.size"), rank: 2, numeric: true, by: (row) => row.size ?? 0, cell: (row) => (row.size === null ? "" : size(row.size)) },
  { key: "format", title: t("image.format"), rank: 3, by: (row) => row.disk_format ?? "", cell: (row) => row.disk_format ?? "" },
  ...(withProject ? [/** @type {import("../../parts/table.js").Column<Image>} */ ({ key: "owner", title: t("server.project"), rank: 3, by: (row) => projectName(row.owner), cell: (row) => projectName(row.owner) })] : []),
  { key: "tags", title: t("server.tags"), rank: 4, cell: (row) => row.tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`) },
  { key: "created", title: t("server.created"), rank: 4, by: (row) => row.created_at, cell: (row) => html`<time datetime=${row.created_at} title=${time(row.created_at)}>${age(row.created_at)}</time>` },
  { key: "actions", title: t("table.actions"), rank: 1, numeric: true, cell: (row) => (offered ? html`<${Reply} image=${row} changed=${changed} />`
    : html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name || row.id })} items=${() => imageItems(row, changed)}><${Icon} name="more" /><//>`) },
];

/** @param {{ image: Image, changed: () => void }} props */
const Reply = ({ image, changed }) => html`
  <span class="row-buttons"><button type="button" class="small" onClick=${() => replyTo(image, "accepted", changed)}>${t("image.accept")}</button>
    <button type="button" class="small" onClick=${() => replyTo(image, "rejected", changed)}>${t("image.reject")}</button></span>`;

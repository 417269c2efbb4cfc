// SPDX-License-Identifier: Apache-2.0
/** The list of images: those one can use, and those that other projects offer. */
import "../../words/resources.js";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../../api/images.js";
import { html } from "../../html.js";
import { Chosen } from "../../parts/chosen.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { offer } from "../../parts/palette.js";
import { place, setQuery } from "../../router.js";
import { collection } from "../../state/collection.js";
import { listen } from "../../state/events.js";
import { everyProject, images } from "../../state/resources.js";
import { isAdmin, subject } from "../../state/session.js";
import { known, t } from "../../words/index.js";
import { deleteImages, isOwn } from "./actions.js";
import { columns, searchText } from "./columns.js";
import { openUpload } from "./upload.js";
import { DownloadsPanel, UploadsPanel } from "./panel.js";

/** @typedef {import("../../api/images.js").Image} Image */

/** What other projects offer to this one.  The API lists to administrators what is offered to anybody. */
async function offered() {
  const projectId = subject.peek()?.project?.id;
  const found = (await api.list({ visibility: "shared", member_status: "pending" })).filter((image) => image.owner !== projectId);
  if (!isAdmin.peek()) return found;
  const members = await Promise.all(found.map((image) => api.members(image.id)));
  return found.filter((_, index) => members[index]?.some((member) => member.member_id === projectId && member.status === "pending"));
}

/** The lists that one can look at, and the arguments of the command for each. */
const VIEWS = {
  "": { list: images, words: /** @type {string[]} */ ([]) },
  offered: { list: collection(offered), words: ["--shared", "--member-status", "pending"] },
  community: { list: collection(() => api.list({ visibility: "community" })), words: ["--community"] },
  hidden: { list: collection(() => api.list({ os_hidden: "true" })), words: ["--hidden"] },
};
/** @typedef {keyof typeof VIEWS} ViewName */

export default function Images() {
  const chosen = useSignal(/** @type {Set<string>} */ (new Set()));
  const name = /** @type {ViewName} */ (place.value.query.get("show") ?? "");
  const { list, words } = VIEWS[name] ?? VIEWS[""];
  useEffect(() => (isAdmin.value ? void everyProject.refresh() : undefined), []);
  useEffect(() => watch(list), [list]);
  useEffect(() => offer(() => [{ text: t("images.upload"), run: openUpload }, ...(images.items.value ?? []).map((each) => ({ text: nameOf(each), detail: each.id, path: `/images/${each.id}` }))]), []);
  const rows = list.items.value;
  const deletable = (rows ?? []).filter((image) => chosen.value.has(image.id) && isOwn(image) && !image.protected);
  const remove = () => deleteImages(deletable, () => ((chosen.value = new Set()), void list.refresh()));
  return html`
    <${Listing} title=${t("nav.images")} command=${["openstack", "image", "list", ...words]} rows=${rows} error=${list.error.value} again=${list.refresh}
      columns=${columns(isAdmin.value, name === "offered", () => void list.refresh())} searchText=${searchText} searchHint=${t("images.search")}
      filter=${{ name: "visibility", label: t("image.visibility"), of: (/** @type {Image} */ image) => image.visibility, text: (/** @type {string} */ value) => known(`visibility.${value}`, value) }}
      tools=${html`<${ViewChoice} at=${name} />`} empty=${html`<${Nothing} at=${name} />`} above=${html`<${UploadsPanel} /><${DownloadsPanel} /><${Chosen} label=${t("images.chosen")} chosen=${chosen} count=${deletable.length} onDelete=${remove} />`}
      buttons=${html`<button type="button" class="primary" onClick=${openUpload}><${Icon} name="plus" />${t("images.upload")}</button>`}
      rowKey=${(/** @type {Image} */ image) => image.id} rowName=${nameOf} chosen=${chosen} />`;
}

/** @param {Image} image */
const nameOf = (image) => image.name || image.id;

/** Read a list now, and after events of images and of everything. @param {import("../../state/collection.js").Collection<Image>} list */
function watch(list) {
  void list.refresh();
  return listen((change) => void (["reset", "poll", "image"].includes(change.kind) && list.refresh()));
}

/** @param {{ at: string }} props */
const ViewChoice = ({ at }) => html`
  <select class="choice" aria-label=${t("images.show")} value=${at} onChange=${(/** @type {any} */ event) => setQuery({ show: event.currentTarget.value })}>
    ${Object.keys(VIEWS).map((name) => html`<option key=${name} value=${name} selected=${name === at}>${known(`images.show.${name || "usual"}`, name)}</option>`)}
  </select>`;

/** @param {{ at: string }} props */
const Nothing = ({ at }) => html`
  <h2>${known(`images.empty.${at || "usual"}`, "")}</h2>
  ${at === "" ? html`<p>${t("images.empty.text")}</p><button type="button" class="primary" onClick=${openUpload}>${t("images.upload")}</button>`
    : html`<p>${known(`images.hint.${at}`, "")}</p><button type="button" onClick=${() => setQuery({ show: null })}>${t("images.show.usual")}</button>`}`;

// SPDX-License-Identifier: Apache-2.0
/** The projects with which an image is shared. */
import * as api from "../../api/images.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { Failure } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { everyProject, projectName } from "../../state/resources.js";
import { subject } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { known, t } from "../../words/index.js";
import { isOwn, replyTo } from "../images/actions.js";

/** @typedef {import("../../api/images.js").Image} Image */
/** @typedef {import("../../api/images.js").ImageMember} ImageMember */

const TONES = { accepted: "good", pending: "busy", rejected: "idle" };

/** @param {{ image: Image }} props */
export function Members({ image }) {
  const { value, error, read } = useWatched(() => api.members(image.id), image.id);
  const own = isOwn(image);
  const mine = value.value?.find((each) => each.member_id === subject.value?.project?.id);
  return html`
    <section class="panel panel-wide" aria-labelledby="members-head">
      <header><h2 id="members-head">${t("image.members")}</h2>
        ${own && html`<button type="button" class="small" onClick=${() => openDialog(() => html`<${AddMember} image=${image} changed=${read} />`)}>${t("image.share")}</button>`}
        ${mine && mine.status !== "accepted" && html`<button type="button" class="small" onClick=${() => replyTo(image, "accepted", read)}>${t("image.accept")}</button>`}
        ${mine && mine.status !== "rejected" && html`<button type="button" class="small" onClick=${() => replyTo(image, "rejected", read)}>${t("image.reject")}</button>`}
      </header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${value.value?.length === 0 && html`<p class="dim">${t("image.members.none")}</p>`}
      ${value.value && value.value.length > 0 && html`<${Table} label=${t("image.members")} columns=${columns(image, own, read)} rows=${value.value} rowKey=${(/** @type {ImageMember} */ row) => row.member_id} />`}
    </section>`;
}

/**
 * @param {Image} image @param {boolean} own @param {() => void} changed
 * @returns {import("../../parts/table.js").Column<ImageMember>[]}
 */
const columns = (image, own, changed) => [
  { key: "project", title: t("server.project"), rank: 1, cell: (row) => projectName(row.member_id) },
  { key: "status", title: t("image.member.status"), rank: 1, cell: (row) => html`<${Badge} tone=${TONES[row.status]} text=${known(`member.${row.status}`, row.status)} />` },
  { key: "actions", title: t("table.actions"), rank: 1, numeric: true, cell: (row) => own && html`<button type="button" class="small danger" onClick=${() => withdraw(image, row, changed)}>${t("image.withdraw")}</button>` },
];

/** @param {Image} image @param {ImageMember} member @param {() => void} changed */
const withdraw = (image, member, changed) =>
  ask({
    action: t("image.withdraw"), ask: t("image.withdraw.ask"), message: t("image.withdraw.done", { name: "{name}" }), done: changed,
    targets: [{ key: member.member_id, name: projectName(member.member_id) }], command: ["openstack", "image", "remove", "project", image.name || image.id],
    run: ({ key }) => api.removeMember(image.id, key),
  });

/** @param {{ image: Image, changed: () => void }} props */
function AddMember({ image, changed }) {
  const form = useForm({
    initial: { project: "" },
    paths: { member: "project" },
    check: (values) => missing(values, ["project"]),
    send: async ({ project }) => {
      await api.addMember(image.id, idOf(project.trim()));
      changed();
      closeDialog();
    },
  });
  return html`<${FormDialog} heading=${`${t("image.share")}: ${image.name || image.id}`} form=${form} submit=${t("image.share")}
    command=${["openstack", "image", "add", "project", image.name || image.id, form.values.value.project || "PROJECT"]}>
    <p>${t("image.share.ask")}</p>
    <${Field} form=${form} name="project" label=${t("server.project")} hint=${t("image.share.hint")} required focus />
  <//>`;
}

/** The id of a project that was typed by its name, where the page has the names. @param {string} text */
const idOf = (text) => everyProject.items.value?.find((project) => project.name === text)?.id ?? text;

// SPDX-License-Identifier: Apache-2.0
/** What one can do with an image. */
import { ApiError } from "../../api/client.js";
import * as api from "../../api/images.js";
import { ask } from "../../parts/formdialog.js";
import { toast, toastError } from "../../parts/toast.js";
import { link } from "../../router.js";
import { isAdmin, subject } from "../../state/session.js";
import { t } from "../../words/index.js";
import { begin } from "./downloads.js";
import { openEdit } from "./edit.js";
import { forget } from "./uploads.js";

/** @typedef {import("../../api/images.js").Image} Image */

/** Whether the API lets one change it. @param {Image} image */
export const isOwn = (image) => isAdmin.value || image.owner === subject.value?.project?.id;

/** @param {Image} image */
const nameOf = (image) => image.name || image.id;

/**
 * The entries of a menu.
 * @param {Image} image
 * @param {() => void} changed
 * @returns {import("../../parts/menu.js").Item[]}
 */
export function imageItems(image, changed) {
  /** @param {() => Promise<unknown>} request @param {string} text */
  const run = (request, text) => request().then(() => (toast("ok", text), changed()), (error) => toastError(nameOf(image), error));
  const create = image.status === "active" ? [{ text: t("servers.create"), href: link(`/servers/create?image=${image.id}`) }] : [];
  const canDownload = image.status === "active" || (image.status === "deactivated" && isAdmin.value);
  const download = canDownload ? [{ text: t("image.download"), run: () => void begin(image).catch((error) => toastError(nameOf(image), error)) }] : [];
  if (!isOwn(image)) return [...create, ...download, { text: t("image.details"), href: link(`/images/${image.id}`) }];
  const protect = !image.protected;
  return [
    ...create,
    ...download,
    { text: t("image.edit"), run: () => openEdit(image, changed) },
    { text: t(protect ? "image.protect" : "image.unprotect"), run: () => run(() => api.change(image.id, api.difference(image, { protected: protect })), t(protect ? "image.protect.done" : "image.unprotect.done", { name: nameOf(image) })) },
    ...(image.status === "active" ? [{ text: t("image.deactivate"), run: () => askToDeactivate(image, changed) }] : []),
    ...(image.status === "deactivated" ? [{ text: t("image.reactivate"), run: () => run(() => api.act(image.id, "reactivate"), t("image.reactivate.done", { name: nameOf(image) })) }] : []),
    ...(image.protected ? [] : [{ text: t("delete"), danger: true, line: true, run: () => deleteImages([image], changed) }]),
  ];
}

/** @param {Image} image @param {() => void} changed */
const askToDeactivate = (image, changed) =>
  ask({
    action: t("image.deactivate"), ask: t("image.deactivate.ask"), message: t("image.deactivate.done", { name: "{name}" }), done: changed,
    targets: [{ key: image.id, name: nameOf(image) }], command: ["openstack", "image", "set", "--deactivate"], run: ({ key }) => api.act(key, "deactivate"),
  });

/** @param {Image[]} found @param {() => void} done */
export const deleteImages = (found, done) =>
  ask({
    action: t("delete"), ask: t("image.delete.ask"), message: t("image.delete.done", { name: "{name}" }), done,
    targets: found.map((image) => ({ key: image.id, name: nameOf(image) })), command: ["openstack", "image", "delete"],
    run: async ({ key }) => {
      await api.remove(key).catch(unlessGone);
      forget(key);
    },
  });

/** Somebody else has deleted it: then it is as one wished. @param {unknown} error */
function unlessGone(error) {
  if (!(error instanceof ApiError && error.status === 404)) throw error;
}

/** @param {Image} image @param {"accepted" | "rejected"} status @param {() => void} changed */
export function replyTo(image, status, changed) {
  const projectId = subject.value?.project?.id ?? "";
  const text = t(status === "accepted" ? "image.accept.done" : "image.reject.done", { name: nameOf(image) });
  api.reply(image.id, projectId, status).then(() => (toast("ok", text), changed()), (error) => toastError(nameOf(image), error));
}

// SPDX-License-Identifier: Apache-2.0
/** Dialogs that change what a server is called and how it is described. */
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { announce } from "../../state/events.js";
import { listText, pairs, pairsText, readList } from "../../parts/pairs.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/servers.js").Server} Server */

/** @param {Server} server */
export const openEdit = (server) => openDialog(() => html`<${Edit} server=${server} />`);

/** @param {{ server: Server }} props */
function Edit({ server }) {
  const form = useForm({
    initial: { name: server.name, description: server.description ?? "" },
    paths: { "server.name": "name", "server.description": "description" },
    send: async ({ name, description }) => {
      await api.update(server.id, { name, description: description || null });
      announce(server.id);
      closeDialog();
    },
  });
  const { name, description } = form.values.value;
  return html`<${FormDialog} heading=${t("server.edit", { name: server.name })} form=${form}
    command=${["openstack", "server", "set", "--name", name, ...(description ? ["--description", description] : []), server.name]}>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus />
    <${Field} form=${form} name="description" label=${t("server.description")} />
  <//>`;
}

/** @param {Server} server */
export const openMetadata = (server) => openDialog(() => html`<${Metadata} server=${server} />`);

/** @param {{ server: Server }} props */
function Metadata({ server }) {
  const form = useForm({
    initial: { metadata: pairsText(server.metadata) },
    paths: { metadata: "metadata" },
    check: ({ metadata }) => pairs(metadata).errors("metadata"),
    send: async ({ metadata }) => {
      await api.setMetadata(server.id, pairs(metadata).found);
      announce(server.id);
      closeDialog();
    },
  });
  const given = Object.entries(pairs(form.values.value.metadata).found).flatMap(([key, value]) => ["--property", `${key}=${value}`]);
  return html`<${FormDialog} heading=${`${t("server.metadata")}: ${server.name}`} form=${form} command=${["openstack", "server", "set", ...given, server.name]}>
    <${Field} form=${form} name="metadata" type="textarea" label=${t("server.metadata")} hint=${t("metadata.hint")} focus />
  <//>`;
}

/** @param {Server} server */
export const openTags = (server) => openDialog(() => html`<${Tags} server=${server} />`);

/** @param {{ server: Server }} props */
function Tags({ server }) {
  const form = useForm({
    initial: { tags: listText(server.tags) },
    paths: { tags: "tags" },
    send: async ({ tags }) => {
      await api.setTags(server.id, readList(tags));
      announce(server.id);
      closeDialog();
    },
  });
  const given = readList(form.values.value.tags).flatMap((tag) => ["--tag", tag]);
  return html`<${FormDialog} heading=${`${t("server.tags")}: ${server.name}`} form=${form} command=${["openstack", "server", "set", ...given, server.name]}>
    <${Field} form=${form} name="tags" label=${t("server.tags")} hint=${t("tags.hint")} focus />
  <//>`;
}

// SPDX-License-Identifier: Apache-2.0
/** Dialogs of groups of users: a new group, its name and description, the end of some. */
import * as api from "../../api/usergroups.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, nameTaken, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { toast } from "../../parts/toast.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/usergroups.js").UserGroup} UserGroup */
/** @typedef {import("../../parts/form.js").Values} Values */

const PATHS = { "group.name": "name", "group.description": "description" };
const BLANK = { name: "", description: "" };

/** @param {() => void} changed */
export const openCreate = (changed) => openDialog(() => html`<${Create} changed=${changed} />`);
/** @param {UserGroup} group @param {() => void} changed */
export const openEdit = (group, changed) => openDialog(() => html`<${Edit} group=${group} changed=${changed} />`);

/** @param {{ changed: () => void }} props */
function Create({ changed }) {
  const form = useForm({
    initial: BLANK,
    paths: PATHS, fieldOf: nameTaken,
    check: (values) => missing(values, ["name"]),
    send: async ({ name, description }) => {
      await api.create({ name, description });
      toast("ok", t("usergroup.create.done", { name }));
      changed();
      closeDialog();
    },
  });
  const { name, description } = form.values.value;
  return html`<${FormDialog} heading=${t("usergroups.create")} form=${form} submit=${t("create.submit")}
    command=${["openstack", "group", "create", ...(description ? ["--description", description] : []), name || "NAME"]}>
    <p>${t("usergroups.text")}</p><${Fields} form=${form} />
  <//>`;
}

/** @param {{ group: UserGroup, changed: () => void }} props */
function Edit({ group, changed }) {
  const form = useForm({
    initial: { name: group.name, description: group.description },
    paths: PATHS, fieldOf: nameTaken,
    check: (values) => missing(values, ["name"]),
    send: async (values) => {
      await api.update(group.id, changes(group, values));
      changed();
      closeDialog();
    },
  });
  const options = Object.entries(changes(group, form.values.value)).flatMap(([key, value]) => [`--${key}`, value]);
  return html`<${FormDialog} heading=${t("usergroup.edit", { name: group.name })} form=${form}
    command=${["openstack", "group", "set", ...options, group.name]}><${Fields} form=${form} /><//>`;
}

/** @param {{ form: import("../../parts/form.js").Form }} props */
const Fields = ({ form }) => html`
  <${Field} form=${form} name="name" label=${t("server.name")} required focus />
  <${Field} form=${form} name="description" label=${t("server.description")} />`;

/** What differs. @param {UserGroup} before @param {Values} values @returns {{ name?: string, description?: string }} */
const changes = (before, { name, description }) => ({ ...(name !== before.name && { name }), ...(description !== before.description && { description }) });

/** @param {UserGroup[]} found @param {() => void} done */
export const deleteGroups = (found, done) =>
  ask({
    action: t("delete"), ask: t("usergroup.delete.ask"), message: t("usergroup.delete.done", { name: "{name}" }), done,
    targets: found.map(({ id, name }) => ({ key: id, name })), command: ["openstack", "group", "delete"], run: ({ key }) => api.remove(key),
  });

// SPDX-License-Identifier: Apache-2.0
/** Dialogs of projects: a new project, its name and its state, the end of some. */
import * as api from "../../api/projects.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, nameTaken, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { toast } from "../../parts/toast.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/projects.js").Project} Project */
/** @typedef {import("../../parts/form.js").Values} Values */

const PATHS = { "project.name": "name", "project.description": "description" };
const BLANK = { name: "", description: "", enabled: true };

/** @param {() => void} changed */
export const openCreate = (changed) => openDialog(() => html`<${Create} changed=${changed} />`);
/** @param {Project} project @param {() => void} changed */
export const openEdit = (project, changed) => openDialog(() => html`<${Edit} project=${project} changed=${changed} />`);

/** @param {{ changed: () => void }} props */
function Create({ changed }) {
  const form = useForm({
    initial: BLANK,
    paths: PATHS, fieldOf: nameTaken,
    check: (values) => missing(values, ["name"]),
    send: async ({ name, description, enabled }) => {
      await api.create({ name, description, enabled });
      toast("ok", t("project.create.done", { name }));
      changed();
      closeDialog();
    },
  });
  return html`<${FormDialog} heading=${t("projects.create")} form=${form} submit=${t("create.submit")}
    command=${["openstack", "project", "create", ...words({ ...BLANK, name: form.values.value.name }, form.values.value)]}>
    <p>${t("projects.create.text")}</p><${Fields} form=${form} />
  <//>`;
}

/** @param {{ project: Project, changed: () => void }} props */
function Edit({ project, changed }) {
  const form = useForm({
    initial: { name: project.name, description: project.description, enabled: project.enabled },
    paths: PATHS, fieldOf: nameTaken,
    check: (values) => missing(values, ["name"]),
    send: async (values) => {
      await api.update(project.id, changes(project, values));
      changed();
      closeDialog();
    },
  });
  return html`<${FormDialog} heading=${t("project.edit", { name: project.name })} form=${form}
    command=${["openstack", "project", "set", ...words(project, form.values.value)]}><${Fields} form=${form} /><//>`;
}

/** @param {{ form: import("../../parts/form.js").Form }} props */
const Fields = ({ form }) => html`
  <${Field} form=${form} name="name" label=${t("server.name")} required focus />
  <${Field} form=${form} name="description" label=${t("server.description")} />
  <${Field} form=${form} name="enabled" type="checkbox" label=${t("people.enabled")} hint=${t("project.enabled.hint")} />`;

/** What differs. @param {Pick<Project, "name" | "description" | "enabled">} before @param {Values} values @returns {Partial<Project>} */
const changes = (before, { name, description, enabled }) => ({
  ...(name !== before.name && { name }), ...(description !== before.description && { description }), ...(enabled !== before.enabled && { enabled }),
});

/** The options and the name of a command. @param {Pick<Project, "name" | "description" | "enabled">} before @param {Values} values */
function words(before, values) {
  const { name, description, enabled } = changes(before, values);
  return [
    ...(name === undefined ? [] : ["--name", name]), ...(description === undefined ? [] : ["--description", description]),
    ...(enabled === undefined ? [] : [enabled ? "--enable" : "--disable"]), before.name || "NAME",
  ];
}

/** @param {Project[]} found @param {() => void} done */
export const deleteProjects = (found, done) =>
  ask({
    action: t("delete"), ask: t("project.delete.ask"), message: t("project.delete.done", { name: "{name}" }), done,
    targets: found.map(({ id, name }) => ({ key: id, name })), command: ["openstack", "project", "delete"], run: ({ key }) => api.remove(key),
  });

// SPDX-License-Identifier: Apache-2.0
/** Dialogs of a user: the facts, a new password, the end of some users. */
import { useEffect } from "preact/hooks";
import * as api from "../../api/users.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, nameTaken, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { toast } from "../../parts/toast.js";
import { everyProject, projectName } from "../../state/resources.js";
import { t } from "../../words/index.js";
import { AboutFields, checkPasswords, HomeField, PasswordFields, PATHS } from "./fields.js";

/** @typedef {import("../../api/users.js").User} User */
/** @typedef {import("../../parts/form.js").Values} Values */

/** @param {User} user @param {() => void} changed */
export const openEdit = (user, changed) => openDialog(() => html`<${Edit} user=${user} changed=${changed} />`);
/** @param {User} user @param {() => void} changed */
export const openPassword = (user, changed) => openDialog(() => html`<${Password} user=${user} changed=${changed} />`);

/** @param {{ user: User, changed: () => void }} props */
function Edit({ user, changed }) {
  useEffect(() => void everyProject.refresh(), []);
  const before = { name: user.name, email: user.email ?? "", description: user.description, project: user.default_project_id ?? "" };
  const form = useForm({
    initial: before,
    paths: PATHS, fieldOf: nameTaken,
    check: (values) => missing(values, ["name"]),
    send: async (values) => {
      const { name, email, description, project } = differing(before, values);
      await api.update(user.id, {
        ...(name !== undefined && { name }), ...(description !== undefined && { description }),
        ...(email !== undefined && { email: email || null }), ...(project !== undefined && { default_project_id: project || null }),
      });
      changed();
      closeDialog();
    },
  });
  return html`<${FormDialog} heading=${t("user.edit", { name: user.name })} form=${form} command=${editCommand(user, differing(before, form.values.value))}>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus /><${AboutFields} form=${form} /><${HomeField} form=${form} />
  <//>`;
}

/** @param {Record<string, string>} before @param {Values} values @returns {Record<string, string>} */
const differing = (before, values) => Object.fromEntries(Object.keys(before).filter((key) => values[key] !== before[key]).map((key) => [key, values[key]]));

/** @param {User} user @param {Record<string, string>} changes */
const editCommand = (user, changes) => [
  "openstack", "user", "set", ...Object.entries(changes).flatMap(([key, value]) => [`--${key}`, key === "project" ? projectName(value) : value]), user.name,
];

/** @param {{ user: User, changed: () => void }} props */
function Password({ user, changed }) {
  const form = useForm({
    initial: { password: "", again: "" },
    paths: PATHS,
    check: (values) => ({ ...checkPasswords(values), ...missing(values, ["password", "again"]) }),
    send: async ({ password }) => {
      await api.update(user.id, { password });
      toast("ok", t("user.password.done", { name: user.name }));
      changed();
      closeDialog();
    },
  });
  return html`<${FormDialog} heading=${`${t("user.password.set")}: ${user.name}`} form=${form} command=${["openstack", "user", "set", "--password-prompt", user.name]}>
    <p>${t("user.password.ends")}</p><${PasswordFields} form=${form} focus />
  <//>`;
}

/** @param {User[]} found @param {() => void} done */
export const deleteUsers = (found, done) =>
  ask({
    action: t("delete"), ask: t("user.delete.ask"), message: t("user.delete.done", { name: "{name}" }), done,
    targets: found.map(({ id, name }) => ({ key: id, name })), command: ["openstack", "user", "delete"], run: ({ key }) => api.remove(key),
  });

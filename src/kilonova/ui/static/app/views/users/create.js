// SPDX-License-Identifier: Apache-2.0
/** The dialog of a new user, with a role in the default project. */
import { useEffect } from "preact/hooks";
import * as rolesApi from "../../api/roles.js";
import * as api from "../../api/users.js";
import { html } from "../../html.js";
import { Command } from "../../parts/copy.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, nameTaken, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { toast, toastError } from "../../parts/toast.js";
import { roles } from "../../state/people.js";
import { everyProject, projectName } from "../../state/resources.js";
import { t } from "../../words/index.js";
import { AboutFields, checkPasswords, HomeField, PasswordFields, PATHS } from "./fields.js";

/** @typedef {import("../../parts/form.js").Values} Values */

const BLANK = { name: "", password: "", again: "", email: "", description: "", project: "", role: "member" };

/** @param {() => void} changed */
export const openCreate = (changed) => openDialog(() => html`<${Create} changed=${changed} />`);

/** @param {{ changed: () => void }} props */
function Create({ changed }) {
  useEffect(() => void Promise.all([roles.refresh(), everyProject.refresh()]), []);
  const form = useForm({
    initial: BLANK,
    paths: PATHS, fieldOf: nameTaken,
    check: (values) => ({ ...checkPasswords(values), ...missing(values, ["name", "password", "again"]) }),
    send: async (values) => {
      await create(values);
      changed();
      closeDialog();
    },
  });
  const { name, project, role } = form.values.value;
  return html`<${FormDialog} heading=${t("users.create")} form=${form} submit=${t("create.submit")}>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus />
    <div class="columns"><${PasswordFields} form=${form} /></div>
    <${AboutFields} form=${form} /><${HomeField} form=${form} />
    ${project && html`<${Field} form=${form} name="role" type="select" label=${t("user.role")} options=${[
      { value: "", text: t("none") }, ...(roles.items.value ?? []).map((each) => ({ value: each.name, text: each.name })),
    ]} />`}
    <${Command} words=${createCommand(form.values.value)} />
    ${project && role && html`<${Command} words=${["openstack", "role", "add", "--user", name || "NAME", "--project", projectName(project), role]} />`}
  <//>`;
}

/** The user is there even if the role is refused; then a message says why. @param {Values} values */
async function create({ name, password, email, description, project, role }) {
  const user = await api.create({ name, password, description, ...(email && { email }), ...(project && { default_project_id: project }) });
  toast("ok", t("user.create.done", { name }));
  if (project && role) await assign(user, project, role).catch((error) => toastError(t("user.role.refused", { name, role }), error));
}

/** @param {import("../../api/users.js").User} user @param {string} project @param {string} name of a role */
async function assign(user, project, name) {
  const role = (roles.items.value ?? await rolesApi.list()).find((each) => each.name === name) ?? { id: name, name };
  await rolesApi.assign({ role, user, scope: { project: { id: project, name: projectName(project) } } });
}

/** @param {Values} values */
const createCommand = ({ name, email, description, project }) => [
  "openstack", "user", "create", "--password-prompt", ...(project ? ["--project", projectName(project)] : []), ...(email ? ["--email", email] : []),
  ...(description ? ["--description", description] : []), name || "NAME",
];

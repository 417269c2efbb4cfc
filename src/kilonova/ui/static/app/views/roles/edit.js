// SPDX-License-Identifier: Apache-2.0
/** Dialogs of roles. */
import * as api from "../../api/roles.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, nameTaken, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/roles.js").Role} Role */

const PATHS = { "role.name": "name", "role.description": "description" };

/** @param {() => void} changed */
export const openCreate = (changed) => openDialog(() => html`<${Edit} changed=${changed} />`);
/** @param {Role} role @param {() => void} changed */
export const openEdit = (role, changed) => openDialog(() => html`<${Edit} role=${role} changed=${changed} />`);

/** @param {{ role?: Role, changed: () => void }} props without a role: a new one */
function Edit({ role, changed }) {
  const form = useForm({
    initial: { name: role?.name ?? "", description: role?.description ?? "" },
    paths: PATHS, fieldOf: nameTaken,
    check: (values) => missing(values, ["name"]),
    send: async ({ name, description }) => {
      const fields = { name, description: description || null };
      await (role ? api.update(role.id, fields) : api.create(fields));
      changed();
      closeDialog();
    },
  });
  const { name, description } = form.values.value;
  const about = description ? ["--description", description] : [];
  return html`<${FormDialog} heading=${role ? t("role.edit", { name: role.name }) : t("roles.create")} form=${form} submit=${role ? t("save") : t("create.submit")}
    command=${["openstack", "role", ...(role ? ["set", "--name", name || "NAME", ...about, role.name] : ["create", ...about, name || "NAME"])]}>
    <p>${t("role.permits.nothing")}</p>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus /><${Field} form=${form} name="description" label=${t("server.description")} />
  <//>`;
}

/** @param {Role} role @param {() => void} done */
export const deleteRole = (role, done) =>
  ask({
    action: t("delete"), ask: t("role.delete.ask"), message: t("role.delete.done", { name: "{name}" }), done,
    targets: [{ key: role.id, name: role.name }], command: ["openstack", "role", "delete"], run: ({ key }) => api.remove(key),
  });

// SPDX-License-Identifier: Apache-2.0
/** The dialogs of a new application credential: its form, and its secret, which is shown once. */
import * as api from "../../api/credentials.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { closeDialog, Dialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, nameTaken, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { subject } from "../../state/session.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../parts/form.js").Values} Values */

const PATHS = {
  "application_credential.name": "name", "application_credential.description": "description", "application_credential.expires_at": "end",
  "application_credential.roles": "roles",
};
const ROLE = "role ";

/** @param {() => void} changed */
export const openCreate = (changed) => openDialog(() => html`<${Create} changed=${changed} />`);

/** @param {{ changed: () => void }} props */
function Create({ changed }) {
  const me = subject.value;
  const roles = me?.roles ?? [];
  const form = useForm({
    initial: { name: "", description: "", end: "", unrestricted: false, ...Object.fromEntries(roles.map((role) => [ROLE + role, true])) },
    paths: PATHS, fieldOf: nameTaken,
    check: (values) => ({ ...missing(values, ["name"]), ...(chosenRoles(values).length === 0 && { roles: t("credential.roles.none") }) }),
    send: async (values) => {
      const made = await api.create(me?.user.id ?? "", {
        name: values.name, roles: chosenRoles(values).map((name) => ({ name })), unrestricted: values.unrestricted,
        ...(values.description && { description: values.description }), ...(values.end && { expires_at: moment(values.end) }),
      });
      changed();
      closeDialog();
      openDialog(() => html`<${Made} name=${made.name} id=${made.id} secret=${made.secret} />`);
    },
  });
  const error = form.errors.value.roles;
  return html`<${FormDialog} heading=${t("credentials.create")} form=${form} submit=${t("create.submit")} command=${createCommand(form.values.value)}>
    <p>${t("credentials.project", { name: me?.project?.name ?? t("project.none") })}</p>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus />
    <${Field} form=${form} name="description" label=${t("server.description")} />
    <fieldset class="field" aria-describedby=${error ? "roles-error" : undefined}><legend>${t("account.roles")}</legend>
      ${roles.map((role) => html`<${Field} key=${role} form=${form} name=${ROLE + role} type="checkbox" label=${role} />`)}
      ${error && html`<div class="field-error" id="roles-error" role="alert">${error}</div>`}
    </fieldset>
    <${Field} form=${form} name="end" type="datetime-local" label=${t("credential.end")} hint=${t("credential.end.hint")} />
    <${Field} form=${form} name="unrestricted" type="checkbox" label=${t("credential.unrestricted")} hint=${t("credential.unrestricted.hint")} />
  <//>`;
}

/** @param {Values} values */
const chosenRoles = (values) => Object.keys(values).filter((key) => key.startsWith(ROLE) && values[key]).map((key) => key.slice(ROLE.length));

/** A time as typed, which has the zone of the browser, as the API reads it. @param {string} local */
const moment = (local) => new Date(local).toISOString().replace(/\.\d+Z$/, "Z");

/** @param {Values} values */
const createCommand = (values) => [
  "openstack", "application", "credential", "create", ...chosenRoles(values).flatMap((role) => ["--role", role]),
  ...(values.end ? ["--expiration", moment(values.end).replace("Z", "")] : []), ...(values.description ? ["--description", values.description] : []),
  ...(values.unrestricted ? ["--unrestricted"] : []), values.name || "NAME",
];

/** The secret, which is nowhere else. @param {{ name: string, id: string, secret: string }} props */
function Made({ name, id, secret }) {
  const clouds = [
    "clouds:", "  kilonova:", "    auth_type: v3applicationcredential", "    auth:", `      auth_url: ${location.origin}/identity/v3`,
    `      application_credential_id: ${id}`, `      application_credential_secret: "${secret.replace(/["\\]/g, "\\$&")}"`, "",
  ].join("\n");
  return html`
    <${Dialog} title=${t("credential.made", { name })}>
      <div class="dialog-body">
        <div class="notice notice-attention" role="status"><p>${t("credential.made.text")}</p></div>
        <${Secret} label=${t("server.id")} text=${id} /><${Secret} label=${t("credential.secret")} text=${secret} /><${Secret} label="clouds.yaml" text=${clouds} />
      </div>
      <footer><button type="button" class="primary" onClick=${closeDialog}>${t("credential.made.close")}</button></footer>
    <//>`;
}

/** @param {{ label: string, text: string }} props */
const Secret = ({ label, text }) => html`
  <div class="field"><strong>${label}</strong>
    <div class="command" role="group" aria-label=${label}><code class="wrapped">${text}</code><${Copy} text=${text} label=${t("credential.copy", { what: label })} /></div></div>`;

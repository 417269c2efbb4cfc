// SPDX-License-Identifier: Apache-2.0
/** Fields of the dialogs of users. */
import { html } from "../../html.js";
import { Field } from "../../parts/form.js";
import { everyProject } from "../../state/resources.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../parts/form.js").Form} Form */
/** @typedef {import("../../parts/form.js").Values} Values */

/** The paths of the API, and the fields. */
export const PATHS = { "user.name": "name", "user.password": "password", "user.email": "email", "user.description": "description", "user.default_project_id": "project" };

/** @param {{ form: Form }} props */
export const AboutFields = ({ form }) => html`
  <${Field} form=${form} name="email" label=${t("user.email")} hint=${t("user.email.hint")} more=${{ inputmode: "email" }} />
  <${Field} form=${form} name="description" label=${t("server.description")} />`;

/** @param {{ form: Form }} props */
export const HomeField = ({ form }) => html`<${Field} form=${form} name="project" type="select" label=${t("user.home")} hint=${t("user.home.hint")} options=${[
  { value: "", text: t("none") }, ...(everyProject.items.value ?? []).map(({ id, name }) => ({ value: id, text: name })),
]} />`;

/** A new password, twice. @param {{ form: Form, focus?: boolean }} props */
export const PasswordFields = ({ form, focus }) => html`
  <${Field} form=${form} name="password" type="password" label=${t("user.password.new")} required focus=${focus} more=${{ autocomplete: "new-password" }} />
  <${Field} form=${form} name="again" type="password" label=${t("user.password.again")} required more=${{ autocomplete: "new-password" }} />`;

/** @param {Values} values @returns {Record<string, string>} */
export const checkPasswords = ({ password, again }) => (again && password !== again ? { again: t("user.password.differs") } : {});

// SPDX-License-Identifier: Apache-2.0
/** Dialogs that give a role to a user or a group, and take one away. */
import { useEffect } from "preact/hooks";
import * as api from "../../api/roles.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { toast } from "../../parts/toast.js";
import { roles, users } from "../../state/people.js";
import { everyProject } from "../../state/resources.js";
import { t } from "../../words/index.js";
import { assignmentWords, holderName, scopeName } from "./shared.js";

/** @typedef {import("../../api/roles.js").Assignment} Assignment */
/** @typedef {import("../../api/roles.js").Named} Named */
/** @typedef {{ user?: Named, group?: Named, project?: Named, role?: Named }} Fixed what the page is about, and nobody has to choose */

const SYSTEM = "system";
const DOMAIN = "domain";
const DEFAULT = { id: "default", name: "Default" };

/** @param {Fixed} fixed @param {() => void} changed */
export const openAssign = (fixed, changed) => openDialog(() => html`<${Assign} fixed=${fixed} changed=${changed} />`);

/** @param {{ fixed: Fixed, changed: () => void }} props */
function Assign({ fixed, changed }) {
  useEffect(() => void Promise.all([users.refresh(), roles.refresh(), everyProject.refresh()]), []);
  const form = useForm({
    initial: { user: (fixed.user ?? fixed.group)?.id ?? "", where: fixed.project?.id ?? "", role: fixed.role?.id ?? "" },
    check: (values) => missing(values, ["user", "where", "role"]),
    send: async (values) => {
      const assignment = read(values, fixed);
      await api.assign(assignment);
      toast("ok", t("assignment.done", { role: assignment.role.name, name: holderName(assignment), where: scopeName(assignment.scope) }));
      changed();
      closeDialog();
    },
  });
  const now = read(form.values.value, fixed);
  return html`<${FormDialog} heading=${t("assignment.add")} form=${form} submit=${t("assignment.add")}
    command=${["openstack", "role", "add", ...assignmentWords(now), now.role.name]}>
    ${!fixed.user && !fixed.group && html`<${Field} form=${form} name="user" type="select" label=${t("people.user")} options=${choices(users.items.value)} required focus />`}
    ${!fixed.role && html`<${Field} form=${form} name="role" type="select" label=${t("people.role")} options=${choices(roles.items.value)} required focus=${Boolean(fixed.user ?? fixed.group)} hint=${t("assignment.implied")} />`}
    ${!fixed.project && html`<${Field} form=${form} name="where" type="select" label=${t("assignment.where")} required options=${[
      ...choices(everyProject.items.value), { value: DOMAIN, text: t("assignment.domain") }, { value: SYSTEM, text: t("assignment.system") },
    ]} />`}
  <//>`;
}

/** @param {Named[] | null} found */
const choices = (found) => [{ value: "", text: t("form.choose") }, ...(found ?? []).map(({ id, name }) => ({ value: id, text: name }))];

/**
 * What the form says; words in capitals where nothing is chosen yet.
 * @param {import("../../parts/form.js").Values} values @param {Fixed} fixed
 * @returns {Assignment}
 */
function read({ user, where, role }, fixed) {
  /** @param {Named[] | null} found @param {string} id @param {string} otherwise @returns {Named} */
  const chosen = (found, id, otherwise) => found?.find((each) => each.id === id) ?? { id, name: otherwise };
  const project = fixed.project ?? chosen(everyProject.items.value, where, "PROJECT");
  return {
    ...(fixed.group ? { group: fixed.group } : { user: fixed.user ?? chosen(users.items.value, user, "USER") }), role: fixed.role ?? chosen(roles.items.value, role, "ROLE"),
    scope: where === SYSTEM ? { system: { all: true } } : where === DOMAIN ? { domain: DEFAULT } : { project },
  };
}

/** @param {Assignment} row @param {() => void} changed */
export const withdraw = (row, changed) =>
  ask({
    action: t("assignment.remove"), ask: t("assignment.remove.ask", { name: holderName(row), where: scopeName(row.scope) }), message: t("assignment.remove.done", { role: "{name}" }),
    targets: [{ key: row.role.id, name: row.role.name }], command: ["openstack", "role", "remove", ...assignmentWords(row)], done: changed, run: () => api.withdraw(row),
  });

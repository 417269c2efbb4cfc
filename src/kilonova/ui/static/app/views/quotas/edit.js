// SPDX-License-Identifier: Apache-2.0
/** The dialog in which an administrator changes the limits of a project. */
import * as api from "../../api/quotas.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { toast } from "../../parts/toast.js";
import { projectName } from "../../state/resources.js";
import { t } from "../../words/index.js";

/** @typedef {Record<import("../../api/quotas.js").Resource, import("../../api/quotas.js").Quota>} Quotas */

const NAMES = [...api.COUNTED, ...api.SINGLE];
/** Options of the command, where they differ from the names of the API. @type {Record<string, string>} */
const OPTIONS = { metadata_items: "properties", key_pairs: "key-pairs", server_groups: "server-groups", server_group_members: "server-group-members" };

/** @param {string} projectId @param {Quotas} quotas @param {() => void} changed */
export const openEdit = (projectId, quotas, changed) => openDialog(() => html`<${Edit} projectId=${projectId} quotas=${quotas} changed=${changed} />`);

/** @param {{ projectId: string, quotas: Quotas, changed: () => void }} props */
function Edit({ projectId, quotas, changed }) {
  const form = useForm({
    initial: { ...Object.fromEntries(NAMES.map((name) => [name, String(quotas[name].limit)])), force: false },
    paths: Object.fromEntries(NAMES.map((name) => [`quota_set.${name}`, name])),
    check: (values) => missing(values, NAMES),
    send: async (values) => {
      await api.update(projectId, { ...changes(quotas, values), ...(values.force && { force: true }) });
      toast("ok", t("quota.edit.done", { name: projectName(projectId) }));
      changed();
      closeDialog();
    },
  });
  const values = form.values.value;
  const words = Object.entries(changes(quotas, values)).flatMap(([name, limit]) => [`--${OPTIONS[name] ?? name}`, String(limit)]);
  return html`<${FormDialog} heading=${t("quota.edit.title", { name: projectName(projectId) })} form=${form} command=${["openstack", "quota", "set", ...words, ...(values.force ? ["--force"] : []), projectName(projectId)]}>
    <p>${t("quota.edit.text")}</p>
    <div class="columns">${NAMES.map((name, index) => html`<${Field} key=${name} form=${form} name=${name} type="number" label=${t(name === "ram" ? "quota.ram.unit" : `quota.${name}`)} required focus=${index === 0}
      more=${{ min: -1 }} hint=${quotas[name].in_use ? t("quota.inUse", { used: quotas[name].in_use }) : null} />`)}</div>
    <${Field} form=${form} name="force" type="checkbox" label=${t("quota.force")} hint=${t("quota.force.hint")} />
  <//>`;
}

/** The limits that differ. @param {Quotas} quotas @param {import("../../parts/form.js").Values} values @returns {Record<string, number>} */
const changes = (quotas, values) =>
  Object.fromEntries(NAMES.filter((name) => values[name] !== String(quotas[name].limit)).map((name) => [name, Number(values[name])]));

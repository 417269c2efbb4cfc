// SPDX-License-Identifier: Apache-2.0
/** The dialog of a new server group. */
import * as api from "../../api/groups.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { serverGroups } from "../../state/resources.js";
import { known, t } from "../../words/index.js";

const POLICIES = ["anti-affinity", "soft-anti-affinity", "affinity", "soft-affinity"];
const PATHS = { "server_group.name": "name", "server_group.policy": "policy", "server_group.rules": "most" };

/** @param {() => void} changed */
export const openCreate = (changed) => openDialog(() => html`<${Create} changed=${changed} />`);

/** @param {{ changed: () => void }} props */
function Create({ changed }) {
  const form = useForm({
    initial: { name: "", policy: "anti-affinity", most: "" },
    paths: PATHS,
    check: (values) => missing(values, ["name"]),
    send: async ({ name, policy, most }) => {
      await api.create({ name, policy, ...(policy === "anti-affinity" && most && { rules: { max_server_per_host: Number(most) } }) });
      changed();
      void serverGroups.refresh();
      closeDialog();
    },
  });
  const { name, policy, most } = form.values.value;
  const strict = policy === "anti-affinity";
  return html`<${FormDialog} heading=${t("groups.create")} form=${form} submit=${t("create.submit")}
    command=${["openstack", "server", "group", "create", "--policy", policy, ...(strict && most ? ["--rule", `max_server_per_host=${most}`] : []), name || "NAME"]}>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus />
    <${Field} form=${form} name="policy" type="select" label=${t("group.policy")} required options=${POLICIES.map((value) => ({ value, text: known(`policy.${value}`, value) }))} hint=${known(`policy.${policy}.hint`, "")} />
    ${strict && html`<${Field} form=${form} name="most" type="number" label=${t("group.most")} hint=${t("group.most.hint")} more=${{ min: 1 }} />`}
  <//>`;
}

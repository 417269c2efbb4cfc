// SPDX-License-Identifier: Apache-2.0
/** What an administrator can do with a compute service, each in a dialog that says what it means. */
import * as api from "../../api/hosts.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { toast } from "../../parts/toast.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/hosts.js").Service} Service */
/** @typedef {"enable" | "disable" | "down" | "up" | "delete"} Kind */

const SET = ["openstack", "compute", "service", "set"];
/** @type {Record<Kind, (service: Service, reason: string) => Promise<unknown>>} */
const RUN = {
  enable: (service) => api.update(service.id, { status: "enabled" }),
  disable: (service, reason) => api.update(service.id, { status: "disabled", ...(reason && { disabled_reason: reason }) }),
  down: (service) => api.update(service.id, { forced_down: true }),
  up: (service) => api.update(service.id, { forced_down: false }),
  delete: (service) => api.remove(service.id),
};
/** @type {Kind[]} */
const DANGEROUS = ["down", "delete"];

/** What is possible now. @param {Service} service @returns {Kind[]} */
export const kinds = (service) => [
  service.status === "enabled" ? "disable" : "enable", service.forced_down ? "up" : "down", ...(service.state === "down" ? [/** @type {Kind} */ ("delete")] : []),
];

/** @param {Kind} kind */
export const isDangerous = (kind) => DANGEROUS.includes(kind);
/** @param {Kind} kind */
export const titleOf = (kind) => t(`service.do.${kind}`);

/** For a menu. @param {Service} service @param {() => void} changed */
export const items = (service, changed) =>
  kinds(service).map((kind) => ({ text: titleOf(kind), danger: isDangerous(kind), line: kind === "delete", run: () => open(kind, service, changed) }));

/** @param {Kind} kind @param {Service} service @param {() => void} changed once the API has accepted it */
export const open = (kind, service, changed) => openDialog(() => html`<${Change} kind=${kind} service=${service} changed=${changed} />`);

/** @param {Kind} kind @param {Service} service @param {string} reason */
function command(kind, service, reason) {
  if (kind === "delete") return ["openstack", "compute", "service", "delete", service.id];
  return [...SET, `--${kind}`, ...(reason ? ["--disable-reason", reason] : []), service.host, service.binary];
}

/** @param {{ kind: Kind, service: Service, changed: () => void }} props */
function Change({ kind, service, changed }) {
  const form = useForm({
    initial: { reason: "" },
    paths: { disabled_reason: "reason" },
    send: async ({ reason }) => {
      await RUN[kind](service, reason);
      toast("ok", t(`service.${kind}.done`, { host: service.host }));
      closeDialog();
      changed();
    },
  });
  return html`<${FormDialog} heading=${`${titleOf(kind)}: ${service.host}`} form=${form} submit=${titleOf(kind)} danger=${isDangerous(kind)} command=${command(kind, service, form.values.value.reason)}>
    <p>${t(`service.${kind}.ask`)}</p>
    ${kind === "down" && html`<p>${t("service.forget", { host: service.host })}</p>`}
    ${kind === "disable" && html`<${Field} form=${form} name="reason" label=${t("service.reason")} hint=${t("service.reason.hint")} focus />`}
  <//>`;
}

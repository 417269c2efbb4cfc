// SPDX-License-Identifier: Apache-2.0
/** Dialogs for administrators: a new flavor, its description, its extra specs. */
import * as api from "../../api/flavors.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { pairs, pairsText } from "../../parts/pairs.js";
import { toast, toastError } from "../../parts/toast.js";
import { flavors } from "../../state/resources.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/flavors.js").Flavor} Flavor */

const PATHS = {
  "flavor.name": "name", "flavor.vcpus": "vcpus", "flavor.ram": "ram", "flavor.disk": "disk", "flavor.OS-FLV-EXT-DATA:ephemeral": "ephemeral", "flavor.swap": "swap",
  "flavor.description": "description", extra_specs: "specs",
};
const BLANK = { name: "", vcpus: "1", ram: "1024", disk: "10", ephemeral: "0", swap: "0", description: "", isPublic: true, specs: "" };
const NECESSARY = ["name", "vcpus", "ram", "disk"];

/** @param {() => void} changed */
export const openCreate = (changed) => openDialog(() => html`<${Create} changed=${changed} />`);
/** @param {Flavor} flavor @param {() => void} changed */
export const openSpecs = (flavor, changed) => openDialog(() => html`<${Specs} flavor=${flavor} changed=${changed} />`);
/** @param {Flavor} flavor @param {() => void} changed */
export const openDescription = (flavor, changed) => openDialog(() => html`<${Description} flavor=${flavor} changed=${changed} />`);

/** @param {{ changed: () => void }} props */
function Create({ changed }) {
  const form = useForm({
    initial: BLANK,
    paths: PATHS,
    check: (values) => ({ ...pairs(values.specs).errors("specs"), ...missing(values, NECESSARY) }),
    send: async (values) => {
      await create(values);
      changed();
      void flavors.refresh();
      closeDialog();
    },
  });
  return html`<${FormDialog} heading=${t("flavors.create")} form=${form} submit=${t("create.submit")} command=${createCommand(form.values.value)}>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus />
    <div class="columns">
      <${Field} form=${form} name="vcpus" type="number" label=${t("flavor.vcpus")} required more=${{ min: 1 }} />
      <${Field} form=${form} name="ram" type="number" label=${t("flavor.ram.unit")} required more=${{ min: 1 }} />
      <${Field} form=${form} name="disk" type="number" label=${t("flavor.disk.unit")} required more=${{ min: 0 }} hint=${form.values.value.disk === "0" ? t("flavor.disk.hint") : null} />
      <${Field} form=${form} name="ephemeral" type="number" label=${t("flavor.ephemeral.unit")} required more=${{ min: 0 }} />
      <${Field} form=${form} name="swap" type="number" label=${t("flavor.swap.unit")} required more=${{ min: 0 }} />
      <${Field} form=${form} name="description" label=${t("server.description")} />
    </div>
    <${Field} form=${form} name="specs" type="textarea" label=${t("flavor.specs")} hint=${t("flavor.specs.hint")} />
    <${Field} form=${form} name="isPublic" type="checkbox" label=${t("flavor.everybody")} hint=${t("flavor.public.hint")} />
  <//>`;
}

/**
 * The flavor is there even if its extra specs are refused; then a message says why.
 * @param {import("../../parts/form.js").Values} values
 */
async function create(values) {
  const specs = pairs(values.specs).found;
  const made = await api.create({
    name: values.name, vcpus: Number(values.vcpus), ram: Number(values.ram), disk: Number(values.disk), swap: Number(values.swap), "OS-FLV-EXT-DATA:ephemeral": Number(values.ephemeral),
    "os-flavor-access:is_public": values.isPublic, ...(values.description && { description: values.description }),
  });
  toast("ok", t("flavor.create.done", { name: values.name }));
  if (Object.keys(specs).length > 0) await api.setSpecs(made.id, specs).catch((error) => toastError(t("flavor.specs.refused", { name: values.name }), error));
}

/** @param {import("../../parts/form.js").Values} values */
const createCommand = (values) => [
  "openstack", "flavor", "create", "--vcpus", values.vcpus, "--ram", values.ram, "--disk", values.disk,
  ...(Number(values.ephemeral) ? ["--ephemeral", values.ephemeral] : []), ...(Number(values.swap) ? ["--swap", values.swap] : []),
  ...(values.isPublic ? [] : ["--private"]), ...(values.description ? ["--description", values.description] : []), ...propertyWords(pairs(values.specs).found), values.name || "NAME",
];

/** @param {Record<string, string>} specs */
const propertyWords = (specs) => Object.entries(specs).flatMap(([key, value]) => ["--property", `${key}=${value}`]);

/** @param {{ flavor: Flavor, changed: () => void }} props */
function Specs({ flavor, changed }) {
  const form = useForm({
    initial: { specs: pairsText(flavor.extra_specs) },
    paths: { extra_specs: "specs" },
    check: ({ specs }) => pairs(specs).errors("specs"),
    send: async ({ specs }) => {
      const { found } = pairs(specs);
      const { added, removed } = difference(flavor.extra_specs, found);
      if (Object.keys(added).length > 0) await api.setSpecs(flavor.id, added);
      await Promise.all(removed.map((key) => api.removeSpec(flavor.id, key)));
      changed();
      closeDialog();
    },
  });
  const { added, removed } = difference(flavor.extra_specs, pairs(form.values.value.specs).found);
  const command = removed.length > 0 && Object.keys(added).length === 0
    ? ["openstack", "flavor", "unset", ...removed.flatMap((key) => ["--property", key]), flavor.name] : ["openstack", "flavor", "set", ...propertyWords(added), flavor.name];
  return html`<${FormDialog} heading=${`${t("flavor.specs")}: ${flavor.name}`} form=${form} command=${command}>
    <p>${t("flavor.specs.ask")}</p>
    <${Field} form=${form} name="specs" type="textarea" label=${t("flavor.specs")} hint=${t("flavor.specs.hint")} focus />
  <//>`;
}

/** @param {Record<string, string>} before @param {Record<string, string>} after */
const difference = (before, after) => ({
  added: Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value)),
  removed: Object.keys(before).filter((key) => !(key in after)),
});

/** @param {{ flavor: Flavor, changed: () => void }} props */
function Description({ flavor, changed }) {
  const form = useForm({
    initial: { description: flavor.description ?? "" },
    paths: PATHS,
    send: async ({ description }) => {
      await api.describe(flavor.id, description || null);
      changed();
      closeDialog();
    },
  });
  return html`<${FormDialog} heading=${`${t("server.description")}: ${flavor.name}`} form=${form} command=${["openstack", "flavor", "set", "--description", form.values.value.description, flavor.name]}>
    <${Field} form=${form} name="description" label=${t("server.description")} focus />
  <//>`;
}

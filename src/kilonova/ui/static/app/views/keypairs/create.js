// SPDX-License-Identifier: Apache-2.0
/**
 * Dialogs for new key pairs.  The browser generates where it can, so that the private key is never sent; otherwise the
 * service does, and its answer has the private key once.
 */
import { useEffect, useRef } from "preact/hooks";
import * as api from "../../api/keypairs.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { closeDialog, Dialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { save } from "../../parts/save.js";
import { t } from "../../words/index.js";
import { canGenerate, generate, problemOf } from "./openssh.js";

const PATHS = { "keypair.name": "name", "keypair.public_key": "publicKey" };

/** @param {() => void} changed */
export const openImport = (changed) => openDialog(() => html`<${Import} changed=${changed} />`);
/** @param {() => void} changed */
export const openGenerate = (changed) => openDialog(() => html`<${Generate} changed=${changed} />`);

/** @param {{ changed: () => void }} props */
function Import({ changed }) {
  const file = useRef(/** @type {HTMLInputElement | null} */ (null));
  const form = useForm({
    initial: { name: "", publicKey: "" },
    paths: PATHS,
    check: (values) => {
      const problem = problemOf(values.publicKey);
      return { ...missing(values, ["name"]), ...(problem && { publicKey: t(`keypair.problem.${problem}`) }) };
    },
    send: async ({ name, publicKey }) => {
      await api.create({ name, public_key: publicKey.trim() });
      changed();
      closeDialog();
    },
  });
  /** @param {any} event */
  const take = async ({ currentTarget }) => {
    const [chosen] = currentTarget.files;
    if (!chosen) return;
    form.set("publicKey", await chosen.text());
    if (!form.values.value.name) form.set("name", chosen.name.replace(/\.pub$/, ""));
  };
  return html`<${FormDialog} heading=${t("keypairs.import")} form=${form} submit=${t("keypairs.import.submit")}
    command=${["openstack", "keypair", "create", "--public-key", "~/.ssh/id_ed25519.pub", form.values.value.name || "NAME"]}>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus />
    <${Field} form=${form} name="publicKey" type="textarea" label=${t("keypair.public")} required hint=${t("keypair.public.hint")} />
    <div><button type="button" class="small" onClick=${() => file.current?.click()}>${t("userdata.file")}</button><input ref=${file} type="file" hidden accept=".pub" aria-label=${t("userdata.file")} onChange=${take} /></div>
  <//>`;
}

/** @param {{ changed: () => void }} props */
function Generate({ changed }) {
  const here = canGenerate();
  const form = useForm({
    initial: { name: "" },
    paths: PATHS,
    check: (values) => missing(values, ["name"]),
    send: async ({ name }) => {
      const privateKey = here ? await makeHere(name) : ((await api.create({ name })).private_key ?? "");
      changed();
      closeDialog();
      openDialog(() => html`<${Made} name=${name} privateKey=${privateKey} />`);
    },
  });
  return html`<${FormDialog} heading=${t("keypairs.generate")} form=${form} submit=${t("keypairs.generate.submit")}
    command=${["openstack", "keypair", "create", "--private-key", `${fileName(form.values.value.name || "NAME")}`, form.values.value.name || "NAME"]}>
    <p>${t(here ? "keypairs.generate.here" : "keypairs.generate.there")}</p>
    <${Field} form=${form} name="name" label=${t("server.name")} required focus />
  <//>`;
}

/** Make a pair, and send its public half. @param {string} name @returns {Promise<string>} the private half */
async function makeHere(name) {
  const { publicKey, privateKey } = await generate(name.replaceAll(" ", "-"));
  await api.create({ name, public_key: publicKey });
  return privateKey;
}

/** @param {string} name of a key pair */
const fileName = (name) => `${name.replaceAll(" ", "-")}.pem`;

/** @param {string} name @param {string} text */
const saveKey = (name, text) => save(name, new Blob([text], { type: "application/x-pem-file" }));

/** The private key, which is nowhere else. @param {{ name: string, privateKey: string }} props */
function Made({ name, privateKey }) {
  const file = fileName(name);
  useEffect(() => saveKey(file, privateKey), []);
  const use = `chmod 600 ${file} && ssh -i ${file} USER@ADDRESS`;
  return html`
    <${Dialog} title=${t("keypair.made", { name })}>
      <div class="dialog-body">
        <div class="notice notice-attention" role="status"><p>${t("keypair.made.text", { file })}</p></div>
        <p>${t("keypair.made.use")}</p>
        <div class="command"><code>${use}</code><${Copy} text=${use} label=${t("command.copy")} /></div>
      </div>
      <footer><button type="button" onClick=${() => saveKey(file, privateKey)}>${t("keypair.made.again")}</button>
        <button type="button" class="primary" onClick=${closeDialog}>${t("keypair.made.close")}</button></footer>
    <//>`;
}

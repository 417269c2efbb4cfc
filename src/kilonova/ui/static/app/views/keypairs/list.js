// SPDX-License-Identifier: Apache-2.0
/** The key pairs of the user. */
import "../../words/resources.js";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../../api/keypairs.js";
import { html } from "../../html.js";
import { Chosen } from "../../parts/chosen.js";
import { ask } from "../../parts/formdialog.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { offer } from "../../parts/palette.js";
import { link } from "../../router.js";
import { keypairs } from "../../state/resources.js";
import { useCollection } from "../../state/collection.js";
import { t } from "../../words/index.js";
import { openGenerate, openImport } from "./create.js";

/** @typedef {import("../../api/keypairs.js").Keypair} Keypair */

const refresh = () => void keypairs.refresh();

export default function Keypairs() {
  const chosen = useSignal(/** @type {Set<string>} */ (new Set()));
  useCollection(keypairs);
  useEffect(() => offer(() => [{ text: t("keypairs.generate"), run: () => openGenerate(refresh) }, { text: t("keypairs.import"), run: () => openImport(refresh) }]), []);
  const rows = keypairs.items.value;
  const targets = (rows ?? []).filter((row) => chosen.value.has(row.name));
  const buttons = html`
    <button type="button" onClick=${() => openImport(refresh)}>${t("keypairs.import")}</button>
    <button type="button" class="primary" onClick=${() => openGenerate(refresh)}><${Icon} name="plus" />${t("keypairs.generate")}</button>`;
  return html`
    <${Listing} title=${t("nav.keypairs")} command=${["openstack", "keypair", "list"]} buttons=${buttons} rows=${rows} error=${keypairs.error.value} again=${refresh}
      columns=${COLUMNS} searchText=${(/** @type {Keypair} */ row) => `${row.name}\n${row.fingerprint}\n${row.public_key}`} searchHint=${t("keypairs.search")}
      above=${html`<${Chosen} label=${t("keypairs.chosen")} chosen=${chosen} count=${targets.length} onDelete=${() => deleteKeypairs(targets, () => ((chosen.value = new Set()), refresh()))} />`}
      empty=${html`<h2>${t("keypairs.empty")}</h2><p>${t("keypairs.empty.text")}</p><div class="row-buttons">${buttons}</div>`} rowKey=${(/** @type {Keypair} */ row) => row.name} chosen=${chosen} />`;
}

/** The kind of key that a public key names. @param {Keypair} row */
export const kindOf = (row) => (row.type === "ssh" ? (row.public_key.split(/\s/)[0] ?? "").replace("ssh-", "") : row.type);

/** @param {Keypair[]} found @param {() => void} done */
export const deleteKeypairs = (found, done) =>
  ask({
    action: t("delete"), ask: t("keypair.delete.ask"), message: t("keypair.delete.done", { name: "{name}" }), done,
    targets: found.map(({ name }) => ({ key: name, name })), command: ["openstack", "keypair", "delete"], run: ({ key }) => api.remove(key),
  });

/** @type {import("../../parts/table.js").Column<Keypair>[]} */
const COLUMNS = [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/keypairs/${encodeURIComponent(row.name)}`)}>${row.name}</a>` },
  { key: "kind", title: t("keypair.kind"), rank: 2, by: kindOf, cell: kindOf },
  { key: "fingerprint", title: t("keypair.fingerprint"), rank: 2, cell: (row) => html`<span class="mono">${row.fingerprint}</span>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [
      { text: t("servers.create"), href: link(`/servers/create?key=${encodeURIComponent(row.name)}`) },
      { text: t("delete"), danger: true, line: true, run: () => deleteKeypairs([row], refresh) },
    ]}><${Icon} name="more" /><//>`,
  },
];

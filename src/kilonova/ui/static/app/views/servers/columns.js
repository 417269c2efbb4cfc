// SPDX-License-Identifier: Apache-2.0
/** The columns of the list of servers. */
import { html } from "../../html.js";
import { ServerState } from "../../parts/badge.js";
import { Icon } from "../../parts/icon.js";
import { Menu } from "../../parts/menu.js";
import { link } from "../../router.js";
import { images, projectName } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { age, memory, t, time } from "../../words/index.js";
import { ACTIONS, isPossible } from "./actions.js";
import { start } from "./dialog.js";
import { title } from "./run.js";

/** @typedef {import("../../api/servers.js").Server} Server */

/** @param {Server} server */
export const addresses = (server) => Object.values(server.addresses).flat().map((address) => address.addr);

/** @param {Server} server */
export const imageName = (server) => {
  if (!server.image) return "";
  const { id } = server.image;
  return images.items.value?.find((image) => image.id === id)?.name ?? id.slice(0, 8);
};

/** What the search compares. @param {Server} server */
export const searchText = (server) =>
  [server.name, server.id, ...addresses(server), ...server.tags, server.flavor.original_name, imageName(server), server.key_name ?? "",
    server["OS-EXT-SRV-ATTR:host"] ?? "", ...Object.entries(server.metadata).map((pair) => pair.join("="))].join("\n").toLowerCase();

/** Actions that begin a group in the menu. */
const BEGINS = ["confirmResize", "createImage", "rescue", "shelve", "migrate", "delete"];

/** What the menu of a server offers: what is possible now, in groups. @param {Server} server */
export function actionItems(server) {
  let line = false;
  return ACTIONS.flatMap((kind) => {
    line ||= BEGINS.includes(kind.name);
    if (!isPossible(kind, server, isAdmin.value)) return [];
    const item = { text: title(kind), danger: kind.danger, line, run: () => start(kind, [server]) };
    line = false;
    return [item];
  });
}

/** @param {{ server: Server }} props */
const Name = ({ server }) => html`
  <a class="name" href=${link(`/servers/${server.id}`)}>${server.name}</a>
  ${server.locked && html`<span class="lock" title=${server.locked_reason ?? t("server.locked")}><${Icon} name="lock" /><span class="hidden">${t("server.locked")}</span></span>`}`;

/**
 * @param {boolean} withProject
 * @param {boolean} withHost
 * @returns {import("../../parts/table.js").Column<Server>[]}
 */
export const allColumns = (withProject, withHost) => [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<${Name} server=${row} />` },
  { key: "state", title: t("server.state"), rank: 1, by: (row) => row["OS-EXT-STS:task_state"] ?? row.status, cell: (row) => html`<${ServerState} server=${row} />` },
  { key: "addresses", title: t("server.addresses"), rank: 2, by: (row) => addresses(row)[0] ?? "", cell: (row) => html`<span class="mono">${addresses(row).join(", ")}</span>` },
  { key: "flavor", title: t("server.flavor"), rank: 3, by: (row) => row.flavor.ram, cell: (row) => html`<span title=${`${row.flavor.vcpus} vCPU, ${memory(row.flavor.ram)}, ${row.flavor.disk} GiB`}>${row.flavor.original_name}</span>` },
  { key: "image", title: t("server.image"), rank: 3, by: imageName, cell: imageName },
  { key: "key", title: t("server.key"), rank: 4, by: (row) => row.key_name ?? "", cell: (row) => row.key_name ?? "" },
  { key: "tags", title: t("server.tags"), rank: 4, by: (row) => row.tags.join(), cell: (row) => row.tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`) },
  ...(withProject ? [/** @type {import("../../parts/table.js").Column<Server>} */ ({ key: "project", title: t("server.project"), rank: 3, by: (row) => projectName(row.tenant_id), cell: (row) => projectName(row.tenant_id) })] : []),
  ...(withHost ? [/** @type {import("../../parts/table.js").Column<Server>} */ ({ key: "host", title: t("server.host"), rank: 3, by: (row) => row["OS-EXT-SRV-ATTR:host"] ?? "", cell: (row) => row["OS-EXT-SRV-ATTR:host"] ?? "" })] : []),
  { key: "created", title: t("server.created"), rank: 4, by: (row) => row.created, cell: (row) => html`<time datetime=${row.created} title=${time(row.created)}>${age(row.created)}</time>` },
  { key: "actions", title: t("table.actions"), rank: 1, numeric: true, cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => actionItems(row)}><${Icon} name="more" /><//>` },
];

// SPDX-License-Identifier: Apache-2.0
/** The processes of the cloud: hosts, conductors, API processes; for administrators. */
import "../../words/hosts.js";
import { useSignal } from "@preact/signals";
import * as api from "../../api/hosts.js";
import { html } from "../../html.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { link } from "../../router.js";
import { age, t, time } from "../../words/index.js";
import { items } from "../hosts/actions.js";
import { changed, pathOf, services, ServiceState, ServiceStatus, stateOf, useFresh } from "../hosts/facts.js";
import { Findings } from "../hosts/findings.js";

/** @typedef {import("../../api/hosts.js").Service} Service */

export default function Services() {
  const list = useFresh(services);
  const examines = useSignal(false);
  const button = !examines.value && html`<button type="button" onClick=${() => (examines.value = true)}>${t("services.examine")}</button>`;
  return html`
    <${Listing} title=${t("nav.services")} command=${["openstack", "compute", "service", "list", "--long"]} rows=${list.items.value} error=${list.error.value} again=${list.refresh}
      columns=${COLUMNS} sort="host" searchText=${searchText} searchHint=${t("services.search")} rowKey=${(/** @type {Service} */ row) => row.id} buttons=${button}
      filter=${{ name: "binary", label: t("service.binary"), of: (/** @type {Service} */ row) => row.binary, text: String }}
      above=${examines.value && html`<div class="panels above"><${Findings} examine=${api.examineService} /></div>`} empty=${html`<h2>${t("services.empty")}</h2>`} />`;
}

/** @param {Service} row */
const searchText = (row) => [row.binary, row.host, row.zone, row.disabled_reason ?? ""].join("\n");

/** @type {import("../../parts/table.js").Column<Service>[]} */
const COLUMNS = [
  { key: "binary", title: t("service.binary"), rank: 1, by: (row) => row.binary, cell: (row) => row.binary },
  { key: "host", title: t("server.host"), rank: 1, by: (row) => row.host, cell: (row) => (row.binary === api.COMPUTE ? html`<a class="name" href=${link(pathOf(row.host))}>${row.host}</a>` : row.host) },
  { key: "zone", title: t("server.zone"), rank: 3, by: (row) => row.zone, cell: (row) => row.zone },
  { key: "state", title: t("server.state"), rank: 1, by: stateOf, cell: (row) => html`<${ServiceState} service=${row} />` },
  { key: "status", title: t("host.status"), rank: 2, by: (row) => row.status, cell: (row) => html`<${ServiceStatus} service=${row} />` },
  { key: "updated", title: t("host.seen"), rank: 2, by: (row) => row.updated_at ?? "", cell: (row) => html`<time datetime=${row.updated_at} title=${time(row.updated_at)}>${age(row.updated_at)}</time>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => row.binary === api.COMPUTE && html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.host })} items=${() => items(row, changed)}><${Icon} name="more" /><//>`,
  },
];

// SPDX-License-Identifier: Apache-2.0
/** All projects, for administrators. */
import "../../words/people.js";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "../../html.js";
import { Chosen } from "../../parts/chosen.js";
import { Icon } from "../../parts/icon.js";
import { Listing } from "../../parts/listing.js";
import { Menu } from "../../parts/menu.js";
import { offer } from "../../parts/palette.js";
import { link } from "../../router.js";
import { useCollection } from "../../state/collection.js";
import { everyProject } from "../../state/resources.js";
import { refreshProjects } from "../../state/session.js";
import { t } from "../../words/index.js";
import { BY_ENABLED, Enabled } from "../people/shared.js";
import { deleteProjects, openCreate, openEdit } from "./edit.js";

/** @typedef {import("../../api/projects.js").Project} Project */

const refresh = () => void Promise.all([everyProject.refresh(), refreshProjects()]);

export default function Projects() {
  const chosen = useSignal(/** @type {Set<string>} */ (new Set()));
  useCollection(everyProject);
  useEffect(() => offer(() => (everyProject.items.value ?? []).map((each) => ({ text: each.name, detail: each.id, path: `/projects/${each.id}` }))), []);
  const targets = (everyProject.items.value ?? []).filter((row) => chosen.value.has(row.id));
  const button = html`<button type="button" class="primary" onClick=${() => openCreate(refresh)}><${Icon} name="plus" />${t("projects.create")}</button>`;
  return html`
    <${Listing} title=${t("nav.projects")} command=${["openstack", "project", "list", "--long"]} rows=${everyProject.items.value} error=${everyProject.error.value} again=${refresh}
      columns=${columns()} searchText=${(/** @type {Project} */ row) => `${row.name}\n${row.id}\n${row.description}`} searchHint=${t("projects.search")} buttons=${button}
      filter=${BY_ENABLED} chosen=${chosen} empty=${button}
      above=${html`<${Chosen} label=${t("projects.chosen")} chosen=${chosen} count=${targets.length} onDelete=${() => deleteProjects(targets, () => ((chosen.value = new Set()), refresh()))} />`}
      rowKey=${(/** @type {Project} */ row) => row.id} rowName=${(/** @type {Project} */ row) => row.name} />`;
}

/** @returns {import("../../parts/table.js").Column<Project>[]} */
const columns = () => [
  { key: "name", title: t("server.name"), rank: 1, by: (row) => row.name, cell: (row) => html`<a class="name" href=${link(`/projects/${row.id}`)}>${row.name}</a>` },
  { key: "enabled", title: t("server.state"), rank: 1, by: (row) => Number(!row.enabled), cell: (row) => html`<${Enabled} on=${row.enabled} />` },
  { key: "description", title: t("server.description"), rank: 2, by: (row) => row.description, cell: (row) => html`<span title=${row.description}>${row.description}</span>` },
  { key: "id", title: t("server.id"), rank: 4, cell: (row) => html`<span class="mono">${row.id}</span>` },
  {
    key: "actions", title: t("table.actions"), rank: 1, numeric: true,
    cell: (row) => html`<${Menu} class="ghost small" label=${t("server.actions", { name: row.name })} items=${() => [
      { text: t("edit"), run: () => openEdit(row, refresh) },
      { text: t("project.quotas"), href: link(`/quotas?project=${row.id}`) },
      { text: t("project.servers"), href: link(`/servers?project=${row.id}`) },
      { text: t("delete"), danger: true, line: true, run: () => deleteProjects([row], refresh) },
    ]}><${Icon} name="more" /><//>`,
  },
];

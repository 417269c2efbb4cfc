// SPDX-License-Identifier: Apache-2.0
/** The notifications of all projects, as they come, and how far their delivery is. */
import "../../words/people.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Listing } from "../../parts/listing.js";
import { link, place, setQuery } from "../../router.js";
import { age, t, time } from "../../words/index.js";
import { RequestLink } from "../actions/columns.js";
import { useNotifications } from "./follow.js";

/** @typedef {import("../../api/notifications.js").Notification} Notification */
/** @typedef {import("../../api/notifications.js").Delivery} Delivery */

export default function Notifications() {
  const server = place.value.query.get("server") ?? "";
  return html`<${Of} key=${server} server=${server} />`;
}

/** @param {{ server: string }} props */
function Of({ server }) {
  const { found, error, read, readOlder } = useNotifications(server);
  const now = found.value;
  const buttons = now && !now.isAll && html`<button type="button" onClick=${readOlder}>${t("notifications.older")}</button>`;
  return html`
    <${Listing} title=${t("nav.notifications")} command=${["kilonova", "notifications"]} rows=${now?.rows ?? null} error=${error.value} again=${read} columns=${columns()} sort="-number"
      searchText=${searchText} searchHint=${t("notifications.search")} buttons=${buttons} filter=${{ name: "type", label: t("notification.type"), of: kindOf, text: String }}
      tools=${html`${server && html`<button type="button" class="chip" aria-pressed="true" onClick=${() => setQuery({ server: null })}>${t("notifications.server", { id: server })}</button>`}
        ${now && html`<${DeliveryState} delivery=${now.delivery} />`}`}
      empty=${html`<h2>${t("notifications.empty")}</h2><p>${t("notifications.empty.text")}</p>`}
      rowKey=${(/** @type {Notification} */ row) => String(row.number)} />`;
}

/** The server that a notification is about. @param {Notification} row */
export const serverOf = (row) => (row.event_type.startsWith("instance.") ? row.payload.uuid : undefined);

/** The type without its phase. @param {Notification} row */
const kindOf = (row) => row.event_type.replace(/\.(start|end|error)$/, "");

/** @param {Notification} row */
const searchText = (row) => [row.event_type, row.publisher_id, row.priority, ...Object.values(row.payload)].join("\n");

/** @param {{ delivery: Delivery }} props */
const DeliveryState = ({ delivery: { numbered, waiting, waiting_since } }) => html`
  <span class="count" role="status">${waiting === 0 ? t("notifications.delivered", { number: numbered })
    : t("notifications.waiting", { count: waiting, age: age(waiting_since) })}</span>`;

/** @returns {import("../../parts/table.js").Column<Notification>[]} */
const columns = () => [
  { key: "type", title: t("notification.type"), rank: 1, by: (row) => row.event_type, cell: (row) => html`<a class="name" href=${link(`/notifications/${row.number}`)}>${row.event_type}</a>` },
  { key: "number", title: t("notification.number"), rank: 2, numeric: true, by: (row) => row.number, cell: (row) => row.number },
  { key: "at", title: t("notification.at"), rank: 1, by: (row) => row.timestamp, cell: (row) => html`<time datetime=${row.timestamp} title=${time(row.timestamp)}>${t("ago", { age: age(row.timestamp) })}</time>` },
  { key: "priority", title: t("notification.priority"), rank: 3, by: (row) => row.priority, cell: (row) => html`<${Badge} tone=${row.priority === "ERROR" ? "bad" : "idle"} text=${row.priority} />` },
  { key: "server", title: t("notification.server"), rank: 2, cell: (row) => serverOf(row) && html`<a class="mono" href=${link(`/servers/${serverOf(row)}`)}>${serverOf(row)}</a>` },
  { key: "publisher", title: t("notification.publisher"), rank: 3, by: (row) => row.publisher_id, cell: (row) => row.publisher_id },
  { key: "request", title: t("notification.request"), rank: 4, cell: (row) => row.payload.request_id && html`<${RequestLink} id=${row.payload.request_id} />` },
];

// SPDX-License-Identifier: Apache-2.0
/** One notification with its payload. */
import "../../words/people.js";
import * as api from "../../api/notifications.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { link } from "../../router.js";
import { projectName } from "../../state/resources.js";
import { useWatched } from "../../state/watched.js";
import { age, t, time } from "../../words/index.js";
import { RequestLink } from "../actions/columns.js";
import { serverOf } from "./list.js";

/** @typedef {import("../../api/notifications.js").Notification} Notification */

const UP = { path: "/notifications", text: t("nav.notifications") };

/** @param {{ number: string }} props */
export default function NotificationPage({ number }) {
  const wanted = /^\d{1,15}$/.test(number) ? Number(number) : 0;
  const { value, error, read } = useWatched(async () => (await api.find({ after: Math.max(0, wanted - 1), limit: 1 })).notifications, number);
  if (!value.value) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const [found] = value.value;
  if (found?.number !== wanted) {
    return html`<${Page} title=${t("notification.gone")} up=${UP}><${Empty}><h2>${t("notification.gone")}</h2><p>${t("notification.gone.text")}</p><a class="button" href=${link("/notifications")}>${t("nav.notifications")}</a><//><//>`;
  }
  const payload = JSON.stringify(found.payload, null, 2);
  return html`
    <${Page} title=${`${found.event_type} ${found.number}`} up=${UP} command=${["kilonova", "notifications", "--after", String(wanted - 1), "--limit", "1"]}>
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${facts(found)} /></section>
        <section class="panel panel-wide" aria-labelledby="payload-head">
          <header><h2 id="payload-head">${t("notification.payload")}</h2><${Copy} text=${payload} label=${t("notification.payload.copy")} /></header>
          <pre class="wrapped">${payload}</pre>
        </section>
      </div>
    <//>`;
}

/** @param {Notification} found @returns {[string, any][]} */
function facts(found) {
  const { payload, timestamp, priority, publisher_id, message_id } = found;
  const server = serverOf(found);
  /** @type {[string, any][]} */
  const rows = [
    [t("notification.at"), html`<time datetime=${timestamp}>${time(timestamp)}</time> <span class="dim">${t("ago", { age: age(timestamp) })}</span>`],
    [t("notification.priority"), priority],
    [t("notification.publisher"), publisher_id],
    [t("notification.message"), html`<span class="mono">${message_id}</span>`],
  ];
  if (server) {
    rows.push([t("notification.server"), html`<a class="mono" href=${link(`/servers/${server}`)}>${server}</a>
      <a class="dim" href=${link(`/notifications?server=${server}`)}>${t("notification.of.server")}</a>`]);
  }
  if (payload.request_id) rows.push([t("notification.request"), html`<${RequestLink} id=${payload.request_id} />`]);
  if (payload.tenant_id) rows.push([t("server.project"), html`<a href=${link(`/projects/${payload.tenant_id}`)}>${projectName(payload.tenant_id)}</a>`]);
  if (payload.action_initiator_user) rows.push([t("people.user"), html`<a class="mono" href=${link(`/users/${payload.action_initiator_user}`)}>${payload.action_initiator_user}</a>`]);
  return rows;
}

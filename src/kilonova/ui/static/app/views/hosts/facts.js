// SPDX-License-Identifier: Apache-2.0
/** What the pages of hosts, services and aggregates share: their lists, read again now and then, and what they say of a service. */
import { useEffect, useState } from "preact/hooks";
import * as aggregatesApi from "../../api/aggregates.js";
import * as api from "../../api/hosts.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Meter } from "../../parts/meter.js";
import { now } from "../../state/clock.js";
import { collection, useCollection } from "../../state/collection.js";
import { size, t } from "../../words/index.js";

/** @typedef {import("../../api/hosts.js").Service} Service */

export const hosts = collection(api.list);
export const services = collection(api.services);
export const aggregates = collection(aggregatesApi.list);
export const zoneList = collection(aggregatesApi.zones);

/**
 * Read these lists when a page opens, after events of hosts, and with each step of the clock: that a host is down has no event.
 * @template T
 * @param {import("../../state/collection.js").Collection<T>} list
 */
export function useFresh(list) {
  useCollection(list, "host", "poll");
  const [opened] = useState(now.peek());
  const at = now.value;
  useEffect(() => (at === opened ? undefined : void list.refresh()), [at, list]);
  return list;
}

/** Read all of them again, after a change. */
export const changed = () => void Promise.all([hosts, services, aggregates, zoneList].map((list) => list.items.peek() && list.refresh()));

/** Whether it answers. @param {{ service: Service }} props */
export function ServiceState({ service }) {
  if (service.forced_down) return html`<${Badge} tone="attention" text=${t("service.forcedDown")} />`;
  return service.state === "up" ? html`<${Badge} tone="good" text=${t("service.up")} />` : html`<${Badge} tone="bad" text=${t("service.down")} />`;
}

/** Whether it receives new servers, and why not. @param {{ service: Service }} props */
export const ServiceStatus = ({ service }) =>
  service.status === "enabled" ? t("service.enabled") : html`<span title=${service.disabled_reason ?? ""}>${t("service.disabled")}${service.disabled_reason && html` <span class="dim">${service.disabled_reason}</span>`}</span>`;

/** @param {Service} service what sorting compares */
export const stateOf = (service) => (service.forced_down ? "forced" : service.state);

/** What is used of what servers may claim. @param {{ label: string, amounts?: import("../../api/hosts.js").Amounts, text?: (value: number) => string }} props */
export const Share = ({ label, amounts, text }) => amounts && html`<div class="share"><${Meter} label=${label} used=${amounts.used} limit=${amounts.capacity} text=${text} /></div>`;

/** @param {number} mib */
export const mebibytes = (mib) => size(mib * 1048576);
/** @param {number} gib */
export const gibibytes = (gib) => `${gib} GiB`;

/** Such as 10.0.0. @param {number} version */
export const dotted = (version) => `${Math.floor(version / 1e6)}.${Math.floor(version / 1e3) % 1e3}.${version % 1e3}`;

/** The page of a host. @param {string} host */
export const pathOf = (host) => `/hosts/${encodeURIComponent(host)}`;

/** @param {string} host */
export const aggregatesOf = (host) => (aggregates.items.value ?? []).filter((each) => each.hosts.includes(host));

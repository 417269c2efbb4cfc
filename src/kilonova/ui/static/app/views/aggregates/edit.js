// SPDX-License-Identifier: Apache-2.0
/** Dialogs of aggregates: a new one, its name and zone, its metadata, a host that joins it. */
import * as api from "../../api/aggregates.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { ask, FormDialog } from "../../parts/formdialog.js";
import { pairs, pairsText } from "../../parts/pairs.js";
import { t } from "../../words/index.js";
import { hosts } from "../hosts/facts.js";

/** @typedef {import("../../api/aggregates.js").Aggregate} Aggregate */

const PATHS = { "aggregate.name": "name", "aggregate.availability_zone": "zone", [api.ZONE]: "zone" };
const COMMAND = ["openstack", "aggregate"];

/** @param {() => void} changed */
export const openCreate = (changed) => openDialog(() => html`<${Create} changed=${changed} />`);
/** @param {Aggregate} aggregate @param {() => void} changed */
export const openEdit = (aggregate, changed) => openDialog(() => html`<${Edit} aggregate=${aggregate} changed=${changed} />`);
/** @param {Aggregate} aggregate @param {() => void} changed */
export const openMetadata = (aggregate, changed) => openDialog(() => html`<${Metadata} aggregate=${aggregate} changed=${changed} />`);
/** @param {Aggregate} aggregate @param {() => void} changed */
export const openAddHost = (aggregate, changed) => openDialog(() => html`<${AddHost} aggregate=${aggregate} changed=${changed} />`);

/** @param {Aggregate[]} found @param {() => void} done */
export const deleteAggregates = (found, done) =>
  ask({
    action: t("delete"), ask: t("aggregate.delete.ask"), message: t("aggregate.delete.done", { name: "{name}" }), done,
    targets: found.map(({ id, name }) => ({ key: String(id), name })), command: [...COMMAND, "delete"], run: ({ key }) => api.remove(key),
  });

/** @param {Aggregate} aggregate @param {string} host @param {() => void} done */
export const removeHost = (aggregate, host, done) =>
  ask({
    action: t("aggregate.remove"), ask: t("aggregate.remove.ask"), message: t("aggregate.remove.done", { name: "{name}" }), done,
    targets: [{ key: host, name: host }], command: [...COMMAND, "remove", "host", aggregate.name], run: ({ key }) => api.changeHost(aggregate.id, "remove_host", key),
  });

/** The metadata without the zone, which has a field of its own. @param {Aggregate} aggregate */
export const metadataOf = (aggregate) => Object.fromEntries(Object.entries(aggregate.metadata).filter(([key]) => key !== api.ZONE));

/** @param {{ form: import("../../parts/form.js").Form }} props */
const NameAndZone = ({ form }) => html`
  <${Field} form=${form} name="name" label=${t("server.name")} required focus />
  <${Field} form=${form} name="zone" label=${t("server.zone")} hint=${t("aggregate.zone.hint")} />`;

/** @param {{ changed: () => void }} props */
function Create({ changed }) {
  const form = useForm({
    initial: { name: "", zone: "" },
    paths: PATHS,
    check: (values) => missing(values, ["name"]),
    send: async ({ name, zone }) => {
      await api.create({ name, ...(zone && { availability_zone: zone }) });
      closeDialog();
      changed();
    },
  });
  const { name, zone } = form.values.value;
  return html`<${FormDialog} heading=${t("aggregates.create")} form=${form} submit=${t("create.submit")} command=${[...COMMAND, "create", ...(zone ? ["--zone", zone] : []), name || "NAME"]}>
    <${NameAndZone} form=${form} />
  <//>`;
}

/** @param {{ aggregate: Aggregate, changed: () => void }} props */
function Edit({ aggregate, changed }) {
  const form = useForm({
    initial: { name: aggregate.name, zone: aggregate.availability_zone ?? "" },
    paths: PATHS,
    check: (values) => missing(values, ["name"]),
    send: async ({ name, zone }) => {
      await api.update(aggregate.id, { name, ...(zone !== (aggregate.availability_zone ?? "") && { availability_zone: zone || null }) });
      closeDialog();
      changed();
    },
  });
  const { name, zone } = form.values.value;
  return html`<${FormDialog} heading=${`${t("edit")}: ${aggregate.name}`} form=${form} command=${editCommand(aggregate, name, zone)}>
    <p>${t("aggregate.edit.text")}</p>
    <${NameAndZone} form=${form} />
  <//>`;
}

/** @param {Aggregate} aggregate @param {string} name @param {string} zone */
function editCommand(aggregate, name, zone) {
  if (!zone && aggregate.availability_zone && name === aggregate.name) return [...COMMAND, "unset", "--property", api.ZONE, aggregate.name];
  return [...COMMAND, "set", ...(name !== aggregate.name ? ["--name", name] : []), ...(zone ? ["--zone", zone] : []), aggregate.name];
}

/** @param {{ aggregate: Aggregate, changed: () => void }} props */
function Metadata({ aggregate, changed }) {
  const before = metadataOf(aggregate);
  const form = useForm({
    initial: { metadata: pairsText(before) },
    paths: { "set_metadata.metadata": "metadata" },
    check: ({ metadata }) => pairs(metadata).errors("metadata"),
    send: async ({ metadata }) => {
      const changes = difference(before, pairs(metadata).found);
      if (Object.keys(changes).length > 0) await api.setMetadata(aggregate.id, changes);
      closeDialog();
      changed();
    },
  });
  const changes = Object.entries(difference(before, pairs(form.values.value.metadata).found));
  const put = changes.filter(([, value]) => value !== null).flatMap(([key, value]) => ["--property", `${key}=${value}`]);
  const gone = changes.filter(([, value]) => value === null).flatMap(([key]) => ["--property", key]);
  const command = put.length === 0 && gone.length > 0 ? [...COMMAND, "unset", ...gone, aggregate.name] : [...COMMAND, "set", ...put, aggregate.name];
  return html`<${FormDialog} heading=${`${t("server.metadata")}: ${aggregate.name}`} form=${form} command=${command}>
    <p>${t("aggregate.metadata.text")}</p>
    <${Field} form=${form} name="metadata" type="textarea" label=${t("server.metadata")} hint=${t("metadata.hint")} focus />
  <//>`;
}

/** What changes; null: it goes. @param {Record<string, string>} before @param {Record<string, string>} after @returns {Record<string, string | null>} */
const difference = (before, after) => ({
  ...Object.fromEntries(Object.keys(before).filter((key) => !(key in after)).map((key) => [key, null])),
  ...Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value)),
});

/** @param {{ aggregate: Aggregate, changed: () => void }} props */
function AddHost({ aggregate, changed }) {
  const form = useForm({
    initial: { host: "" },
    paths: { "add_host.host": "host" },
    check: (values) => missing(values, ["host"]),
    send: async ({ host }) => {
      await api.changeHost(aggregate.id, "add_host", host);
      closeDialog();
      changed();
    },
  });
  const others = (hosts.items.value ?? []).filter((each) => !aggregate.hosts.includes(each.name));
  const options = [{ value: "", text: t("form.choose") }, ...others.map(({ name, service }) => ({ value: name, text: `${name} (${service.zone})` }))];
  return html`<${FormDialog} heading=${`${t("aggregate.add")}: ${aggregate.name}`} form=${form} submit=${t("aggregate.add")} command=${[...COMMAND, "add", "host", aggregate.name, form.values.value.host || "HOST"]}>
    <p>${t("aggregate.add.text")}</p>
    <${Field} form=${form} name="host" type="select" label=${t("server.host")} options=${options} required focus />
  <//>`;
}

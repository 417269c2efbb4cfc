// SPDX-License-Identifier: Apache-2.0
/** One form for a new server; what it asks for is what the API needs, and the command below it does the same. */
import { useEffect } from "preact/hooks";
import * as api from "../../api/servers.js";
import { html } from "../../html.js";
import { Field, FormError, Submit, useForm } from "../../parts/form.js";
import { Loading, Page } from "../../parts/page.js";
import { pairs, readList } from "../../parts/pairs.js";
import { toast } from "../../parts/toast.js";
import { go, place } from "../../router.js";
import { flavors, images, keypairs, networks, serverGroups, zones } from "../../state/resources.js";
import { announce } from "../../state/events.js";
import { memory, size, t } from "../../words/index.js";
import { base64, body, command } from "./request.js";
import { UserData } from "./userdata.js";

const PATHS = {
  "server.name": "name", "server.imageRef": "image", "server.flavorRef": "flavor", "server.networks": "network", "server.key_name": "key",
  "server.user_data": "userData", "server.metadata": "metadata", "server.tags": "tags", "server.min_count": "count", "server.max_count": "count",
  "server.description": "description", "server.availability_zone": "zone", "os:scheduler_hints": "group",
};
const NECESSARY = ["name", "image", "flavor"];
const MOST_USER_DATA = 65535;

/** What was typed, when one leaves the form without a request. @type {import("../../parts/form.js").Values | null} */
let draft = null;

const BLANK = {
  name: "", image: "", flavor: "", network: "auto", key: "", userData: "", metadata: "", tags: "", group: "", zone: "", description: "", count: "1", configDrive: false,
};

/** Fields that a link to this page can choose. */
const LINKED = ["image", "flavor", "network", "key", "group"];
const linked = () => Object.fromEntries([...place.peek().query].filter(([name]) => LINKED.includes(name)));

export default function CreateServer() {
  const form = useForm({ initial: { ...(draft ?? BLANK), ...linked() }, paths: PATHS, check, send });
  const values = form.values.value;
  useEffect(() => void Promise.all([images, flavors, keypairs, networks, serverGroups, zones].map((each) => each.refresh())), []);
  useEffect(() => void (draft = values), [values]);
  if (!images.items.value || !flavors.items.value) return html`<${Page} title=${t("servers.create")}><${Loading} /><//>`;
  return html`
    <${Page} title=${t("servers.create")} up=${{ path: "/servers", text: t("nav.servers") }} command=${command(values)}>
      <form class="panel create" onSubmit=${form.submit} novalidate>
        <${FormError} form=${form} />
        <div class="columns">
          <${Field} form=${form} name="name" label=${t("server.name")} required focus />
          <${Field} form=${form} name="count" type="number" label=${t("create.count")} required more=${{ min: 1, max: 1000 }} hint=${Number(values.count) > 1 ? t("create.names", { first: `${values.name || t("server.name")}-1` }) : null} />
          <${Field} form=${form} name="image" type="select" label=${t("server.image")} required options=${imageOptions()} hint=${imageHint(values)} />
          <${Field} form=${form} name="flavor" type="select" label=${t("server.flavor")} required options=${flavorOptions(values)} />
          <${Field} form=${form} name="network" type="select" label=${t("address.network")} required options=${networkOptions()} />
          <${Field} form=${form} name="key" type="select" label=${t("server.key")} options=${optional(keypairs.items.value ?? [], (key) => key.name, (key) => key.name)} hint=${values.key ? null : t("create.noKey")} />
        </div>
        <${UserData} form=${form} />
        <details class="more"><summary>${t("create.more")}</summary>
          <div class="columns">
            <${Field} form=${form} name="description" label=${t("server.description")} />
            <${Field} form=${form} name="tags" label=${t("server.tags")} hint=${t("tags.hint")} />
            <${Field} form=${form} name="group" type="select" label=${t("create.group")} options=${optional(serverGroups.items.value ?? [], (group) => group.id, (group) => `${group.name} (${group.policy})`)} />
            <${Field} form=${form} name="zone" type="select" label=${t("server.zone")} options=${optional(zones.items.value ?? [], String, String)} />
            <${Field} form=${form} name="metadata" type="textarea" label=${t("server.metadata")} hint=${t("metadata.hint")} />
            <${Field} form=${form} name="configDrive" type="checkbox" label=${t("create.configDrive")} hint=${t("create.configDrive.hint")} />
          </div>
        </details>
        <footer><button type="button" onClick=${() => ((draft = null), go("/servers"))}>${t("cancel")}</button><${Submit} form=${form} text=${t("create.submit")} /></footer>
      </form>
    <//>`;
}

/** @param {Record<string, any>} values */
async function send(values) {
  const created = await api.create(body(values));
  draft = null;
  announce(created.id);
  const many = Number(values.count) > 1;
  toast("ok", t("create.accepted", { name: values.name }));
  go(many ? "/servers" : `/servers/${created.id}`);
}

/** @param {Record<string, any>} values */
function check(values) {
  const errors = { ...pairs(values.metadata).errors("metadata") };
  for (const name of NECESSARY) if (!values[name]) errors[name] = t("form.missing");
  if (base64(values.userData).length > MOST_USER_DATA) errors.userData = t("userdata.long");
  if (readList(values.tags).some((tag) => tag.includes("/"))) errors.tags = t("tags.wrong");
  return errors;
}

/**
 * @template T
 * @param {T[]} found @param {(each: T) => string} value @param {(each: T) => string} text
 */
const optional = (found, value, text) => [{ value: "", text: t("none") }, ...found.map((each) => ({ value: value(each), text: text(each) }))];

const imageOptions = () => [
  { value: "", text: t("form.choose") },
  ...(images.items.value ?? []).map((image) => ({ value: image.id, disabled: image.status !== "active", text: `${image.name ?? image.id}${image.size ? ` (${size(image.size)})` : ""}` })),
];

/** The image that is chosen. @param {Record<string, any>} values */
const chosenImage = (values) => images.items.value?.find((image) => image.id === values.image);

/** @param {Record<string, any>} values */
function imageHint(values) {
  if (images.items.value?.length === 0) return t("create.noImages");
  const image = chosenImage(values);
  return image && (image.min_disk || image.min_ram) ? t("create.needs", { disk: image.min_disk, memory: memory(image.min_ram) }) : null;
}

/** Flavors; those that are too small for the image cannot be chosen. @param {Record<string, any>} values */
function flavorOptions(values) {
  const image = chosenImage(values);
  return [
    { value: "", text: t("form.choose") },
    ...(flavors.items.value ?? []).map((flavor) => ({
      value: flavor.id, text: `${flavor.name}: ${t("flavor.size", { vcpus: flavor.vcpus, memory: memory(flavor.ram), disk: flavor.disk })}`,
      disabled: image !== undefined && (flavor.ram < image.min_ram || flavor.disk < image.min_disk),
    })),
  ];
}

const networkOptions = () => [
  { value: "auto", text: t("create.network.auto") },
  ...(networks.items.value ?? []).map((network) => ({ value: network.id, text: network.description ? `${network.name} (${network.description})` : network.name })),
  { value: "none", text: t("create.network.none") },
];

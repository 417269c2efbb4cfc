// SPDX-License-Identifier: Apache-2.0
/** What the form of a new server becomes: the body of the request, and the command that sends the same. */
import { pairs, readList } from "../../parts/pairs.js";
import { flavors, images, networks, serverGroups } from "../../state/resources.js";

/** @typedef {import("../../parts/form.js").Values} Values */

/** UTF-8 as base64. @param {string} text */
export const base64 = (text) => btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));

/** @param {Values} values @returns {Record<string, unknown>} */
export function body(values) {
  const count = Number(values.count) || values.count;
  const metadata = pairs(values.metadata).found;
  const tags = readList(values.tags);
  const server = {
    name: values.name,
    imageRef: values.image,
    flavorRef: values.flavor,
    networks: values.network === "auto" || values.network === "none" ? values.network : [{ uuid: values.network }],
    ...(values.key && { key_name: values.key }),
    ...(values.userData && { user_data: base64(values.userData) }),
    ...(Object.keys(metadata).length > 0 && { metadata }),
    ...(tags.length > 0 && { tags }),
    ...(values.zone && { availability_zone: values.zone }),
    ...(values.description && { description: values.description }),
    ...(values.configDrive && { config_drive: true }),
    ...(count !== 1 && { min_count: count, max_count: count }),
  };
  return { server, ...(values.group && { "os:scheduler_hints": { group: values.group } }) };
}

/** @param {Values} values */
export function command(values) {
  /** @param {string} name @param {string | undefined | null} value */
  const option = (name, value) => (value ? [`--${name}`, value] : []);
  return [
    "openstack", "server", "create",
    ...option("image", nameOf(images.items.value, values.image)),
    ...option("flavor", nameOf(flavors.items.value, values.flavor)),
    ...(values.network === "none" ? ["--no-network"] : values.network === "auto" ? [] : option("network", nameOf(networks.items.value, values.network))),
    ...option("key-name", values.key),
    ...(values.userData ? ["--user-data", "user-data.yaml"] : []),
    ...option("hint", values.group && `group=${nameOf(serverGroups.items.value, values.group)}`),
    ...option("availability-zone", values.zone),
    ...option("description", values.description),
    ...Object.entries(pairs(values.metadata).found).flatMap(([key, value]) => option("property", `${key}=${value}`)),
    ...readList(values.tags).flatMap((tag) => option("tag", tag)),
    ...(values.configDrive ? ["--config-drive", "True"] : []),
    ...(Number(values.count) > 1 ? ["--min", String(values.count), "--max", String(values.count)] : []),
    values.name || "NAME",
  ];
}

/** @param {{ id: string, name: string | null }[] | null} found @param {string} id */
const nameOf = (found, id) => found?.find((each) => each.id === id)?.name ?? id;

// SPDX-License-Identifier: Apache-2.0
/** What one can do with a server: one entry for each action of the API, with its states, its fields and its command. */
import { flavors, images } from "../../state/resources.js";
import { memory, t } from "../../words/index.js";

/** @typedef {import("../../api/servers.js").Server} Server */
/** @typedef {import("../../parts/form.js").Option} Option */
/**
 * @typedef {object} ActionField
 * @property {string} name
 * @property {"text" | "number" | "select" | "checkbox"} [type]
 * @property {string} path of the field in the API
 * @property {boolean} [required]
 * @property {(server: Server) => any} [initial]
 * @property {(server: Server) => Option[]} [options]
 */
/**
 * @typedef {object} ActionKind its words are at `action.NAME`, `action.NAME.ask` and `action.NAME.done`
 * @property {string} name
 * @property {string} api the name of the action in the API
 * @property {string[] | null} states in which the API accepts it; null is all
 * @property {string} [command] of the `openstack` client, between "server" and the name of the server
 * @property {boolean} [asks] whether it has a dialog; one with fields always has
 * @property {boolean} [danger]
 * @property {boolean} [admin]
 * @property {boolean} [single] not for several servers at once
 * @property {(server: Server) => boolean} [when] a further condition
 * @property {ActionField[]} [fields]
 * @property {(values: Record<string, any>, server: Server) => Record<string, unknown>} body
 * @property {(values: Record<string, any>) => string[]} [words] arguments of the command
 */

/** @param {Record<string, unknown>} values only those that are given */
const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "" && value !== undefined));
/** @param {string} option @param {unknown} value */
const option = (option, value) => (value ? [`--${option}`, String(value)] : []);

/** @type {ActionField} */
const HOST = { name: "host", path: "host" };

/** @returns {Option[]} */
const imageOptions = () =>
  (images.items.value ?? []).filter((image) => image.status === "active").map((image) => ({ value: image.id, text: image.name ?? image.id }));

/** @param {Server} server @returns {Option[]} */
const flavorOptions = (server) => [
  { value: "", text: t("form.choose") },
  ...(flavors.items.value ?? []).map((flavor) => ({
    value: flavor.id, disabled: flavor.name === server.flavor.original_name,
    text: `${flavor.name}: ${flavor.vcpus} vCPU, ${memory(flavor.ram)}, ${flavor.disk} GiB`,
  })),
];

/** @param {Server} server */
const imageOf = (server) => (server.image ? server.image.id : "");
const SNAPSHOT = ["ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED"];

/** @type {ActionKind[]} */
export const ACTIONS = [
  { name: "start", api: "os-start", states: ["SHUTOFF"], command: "start", body: () => ({ "os-start": null }) },
  { name: "stop", api: "os-stop", states: ["ACTIVE", "ERROR"], command: "stop", asks: true, body: () => ({ "os-stop": null }) },
  { name: "reboot", api: "reboot", states: ["ACTIVE"], command: "reboot", asks: true, words: () => ["--soft"], body: () => ({ reboot: { type: "SOFT" } }) },
  {
    name: "rebootHard", api: "reboot", states: ["ACTIVE", "ERROR", "PAUSED", "SHUTOFF", "SUSPENDED", "UNKNOWN"], command: "reboot", asks: true,
    words: () => ["--hard"], body: () => ({ reboot: { type: "HARD" } }),
  },
  { name: "pause", api: "pause", states: ["ACTIVE"], command: "pause", body: () => ({ pause: null }) },
  { name: "unpause", api: "unpause", states: ["PAUSED"], command: "unpause", body: () => ({ unpause: null }) },
  { name: "suspend", api: "suspend", states: ["ACTIVE"], command: "suspend", body: () => ({ suspend: null }) },
  { name: "resume", api: "resume", states: ["SUSPENDED"], command: "resume", body: () => ({ resume: null }) },
  { name: "confirmResize", api: "confirmResize", states: ["VERIFY_RESIZE"], command: "resize confirm", body: () => ({ confirmResize: null }) },
  { name: "revertResize", api: "revertResize", states: ["VERIFY_RESIZE"], command: "resize revert", asks: true, body: () => ({ revertResize: null }) },
  {
    name: "resize", api: "resize", states: ["ACTIVE", "SHUTOFF"], command: "resize",
    fields: [{ name: "flavor", type: "select", path: "resize.flavorRef", required: true, options: flavorOptions }],
    body: ({ flavor }) => ({ resize: { flavorRef: flavor } }), words: ({ flavor }) => option("flavor", flavor),
  },
  {
    name: "createImage", api: "createImage", states: SNAPSHOT, command: "image create", single: true,
    fields: [{ name: "name", path: "createImage.name", required: true, initial: (server) => `${server.name}-${new Date().toISOString().slice(0, 10)}` }],
    body: ({ name }) => ({ createImage: { name } }), words: ({ name }) => option("name", name),
  },
  {
    name: "createBackup", api: "createBackup", states: SNAPSHOT, command: "backup create", single: true,
    fields: [
      { name: "name", path: "createBackup.name", required: true, initial: (server) => `${server.name}-backup` },
      { name: "backup", path: "createBackup.backup_type", required: true, initial: () => "daily" },
      { name: "rotation", type: "number", path: "createBackup.rotation", required: true, initial: () => 7 },
    ],
    body: ({ name, backup, rotation }) => ({ createBackup: { name, backup_type: backup, rotation: Number(rotation) } }),
    words: ({ name, backup, rotation }) => [...option("name", name), ...option("type", backup), ...option("rotate", rotation)],
  },
  {
    name: "rescue", api: "rescue", states: ["ACTIVE", "ERROR", "SHUTOFF"], command: "rescue",
    fields: [{ name: "image", type: "select", path: "rescue.rescue_image_ref", initial: () => "", options: () => [{ value: "", text: t("action.rescue.own") }, ...imageOptions()] }],
    body: ({ image }) => ({ rescue: given({ rescue_image_ref: image }) }), words: ({ image }) => option("image", image),
  },
  { name: "unrescue", api: "unrescue", states: ["RESCUE"], command: "unrescue", body: () => ({ unrescue: null }) },
  {
    name: "rebuild", api: "rebuild", states: ["ACTIVE", "ERROR", "SHUTOFF"], command: "rebuild", danger: true,
    fields: [{ name: "image", type: "select", path: "rebuild.imageRef", required: true, initial: imageOf, options: imageOptions }],
    body: ({ image }) => ({ rebuild: { imageRef: image } }), words: ({ image }) => option("image", image),
  },
  { name: "shelve", api: "shelve", states: SNAPSHOT, command: "shelve", asks: true, body: () => ({ shelve: null }) },
  { name: "unshelve", api: "unshelve", states: ["SHELVED", "SHELVED_OFFLOADED"], command: "unshelve", body: () => ({ unshelve: null }) },
  { name: "shelveOffload", api: "shelveOffload", states: ["SHELVED"], admin: true, command: "shelve", asks: true, words: () => ["--offload"], body: () => ({ shelveOffload: null }) },
  {
    name: "lock", api: "lock", states: null, command: "lock", when: (server) => !server.locked, fields: [{ name: "reason", path: "lock.locked_reason" }],
    body: ({ reason }) => ({ lock: reason ? { locked_reason: reason } : null }), words: ({ reason }) => option("reason", reason),
  },
  { name: "unlock", api: "unlock", states: null, command: "unlock", when: (server) => server.locked, body: () => ({ unlock: null }) },
  {
    name: "migrate", api: "migrate", states: ["ACTIVE", "SHUTOFF"], admin: true, command: "migrate", fields: [HOST],
    body: ({ host }) => ({ migrate: host ? { host } : null }), words: ({ host }) => option("host", host),
  },
  {
    name: "migrateLive", api: "os-migrateLive", states: ["ACTIVE", "PAUSED"], admin: true, command: "migrate", fields: [HOST],
    body: ({ host }) => ({ "os-migrateLive": { host: host || null, block_migration: "auto" } }), words: ({ host }) => ["--live-migration", ...option("host", host)],
  },
  {
    name: "evacuate", api: "evacuate", states: ["ACTIVE", "ERROR", "SHUTOFF", "UNKNOWN"], admin: true, command: "evacuate", fields: [HOST],
    body: ({ host }) => ({ evacuate: given({ host }) }), words: ({ host }) => option("host", host),
  },
  {
    name: "resetState", api: "os-resetState", states: null, admin: true, command: "set",
    fields: [{ name: "state", type: "select", path: "os-resetState.state", required: true, initial: () => "active", options: () => ["active", "error"].map((value) => ({ value, text: value })) }],
    body: ({ state }) => ({ "os-resetState": { state } }), words: ({ state }) => option("state", state),
  },
  { name: "delete", api: "delete", states: null, command: "delete", asks: true, danger: true, body: () => ({}) },
];

/**
 * Whether the API would accept it now.
 * @param {ActionKind} kind
 * @param {Server} server
 * @param {boolean} admin
 */
export function isPossible(kind, server, admin) {
  if (kind.admin && !admin) return false;
  if (kind.when && !kind.when(server)) return false;
  const busy = server["OS-EXT-STS:task_state"] !== null;
  if (busy && !["delete", "lock", "unlock", "resetState"].includes(kind.name)) return false;
  if (server.locked && !admin && !["lock", "unlock"].includes(kind.name)) return false;
  return kind.states === null || kind.states.includes(server.status);
}

/**
 * The command that does the same.
 * @param {ActionKind} kind
 * @param {Record<string, any>} values
 * @param {Server[]} targets
 */
export const commandOf = (kind, values, targets) =>
  ["openstack", "server", ...(kind.command ?? kind.name).split(" "), ...(kind.words?.(values) ?? []), ...targets.map((server) => server.name)];

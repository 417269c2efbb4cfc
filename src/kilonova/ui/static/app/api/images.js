// SPDX-License-Identifier: Apache-2.0
/** Images: records, bytes, members. */
import { address, ApiError, faultMessage, listAll, onUnauthorized, request, token } from "./client.js";

/**
 * @typedef {object} PlainImage
 * @property {string} id
 * @property {string | null} name
 * @property {string} status
 * @property {"public" | "community" | "shared" | "private"} visibility
 * @property {string} owner
 * @property {number | null} size
 * @property {number | null} virtual_size
 * @property {string | null} checksum
 * @property {string | null} os_hash_algo
 * @property {string | null} os_hash_value
 * @property {string | null} container_format
 * @property {string | null} disk_format
 * @property {number} min_disk in GiB
 * @property {number} min_ram in MiB
 * @property {boolean} protected
 * @property {boolean} os_hidden
 * @property {string[]} tags
 * @property {string} created_at
 * @property {string} updated_at
 */
/** @typedef {PlainImage & Record<string, any>} Image; further members are its properties, which are text */
/** @typedef {{ member_id: string, status: "pending" | "accepted" | "rejected", created_at: string }} ImageMember */
/** @typedef {{ op: "add" | "replace" | "remove", path: string, value?: unknown }} Operation */

const FIELDS = new Set(
  `id name status visibility owner size virtual_size checksum os_hash_algo os_hash_value container_format disk_format min_disk min_ram protected
  os_hidden tags created_at updated_at self file schema locations direct_url stores`.split(/\s+/),
);
const PATCH = { "Content-Type": "application/openstack-images-v2.1-json-patch" };

/** @param {Record<string, unknown>} [query] @returns {Promise<Image[]>} */
export const list = (query) => listAll("image", "/images", "images", { query });

/** @param {string} id @returns {Promise<Image>} */
export const get = async (id) => (await request("image", "GET", path(id))).data;

/** @param {Record<string, unknown>} body @returns {Promise<Image>} a record without bytes */
export const create = async (body) => (await request("image", "POST", "/images", { body })).data;

/** @param {string} id @param {Operation[]} operations */
export const change = (id, operations) => request("image", "PATCH", path(id), { body: operations, headers: PATCH });

/** @param {string} id */
export const remove = (id) => request("image", "DELETE", path(id));

/** @param {string} id @param {"deactivate" | "reactivate"} action */
export const act = (id, action) => request("image", "POST", `${path(id)}/actions/${action}`);

/** @param {string} id @returns {Promise<ImageMember[]>} */
export const members = async (id) => (await request("image", "GET", `${path(id)}/members`)).data.members;

/** @param {string} id @param {string} projectId */
export const addMember = (id, projectId) => request("image", "POST", `${path(id)}/members`, { body: { member: projectId } });

/** @param {string} id @param {string} projectId */
export const removeMember = (id, projectId) => request("image", "DELETE", `${path(id)}/members/${encodeURIComponent(projectId)}`);

/** What a project replies to an offered image. @param {string} id @param {string} projectId @param {"accepted" | "rejected"} status */
export const reply = (id, projectId, status) =>
  request("image", "PUT", `${path(id)}/members/${encodeURIComponent(projectId)}`, { body: { status } });

/** The properties of an image, without its fields. @param {Image} image @returns {Record<string, string>} */
export const properties = (image) => Object.fromEntries(Object.entries(image).filter(([name]) => !FIELDS.has(name)));

/**
 * The operations that make an image have these fields and properties.
 * @param {Image} image
 * @param {Record<string, unknown>} fields
 * @param {Record<string, string>} [wanted] all properties that it shall have
 * @returns {Operation[]}
 */
export function difference(image, fields, wanted) {
  const changed = Object.entries(fields).filter(([name, value]) => JSON.stringify(image[name]) !== JSON.stringify(value));
  /** @type {Operation[]} */
  const operations = changed.map(([name, value]) => ({ op: "replace", path: pointer(name), value }));
  if (!wanted) return operations;
  const before = properties(image);
  for (const [name, value] of Object.entries(wanted)) {
    if (before[name] !== value) operations.push({ op: name in before ? "replace" : "add", path: pointer(name), value });
  }
  for (const name of Object.keys(before)) if (!(name in wanted)) operations.push({ op: "remove", path: pointer(name) });
  return operations;
}

/** A JSON pointer (RFC 6901). @param {string} name */
const pointer = (name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** @param {string} id */
const path = (id) => `/images/${encodeURIComponent(id)}`;

/**
 * Send the bytes of an image.  Returns when the service has them all on disk; throws ApiError.  When the transfer ends early, the service keeps nothing
 * of it.  It uses XMLHttpRequest, because fetch does not tell how much of a body has been sent.
 * @param {string} id
 * @param {Blob} bytes
 * @param {(sent: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function upload(id, bytes, onProgress, signal) {
  return new Promise((done, fail) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", address("image", `${path(id)}/file`));
    sending.setRequestHeader("X-Auth-Token", token.value);
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.responseType = "json";
    sending.upload.onprogress = (event) => onProgress(event.loaded);
    sending.onload = () => {
      if (sending.status === 401) onUnauthorized.call();
      if (sending.status < 300) done();
      else fail(new ApiError(sending.status, faultMessage(sending.response) ?? `${sending.status} ${sending.statusText}`));
    };
    sending.onerror = sending.onabort = () => fail(new ApiError(0, "network"));
    signal.addEventListener("abort", () => sending.abort(), { once: true });
    sending.send(bytes);
  });
}

/**
 * The bytes of an image, as they come.  Throws ApiError.
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<ReadableStream<Uint8Array<ArrayBuffer>>>}
 */
export async function download(id, signal) {
  const headers = { "X-Auth-Token": token.value };
  const reply = await fetch(address("image", `${path(id)}/file`), { headers, signal, cache: "no-store", credentials: "same-origin" }).catch((error) => {
    throw signal.aborted ? error : new ApiError(0, "network");
  });
  if (reply.status === 200 && reply.body) return reply.body;
  if (reply.status === 401) onUnauthorized.call();
  throw new ApiError(reply.status, faultMessage(await reply.json().catch(() => null)) ?? `${reply.status} ${reply.statusText}`);
}

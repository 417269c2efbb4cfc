// SPDX-License-Identifier: Apache-2.0
/** Requests to the API of the origin that served the page: one function for all services, and errors as objects. */
import { signal } from "@preact/signals";

/** Paths of the services.  The page and the API have the same origin, so that the catalog is not necessary. */
const BASES = {
  identity: "/identity/v3",
  compute: "/compute/v2.1",
  image: "/image/v2",
  network: "/network/v2.0",
  ui: "/ui",
};
export const MICROVERSION = "2.90";
const DEADLINE_MS = 30000;

/** @typedef {keyof typeof BASES} Service */
/**
 * @typedef {object} Options
 * @property {unknown} [body] becomes JSON
 * @property {Record<string, string>} [headers]
 * @property {Record<string, unknown>} [query] members that are undefined, null or "" are left out
 * @property {string} [microversion] of Compute, other than MICROVERSION
 * @property {AbortSignal} [signal]
 * @property {boolean} [hasPassword] the request carries a password: a 401 is about that, and not about the token
 */
/** @typedef {{ data: any, requestId: string | null, headers: Headers }} Answer */

/** The token of the session.  It is only here, in memory. */
export const token = signal("");

/** What happens when a token is refused; the session sets it. */
export const onUnauthorized = { call: () => {} };

/** Something that the API refused, or that did not reach it. */
export class ApiError extends Error {
  /**
   * @param {number} status the HTTP status; 0 when there was no answer
   * @param {string} message the sentence of the API
   * @param {{ requestId?: string | null, retryAfter?: number | null }} [facts]
   */
  constructor(status, message, facts = {}) {
    super(message);
    this.status = status;
    this.requestId = facts.requestId ?? null;
    this.retryAfter = facts.retryAfter ?? null;
  }
}

/**
 * The answer to one request.  Throws ApiError for every other outcome.
 * @param {Service} service
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Answer>}
 */
export async function request(service, method, path, options = {}) {
  const reply = await send(service, method, path, options);
  const facts = { requestId: reply.headers.get("x-openstack-request-id"), headers: reply.headers };
  const content = await reply.text().catch(() => "");
  const data = parse(content);
  if (reply.ok) return { data, ...facts };
  if (reply.status === 401 && token.value && service !== "ui" && !options.hasPassword) onUnauthorized.call();
  const retryAfter = Number(reply.headers.get("retry-after")) || null;
  throw new ApiError(reply.status, faultMessage(data) ?? `${reply.status} ${reply.statusText}`, { ...facts, retryAfter });
}

/**
 * @param {Service} service
 * @param {string} method
 * @param {string} path
 * @param {Options} options
 */
async function send(service, method, path, options) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...options.headers };
  if (token.value) headers["X-Auth-Token"] = token.value;
  if (service === "compute") headers["OpenStack-API-Version"] = `compute ${options.microversion ?? MICROVERSION}`;
  if (options.body !== undefined) headers["Content-Type"] ??= "application/json";
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const until = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
  const body = options.body === undefined ? undefined : JSON.stringify(options.body);
  try {
    return await fetch(address(service, path) + queryText(options.query), {
      method, headers, body, signal: until, cache: "no-store", credentials: "same-origin",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, deadline.aborted ? "timeout" : "network");
  }
}

/** Where a service has a path. @param {Service} service @param {string} path */
export const address = (service, path) => BASES[service] + path;

/** @param {Record<string, unknown>} [query] */
export function queryText(query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : "";
}

/** @param {string} content */
function parse(content) {
  try {
    return content ? JSON.parse(content) : null;
  } catch {
    return content;
  }
}

/**
 * The sentence of a fault: one object under one key, or the object itself.
 * @param {any} data
 * @returns {string | null}
 */
export function faultMessage(data) {
  if (!data || typeof data !== "object") return null;
  const inner = Object.values(data).find((value) => value && typeof value === "object" && "message" in value);
  const message = inner?.message ?? data.message ?? data.NeutronError?.message;
  return typeof message === "string" ? message : null;
}

/**
 * All entries of a list that comes in pages.
 * @param {Service} service
 * @param {string} path
 * @param {string} key of the list in the answer
 * @param {Options} [options]
 * @returns {Promise<any[]>}
 */
export async function listAll(service, path, key, options = {}) {
  /** @type {any[]} */
  const found = [];
  let query = options.query ?? {};
  for (;;) {
    const { data } = await request(service, "GET", path, { ...options, query });
    found.push(...data[key]);
    const next = nextMarker(data, key);
    if (!next) return found;
    query = { ...query, marker: next };
  }
}

/**
 * @param {any} data
 * @param {string} key
 */
function nextMarker(data, key) {
  const link = data[`${key}_links`]?.find((/** @type {{rel: string}} */ each) => each.rel === "next")?.href ?? data.next;
  return typeof link === "string" ? new URL(link, location.origin).searchParams.get("marker") : null;
}

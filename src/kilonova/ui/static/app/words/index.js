// SPDX-License-Identifier: Apache-2.0
/** The words that people see.  Another language is one more file such as en.js. */
import { now } from "../state/clock.js";
import { en } from "./en.js";

/** @typedef {typeof en & typeof import("./en.images.js").images & typeof import("./en.resources.js").resources & typeof import("./en.hosts.js").hosts & typeof import("./en.console.js").consoles & typeof import("./en.people.js").people & typeof import("./en.live.js").live} Table */
/** @typedef {keyof Table} Word */

/** It grows by the words of the pages that are loaded. */
const table = /** @type {Table} */ ({ ...en });

/** Add the words of a page. @param {Partial<Table>} words */
export const join = (words) => void Object.assign(table, words);

/**
 * The words of a key, with values in the places of {name}.
 * @param {Word} key
 * @param {Record<string, unknown>} [values]
 */
export const t = (key, values = {}) => table[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/**
 * The words of a key that is computed from data; `otherwise` when there are none.
 * @param {string} key
 * @param {string} otherwise
 */
export const known = (key, otherwise) => (key in table ? table[/** @type {Word} */ (key)] : otherwise);

/** How long ago it was; what shows it is shown anew now and then. @param {string | null | undefined} iso */
export function age(iso) {
  const then = Date.parse(utc(iso));
  if (Number.isNaN(then)) return "";
  const seconds = Math.max(0, Math.round((Math.max(now.value, Date.now()) - then) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** Times without a zone are UTC in OpenStack. @param {string | null | undefined} iso */
const utc = (iso) => (iso && !/(Z|[+-]\d\d:\d\d)$/.test(iso) ? `${iso}Z` : (iso ?? ""));

/** @param {string | null | undefined} iso */
export function time(iso) {
  const then = new Date(utc(iso));
  return Number.isNaN(then.getTime()) ? "" : then.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** The time between two moments. @param {string | null | undefined} from @param {string | null | undefined} to */
export function duration(from, to) {
  const length = Date.parse(utc(to)) - Date.parse(utc(from));
  if (Number.isNaN(length)) return "";
  if (length < 1000) return length > 0 ? `${length} ms` : "< 1 s";
  if (length < 120000) return `${Math.round(length / 1000)} s`;
  return `${Math.floor(length / 60000)} min ${Math.round((length % 60000) / 1000)} s`;
}

/** @param {number} mib */
export const memory = (mib) => (mib >= 1024 && mib % 256 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`);

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes >= 1 ? Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1) : 0;
  const value = bytes / 1024 ** step;
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

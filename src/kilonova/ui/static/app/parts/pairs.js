// SPDX-License-Identifier: Apache-2.0
/** Lists and tables as people type them: `key=value` on each line, or words between commas. */
import { t } from "../words/index.js";

/** @param {Record<string, string>} found */
export const pairsText = (found) => Object.entries(found).map(([key, value]) => `${key}=${value}`).join("\n");

/**
 * What lines such as `key=value` say.
 * @param {string} text
 * @returns {{ found: Record<string, string>, errors: (name: string) => Record<string, string> }} `errors` is for the field of that name
 */
export function pairs(text) {
  /** @type {Record<string, string>} */
  const found = {};
  let wrong = "";
  for (const line of text.split("\n").filter((each) => each.trim())) {
    const at = line.indexOf("=");
    if (at > 0) found[line.slice(0, at).trim()] = line.slice(at + 1);
    else wrong ||= line.trim();
  }
  return { found, errors: (name) => (wrong ? { [name]: t("pairs.wrong", { line: wrong }) } : {}) };
}

/** @param {string[]} words */
export const listText = (words) => words.join(", ");

/** @param {string} text */
export const readList = (text) => [...new Set(text.split(",").map((word) => word.trim()).filter(Boolean))];

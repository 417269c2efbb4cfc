// SPDX-License-Identifier: Apache-2.0
/** What kind of image a file is, by its first bytes.  The service inspects it again, and has the last word. */
import { t } from "../../words/index.js";

/** @typedef {{ format: "qcow2" | "raw" | null, text: string, refused?: boolean }} Verdict */

const LOOKED_AT = 8;
/** Files that the service refuses, because no disk can be made of them. @type {[number[], string][]} */
const REFUSED = [
  [[0x1f, 0x8b], "gzip"], [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "xz"], [[0x42, 0x5a, 0x68], "bzip2"], [[0x28, 0xb5, 0x2f, 0xfd], "zstd"], [[0x50, 0x4b, 0x03, 0x04], "zip"],
  [[0x4b, 0x44, 0x4d, 0x56], "VMDK"],
];
const QCOW2 = [0x51, 0x46, 0x49, 0xfb];

/** @param {File} file @returns {Promise<Verdict>} */
export async function inspect(file) {
  const head = new Uint8Array(await file.slice(0, LOOKED_AT).arrayBuffer());
  /** @param {number[]} magic */
  const begins = (magic) => magic.every((byte, index) => head[index] === byte);
  if (file.size === 0) return { format: null, refused: true, text: t("image.file.empty") };
  if (begins(QCOW2)) return { format: "qcow2", text: t("image.file.qcow2") };
  const kind = REFUSED.find(([magic]) => begins(magic))?.[1];
  if (kind) return { format: null, refused: true, text: t(kind === "VMDK" ? "image.file.convert" : "image.file.packed", { kind }) };
  return { format: "raw", text: t("image.file.raw") };
}

/** A name for an image, from that of its file. @param {string} name */
export const nameFrom = (name) => name.replace(/\.(qcow2|img|raw|iso)$/i, "");

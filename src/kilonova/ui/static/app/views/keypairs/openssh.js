// SPDX-License-Identifier: Apache-2.0
/**
 * Ed25519 key pairs in the forms of OpenSSH, made by the browser: its private key never leaves the machine of the user.
 * Source: PROTOCOL.key of OpenSSH ("openssh-key-v1"), RFC 8709 (ssh-ed25519), RFC 4251 section 5 (strings).
 */

const TYPE = "ssh-ed25519";
const MAGIC = "openssh-key-v1\0";
const BLOCK = 8;
const LINE = 70;
const SEED_BYTES = 32;

/** Browsers offer WebCrypto to secure origins only: HTTPS, and the machine itself. */
export const canGenerate = () => typeof crypto.subtle?.generateKey === "function";

/**
 * @param {string} comment at the end of the public key
 * @returns {Promise<{ publicKey: string, privateKey: string }>}
 */
export async function generate(comment) {
  const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]));
  const open = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const secret = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)).slice(-SEED_BYTES);
  const blob = join(string(TYPE), string(open));
  return { publicKey: `${TYPE} ${base64(blob)} ${comment}`, privateKey: privateFile(blob, open, secret, comment) };
}

/** @param {Uint8Array} blob @param {Uint8Array} open @param {Uint8Array} secret @param {string} comment */
function privateFile(blob, open, secret, comment) {
  const check = crypto.getRandomValues(new Uint8Array(4));
  const content = join(check, check, blob, string(join(secret, open)), string(comment));
  const padding = Uint8Array.from({ length: (BLOCK - (content.length % BLOCK)) % BLOCK }, (_, index) => index + 1);
  const none = string("none");
  const all = join(bytes(MAGIC), none, none, string(""), number(1), string(blob), string(join(content, padding)));
  const lines = base64(all).match(new RegExp(`.{1,${LINE}}`, "g")) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

/** @param {string} text */
const bytes = (text) => new TextEncoder().encode(text);

/** @param {number} value as four bytes, the highest first */
const number = (value) => new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);

/** @param {string | Uint8Array} value with its length before it */
function string(value) {
  const content = typeof value === "string" ? bytes(value) : value;
  return join(number(content.length), content);
}

/** @param {...Uint8Array} parts */
function join(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** @param {Uint8Array} data */
const base64 = (data) => btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));

/**
 * What is wrong with text that should be a public key of OpenSSH.
 * @param {string} text
 * @returns {"private" | "empty" | "form" | null} null: nothing
 */
export function problemOf(text) {
  if (/PRIVATE KEY/.test(text)) return "private";
  if (!text.trim()) return "empty";
  const [type = "", blob = ""] = text.trim().split(/\s+/);
  try {
    const inner = atob(blob);
    const named = inner.slice(4, 4 + type.length);
    return named === type && inner.length > type.length + 8 ? null : "form";
  } catch {
    return "form";
  }
}

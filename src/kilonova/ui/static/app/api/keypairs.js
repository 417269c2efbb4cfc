// SPDX-License-Identifier: Apache-2.0
/** Key pairs of the user. */
import { listAll, request } from "./client.js";

/** @typedef {{ name: string, fingerprint: string, type: "ssh" | "x509", public_key: string, created_at?: string }} Keypair */

/** @returns {Promise<Keypair[]>} */
export const list = async () => (await listAll("compute", "/os-keypairs", "keypairs")).map((each) => each.keypair);

/** @param {string} name @returns {Promise<Keypair>} */
export const get = async (name) => (await request("compute", "GET", path(name))).data.keypair;

/**
 * Without a public key the service makes a pair; only its answer has the private key.
 * @param {{ name: string, public_key?: string }} keypair
 * @returns {Promise<Keypair & { private_key?: string }>}
 */
export const create = async (keypair) => (await request("compute", "POST", "/os-keypairs", { body: { keypair } })).data.keypair;

/** @param {string} name */
export const remove = (name) => request("compute", "DELETE", path(name));

/** @param {string} name */
const path = (name) => `/os-keypairs/${encodeURIComponent(name)}`;

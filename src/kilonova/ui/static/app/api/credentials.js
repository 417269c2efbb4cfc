// SPDX-License-Identifier: Apache-2.0
/** Application credentials of a user. */
import { request } from "./client.js";

/**
 * @typedef {{ id: string, name: string, description: string, project_id: string, roles: { name: string }[], expires_at: string | null,
 *   unrestricted: boolean }} Credential
 */
/** @typedef {{ name: string, description?: string, roles?: { name: string }[], expires_at?: string, unrestricted?: boolean }} NewCredential */

/** @param {string} userId @returns {Promise<Credential[]>} */
export const list = async (userId) => (await request("identity", "GET", path(userId))).data.application_credentials;

/** Only the answer has the secret. @param {string} userId @param {NewCredential} credential @returns {Promise<Credential & { secret: string }>} */
export const create = async (userId, credential) =>
  (await request("identity", "POST", path(userId), { body: { application_credential: credential } })).data.application_credential;

/** @param {string} userId @param {string} id */
export const remove = (userId, id) => request("identity", "DELETE", `${path(userId)}/${encodeURIComponent(id)}`);

/** @param {string} userId */
const path = (userId) => `/users/${encodeURIComponent(userId)}/application_credentials`;

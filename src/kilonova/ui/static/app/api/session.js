// SPDX-License-Identifier: Apache-2.0
/** The session of the page: /ui/session keeps the token in a cookie that only /ui/session accepts. */
import { request } from "./client.js";

const OURS = { "X-Kilonova-UI": "1" };

/**
 * @typedef {object} Credentials
 * @property {"password" | "application_credential"} method
 * @property {string} [user]
 * @property {string} [password]
 * @property {string} [project] name; without one the user's default project
 * @property {string} [credential] the id of an application credential
 * @property {string} [secret]
 */
/** @typedef {{ token: string, facts: any }} Login the token, and what Keystone says of it */

/**
 * @param {import("./client.js").Answer} answer
 * @returns {Login}
 */
const read = (answer) => ({ token: answer.headers.get("x-subject-token") ?? "", facts: answer.data.token });

/** @param {Credentials} given */
export const logIn = async (given) =>
  read(await request("ui", "POST", "/session", { body: { auth: authentication(given) }, headers: OURS }));

export const resume = async () => read(await request("ui", "POST", "/session/resume", { headers: OURS }));

export const logOut = () => request("ui", "DELETE", "/session", { headers: OURS });

/** @param {string} projectId */
export const changeProject = async (projectId) =>
  read(await request("ui", "POST", "/session/project", { body: { scope: { project: { id: projectId } } }, headers: OURS }));

/** Projects that the user may choose. */
export const projects = async () => (await request("identity", "GET", "/auth/projects")).data.projects;

/** @param {Credentials} given */
function authentication(given) {
  if (given.method === "application_credential") {
    const credential = { id: given.credential, secret: given.secret };
    return { identity: { methods: ["application_credential"], application_credential: credential } };
  }
  const user = { name: given.user, domain: { id: "default" }, password: given.password };
  const identity = { methods: ["password"], password: { user } };
  return given.project ? { identity, scope: { project: { name: given.project, domain: { id: "default" } } } } : { identity };
}

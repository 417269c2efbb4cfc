// SPDX-License-Identifier: Apache-2.0
/** Who is logged in, and where. */
import { computed, signal } from "@preact/signals";
import { ApiError, onUnauthorized, token } from "../api/client.js";
import * as api from "../api/session.js";
import { stored } from "./stored.js";

/** @typedef {{ id: string, name: string }} Named */
/**
 * @typedef {object} Subject
 * @property {Named} user
 * @property {Named | null} project
 * @property {string[]} roles
 * @property {string} expires ISO time
 */

/** @type {import("@preact/signals").Signal<"starting" | "out" | "expired" | "in">} */
export const phase = signal("starting");
/** @type {import("@preact/signals").Signal<Subject | null>} */
export const subject = signal(/** @type {Subject | null} */ (null));
/** @type {import("@preact/signals").Signal<Named[]>} */
export const projects = signal(/** @type {Named[]} */ ([]));
export const isAdmin = computed(() => subject.value?.roles.includes("admin") ?? false);
/** Whether lists of an administrator have the resources of all projects. */
export const allProjects = stored("all-projects", false);
export const seesAll = computed(() => isAdmin.value && allProjects.value);

/** Functions to call when what one may see has changed: another user or project, or nobody. @type {Set<() => void>} */
const resets = new Set();

/** @param {() => void} forget */
export const onSubjectChange = (forget) => void resets.add(forget);

onUnauthorized.call = () => {
  token.value = "";
  phase.value = "expired";
};

/** Continue the session of before a reload, if there is one. */
export async function start() {
  try {
    await enter(await api.resume());
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    phase.value = "out";
  }
}

/** @param {import("../api/session.js").Credentials} credentials */
export const logIn = async (credentials) => enter(await api.logIn(credentials));

/** @param {string} projectId */
export const changeProject = async (projectId) => enter(await api.changeProject(projectId));

/** Read the projects that the user may choose again: some appeared, or have other names. */
export async function refreshProjects() {
  try {
    projects.value = await api.projects();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the menu keeps what it has
  }
}

export async function logOut() {
  await api.logOut().catch(() => {});
  token.value = "";
  subject.value = null;
  phase.value = "out";
  resets.forEach((forget) => forget());
}

/** @param {import("../api/session.js").Login} login */
async function enter(login) {
  token.value = login.token;
  const before = subject.value;
  const found = await api.projects();
  if (!login.facts.project && found.length > 0) return enter(await api.changeProject(found[0].id));
  projects.value = found;
  subject.value = readSubject(login.facts);
  phase.value = "in";
  const same = before?.user.id === subject.value.user.id && before.project?.id === subject.value.project?.id;
  if (!same) resets.forEach((forget) => forget());
}

/**
 * @param {any} facts
 * @returns {Subject}
 */
const readSubject = (facts) => ({
  user: facts.user,
  project: facts.project ?? null,
  roles: (facts.roles ?? []).map((/** @type {Named} */ role) => role.name),
  expires: facts.expires_at,
});

// SPDX-License-Identifier: Apache-2.0
/** A state: a word and a mark whose form, not only its colour, tells the kind. */
import { html } from "../html.js";
import { known } from "../words/index.js";

/** @typedef {"good" | "idle" | "busy" | "attention" | "bad"} Tone */

/** @type {Record<string, Tone>} */
const TONES = {
  ACTIVE: "good", SHUTOFF: "idle", PAUSED: "idle", SUSPENDED: "idle", SHELVED: "idle", SHELVED_OFFLOADED: "idle",
  DELETED: "idle", SOFT_DELETED: "idle", BUILD: "busy", VERIFY_RESIZE: "attention", RESCUE: "attention", UNKNOWN: "attention", ERROR: "bad",
};

/** @param {{ tone: Tone, text: string }} props */
export const Badge = ({ tone, text }) =>
  html`<span class=${`badge badge-${tone}`}><span class="badge-mark" aria-hidden="true"></span>${text}</span>`;

/**
 * The state of a server: its status, or what is being done to it.
 * @param {{ server: import("../api/servers.js").Server }} props
 */
export function ServerState({ server }) {
  const task = server["OS-EXT-STS:task_state"];
  const text = known(`status.${server.status}`, server.status);
  if (!task) return html`<${Badge} tone=${TONES[server.status] ?? "attention"} text=${text} />`;
  const progress = server.progress && server.progress < 100 ? ` ${server.progress} %` : "";
  return html`<${Badge} tone="busy" text=${known(`task.${task}`, task.replaceAll("_", " ")) + progress} />`;
}

/** @type {Record<string, Tone>} */
const IMAGE_TONES = { active: "good", queued: "idle", saving: "busy", deactivated: "attention" };

/** @param {{ status: string }} props */
export const ImageState = ({ status }) => html`<${Badge} tone=${IMAGE_TONES[status] ?? "bad"} text=${known(`image.status.${status}`, status)} />`;

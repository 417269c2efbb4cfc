// SPDX-License-Identifier: Apache-2.0
/** The code of a console, which only its pages need. */

/** @param {string} kind "serial" or "vnc" @returns {Promise<any>} the component */
export async function load(kind) {
  if (kind === "vnc") return (await import("./screen.js")).Screen;
  return (await import("./terminal.js")).SerialTerminal;
}

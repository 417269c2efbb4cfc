// SPDX-License-Identifier: Apache-2.0
/** Where the websocket of a console is (docs/consoles.md). */

/**
 * The websocket at the origin of the page, for a URL that the API gave: that of a websocket, or of a page of a console.
 * @param {string} address
 */
export function socketAddress(address) {
  const url = new URL(address, location.origin);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}${url.pathname.replace(/^\/ui(?=\/console\/)/, "")}${url.search}`;
}

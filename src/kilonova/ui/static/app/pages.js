// SPDX-License-Identifier: Apache-2.0
/** All pages: their paths, where their code is, and their places in the navigation. */

/**
 * @typedef {object} PageEntry
 * @property {string} path
 * @property {() => Promise<{ default: (props: any) => any }>} load the module, when the page is first shown
 * @property {import("./words/index.js").Word} [nav] its words in the navigation
 * @property {import("./parts/icon.js").IconName} [icon]
 * @property {boolean} [admin] for administrators
 */

/** @type {PageEntry[]} */
export const PAGES = [
  { path: "/servers", load: () => import("./views/servers/list.js"), nav: "nav.servers", icon: "server" },
  { path: "/servers/create", load: () => import("./views/create/create.js") },
  { path: "/servers/:id", load: () => import("./views/server/server.js") },
  { path: "/servers/:id/:tab", load: () => import("./views/server/server.js") },
];

export const START = "/servers";

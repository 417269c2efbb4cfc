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
  { path: "/actions", load: () => import("./views/actions/list.js"), nav: "nav.actions", icon: "list" },
  { path: "/actions/:id/:request", load: () => import("./views/actions/action.js") },
  { path: "/images", load: () => import("./views/images/list.js"), nav: "nav.images", icon: "image" },
  { path: "/images/:id", load: () => import("./views/image/image.js") },
  { path: "/keypairs", load: () => import("./views/keypairs/list.js"), nav: "nav.keypairs", icon: "key" },
  { path: "/keypairs/:name", load: () => import("./views/keypairs/keypair.js") },
  { path: "/networks", load: () => import("./views/networks/list.js"), nav: "nav.networks", icon: "network" },
  { path: "/networks/:id", load: () => import("./views/networks/network.js") },
  { path: "/flavors", load: () => import("./views/flavors/list.js"), nav: "nav.flavors", icon: "flavor" },
  { path: "/flavors/:id", load: () => import("./views/flavors/flavor.js") },
  { path: "/groups", load: () => import("./views/groups/list.js"), nav: "nav.groups", icon: "group" },
  { path: "/groups/:id", load: () => import("./views/groups/group.js") },
  { path: "/quotas", load: () => import("./views/quotas/quotas.js"), nav: "nav.quotas", icon: "quota" },
  { path: "/hosts", load: () => import("./views/hosts/list.js"), nav: "nav.hosts", icon: "host", admin: true },
  { path: "/hosts/:host", load: () => import("./views/hosts/host.js"), admin: true },
  { path: "/services", load: () => import("./views/services/list.js"), nav: "nav.services", icon: "service", admin: true },
  { path: "/aggregates", load: () => import("./views/aggregates/list.js"), nav: "nav.aggregates", icon: "aggregate", admin: true },
  { path: "/aggregates/:id", load: () => import("./views/aggregates/aggregate.js"), admin: true },
  { path: "/account", load: () => import("./views/account/account.js"), nav: "nav.account", icon: "person" },
  { path: "/projects", load: () => import("./views/projects/list.js"), nav: "nav.projects", icon: "project", admin: true },
  { path: "/projects/:id", load: () => import("./views/projects/project.js"), admin: true },
  { path: "/users", load: () => import("./views/users/list.js"), nav: "nav.users", icon: "people", admin: true },
  { path: "/users/:id", load: () => import("./views/users/user.js"), admin: true },
  { path: "/usergroups", load: () => import("./views/usergroups/list.js"), nav: "nav.usergroups", icon: "people", admin: true },
  { path: "/usergroups/:id", load: () => import("./views/usergroups/group.js"), admin: true },
  { path: "/roles", load: () => import("./views/roles/list.js"), nav: "nav.roles", icon: "role", admin: true },
  { path: "/roles/assignments", load: () => import("./views/roles/assignments.js"), admin: true },
  { path: "/roles/:id", load: () => import("./views/roles/role.js"), admin: true },
  { path: "/notifications", load: () => import("./views/notifications/list.js"), nav: "nav.notifications", icon: "bell", admin: true },
  { path: "/notifications/:number", load: () => import("./views/notifications/notification.js"), admin: true },
];

export const START = "/servers";

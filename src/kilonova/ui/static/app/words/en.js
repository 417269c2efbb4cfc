// SPDX-License-Identifier: Apache-2.0
/** English words that people see: those of the start and of servers.  Words of other pages come with these pages. */
import { actions } from "./en.actions.js";
import { servers } from "./en.servers.js";

export const en = {
  ...actions,
  ...servers,
  again: "Try again",
  ago: "{age} ago",
  cancel: "Cancel",
  close: "Close",
  copy: "Copy",
  delete: "Delete",
  edit: "Edit",
  loading: "Loading",
  never: "never",
  none: "none",
  save: "Save",
  skip: "Skip to the content",
  logout: "Log out",

  "command.label": "The same as a command",
  "command.copy": "Copy the command",

  "error.network": "The service does not answer. Check the network; the page continues when the service is back.",
  "error.timeout": "The service did not answer within 30 seconds. It is unknown whether the request was done.",
  "error.unavailable": "{message} Nothing was done. Try again in {seconds} seconds.",
  "error.code": "This part of the page could not be loaded: the network failed, or the service has a newer page. Reload the page.",

  "form.choose": "Choose…",
  "form.missing": "This field is necessary.",
  "form.optional": "optional",

  "keys.title": "Keys",
  "keys.search": "Search in the list",
  "keys.palette": "Find a page, a server or an action",
  "keys.help": "This list",
  "keys.create": "Create a server",
  "keys.rows": "Previous or next row",
  "keys.open": "Open the row",
  "keys.choose": "Choose the row",
  "keys.close": "Close a dialog or a menu",

  "list.count": "{shown} of {all}",
  "list.none": "Nothing fits",
  "list.all": "Show all",
  "list.chosen": "{count} chosen",

  "meter.of": "{used} of {limit}",
  "meter.unlimited": "{used}, no limit",

  "live.starting": "Connecting",
  "live.starting.hint": "The page connects to the service.",
  "live.stream": "Live",
  "live.stream.hint": "Changes appear as they happen.",
  "live.poll": "Every 4 s",
  "live.poll.hint": "There is no stream of events; the page looks for changes every 4 seconds.",
  "live.lost": "Offline",
  "live.lost.hint": "The service does not answer. The page tries again.",

  "login.title": "Log in",
  "login.welcome": "Log in with your OpenStack user.",
  "login.expired": "The session has ended. Log in to continue; nothing that you typed is lost.",
  "login.user": "User",
  "login.password": "Password",
  "login.project": "Project",
  "login.project.hint": "Without a name: your default project.",
  "login.credential": "ID of the application credential",
  "login.secret": "Secret",
  "login.submit": "Log in",
  "login.byCredential": "Use an application credential",
  "login.byPassword": "Use a password",

  "missing.title": "There is no such page",
  "missing.text": "No page has the address {path}.",

  "nav.label": "Pages",
  "nav.open": "Pages",
  "nav.admin": "Administration",
  "nav.servers": "Servers",
  "nav.actions": "All actions",
  "nav.images": "Images",
  "nav.keypairs": "Key pairs",
  "nav.flavors": "Flavors",
  "nav.networks": "Networks",
  "nav.groups": "Server groups",
  "nav.quotas": "Quotas and usage",

  "newer.text": "The service has a newer version of this page. This one still works: finish what you are typing, then load the new page.",
  "newer.load": "Load the new page",

  "page.up": "Above",
  "palette.title": "Find",
  "palette.button": "Find…",
  "palette.hint": "A page, a server, an action",
  "palette.none": "Nothing fits.",

  "project.label": "Project {name}",
  "project.all": "All projects",
  "project.none": "No project",
  "project.failed": "The project could not be changed",

  "table.actions": "Actions",
  "table.choose": "Choose {name}",
  "table.chooseAll": "Choose all",
  "table.columns": "Columns",

  "theme.system": "Colours of the system",
  "theme.light": "Light",
  "theme.dark": "Dark",
  "toasts.label": "Messages",
  "user.menu": "User {name}",
};

// SPDX-License-Identifier: Apache-2.0
/** The own account of the user: password, roles in the project, application credentials. */
import "../../words/people.js";
import * as api from "../../api/users.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { Facts, Failure, Page } from "../../parts/page.js";
import { subject } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { t, time } from "../../words/index.js";
import { Credentials } from "./credentials.js";
import { openPassword } from "./password.js";

export default function Account() {
  const me = subject.value;
  const { value, error, read } = useWatched(() => api.get(me?.user.id ?? ""), me?.user.id ?? "");
  if (!me) return null;
  const buttons = html`<button type="button" onClick=${() => openPassword()}>${t("account.password")}</button>`;
  /** @type {[string, any][]} */
  const rows = [
    [t("server.name"), me.user.name],
    [t("server.id"), html`<span class="mono">${me.user.id}</span><${Copy} text=${me.user.id} label=${t("server.id.copy")} />`],
    [t("user.email"), value.value?.email ?? t("none")],
    [t("server.project"), me.project?.name ?? t("project.none")],
    [t("account.roles"), me.roles.join(", ") || t("none")],
    [t("account.until"), html`<time datetime=${me.expires}>${time(me.expires)}</time>`],
  ];
  return html`
    <${Page} title=${t("nav.account")} buttons=${buttons} command=${["openstack", "user", "show", me.user.name]}>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${rows} /></section>
        <${Credentials} userId=${me.user.id} isOwn />
      </div>
    <//>`;
}

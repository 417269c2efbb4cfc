// SPDX-License-Identifier: Apache-2.0
/** One key pair. */
import "../../words/resources.js";
import { ApiError } from "../../api/client.js";
import * as api from "../../api/keypairs.js";
import { html } from "../../html.js";
import { Copy } from "../../parts/copy.js";
import { Empty, Facts, Failure, Loading, Page } from "../../parts/page.js";
import { go, link } from "../../router.js";
import { useWatched } from "../../state/watched.js";
import { age, t, time } from "../../words/index.js";
import { deleteKeypairs, kindOf } from "./list.js";

const UP = { path: "/keypairs", text: t("nav.keypairs") };

/** @param {{ name: string }} props */
export default function KeypairPage({ name }) {
  const { value, error, read } = useWatched(() => api.get(name), name);
  const keypair = value.value;
  if (error.value instanceof ApiError && error.value.status === 404) {
    return html`<${Page} title=${name} up=${UP}><${Empty}><h2>${t("keypair.gone")}</h2><a class="button" href=${link("/keypairs")}>${t("nav.keypairs")}</a><//><//>`;
  }
  if (!keypair) return error.value ? html`<${Failure} error=${error.value} again=${read} />` : html`<${Loading} />`;
  const buttons = html`
    <a class="button primary" href=${link(`/servers/create?key=${encodeURIComponent(name)}`)}>${t("servers.create")}</a>
    <button type="button" class="danger" onClick=${() => deleteKeypairs([keypair], () => go("/keypairs"))}>${t("delete")}</button>`;
  return html`
    <${Page} title=${name} up=${UP} buttons=${buttons} command=${["openstack", "keypair", "show", "--public-key", name]}>
      <div class="panels">
        <section class="panel panel-wide" aria-label=${t("server.facts")}><${Facts} rows=${[
          [t("keypair.kind"), kindOf(keypair)],
          [t("keypair.fingerprint"), html`<span class="mono">${keypair.fingerprint}</span>`],
          [t("server.createdAt"), html`<time datetime=${keypair.created_at}>${time(keypair.created_at)}</time> <span class="dim">${t("ago", { age: age(keypair.created_at) })}</span>`],
        ]} /></section>
        <section class="panel panel-wide" aria-labelledby="public-head">
          <header><h2 id="public-head">${t("keypair.public")}</h2><${Copy} text=${keypair.public_key} label=${t("keypair.public.copy")} /></header>
          <pre class="wrapped">${keypair.public_key}</pre>
        </section>
      </div>
    <//>`;
}

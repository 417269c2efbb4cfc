// SPDX-License-Identifier: Apache-2.0
/** The limits of a project's images: Image tells what the own project uses, Identity has the limits of all. */
import * as api from "../../api/quotas.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { Meter } from "../../parts/meter.js";
import { Failure } from "../../parts/page.js";
import { toast } from "../../parts/toast.js";
import { projectName } from "../../state/resources.js";
import { isAdmin } from "../../state/session.js";
import { useWatched } from "../../state/watched.js";
import { size, t } from "../../words/index.js";

const MIB = 1048576;

/** @typedef {Awaited<ReturnType<typeof api.imageLimits>>} Limits */

/** @param {{ projectId: string, isOwn: boolean }} props */
export function Images({ projectId, isOwn }) {
  const { value, error, read } = useWatched(async () => ({ limits: await api.imageLimits(projectId), usage: isOwn ? await api.images() : null }), "");
  const found = value.value;
  return html`
    <section class="panel" aria-labelledby="images-head">
      <header><h2 id="images-head">${t("nav.images")}</h2>
        ${isAdmin.value && found && html`<button type="button" class="small" onClick=${() => openDialog(() => html`<${Edit} projectId=${projectId} limits=${found.limits} changed=${read} />`)}>${t("quota.images.edit")}</button>`}</header>
      ${Boolean(error.value) && html`<${Failure} error=${error.value} again=${read} />`}
      ${found && api.OF_IMAGES.map((name) => html`<${Line} key=${name} name=${name} limit=${found.limits[name].limit} used=${found.usage?.[name].usage} />`)}
      ${found && !isOwn && html`<p class="dim">${t("quota.images.unknown")}</p>`}
    </section>`;
}

/** @param {{ name: (typeof api.OF_IMAGES)[number], limit: number, used?: number }} props */
function Line({ name, limit, used }) {
  const text = name === "image_size_total" ? (/** @type {number} */ mib) => size(mib * MIB) : String;
  if (used !== undefined) return html`<${Meter} label=${t(`quota.${name}`)} used=${used} limit=${limit} text=${text} />`;
  return html`<div class="meter"><span class="meter-label">${t(`quota.${name}`)}</span><span class="meter-words">${limit < 0 ? t("quota.none") : t("quota.most", { limit: text(limit) })}</span></div>`;
}

/** @param {{ projectId: string, limits: Limits, changed: () => void }} props */
function Edit({ projectId, limits, changed }) {
  const names = [...api.OF_IMAGES];
  const form = useForm({
    initial: Object.fromEntries(names.map((name) => [name, String(limits[name].limit)])),
    check: (values) => missing(values, names),
    send: async (values) => {
      for (const name of names) if (Number(values[name]) !== limits[name].limit) await api.setImageLimit(projectId, name, limits[name], Number(values[name]));
      toast("ok", t("quota.edit.done", { name: projectName(projectId) }));
      changed();
      closeDialog();
    },
  });
  const first = names.find((name) => form.values.value[name] !== String(limits[name].limit)) ?? "image_count_total";
  const limit = ["--resource-limit", form.values.value[first]];
  const id = limits[first].id;
  const command = id ? ["openstack", "limit", "set", ...limit, id] : ["openstack", "limit", "create", "--project", projectName(projectId), "--service", "glance", ...limit, first];
  return html`<${FormDialog} heading=${`${t("quota.images.edit")}: ${projectName(projectId)}`} form=${form} command=${command}>
    <p>${t("quota.edit.text")}</p>
    <${Field} form=${form} name="image_count_total" type="number" label=${t("quota.image_count_total")} required focus more=${{ min: -1 }} />
    <${Field} form=${form} name="image_size_total" type="number" label=${t("quota.images.unit")} required more=${{ min: -1 }} />
  <//>`;
}

// SPDX-License-Identifier: Apache-2.0
/** User data, checked while one types: what kind it is, and for cloud-config whether it is YAML of known keys. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { html } from "../../html.js";
import { Field } from "../../parts/form.js";
import { t } from "../../words/index.js";
import { base64 } from "./request.js";

const PAUSE_MS = 200;
const MOST = 65535;

/** @typedef {{ tone: "good" | "attention" | "bad", text: string }} Verdict */

/** @param {{ form: import("../../parts/form.js").Form }} props */
export function UserData({ form }) {
  const verdict = useSignal(/** @type {Verdict | null} */ (null));
  const file = useRef(/** @type {HTMLInputElement | null} */ (null));
  const text = form.values.value.userData;
  useEffect(() => {
    if (!text.trim()) return void (verdict.value = null);
    const timer = setTimeout(() => void import("./cloudconfig.js").then(({ judge }) => (verdict.value = judge(form.values.peek().userData))), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const used = base64(text).length;
  const judged = verdict.value;
  const hint = html`${judged ? html`<span class=${`verdict verdict-${judged.tone}`} role="status">${judged.text}</span>` : t("userdata.hint")}
    ${text && html` <span class="dim numeric">${t("userdata.size", { used, most: MOST })}</span>`}`;
  const read = async () => {
    const chosen = file.current?.files?.[0];
    if (chosen) form.set("userData", await chosen.text());
  };
  return html`
    <div class="userdata">
      <${Field} form=${form} name="userData" type="textarea" label=${t("userdata.label")} hint=${hint} more=${{ rows: text ? 10 : 4 }} />
      <div class="userdata-buttons">
        <button type="button" class="small" onClick=${() => file.current?.click()}>${t("userdata.file")}</button>
        ${!text && html`<button type="button" class="small" onClick=${() => form.set("userData", EXAMPLE)}>${t("userdata.example")}</button>`}
        <input ref=${file} type="file" hidden aria-label=${t("userdata.file")} onChange=${read} />
      </div>
    </div>`;
}

const EXAMPLE = `#cloud-config
packages:
  - curl
runcmd:
  - echo ready
`;

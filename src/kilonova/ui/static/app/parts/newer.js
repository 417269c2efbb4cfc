// SPDX-License-Identifier: Apache-2.0
/** What an open page shows after an upgrade of the service.  It goes on working: its user decides when to load the new one. */
import { html } from "../html.js";
import { isOld } from "../state/version.js";
import { t } from "../words/index.js";

export const Newer = () =>
  isOld.value && html`
    <div class="notice notice-attention" role="status"><p>${t("newer.text")}</p>
      <button type="button" onClick=${() => location.reload()}>${t("newer.load")}</button></div>`;

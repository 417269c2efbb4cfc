// SPDX-License-Identifier: Apache-2.0
/** A bar that shows how much of a limit is used. */
import { html } from "../html.js";
import { t } from "../words/index.js";

const NEARLY = 0.8;

/**
 * @param {{ label: string, used: number, limit: number, text?: (value: number) => string }} props a limit below 0 is none
 */
export function Meter({ label, used, limit, text = String }) {
  const share = limit > 0 ? Math.min(1, used / limit) : limit === 0 ? 1 : 0;
  const tone = limit >= 0 && used >= limit && limit > 0 ? "full" : share >= NEARLY ? "nearly" : "free";
  const words = limit < 0 ? t("meter.unlimited", { used: text(used) }) : t("meter.of", { used: text(used), limit: text(limit) });
  return html`
    <div class="meter">
      <span class="meter-label">${label}</span><span class="meter-words">${words}</span>
      ${limit >= 0 && html`
        <div class=${`meter-bar meter-${tone}`} role="meter" aria-label=${label} aria-valuemin="0" aria-valuemax=${limit} aria-valuenow=${Math.min(used, limit)} aria-valuetext=${words}>
          <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width=${share * 100} height="1" /></svg>
        </div>`}
    </div>`;
}

/**
 * How far something is that runs.
 * @param {{ label: string, done: number, total: number, tone?: "free" | "full" }} props
 */
export const Progress = ({ label, done, total, tone = "free" }) => html`
  <div class=${`meter-bar meter-${tone}`} role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.floor((done / (total || 1)) * 100)}>
    <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width=${(done / (total || 1)) * 100} height="1" /></svg>
  </div>`;

// SPDX-License-Identifier: Apache-2.0
/** Small plots of values over time; their code loads when the first is shown. */
import { useEffect, useRef } from "preact/hooks";
import { html } from "../html.js";
import { loadStyle } from "./styles.js";

const STYLE = new URL("../../vendor/uplot/uplot.css", import.meta.url).href;
const HEIGHT = 110;
const LEFT = 58;
/** A scale without an upper end goes to this at least. */
const LEAST = 1024;

/** @typedef {{ label: string, colour: "accent" | "ember", values: (number | null)[] }} Line */

/** A colour of the present scheme for a canvas, which does not accept light-dark(). @param {string} name of a custom property */
function colour(name) {
  const element = document.createElement("i");
  element.style.color = `var(--${name})`;
  document.body.append(element);
  const found = getComputedStyle(element).color;
  element.remove();
  return found;
}

/**
 * @param {{ label: string, at: number[], lines: Line[], show: (value: number) => string, most?: number }} props `at` is in
 *   seconds since 1970, `most` the upper end of the scale where it has one
 */
export function Plot({ label, at, lines, show, most }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const drawn = useRef(/** @type {any} */ (null));
  const data = [at, ...lines.map((line) => line.values)];
  useEffect(() => {
    let ended = false;
    const resize = new ResizeObserver(() => place.current && drawn.current?.setSize({ width: place.current.clientWidth, height: HEIGHT }));
    const begin = async () => {
      const [{ default: UPlot }] = await Promise.all([import("uplot"), loadStyle(STYLE)]);
      if (ended || !place.current) return;
      drawn.current = new UPlot(/** @type {any} */ (options(place.current.clientWidth, lines, show, most)), /** @type {any} */ (data), place.current);
      resize.observe(place.current);
    };
    void begin();
    return () => {
      ended = true;
      resize.disconnect();
      drawn.current?.destroy();
      drawn.current = null;
    };
  }, []);
  useEffect(() => drawn.current?.setData(data), [at]);
  const last = lines.map((line) => `${lines.length > 1 ? `${line.label} ` : ""}${shown(line.values.findLast((value) => value !== null), show)}`).join(", ");
  return html`<figure class="plot"><figcaption><strong>${label}</strong> <span class="numeric">${last}</span></figcaption><div ref=${place} aria-hidden="true"></div></figure>`;
}

/** @param {number | null | undefined} value @param {(value: number) => string} show */
const shown = (value, show) => (value === null || value === undefined ? "–" : show(value));

/** @param {number} width @param {Line[]} lines @param {(value: number) => string} show @param {number} [most] */
const options = (width, lines, show, most) => ({
  width, height: HEIGHT, legend: { show: false }, cursor: { show: false }, padding: [6, 4, 0, 0],
  scales: { y: { range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => [Math.min(0, low ?? 0), most ?? Math.max(high ?? 0, LEAST)] } },
  axes: [
    { stroke: colour("ink-dim"), grid: { show: false }, ticks: { show: false }, size: 22, font: "11px system-ui", space: 70,
      values: (/** @type {any} */ _, /** @type {number[]} */ times) => times.map((time) => new Date(time * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })) },
    { stroke: colour("ink-dim"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, size: LEFT, font: "11px system-ui", space: 36,
      values: (/** @type {any} */ _, /** @type {number[]} */ values) => values.map(show) },
  ],
  series: [{}, ...lines.map((line) => ({ stroke: colour(line.colour), width: 1.5, fill: lines.length === 1 ? colour("accent-soft") : undefined, points: { show: false } }))],
});

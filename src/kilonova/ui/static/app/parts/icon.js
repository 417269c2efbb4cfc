// SPDX-License-Identifier: Apache-2.0
/** Small pictures, drawn as lines on a field of 16 by 16. */
import { html } from "../html.js";

const PATHS = {
  server: "M2.500 3h11v4h-11zM2.500 9h11v4h-11zM5 5h.01M5 11h.01",
  image: "M8 2l5.500 3v6L8 14l-5.500-3V5zM2.500 5L8 8l5.500-3M8 8v6",
  key: "M10.500 8.500a3 3 0 1 0-3-3c0 .4.1.8.2 1.200L2.500 12v1.500H5V12h1.500v-1.500H8l1.300-1.300c.4.200.8.300 1.200.300zM11.500 4.500h.01",
  flavor: "M4.500 4.500h7v7h-7zM6.500 2v2.500M9.500 2v2.500M6.500 11.500V14M9.500 11.500V14M2 6.500h2.500M2 9.500h2.500M11.500 6.500H14M11.500 9.500H14",
  network: "M6 2.500h4v3H6zM2 10.500h4v3H2zM10 10.500h4v3h-4zM8 5.500V8M4 10.500V8h8v2.500",
  group: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z",
  quota: "M2.500 12a5.500 5.500 0 1 1 11 0M8 12l2.500-4",
  host: "M3 2.500h10v11H3zM5.500 5.500h5M5.500 8h5M7.500 11h1",
  service: "M1.500 8.500H4.500L6.500 3L9.500 13L11.500 8.500H14.500",
  aggregate: "M2.500 2.500h11v11h-11zM5 5.500h6M5 8h6M5 10.500h6",
  people: "M6 7.500a2.300 2.300 0 1 0 0-4.600 2.300 2.300 0 0 0 0 4.600zM2 13.500c0-2.500 1.800-4 4-4s4 1.500 4 4M10.500 7.300a2 2 0 0 0 0-4M11.500 9.700c1.500.4 2.500 1.800 2.500 3.800",
  search: "M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM10.500 10.500L14 14",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  plus: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M4 6.500L8 10.500l4-4",
  up: "M4 9.500L8 5.500l4 4",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  check: "M3 8.500l3.500 3.500L13 4.500",
  lock: "M4 7.500h8v6H4zM5.500 7.500v-2a2.500 2.500 0 0 1 5 0v2",
  terminal: "M2 3h12v10H2zM4.500 6l2 2-2 2M8 10.500h3",
  columns: "M2.500 3h11v10h-11zM6.200 3v10M9.800 3v10",
  sun: "M8 10.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1 1M11.600 11.600l1 1M3.400 12.600l1-1M11.600 4.400l1-1",
  menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11",
  out: "M6.500 3h-4v10h4M6 8h7.500M10.500 5l3 3-3 3",
  help: "M6 6a2 2 0 1 1 2.600 1.900c-.4.200-.6.500-.6 1v.6M8 12h.01",
  warning: "M8 2.500L14 13.500H2zM8 6.500v3.500M8 12h.01",
  full: "M2.500 6V2.500H6M10 2.500h3.500V6M13.500 10v3.500H10M6 13.500H2.500V10",
  refresh: "M13 8a5 5 0 1 1-1.500-3.600M13 2.500v3h-3",
};

/** @typedef {keyof typeof PATHS} IconName */

/** @param {{ name: IconName }} props */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

// SPDX-License-Identifier: Apache-2.0
/** Tabs of a page.  Each is an address of its own, and so they are links. */
import { html } from "../html.js";
import { link } from "../router.js";

/** @param {{ label: string, at: string, tabs: { name: string, text: string, path: string }[] }} props */
export const Tabs = ({ label, at, tabs }) => html`
  <nav class="tabs" aria-label=${label}><ul>
    ${tabs.map((tab) => html`<li key=${tab.name}><a href=${link(tab.path)} aria-current=${tab.name === at ? "page" : undefined}>${tab.text}</a></li>`)}
  </ul></nav>`;

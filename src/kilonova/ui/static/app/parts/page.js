// SPDX-License-Identifier: Apache-2.0
/** The frame of a page: its title, its buttons, its command; and what it shows while there is nothing to show. */
import { useEffect } from "preact/hooks";
import { html } from "../html.js";
import { link } from "../router.js";
import { t } from "../words/index.js";
import { Command } from "./copy.js";
import { sentence } from "./toast.js";

/**
 * @param {{ title: string, beside?: any, buttons?: any, up?: { path: string, text: string }, command?: string[], children?: any }} props
 */
export function Page({ title, beside, buttons, up, command, children }) {
  useEffect(() => {
    document.title = `${title} · Kilonova`;
  }, [title]);
  return html`
    <header class="page-head">
      <div class="page-title">
        ${up && html`<nav aria-label=${t("page.up")}><a href=${link(up.path)}>${up.text}</a><span aria-hidden="true"> /</span></nav>`}
        <h1 tabindex="-1">${title}</h1>${beside}
      </div>
      <div class="page-buttons">${buttons}</div>
    </header>
    ${children}
    ${command && html`<${Command} words=${command} />`}`;
}

/** @param {{ error: unknown, again?: () => void }} props */
export const Failure = ({ error, again }) => html`
  <div class="notice notice-bad" role="alert">
    <p>${sentence(error)}</p>
    ${again && html`<button type="button" onClick=${again}>${t("again")}</button>`}
  </div>`;

/** @param {{ children?: any }} props */
export const Empty = ({ children }) => html`<div class="empty">${children}</div>`;

export const Loading = () => html`<div class="loading" role="status"><span class="spinner" aria-hidden="true"></span>${t("loading")}</div>`;

/**
 * Names and values.
 * @param {{ rows: [string, any][] }} props
 */
export const Facts = ({ rows }) => html`
  <dl class="facts">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

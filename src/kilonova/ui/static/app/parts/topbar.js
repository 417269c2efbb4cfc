// SPDX-License-Identifier: Apache-2.0
/** The bar above all pages: where one is, how changes arrive, which project, who. */
import { html } from "../html.js";
import { go, link } from "../router.js";
import { live } from "../state/events.js";
import { allProjects, changeProject, isAdmin, logOut, projects, seesAll, subject } from "../state/session.js";
import { theme } from "../state/stored.js";
import { t } from "../words/index.js";
import { Icon } from "./icon.js";
import { openHelp } from "./keys.js";
import { Menu } from "./menu.js";
import { openPalette } from "./palette.js";
import { toastError } from "./toast.js";

export const Mark = () => html`
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <path class="mark-rays" d="M16 3.500v4M16 24.500v4M3.500 16h4M24.500 16h4M7.200 7.200l2.600 2.600M22.200 22.200l2.600 2.600M7.200 24.800l2.600-2.600M22.200 9.800l2.600-2.600" />
    <circle class="mark-one" cx="13.600" cy="16" r="4.600" /><circle class="mark-two" cx="18.600" cy="16" r="4.600" />
  </svg>`;

/** @param {{ onMenu: () => void, isMenuOpen: boolean }} props */
export function TopBar({ onMenu, isMenuOpen }) {
  return html`
    <header class="bar">
      <button type="button" class="ghost bar-menu" aria-label=${t("nav.open")} aria-expanded=${isMenuOpen} onClick=${onMenu}><${Icon} name="menu" /></button>
      <a class="brand" aria-label="Kilonova" href=${link("/servers")}><${Mark} /><span>Kilonova</span></a>
      <${ProjectMenu} />
      <div class="bar-space"></div>
      <${Live} />
      <button type="button" class="bar-search" onClick=${openPalette}>
        <${Icon} name="search" /><span>${t("palette.button")}</span><kbd>Ctrl K</kbd></button>
      <button type="button" class="ghost bar-help" aria-label=${t("keys.title")} title=${t("keys.title")} onClick=${openHelp}><${Icon} name="help" /></button>
      <${UserMenu} />
    </header>`;
}

function ProjectMenu() {
  const now = subject.value?.project;
  /** @param {string} id */
  const choose = async (id) => {
    try {
      allProjects.value = false;
      if (id !== now?.id) await changeProject(id);
      go("/servers");
    } catch (error) {
      toastError(t("project.failed"), error);
    }
  };
  const items = projects.value.map((each) => ({ text: each.name, checked: !seesAll.value && each.id === now?.id, run: () => void choose(each.id) }));
  if (isAdmin.value) items.push({ text: t("project.all"), checked: seesAll.value, run: () => void (allProjects.value = !allProjects.value) });
  const name = seesAll.value ? t("project.all") : (now?.name ?? t("project.none"));
  return html`<${Menu} class="ghost bar-project" label=${t("project.label", { name })} items=${items}>
    <span class="bar-project-name">${name}</span><${Icon} name="down" /><//>`;
}

function UserMenu() {
  const name = subject.value?.user.name ?? "";
  /** @param {"" | "light" | "dark"} value @param {string} text @param {boolean} [line] */
  const look = (value, text, line) => ({ text, line, checked: theme.value === value, run: () => void (theme.value = value) });
  const items = [
    look("", t("theme.system")), look("light", t("theme.light")), look("dark", t("theme.dark")),
    { text: t("nav.account"), line: true, href: link("/account") }, { text: t("logout"), line: true, run: () => void logOut() },
  ];
  return html`<${Menu} class="ghost bar-user" label=${t("user.menu", { name })} items=${items}>
    <span class="avatar" data-letter=${name.slice(0, 1).toUpperCase()}></span><span class="bar-user-name">${name}</span><//>`;
}

const Live = () => html`
  <span class=${`live live-${live.value}`} role="status" title=${t(`live.${live.value}.hint`)}>
    <span class="live-mark" aria-hidden="true"></span><span class="live-text">${t(`live.${live.value}`)}</span></span>`;

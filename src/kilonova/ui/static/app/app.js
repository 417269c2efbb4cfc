// SPDX-License-Identifier: Apache-2.0
/** The frame around all pages: navigation, the bar above, messages, dialogs, keys. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { classes, html } from "./html.js";
import { PAGES, START } from "./pages.js";
import { closeAllDialogs, Dialogs } from "./parts/dialog.js";
import { Icon } from "./parts/icon.js";
import { takeKeys } from "./parts/keys.js";
import { Newer } from "./parts/newer.js";
import { Failure, Loading } from "./parts/page.js";
import { offer } from "./parts/palette.js";
import { Toasts } from "./parts/toast.js";
import { TopBar } from "./parts/topbar.js";
import { go, link, match, place } from "./router.js";
import { isAdmin, phase, subject } from "./state/session.js";
import { ConsolePage } from "./views/console/page.js";
import { Login } from "./views/login/login.js";
import { t } from "./words/index.js";

const isNavOpen = signal(false);

export function App() {
  useEffect(() => takeKeys(), []);
  useEffect(() => offer(() => PAGES.filter(isOffered).map((page) => ({ text: t(/** @type {any} */ (page.nav)), path: page.path }))), []);
  const ownWindow = match("/console/:kind/:id", place.value.path);
  if (ownWindow) return html`<${ConsolePage} ...${ownWindow} /><${Dialogs} />`;
  if (phase.value === "starting") return html`<div class="start"><${Loading} /></div>`;
  if (phase.value === "out") return html`<${Login} /><${Toasts} />`;
  return html`
    <a class="skip" href="#main">${t("skip")}</a>
    <${TopBar} onMenu=${() => (isNavOpen.value = !isNavOpen.value)} isMenuOpen=${isNavOpen.value} />
    <div class="frame">
      <${Navigation} />
      <main id="main" tabindex="-1"><${Newer} /><${Outlet} /></main>
    </div>
    <${Toasts} /><${Dialogs} />
    ${phase.value === "expired" && html`<${Login} again=${subject.value} />`}`;
}

/** @param {import("./pages.js").PageEntry} page */
const isOffered = (page) => page.nav !== undefined && (!page.admin || isAdmin.value);

function Navigation() {
  const path = place.value.path;
  /** @param {import("./pages.js").PageEntry} page */
  const entry = (page) => {
    const here = path === page.path || path.startsWith(`${page.path}/`);
    return html`<li key=${page.path}><a href=${link(page.path)} aria-current=${here ? "page" : undefined} onClick=${() => (isNavOpen.value = false)}>
      ${page.icon && html`<${Icon} name=${page.icon} />`}<span>${t(/** @type {any} */ (page.nav))}</span></a></li>`;
  };
  const offered = PAGES.filter(isOffered);
  const admin = offered.filter((page) => page.admin);
  return html`
    <nav class=${classes("nav", isNavOpen.value && "nav-open")} aria-label=${t("nav.label")}>
      <ul>${offered.filter((page) => !page.admin).map(entry)}</ul>
      ${admin.length > 0 && html`<h2>${t("nav.admin")}</h2><ul>${admin.map(entry)}</ul>`}
    </nav>`;
}

/** The page of a path, and the parts of the path that it names. @param {string} path */
function pageAt(path) {
  for (const page of PAGES) {
    const found = match(page.path, path);
    if (found && (!page.path.includes(":") || !PAGES.some((each) => each.path === path))) return { page, found };
  }
  return null;
}

/** Load the code of the page of the address before it is shown, which reports a failure. */
export function loadAhead() {
  const path = place.peek().path;
  pageAt(path === "/" ? START : path)?.page.load().catch(() => {});
}

/** The page of the address. */
function Outlet() {
  const path = place.value.path;
  useEffect(() => {
    if (path === "/") go(START, { replace: true });
    closeAllDialogs();
  }, [path]);
  if (path === "/") return null;
  const here = pageAt(path);
  if (here) return show(here.page, here.found);
  return html`<div class="empty"><h1>${t("missing.title")}</h1><p>${t("missing.text", { path })}</p><p><a href=${link(START)}>${t("nav.servers")}</a></p></div>`;
}

/** A page whose requests would be refused says so at once. @param {import("./pages.js").PageEntry} page @param {Record<string, string>} found */
function show(page, found) {
  if (!page.admin || isAdmin.value) return html`<${Lazy} key=${page.path} page=${page} found=${found} />`;
  return html`<div class="empty"><h1>${t("forbidden.title")}</h1><p>${t("forbidden.text")}</p><p><a href=${link(START)}>${t("nav.servers")}</a></p></div>`;
}

/** Pages whose code is here. @type {Map<Function, (props: any) => any>} */
const loaded = new Map();

/** @param {{ page: import("./pages.js").PageEntry, found: Record<string, string> }} props */
function Lazy({ page, found }) {
  const [, setLoaded] = useState(0);
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const View = loaded.get(page.load);
  useEffect(() => {
    if (View) return;
    page.load().then((module) => (loaded.set(page.load, module.default), setLoaded((count) => count + 1)), setError);
  }, [page]);
  if (error) return html`<${Failure} error=${new Error(t("error.code"))} again=${() => location.reload()} />`;
  return View ? html`<${View} key=${Object.values(found).join()} ...${found} />` : html`<${Loading} />`;
}

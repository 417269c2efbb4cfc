// SPDX-License-Identifier: Apache-2.0
/** The login: by password or by application credential; also over a page whose session has ended. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { html } from "../../html.js";
import { Field, FormError, missing, Submit, useForm } from "../../parts/form.js";
import { Mark } from "../../parts/topbar.js";
import { logIn, logOut } from "../../state/session.js";
import { t } from "../../words/index.js";

/**
 * @param {{ again?: import("../../state/session.js").Subject | null }} props `again`: whose session has ended; then the
 *   page below stays, with all that was typed
 */
export function Login({ again }) {
  useEffect(() => void (again || (document.title = `${t("login.title")} · Kilonova`)), [again]);
  return again ? html`<${Over}><${Box} again=${again} /><//>` : html`<main class="login"><${Box} /></main>`;
}

/** @param {{ children?: any }} props */
function Over({ children }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => ref.current?.showModal(), []);
  return html`<dialog ref=${ref} class="login-over" aria-label=${t("login.title")} onCancel=${(/** @type {Event} */ event) => event.preventDefault()}>${children}</dialog>`;
}

/** @param {{ again?: import("../../state/session.js").Subject | null }} props */
function Box({ again }) {
  const method = useSignal(/** @type {"password" | "application_credential"} */ ("password"));
  const form = useForm({
    initial: { user: again?.user.name ?? "", password: "", project: again?.project?.name ?? "", credential: "", secret: "" },
    send: (values) => logIn({ method: method.value, ...values }),
    check: (values) => missing(values, method.value === "password" ? ["user", "password"] : ["credential", "secret"]),
  });
  const byPassword = method.value === "password";
  return html`
    <form class="login-box" onSubmit=${form.submit} novalidate>
      <div class="login-head"><${Mark} /><h1>Kilonova</h1></div>
      <p class="dim">${t(again ? "login.expired" : "login.welcome")}</p>
      <${FormError} form=${form} />
      ${byPassword ? html`
        <${Field} key="user" form=${form} name="user" label=${t("login.user")} required focus=${!again} more=${{ autocomplete: "username" }} />
        <${Field} key="password" form=${form} name="password" type="password" label=${t("login.password")} required focus=${Boolean(again)} more=${{ autocomplete: "current-password" }} />
        <${Field} key="project" form=${form} name="project" label=${t("login.project")} hint=${t("login.project.hint")} />` : html`
        <${Field} key="credential" form=${form} name="credential" label=${t("login.credential")} required focus more=${{ autocomplete: "username" }} />
        <${Field} key="secret" form=${form} name="secret" type="password" label=${t("login.secret")} required more=${{ autocomplete: "current-password" }} />`}
      <${Submit} form=${form} text=${t("login.submit")} />
      <button type="button" class="plain" onClick=${() => (method.value = byPassword ? "application_credential" : "password")}>
        ${t(byPassword ? "login.byCredential" : "login.byPassword")}</button>
      ${again && html`<button type="button" class="plain" onClick=${logOut}>${t("logout")}</button>`}
    </form>`;
}

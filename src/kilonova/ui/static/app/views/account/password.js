// SPDX-License-Identifier: Apache-2.0
/** The dialog in which users change their own passwords. */
import { onUnauthorized } from "../../api/client.js";
import * as api from "../../api/users.js";
import { html } from "../../html.js";
import { closeDialog, openDialog } from "../../parts/dialog.js";
import { Field, missing, useForm } from "../../parts/form.js";
import { FormDialog } from "../../parts/formdialog.js";
import { toast } from "../../parts/toast.js";
import { logIn, subject } from "../../state/session.js";
import { t } from "../../words/index.js";
import { checkPasswords, PasswordFields } from "../users/fields.js";

export const openPassword = () => openDialog(() => html`<${ChangePassword} />`);

function ChangePassword() {
  const me = subject.value;
  const form = useForm({
    initial: { original: "", password: "", again: "" },
    paths: { "user.password": "password", "user.original_password": "original" },
    fieldOf: (error) => (error.status === 401 ? "original" : undefined),
    check: (values) => ({ ...checkPasswords(values), ...missing(values, ["original", "password", "again"]) }),
    send: async ({ original, password }) => {
      if (!me) return;
      await api.changePassword(me.user.id, original, password);
      closeDialog();
      toast("ok", t("account.password.done"));
      await enterAgain(me, password);
    },
  });
  return html`<${FormDialog} heading=${t("account.password")} form=${form} command=${["openstack", "user", "password", "set"]}>
    <p>${t("account.password.text")}</p>
    <${Field} form=${form} name="original" type="password" label=${t("account.password.now")} required focus more=${{ autocomplete: "current-password" }} />
    <${PasswordFields} form=${form} />
  <//>`;
}

/** The token of the page has ended with the old password. @param {import("../../state/session.js").Subject} me @param {string} password */
async function enterAgain(me, password) {
  try {
    await logIn({ method: "password", user: me.user.name, password, project: me.project?.name });
  } catch {
    onUnauthorized.call(); // then the login asks
  }
}

// SPDX-License-Identifier: Apache-2.0
/** Enabling and disabling a user. */
import * as api from "../../api/users.js";
import { ask } from "../../parts/formdialog.js";
import { toast, toastError } from "../../parts/toast.js";
import { t } from "../../words/index.js";

/** @typedef {import("../../api/users.js").User} User */

/** @param {User} user @param {() => void} changed */
export const turn = (user, changed) => (user.enabled ? disable(user, changed) : void enable(user, changed));

/** @param {User} user @param {() => void} changed */
async function enable(user, changed) {
  try {
    await api.update(user.id, { enabled: true });
    toast("ok", t("user.enable.done", { name: user.name }));
    changed();
  } catch (error) {
    toastError(`${t("user.enable")}: ${user.name}`, error);
  }
}

/** @param {User} user @param {() => void} changed */
const disable = (user, changed) =>
  ask({
    action: t("user.disable"), ask: t("user.disable.ask"), message: t("user.disable.done", { name: "{name}" }), done: changed,
    targets: [{ key: user.id, name: user.name }], command: ["openstack", "user", "set", "--disable"], run: ({ key }) => api.update(key, { enabled: false }),
  });

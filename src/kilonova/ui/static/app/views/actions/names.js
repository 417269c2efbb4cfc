// SPDX-License-Identifier: Apache-2.0
/** Names of what an action shows. */
import { subject } from "../../state/session.js";
import { known } from "../../words/index.js";

/** @param {string} id of a user */
export const userName = (id) => (id === subject.value?.user.id ? subject.value.user.name : id);

/** @param {string} verb */
export const actionName = (verb) => known(`request.${verb}`, verb);

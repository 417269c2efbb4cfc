// SPDX-License-Identifier: Apache-2.0
/** Lists of users and roles, which several pages for administrators show. */
import * as rolesApi from "../api/roles.js";
import * as usersApi from "../api/users.js";
import { collection } from "./collection.js";

export const users = collection(usersApi.list);
export const roles = collection(rolesApi.list);

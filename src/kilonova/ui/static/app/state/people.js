// SPDX-License-Identifier: Apache-2.0
/** Lists of users, their groups and roles, which several pages for administrators show. */
import * as rolesApi from "../api/roles.js";
import * as groupsApi from "../api/usergroups.js";
import * as usersApi from "../api/users.js";
import { collection } from "./collection.js";

export const users = collection(usersApi.list);
export const userGroups = collection(groupsApi.list);
export const roles = collection(rolesApi.list);

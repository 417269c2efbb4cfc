// SPDX-License-Identifier: Apache-2.0
/** Joins the words of projects, users, roles, the own account and notifications; the first import of each of these pages. */
import { people } from "./en.people.js";
import { join } from "./index.js";

join(people);

// SPDX-License-Identifier: Apache-2.0
/** Joins the words of hosts, compute services and aggregates; the first import of each of these pages. */
import { hosts } from "./en.hosts.js";
import { join } from "./index.js";

join(hosts);

// SPDX-License-Identifier: Apache-2.0
/** Joins the words of the consoles. */
import { consoles } from "./en.console.js";
import { join } from "./index.js";

join(consoles);

// SPDX-License-Identifier: Apache-2.0
/** Joins the words of actions and of placements; the first import of each page that shows them. */
import { live } from "./en.live.js";
import { join } from "./index.js";

join(live);

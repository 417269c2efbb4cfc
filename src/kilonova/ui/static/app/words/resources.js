// SPDX-License-Identifier: Apache-2.0
/** Joins the words of images, key pairs, flavors, networks, server groups and quotas; the first import of each of these pages. */
import { images } from "./en.images.js";
import { resources } from "./en.resources.js";
import { join } from "./index.js";

join(images);
join(resources);

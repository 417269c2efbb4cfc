// SPDX-License-Identifier: Apache-2.0
/** The lists that several pages show. */
import * as flavorsApi from "../api/flavors.js";
import * as groupsApi from "../api/groups.js";
import * as imagesApi from "../api/images.js";
import * as keypairsApi from "../api/keypairs.js";
import * as networksApi from "../api/networks.js";
import * as projectsApi from "../api/projects.js";
import { zones as readZones } from "../api/zones.js";
import { collection } from "./collection.js";
import { projects } from "./session.js";

export const images = collection(() => imagesApi.list());
export const flavors = collection(() => flavorsApi.list());
export const keypairs = collection(keypairsApi.list);
export const networks = collection(networksApi.list);
export const serverGroups = collection(() => groupsApi.list());
export const zones = collection(readZones);
/** All projects; for administrators. */
export const everyProject = collection(projectsApi.list);

/** @param {string} id of a project */
export const projectName = (id) => (everyProject.items.value ?? projects.value).find((project) => project.id === id)?.name ?? id;

// SPDX-License-Identifier: Apache-2.0
/** The lists that several pages show. */
import * as api from "../api/resources.js";
import { collection } from "./collection.js";

export const images = collection(api.images);
export const flavors = collection(api.flavors);
export const keypairs = collection(api.keypairs);
export const networks = collection(api.networks);
export const serverGroups = collection(api.serverGroups);
export const zones = collection(api.zones);

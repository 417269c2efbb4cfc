// SPDX-License-Identifier: Apache-2.0
/** Projects. */
import { request } from "./client.js";

/** All that the user may see. @returns {Promise<{ id: string, name: string, enabled: boolean, description: string }[]>} */
export const list = async () => (await request("identity", "GET", "/projects")).data.projects;

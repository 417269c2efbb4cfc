// SPDX-License-Identifier: Apache-2.0
/** The time, for what shows how long ago something was. */
import { signal } from "@preact/signals";

const STEP_MS = 10000;

/** In milliseconds since 1970; changes every 10 seconds. */
export const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), STEP_MS);

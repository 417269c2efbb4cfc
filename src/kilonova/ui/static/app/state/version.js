// SPDX-License-Identifier: Apache-2.0
/** Which version of the page this is, and whether the service has another one. */
import { computed, signal } from "@preact/signals";

/** The version in the names of the files that are loaded (docs/ui.md). */
export const VERSION = /\/ui\/static\/([0-9a-f]{16})\//.exec(import.meta.url)?.[1] ?? "";

/** The version that the service had at the beginning of the last stream; "" is not known. */
export const served = signal("");

export const isOld = computed(() => served.value !== "" && VERSION !== "" && served.value !== VERSION);

// SPDX-License-Identifier: Apache-2.0
/** `html`: templates that become elements of Preact.  Values become text nodes or properties, never markup. */
import htm from "htm";
import { h } from "preact";

/** @type {(strings: TemplateStringsArray, ...values: unknown[]) => import("preact").VNode<any>} */
export const html = /** @type {any} */ (htm.bind(/** @type {any} */ (h)));

/**
 * The names of classes that apply, for an attribute.
 * @param {...(string | false | null | undefined)} names
 */
export const classes = (...names) => names.filter(Boolean).join(" ");

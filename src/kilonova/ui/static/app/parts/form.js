// SPDX-License-Identifier: Apache-2.0
/** Forms: fields with a label, a hint and an error; what the API refuses is shown at its field, in its own words. */
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { ApiError } from "../api/client.js";
import { classes, html } from "../html.js";
import { t } from "../words/index.js";
import { sentence } from "./toast.js";

const REFUSED_FIELD = /field\/attribute ([\w.:-]+?)\.? (.*)/s;

/** @typedef {Record<string, any>} Values */
/** @typedef {{ name: string, sentence: string }} FieldError */
/**
 * @typedef {object} Form
 * @property {import("@preact/signals").Signal<Values>} values
 * @property {import("@preact/signals").Signal<Record<string, string>>} errors by name of the field; "" is the form's
 * @property {import("@preact/signals").Signal<boolean>} busy
 * @property {(name: string, value: unknown) => void} set
 * @property {(event?: Event) => Promise<void>} submit
 */

/**
 * State of a form.  What was typed stays after an error.
 * @param {object} options
 * @param {Values} options.initial
 * @param {(values: Values) => Promise<unknown>} options.send
 * @param {Record<string, string>} [options.paths] from the path of a field in the API, or its beginning, to the name of a field
 * @param {(values: Values) => Record<string, string>} [options.check] errors that are found before a request
 * @param {(error: ApiError, values: Values) => string | undefined} [options.fieldOf] the name of the field to which an error belongs that names no path
 * @returns {Form}
 */
export function useForm({ initial, send, paths = {}, check = () => ({}), fieldOf = () => undefined }) {
  const values = useSignal(initial);
  const errors = useSignal(/** @type {Record<string, string>} */ ({}));
  const busy = useSignal(false);
  /** @param {string} name @param {unknown} value */
  const set = (name, value) => {
    values.value = { ...values.value, [name]: value };
    if (name in errors.value) errors.value = Object.fromEntries(Object.entries(errors.value).filter(([key]) => key !== name));
  };
  /** @param {Event} [event] */
  const submit = async (event) => {
    event?.preventDefault();
    const form = event?.target instanceof HTMLFormElement ? event.target : null;
    if (busy.value) return;
    errors.value = check(values.value);
    if (Object.keys(errors.value).length === 0) {
      busy.value = true;
      errors.value = await send(values.value).then(() => ({}), (error) => refusal(error, paths, (each) => fieldOf(each, values.value))).finally(() => (busy.value = false));
    }
    if (Object.keys(errors.value).length > 0) requestAnimationFrame(() => focusError(form));
  };
  return { values, errors, busy, set, submit };
}

/** @param {HTMLFormElement | null} form */
function focusError(form) {
  /** @type {HTMLElement | null} */ (form?.querySelector("[aria-invalid=true]"))?.focus();
}

/**
 * Where an error belongs.
 * @param {unknown} error
 * @param {Record<string, string>} paths
 * @param {(error: ApiError) => string | undefined} fieldOf
 */
function refusal(error, paths, fieldOf) {
  const found = error instanceof ApiError ? REFUSED_FIELD.exec(error.message) : null;
  const path = found?.[1] ?? "";
  const known = Object.keys(paths).filter((each) => path === each || path.startsWith(`${each}.`)).sort((a, b) => b.length - a.length)[0];
  const name = known !== undefined ? paths[known] : error instanceof ApiError ? fieldOf(error) : undefined;
  return name === undefined ? { "": sentence(error) } : { [name]: found?.[2] ?? sentence(error) };
}

/** Another thing has the name: the API repeats it. @param {ApiError} error @param {Values} values */
export const nameTaken = (error, values) => (error.status === 409 && error.message.includes(` called ${values.name} `) ? "name" : undefined);

/** Errors of fields that are empty. @param {Values} values @param {string[]} names @returns {Record<string, string>} */
export const missing = (values, names) => Object.fromEntries(names.filter((name) => !values[name]).map((name) => [name, t("form.missing")]));

/** @typedef {{ value: string, text: string, disabled?: boolean }} Option */
/**
 * @typedef {object} FieldProps
 * @property {Form} form
 * @property {string} name
 * @property {string} label
 * @property {"text" | "password" | "number" | "datetime-local" | "textarea" | "select" | "checkbox"} [type]
 * @property {any} [hint]
 * @property {Option[]} [options] of a select
 * @property {boolean} [required]
 * @property {boolean} [focus] when the form opens
 * @property {Record<string, unknown>} [more] further attributes
 */

/** @param {FieldProps} props */
export function Field(props) {
  const { form, name, label, type = "text", hint } = props;
  const id = useId();
  const error = form.errors.value[name];
  const described = classes(hint && `${id}-hint`, error && `${id}-error`) || undefined;
  const input = html`<${Input} ...${props} id=${id} described=${described} invalid=${Boolean(error)} />`;
  const words = html`<label for=${id}>${label}${!props.required && type !== "checkbox" && html`${" "}<span class="optional">${t("form.optional")}</span>`}</label>`;
  return html`
    <div class=${classes("field", type === "checkbox" && "field-check", error && "field-bad")}>
      ${type === "checkbox" ? [input, words] : [words, input]}
      ${hint && html`<div class="field-hint" id=${`${id}-hint`}>${hint}</div>`}
      ${error && html`<div class="field-error" id=${`${id}-error`} role="alert">${error}</div>`}
    </div>`;
}

/** @param {FieldProps & { id: string, described?: string, invalid: boolean }} props */
function Input({ form, name, type = "text", options = [], required, focus, more, id, described, invalid }) {
  const value = form.values.value[name];
  /** @param {{ currentTarget: any }} event */
  const typed = ({ currentTarget }) => form.set(name, type === "checkbox" ? currentTarget.checked : currentTarget.value);
  const common = {
    id, name, required, autofocus: focus, "aria-describedby": described, "aria-invalid": invalid || undefined, onInput: typed, ...more,
  };
  if (type === "textarea") return html`<textarea ...${common} value=${value} spellcheck=${false}></textarea>`;
  if (type === "checkbox") return html`<input ...${common} type="checkbox" checked=${value} />`;
  if (type === "select") {
    return html`<select ...${common} value=${value}>
      ${options.map((each) => html`<option key=${each.value} value=${each.value} disabled=${each.disabled} selected=${each.value === value}>${each.text}</option>`)}
    </select>`;
  }
  return html`<input ...${common} type=${type} value=${value} autocomplete=${more?.autocomplete ?? "off"} />`;
}

/** The error of a form that belongs to no field. @param {{ form: Form }} props */
export const FormError = ({ form }) =>
  form.errors.value[""] ? html`<div class="notice notice-bad" role="alert"><p>${form.errors.value[""]}</p></div>` : null;

/** @param {{ form: Form, text: string, danger?: boolean, disabled?: boolean }} props */
export const Submit = ({ form, text, danger, disabled }) => html`
  <button type="submit" class=${danger ? "danger" : "primary"} aria-disabled=${form.busy.value || disabled}>
    ${form.busy.value && html`<span class="spinner" aria-hidden="true"></span>`}${text}</button>`;

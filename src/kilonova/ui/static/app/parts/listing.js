// SPDX-License-Identifier: Apache-2.0
/** A page that is a list: a search, one filter, a table; all of them are in the address. */
import { html } from "../html.js";
import { place, setQuery } from "../router.js";
import { t } from "../words/index.js";
import { Icon } from "./icon.js";
import { Empty, Failure, Loading, Page } from "./page.js";
import { sorted, Table } from "./table.js";

/**
 * @template T
 * @typedef {object} Filter rows by one of their values; each value is a button with its count
 * @property {string} name in the address
 * @property {string} label
 * @property {(row: T) => string} of
 * @property {(value: string) => string} text
 */
/**
 * @template T
 * @typedef {object} ListingProps
 * @property {string} title
 * @property {string[]} command
 * @property {any} [buttons]
 * @property {T[] | null} rows null while they are read
 * @property {unknown} error of the last attempt to read them
 * @property {() => void} again
 * @property {import("./table.js").Column<T>[]} columns
 * @property {(row: T) => string} searchText what the search compares
 * @property {string} searchHint
 * @property {Filter<T>} [filter]
 * @property {any} [tools] further elements beside the search
 * @property {any} [above] elements between the search and the table
 * @property {any} empty what to show, and what to do, when there is nothing at all
 * @property {(row: T) => string} rowKey
 * @property {(row: T) => string} [rowName]
 * @property {import("@preact/signals").Signal<Set<string>>} [chosen]
 * @property {string} [sort] the column that sorts when the address names none
 */

/** @param {ListingProps<any>} props */
export function Listing(props) {
  const { title, rows, error, again, searchText, filter } = props;
  const query = place.value.query;
  const sort = readSort(query.get("sort") ?? props.sort ?? "name");
  const words = (query.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const value = filter ? query.get(filter.name) : null;
  const found = (rows ?? []).filter((row) => (!value || filter?.of(row) === value) && words.every((word) => searchText(row).toLowerCase().includes(word)));
  const count = rows && rows.length > 0 && html`<span class="count">${t("list.count", { shown: found.length, all: rows.length })}</span>`;
  return html`
    <${Page} title=${title} command=${props.command} buttons=${props.buttons} beside=${count}>
      <div class="toolbar">
        <label class="search"><${Icon} name="search" /><input type="search" aria-label=${props.searchHint} placeholder=${props.searchHint}
          value=${query.get("q") ?? ""} onInput=${(/** @type {any} */ event) => setQuery({ q: event.currentTarget.value })} /><kbd>/</kbd></label>
        ${filter && html`<${Chips} filter=${filter} rows=${rows ?? []} value=${value} />`}
        ${props.tools}
      </div>
      ${props.above}
      ${Boolean(error) && html`<${Failure} error=${error} again=${again} />`}
      ${content(props, found, sort)}
    <//>`;
}

/** @param {ListingProps<any>} props @param {any[]} found @param {import("./table.js").Sort} sort */
function content(props, found, sort) {
  if (props.rows === null) return props.error ? null : html`<${Loading} />`;
  if (props.rows.length === 0) return html`<${Empty}>${props.empty}<//>`;
  if (found.length === 0) {
    const clear = { q: null, ...(props.filter && { [props.filter.name]: null }) };
    return html`<${Empty}><h2>${t("list.none")}</h2><button type="button" onClick=${() => setQuery(clear)}>${t("list.all")}</button><//>`;
  }
  return html`<${Table} label=${props.title} columns=${props.columns} rows=${sorted(found, props.columns, sort)} rowKey=${props.rowKey} rowName=${props.rowName}
    sort=${sort} chosen=${props.chosen} onSort=${(/** @type {import("./table.js").Sort} */ next) => setQuery({ sort: (next.down ? "-" : "") + next.key })} />`;
}

/** @param {string} text such as "name" or "-created" */
const readSort = (text) => ({ key: text.replace(/^-/, ""), down: text.startsWith("-") });

/** @param {{ filter: Filter<any>, rows: any[], value: string | null }} props */
function Chips({ filter, rows, value }) {
  /** @type {Map<string, number>} */
  const counts = new Map(value ? [[value, 0]] : []);
  for (const row of rows) counts.set(filter.of(row), (counts.get(filter.of(row)) ?? 0) + 1);
  if (counts.size < 2 && !value) return null;
  return html`
    <div class="filters" role="group" aria-label=${filter.label}>
      ${[...counts].sort(([a], [b]) => a.localeCompare(b)).map(([each, count]) => html`<button key=${each} type="button" class="chip" aria-pressed=${String(value === each)}
        onClick=${() => setQuery({ [filter.name]: value === each ? null : each })}>${filter.text(each)} <span>${count}</span></button>`)}
    </div>`;
}

// SPDX-License-Identifier: Apache-2.0
/**
 * Tables: columns that can be sorted and left out, arrow keys between rows, a choice of rows.
 * Of long tables only the rows near the window are in the document, so that thousands of rows scroll smoothly.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { classes, html } from "../html.js";
import { t } from "../words/index.js";
import { Icon } from "./icon.js";

/**
 * @template T
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {(row: T) => any} cell
 * @property {(row: T) => string | number} [by] what sorting compares
 * @property {1 | 2 | 3 | 4} [rank] 1 is always shown, 4 only on wide screens
 * @property {boolean} [numeric]
 */

/** @typedef {{ key: string, down: boolean }} Sort */

const ALL_ROWS = 150;
const BEYOND = 15;

/**
 * @template T
 * @param {T[]} rows
 * @param {Column<T>[]} columns
 * @param {Sort} sort
 */
export function sorted(rows, columns, sort) {
  const by = columns.find((column) => column.key === sort.key)?.by;
  if (!by) return rows;
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const sign = sort.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [left, right] = [by(a), by(b)];
    return sign * (typeof left === "number" && typeof right === "number" ? left - right : compare(String(left), String(right)));
  });
}

/**
 * @param {object} props
 * @param {string} props.label
 * @param {Column<any>[]} props.columns
 * @param {any[]} props.rows in the order to show
 * @param {(row: any) => string} props.rowKey
 * @param {(row: any) => string} [props.rowName] for the label of its check box
 * @param {Sort} [props.sort]
 * @param {(sort: Sort) => void} [props.onSort]
 * @param {import("@preact/signals").Signal<Set<string>>} [props.chosen] keys of the rows that are chosen
 */
export function Table({ label, columns, rows, rowKey, rowName = rowKey, sort, onSort, chosen }) {
  const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null));
  const [first, last, rowHeight] = useWindow(body, rows.length);
  const shown = rows.slice(first, last);
  const span = columns.length + (chosen ? 1 : 0);
  return html`
    <div class="table-frame">
      <table aria-label=${label} aria-rowcount=${rows.length + 1} onKeyDown=${moveRow}>
        <thead><tr aria-rowindex="1">
          ${chosen && html`<th class="cell-check" scope="col"><${ChooseAll} rows=${rows} rowKey=${rowKey} chosen=${chosen} /></th>`}
          ${columns.map((column) => html`<${Head} key=${column.key} column=${column} sort=${sort} onSort=${onSort} />`)}
        </tr></thead>
        <tbody ref=${body}>
          ${first > 0 && html`<${Space} key="above" height=${first * rowHeight} span=${span} />`}
          ${shown.map((row, index) => html`<${Row} key=${rowKey(row)} row=${row} id=${rowKey(row)} name=${rowName(row)} index=${first + index + 2}
            columns=${columns} chosen=${chosen} />`)}
          ${last < rows.length && html`<${Space} key="below" height=${(rows.length - last) * rowHeight} span=${span} />`}
        </tbody>
      </table>
    </div>`;
}

/** @param {{ height: number, span: number }} props */
const Space = ({ height, span }) => html`<tr aria-hidden="true" class="table-space"><td colspan=${span} style=${{ height: `${height}px` }}></td></tr>`;

/** @param {{ column: Column<any>, sort?: Sort, onSort?: (sort: Sort) => void }} props */
function Head({ column, sort, onSort }) {
  const now = sort?.key === column.key;
  const name = classes(`rank-${column.rank ?? 2}`, column.numeric && "numeric");
  if (!column.by || !onSort) return html`<th scope="col" class=${name}><span class=${column.key === "actions" ? "hidden" : undefined}>${column.title}</span></th>`;
  const turn = () => onSort({ key: column.key, down: now ? !sort?.down : false });
  return html`<th scope="col" class=${name} aria-sort=${now ? (sort?.down ? "descending" : "ascending") : undefined}>
    <button type="button" class="table-sort" onClick=${turn}>${column.title}${now && html`<${Icon} name=${sort?.down ? "down" : "up"} />`}</button></th>`;
}

/** @param {{ row: any, id: string, name: string, index: number, columns: Column<any>[], chosen?: import("@preact/signals").Signal<Set<string>> }} props */
function Row({ row, id, name, index, columns, chosen }) {
  const isChosen = chosen?.value.has(id) ?? false;
  return html`
    <tr aria-rowindex=${index} class=${isChosen ? "chosen" : undefined}>
      ${chosen && html`<td class="cell-check"><input type="checkbox" aria-label=${t("table.choose", { name })} checked=${isChosen}
        onChange=${() => toggle(chosen, id)} /></td>`}
      ${columns.map((column) => html`<td key=${column.key} class=${classes(`rank-${column.rank ?? 2}`, column.numeric && "numeric")}>${column.cell(row)}</td>`)}
    </tr>`;
}

/** @param {import("@preact/signals").Signal<Set<string>>} chosen @param {string} id */
function toggle(chosen, id) {
  const next = new Set(chosen.value);
  if (!next.delete(id)) next.add(id);
  chosen.value = next;
}

/** @param {{ rows: any[], rowKey: (row: any) => string, chosen: import("@preact/signals").Signal<Set<string>> }} props */
function ChooseAll({ rows, rowKey, chosen }) {
  const all = rows.length > 0 && rows.every((row) => chosen.value.has(rowKey(row)));
  const some = !all && chosen.value.size > 0;
  return html`<input type="checkbox" aria-label=${t("table.chooseAll")} checked=${all} indeterminate=${some}
    onChange=${() => (chosen.value = new Set(all ? [] : rows.map(rowKey)))} />`;
}

/** Arrow keys move between rows, as long as no field has the focus. @param {KeyboardEvent} event */
function moveRow(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = target.closest("tr");
  if (!step || !row || target.closest("[popover], select, input:not([type=checkbox]), textarea")) return;
  const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  /** @type {HTMLElement | null | undefined} */
  const stop = next?.querySelector(target.matches("input") ? "input" : "a[href], button");
  if (!stop) return;
  event.preventDefault();
  stop.focus();
  stop.scrollIntoView({ block: "nearest" });
}

/**
 * The rows that are near the window.
 * @param {{ current: HTMLElement | null }} body
 * @param {number} count
 * @returns {[first: number, last: number, rowHeight: number]}
 */
function useWindow(body, count) {
  const range = useSignal({ first: 0, last: ALL_ROWS, height: 37 });
  const long = count > ALL_ROWS;
  useEffect(() => {
    if (!long) return;
    const look = () => {
      const row = body.current?.querySelector("tr:not(.table-space)");
      if (!body.current || !row) return;
      const height = row.getBoundingClientRect().height;
      const top = body.current.getBoundingClientRect().top;
      const first = Math.max(0, Math.min(Math.floor(-top / height) - BEYOND, count - 1));
      const last = Math.min(count, Math.ceil((innerHeight - top) / height) + BEYOND);
      const now = range.value;
      if (Math.abs(now.first - first) >= BEYOND / 2 || Math.abs(now.last - last) >= BEYOND / 2 || height !== now.height) {
        range.value = { first, last: Math.max(last, first + 1), height };
      }
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => (removeEventListener("scroll", look), removeEventListener("resize", look));
  }, [long, count]);
  if (!long) return [0, count, 0];
  const { first, last, height } = range.value;
  return [Math.min(first, count), Math.min(last, count), height];
}

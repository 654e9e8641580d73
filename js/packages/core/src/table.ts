/** A table that can be sorted and filtered, and that only makes the rows in sight. */

import { element } from './dom';

export interface Column {
  title: string;
  /** Longer explanation, shown as a tooltip of the heading. */
  help?: string;
  numeric?: boolean;
  /** The text of a cell. */
  text: (row: number) => string;
  /** What rows are sorted by; a number where the column is numeric. */
  key: (row: number) => number | string;
}

export interface TableOptions {
  label: string;
  onChoose?: (row: number) => void;
  /** Class of a row, such as one per verdict. */
  rowClass?: (row: number) => string;
}

const ROW_HEIGHT = 22;
const SPARE_ROWS = 6;

export class DataTable {
  readonly root: HTMLElement;
  private columns: Column[] = [];
  private rows: number[] = [];
  private shown: number[] = [];
  private filter: (row: number) => boolean = () => true;
  private sortColumn = -1;
  private descending = false;
  private readonly head: HTMLElement;
  private readonly body: HTMLElement;
  private readonly scroller: HTMLElement;
  private readonly table: HTMLTableElement;

  constructor(private readonly options: TableOptions) {
    this.head = element('tr');
    this.body = element('tbody');
    this.table = element(
      'table',
      { class: 'paoding-table', 'aria-label': options.label },
      element('thead', {}, this.head),
      this.body,
    );
    this.scroller = element(
      'div',
      { class: 'paoding-table-scroll', tabindex: 0, role: 'group', 'aria-label': options.label },
      this.table,
    );
    this.root = this.scroller;
    this.scroller.addEventListener('scroll', () => this.render());
  }

  setData(columns: Column[], count: number): void {
    this.columns = columns;
    this.rows = Array.from({ length: count }, (_, index) => index);
    if (this.sortColumn >= columns.length) this.sortColumn = -1;
    this.table.setAttribute('aria-rowcount', String(count + 1));
    this.renderHead();
    this.refresh();
  }

  setFilter(filter: (row: number) => boolean): void {
    this.filter = filter;
    this.refresh();
  }

  /** Rows that pass the filter, in the order shown. */
  get order(): readonly number[] {
    return this.shown;
  }

  sortBy(column: number): void {
    this.descending = this.sortColumn === column ? !this.descending : false;
    this.sortColumn = column;
    this.renderHead();
    this.refresh();
  }

  /** Draws the rows in sight anew, such as after another one was chosen. */
  redraw(): void {
    this.render();
  }

  private refresh(): void {
    this.shown = this.rows.filter((row) => this.filter(row));
    const column = this.columns[this.sortColumn];
    if (column) {
      const sign = this.descending ? -1 : 1;
      const keys = new Map(this.shown.map((row) => [row, column.key(row)]));
      this.shown.sort((a, b) => {
        const order = compare(keys.get(a), keys.get(b));
        // Unknown values stay at the end, whichever way the column is sorted.
        return isUnknown(keys.get(a)) || isUnknown(keys.get(b)) ? order : order * sign;
      });
    }
    this.render();
  }

  private renderHead(): void {
    this.head.replaceChildren(
      ...this.columns.map((column, index) => {
        const sorted = index === this.sortColumn;
        const sign = sorted ? (this.descending ? ' ▼' : ' ▲') : '';
        const button = element(
          'button',
          { type: 'button', title: column.help ?? `Sort by ${column.title}` },
          column.title + sign,
        );
        button.addEventListener('click', () => this.sortBy(index));
        const direction = sorted ? (this.descending ? 'descending' : 'ascending') : 'none';
        return element(
          'th',
          { scope: 'col', 'aria-sort': direction, class: column.numeric ? 'paoding-number' : '' },
          button,
        );
      }),
    );
  }

  /** Makes the rows in sight; two empty rows stand for all the others. */
  private render(): void {
    const inSight = Math.ceil((this.scroller.clientHeight || 10 * ROW_HEIGHT) / ROW_HEIGHT);
    const last = Math.max(0, this.shown.length - inSight);
    const top = Math.min(last, Math.floor(this.scroller.scrollTop / ROW_HEIGHT));
    const first = Math.max(0, top - SPARE_ROWS);
    const end = Math.min(this.shown.length, top + inSight + SPARE_ROWS);
    const rows = this.shown.slice(first, end).map((row, at) => this.makeRow(row, first + at));
    this.body.replaceChildren(
      spacer(first * ROW_HEIGHT),
      ...rows,
      spacer((this.shown.length - end) * ROW_HEIGHT),
    );
  }

  private makeRow(row: number, position: number): HTMLElement {
    const made = element(
      'tr',
      { class: this.options.rowClass?.(row) ?? '', 'aria-rowindex': position + 2 },
      ...this.columns.map((column) => {
        const text = column.text(row);
        return element('td', { class: column.numeric ? 'paoding-number' : '', title: text }, text);
      }),
    );
    if (this.options.onChoose) {
      made.addEventListener('click', () => this.options.onChoose?.(row));
      made.tabIndex = 0;
      made.addEventListener('keydown', (event) => {
        if (event.key === 'Enter') this.options.onChoose?.(row);
      });
    }
    return made;
  }
}

function spacer(height: number): HTMLElement {
  const cell = element('td');
  cell.style.cssText = `height:${height}px;padding:0;border:0`;
  return element('tr', { 'aria-hidden': 'true', hidden: height === 0 }, cell);
}

function isUnknown(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && Number.isNaN(value));
}

function compare(a: number | string | undefined, b: number | string | undefined): number {
  if (isUnknown(a) || isUnknown(b)) return Number(isUnknown(a)) - Number(isUnknown(b));
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

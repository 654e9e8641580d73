/** The table of a model's layers: sorted by any column, filtered by name or type. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { type Column, DataTable, element, formatCount } from '@paoding/core';
import { type LayerFacts, type Opened, shapeText } from '@paoding/core/keras';

type Model = NonNullable<Opened['model']>;

const known = (value: number | null): string => (value === null ? '?' : formatCount(value));

function columnsOf(model: Model, trans: TranslationBundle): Column[] {
  const at = (row: number) => model.layers[row] as LayerFacts;
  const share = (row: number) => (100 * (at(row).parameters ?? 0)) / (model.parameters || 1);
  return [
    { title: trans.__('Name'), text: (row) => at(row).name, key: (row) => at(row).name },
    { title: trans.__('Type'), text: (row) => at(row).type, key: (row) => at(row).type },
    {
      title: trans.__('Output'),
      help: trans.__('Shape of the output, without the batch axis'),
      text: (row) => shapeText(at(row).shape),
      key: (row) => (at(row).shape ?? []).slice(1).reduce<number>((n, s) => n * (s ?? 1), 1),
    },
    {
      title: trans.__('Parameters'),
      numeric: true,
      text: (row) => known(at(row).parameters),
      key: (row) => at(row).parameters ?? Number.NaN,
    },
    {
      title: trans.__('Share'),
      help: trans.__("Share of the model's parameters"),
      numeric: true,
      text: (row) => (share(row) > 0 ? `${share(row).toFixed(1)} %` : ''),
      key: share,
    },
    {
      title: trans.__('FLOPs'),
      help: trans.__('Operations for one sample; a multiply-add counts as two'),
      numeric: true,
      text: (row) => known(at(row).flops),
      key: (row) => at(row).flops ?? Number.NaN,
    },
  ];
}

export class LayerTable {
  readonly root: HTMLElement;
  private readonly table: DataTable;
  private readonly columns: Column[];
  private chosen = -1;

  constructor(model: Model, trans: TranslationBundle, onChoose: (row: number) => void) {
    this.columns = columnsOf(model, trans);
    this.table = new DataTable({
      label: trans.__('Layers'),
      onChoose,
      rowClass: (row) => (row === this.chosen ? 'paoding-chosen' : ''),
    });
    const search = element('input', {
      type: 'search',
      placeholder: trans.__('Filter layers'),
      'aria-label': trans.__('Filter layers by name or type'),
    });
    search.addEventListener('input', () => {
      const wanted = search.value.trim().toLowerCase();
      this.table.setFilter((row) => {
        const { name, type } = model.layers[row] as LayerFacts;
        return `${name} ${type}`.toLowerCase().includes(wanted);
      });
    });
    this.table.setData(this.columns, model.layers.length);
    this.root = element('section', { class: 'paoding-viewer-table' }, search, this.table.root);
  }

  choose(row: number): void {
    this.chosen = row;
    this.table.redraw();
  }

  /** The rows as they are shown, for a spreadsheet. */
  get text(): string {
    const head = this.columns.map((column) => column.title);
    const rows = this.table.order.map((row) => this.columns.map((column) => column.text(row)));
    return [head, ...rows].map((cells) => cells.join('\t')).join('\n');
  }
}

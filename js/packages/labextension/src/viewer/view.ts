/** What a model file's tab shows: totals, the structure, a table of layers, and one layer's details. */
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  type Column,
  DataTable,
  element,
  formatBytes,
  formatCount,
  StructureView,
} from '@paoding/core';
import baseStyles from '@paoding/core/base.css';
import { type KerasModel, sceneOf, shapeText } from '@paoding/core/keras';
import structureStyles from '@paoding/core/structure.css';
import viewerStyles from './viewer.css';

/** What the file says of itself. */
export interface FileFacts {
  bytes: number;
  keras: string;
  saved: string;
}

const MOST_DETAILS = 20_000;

export class ModelView {
  readonly root: HTMLElement;
  private readonly structure: StructureView;
  private readonly table: DataTable;
  private readonly details: HTMLElement;
  private chosen = -1;

  constructor(
    private readonly model: KerasModel,
    facts: FileFacts,
    private readonly trans: TranslationBundle,
    prune: () => void,
  ) {
    this.root = element('div', { class: 'paoding-view paoding-viewer' });
    this.root.append(element('style', {}, baseStyles + structureStyles + viewerStyles));
    this.root.append(this.makeHeader(facts, prune));
    const spoken = element('div', { class: 'paoding-spoken', 'aria-live': 'polite' });
    const stage = element('section', {
      class: 'paoding-viewer-structure paoding-panel',
      'aria-label': trans.__('Structure'),
    });
    this.structure = new StructureView(stage, {
      onSelect: (selection) => this.choose(selection.node, false),
      onAnnounce: (text) => {
        spoken.textContent = text;
      },
    });
    stage.append(spoken);
    this.table = new DataTable({
      label: trans.__('Layers'),
      onChoose: (row) => this.choose(row, true),
      rowClass: (row) => (row === this.chosen ? 'paoding-chosen' : ''),
    });
    this.details = element('section', {
      class: 'paoding-viewer-details',
      'aria-label': trans.__('Layer'),
    });
    const lower = element('div', { class: 'paoding-viewer-lower' }, this.makeTable(), this.details);
    this.root.append(stage, lower);
    this.structure.setScene(sceneOf(model));
    this.choose(-1, false);
  }

  destroy(): void {
    this.structure.destroy();
  }

  private makeHeader(facts: FileFacts, prune: () => void): HTMLElement {
    const { model, trans } = this;
    const unknown =
      model.unknown > 0
        ? ` ${trans.__('(%1 layers not counted)', formatCount(model.unknown))}`
        : '';
    const facts_ = [
      [trans.__('Parameters'), formatCount(model.parameters) + unknown],
      [trans.__('Layers'), formatCount(model.layers.length)],
      [trans.__('File'), formatBytes(facts.bytes)],
      [trans.__('Saved by Keras'), [facts.keras, facts.saved].filter(Boolean).join(', ') || '?'],
      [trans.__('Compiled'), compiled(model) || trans.__('no')],
    ];
    const button = element('button', { type: 'button' }, trans.__('Prune in a Notebook'));
    button.addEventListener('click', prune);
    return element(
      'header',
      { class: 'paoding-viewer-header' },
      element('h2', {}, `${model.name} · ${model.type}`),
      element(
        'dl',
        {},
        ...facts_.map(([name, value]) =>
          element('div', {}, element('dt', {}, name ?? ''), element('dd', {}, value ?? '')),
        ),
      ),
      button,
    );
  }

  private makeTable(): HTMLElement {
    const { layers } = this.model;
    const at = (row: number) => layers[row] as KerasModel['layers'][number];
    const { trans } = this;
    const share = (row: number) => (100 * (at(row).parameters ?? 0)) / (this.model.parameters || 1);
    const columns: Column[] = [
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
        text: (row) => (at(row).parameters === null ? '?' : formatCount(at(row).parameters ?? 0)),
        key: (row) => at(row).parameters ?? Number.NaN,
      },
      {
        title: trans.__('Share'),
        numeric: true,
        text: (row) => (share(row) > 0 ? `${share(row).toFixed(1)} %` : ''),
        key: share,
      },
    ];
    const search = element('input', {
      type: 'search',
      placeholder: trans.__('Filter layers'),
      'aria-label': trans.__('Filter layers by name or type'),
    });
    search.addEventListener('input', () => {
      const wanted = search.value.trim().toLowerCase();
      this.table.setFilter((row) =>
        `${at(row).name} ${at(row).type}`.toLowerCase().includes(wanted),
      );
    });
    this.table.setData(columns, layers.length);
    return element('section', { class: 'paoding-viewer-table' }, search, this.table.root);
  }

  /** Shows one layer everywhere; -1 for none. */
  private choose(row: number, show: boolean): void {
    this.chosen = row;
    const layer = this.model.layers[row];
    if (show && layer) this.structure.setSelected({ node: row, unit: -1 });
    this.table.redraw();
    if (!layer) {
      const hint = this.trans.__('Choose a layer in the picture or in the table.');
      this.details.replaceChildren(element('p', {}, hint));
      return;
    }
    const from = layer.inputs.map((each) => this.model.layers[each]?.name ?? '?').join(', ');
    const lines = [
      [this.trans.__('Type'), layer.type],
      [this.trans.__('Reads'), from || '–'],
      [this.trans.__('Output'), shapeText(layer.shape)],
      [
        this.trans.__('Parameters'),
        layer.parameters === null ? '?' : formatCount(layer.parameters),
      ],
    ];
    const warning = this.trans.__(
      'This layer holds Python code. It is shown as text, and never run.',
    );
    this.details.replaceChildren(
      element('h3', {}, layer.name),
      ...(layer.holdsCode ? [element('p', { class: 'paoding-warning' }, warning)] : []),
      element(
        'dl',
        {},
        ...lines.map(([name, value]) =>
          element('div', {}, element('dt', {}, name ?? ''), element('dd', {}, value ?? '')),
        ),
      ),
      element('pre', {}, JSON.stringify(layer.config, null, 2).slice(0, MOST_DETAILS)),
    );
  }
}

/** Optimizer and loss of a compiled model, as far as they have names. */
function compiled(model: KerasModel): string {
  const named = (value: unknown): string => {
    if (typeof value === 'string') return value;
    const known = (value ?? {}) as Record<string, unknown>;
    return typeof known.class_name === 'string' ? known.class_name : '';
  };
  return [named(model.compile?.optimizer), named(model.compile?.loss)].filter(Boolean).join(', ');
}

/** What a model file's tab shows: totals, the structure, a table of layers, and one layer's details. */

import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { element, formatBytes, formatCount, StructureView } from '@paoding/core';
import baseStyles from '@paoding/core/base.css';
import { MOST_DRAWN, type Opened, sceneOf, shapeText } from '@paoding/core/keras';
import structureStyles from '@paoding/core/structure.css';
import type { Reader } from '../reader/reader';
import type { Settings } from '../settings';
import { arrayList } from './arrays';
import { type Deeds, sentence } from './panel';
import { LayerTable } from './table';
import viewerStyles from './viewer.css';

type Model = NonNullable<Opened['model']>;

/** A list of names and values. */
function listOf(rows: readonly (readonly [string, string])[]): HTMLElement {
  return element(
    'dl',
    {},
    ...rows.map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, value)),
    ),
  );
}

export class ModelView {
  readonly root: HTMLElement;
  private readonly structure: StructureView;
  private readonly table: LayerTable;
  private readonly details: HTMLElement;
  private chosen = -1;
  private vertical: boolean;

  constructor(
    private readonly model: Model,
    file: Opened,
    private readonly reader: Reader,
    private readonly trans: TranslationBundle,
    settings: Settings,
    private readonly deeds: Deeds,
  ) {
    this.vertical = settings.direction === 'vertical';
    this.root = element('div', { class: 'paoding-view paoding-viewer' });
    const spoken = element('div', { class: 'paoding-spoken', 'aria-live': 'polite' });
    const stage = element('section', {
      class: 'paoding-viewer-structure paoding-panel',
      'aria-label': trans.__('Structure'),
    });
    this.structure = new StructureView(stage, {
      saves: true,
      say: (text, ...values) => trans.__(text, ...values),
      onSelect: (selection) => void this.choose(selection.node, false),
      onAnnounce: (text) => {
        spoken.textContent = text;
      },
    });
    stage.append(spoken);
    if (model.layers.length > MOST_DRAWN) {
      const count = formatCount(model.layers.length);
      const told = trans.__('%1 layers are too many to be drawn: the table has them all.', count);
      stage.prepend(element('p', { class: 'paoding-note' }, told));
    }
    this.table = new LayerTable(model, trans, (row) => void this.choose(row, true));
    this.details = element('section', {
      class: 'paoding-viewer-details',
      'aria-label': trans.__('Layer'),
    });
    this.root.append(
      element('style', {}, baseStyles + structureStyles + viewerStyles),
      this.makeHeader(file),
      stage,
      element('div', { class: 'paoding-viewer-lower' }, this.table.root, this.details),
    );
    this.structure.setVertical(this.vertical);
    this.structure.setScene(sceneOf(model, settings.colours === 'by kind'));
    void this.choose(-1, false);
  }

  destroy(): void {
    this.structure.destroy();
  }

  /** Goes to the layer of a name. */
  show(name: string): void {
    const row = this.model.layers.findIndex((layer) => layer.name === name);
    if (row >= 0) void this.choose(row, true);
  }

  private makeHeader(file: Opened): HTMLElement {
    const { model, trans } = this;
    const unknown = (count: number) =>
      count > 0 ? ` ${trans.__('(%1 layers not counted)', formatCount(count))}` : '';
    const told = new Map(file.facts);
    const saved = [told.get('keras_version'), told.get('date_saved')].filter(Boolean).join(', ');
    return element(
      'header',
      { class: 'paoding-viewer-header' },
      element('h2', {}, `${model.name} · ${model.type}`),
      listOf([
        [trans.__('Parameters'), formatCount(model.parameters) + unknown(model.unknown)],
        [trans.__('FLOPs'), formatCount(model.flops) + unknown(model.unknownFlops)],
        [trans.__('Layers'), formatCount(model.layers.length)],
        [trans.__('File'), formatBytes(file.bytes)],
        [trans.__('Saved by Keras'), saved || '?'],
        [trans.__('Compiled'), compiled(file.training) || trans.__('no')],
      ]),
      this.makeToolbar(),
      this.makeAbout(file),
    );
  }

  private makeToolbar(): HTMLElement {
    const { trans } = this;
    const button = (text: string, help: string, act: () => void): HTMLElement => {
      const made = element('button', { type: 'button', title: help }, text);
      made.addEventListener('click', act);
      return made;
    };
    const prune = element('button', { type: 'button', class: 'paoding-primary' });
    prune.textContent = trans.__('Prune in a Notebook');
    prune.addEventListener('click', () => this.deeds.prune());
    return element(
      'div',
      { class: 'paoding-viewer-tools' },
      button(
        trans.__('Turn'),
        trans.__('Draw the structure from top to bottom, or from left to right'),
        () => {
          this.vertical = !this.vertical;
          this.structure.setVertical(this.vertical);
        },
      ),
      button(
        trans.__('Copy table'),
        trans.__('Copy the rows of the table, for a spreadsheet'),
        () => Clipboard.copyToSystem(this.table.text),
      ),
      prune,
    );
  }

  /** What the file tells of itself, and how the model was trained. */
  private makeAbout(file: Opened): HTMLElement {
    const { trans } = this;
    const training = file.training
      ? [element('h3', {}, trans.__('Training')), element('pre', {}, file.training)]
      : [];
    return element(
      'details',
      { class: 'paoding-viewer-about' },
      element('summary', {}, trans.__('About this file')),
      listOf(file.facts),
      ...training,
    );
  }

  /** Shows one layer everywhere; -1 for none. */
  private async choose(row: number, show: boolean): Promise<void> {
    const { trans } = this;
    this.chosen = row;
    const layer = this.model.layers[row];
    if (show && layer) this.structure.setSelected({ node: row, unit: -1 });
    this.table.choose(row);
    if (!layer) {
      const hint = trans.__('Choose a layer in the picture or in the table.');
      this.details.replaceChildren(element('p', {}, hint));
      return;
    }
    const from = layer.inputs.map((each) => this.model.layers[each]?.name ?? '?').join(', ');
    const known = (value: number | null) => (value === null ? '?' : formatCount(value));
    const warning = trans.__('This layer holds Python code. It is shown as text, and never run.');
    const weights = element('div');
    const config = element('pre');
    const tool = (text: string, act: () => void): HTMLElement => {
      const made = element('button', { type: 'button' }, text);
      made.addEventListener('click', act);
      return made;
    };
    this.details.replaceChildren(
      element('h3', {}, layer.name),
      element(
        'div',
        { class: 'paoding-viewer-tools' },
        tool(trans.__('Copy link'), () => Clipboard.copyToSystem(this.deeds.link(layer.name))),
        tool(trans.__('Copy configuration'), () =>
          Clipboard.copyToSystem(config.textContent ?? ''),
        ),
      ),
      ...(layer.holdsCode ? [element('p', { class: 'paoding-warning' }, warning)] : []),
      listOf([
        [trans.__('Type'), layer.type],
        [trans.__('Reads'), from || '–'],
        [trans.__('Output'), shapeText(layer.shape)],
        [trans.__('Parameters'), known(layer.parameters)],
        [trans.__('FLOPs'), known(layer.flops)],
      ]),
      weights,
      config,
    );
    const fill = async (place: HTMLElement, act: () => Promise<void>): Promise<void> => {
      try {
        await act();
      } catch (error) {
        place.textContent = sentence(error, trans);
      }
    };
    await fill(config, async () => {
      config.textContent = await this.reader.configuration(row);
    });
    if (layer.parameters === 0) return;
    await fill(weights, async () => {
      const arrays = await this.reader.weights(row);
      if (row !== this.chosen || arrays.length === 0) return;
      weights.replaceChildren(
        element('h4', {}, trans.__('Weights')),
        arrayList(arrays, this.reader, trans),
      );
    });
  }
}

/** Optimizer and loss of a compiled model, as far as they have names. */
function compiled(training: string): string {
  const named = (value: unknown): string => {
    if (typeof value === 'string') return value;
    const name = (value as { class_name?: unknown } | null)?.class_name;
    return typeof name === 'string' ? name : '';
  };
  try {
    const { optimizer, optimizer_config, loss } = JSON.parse(training) as Record<string, unknown>;
    return [named(optimizer ?? optimizer_config), named(loss)].filter(Boolean).join(', ');
  } catch {
    return '';
  }
}

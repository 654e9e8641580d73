/** Two models side by side: sizes, structures that are chosen together, and a table of differences. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import {
  type Column,
  DataTable,
  element,
  formatBytes,
  formatCount,
  formatNumber,
  StructureView,
} from '@paoding/core';
import baseStyles from '@paoding/core/base.css';
import {
  FileError,
  ghostOf,
  type LayerFacts,
  type Opened,
  type Pair,
  pairLayers,
  parsePlan,
  type RunPlan,
  sceneOf,
  shapeText,
  type WeightInfo,
} from '@paoding/core/keras';
import structureStyles from '@paoding/core/structure.css';
import { Reader } from '../reader/reader';
import { sentence } from '../viewer/panel';
import viewerStyles from '../viewer/viewer.css';
import compareStyles from './compare.css';

type Model = NonNullable<Opened['model']>;

/** Units of one layer that are named. */
const MOST_FATES = 200;

interface Side {
  path: string;
  reader: Reader;
  file: Opened;
  model: Model;
}

export class ComparePanel extends Widget {
  private sides: Side[] = [];
  private views: StructureView[] = [];

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly trans: TranslationBundle,
    paths: [string, string],
    plan: string | null,
    ordered: boolean,
  ) {
    super();
    this.addClass('paoding-viewer-host');
    this.say(trans.__('Reading the models ...'));
    void this.load(paths, plan, ordered);
  }

  override dispose(): void {
    for (const view of this.views) view.destroy();
    for (const { reader } of this.sides) reader.close();
    super.dispose();
  }

  private async load(paths: string[], plan: string | null, ordered: boolean): Promise<void> {
    try {
      this.sides = await Promise.all(paths.map((path) => this.open(path)));
      // What is smaller came of what is larger, where nothing else is known.
      if (!ordered) this.sides.sort((a, b) => b.model.parameters - a.model.parameters);
      if (this.isDisposed) for (const { reader } of this.sides) reader.close();
      else this.compare(plan === null ? null : parsePlan(plan));
    } catch (error) {
      this.say(sentence(error, this.trans));
    }
  }

  private async open(path: string): Promise<Side> {
    const { reader, file } = await Reader.open(this.app, path);
    if (file.model) return { path, reader, file, model: file.model };
    reader.close();
    throw new FileError("'%1' holds weights without a model.", PathExt.basename(path));
  }

  private say(text: string): void {
    this.node.replaceChildren(
      element('p', { class: 'paoding-viewer-message', role: 'status' }, text),
    );
  }

  private compare(plan: RunPlan | null): void {
    const { trans } = this;
    const [before, after] = this.sides as [Side, Side];
    const pairs = pairLayers(before.model.layers, after.model.layers);
    const details = element('section', {
      class: 'paoding-viewer-details',
      'aria-label': trans.__('Difference'),
    });
    const table = new DataTable({
      label: trans.__('Layers of both models'),
      onChoose: (row) => choose(row),
      rowClass: (row) =>
        `paoding-${pairs[row]?.state ?? ''}${row === chosen ? ' paoding-chosen' : ''}`,
    });
    let chosen = -1;
    const choose = (row: number): void => {
      chosen = row;
      const pair = pairs[row];
      if (!pair) return;
      [pair.before, pair.after].forEach((node, side) => {
        this.views[side]?.setSelected(node >= 0 ? { node, unit: -1 } : null);
      });
      table.redraw();
      void this.explain(pair, plan, details, () => row === chosen);
    };
    const stage = (side: Side, at: 'before' | 'after'): HTMLElement => {
      const name = PathExt.basename(side.path);
      const root = element(
        'section',
        { class: 'paoding-viewer-structure paoding-panel', 'aria-label': name },
        element('h3', {}, `${at === 'before' ? trans.__('Before') : trans.__('After')}: ${name}`),
      );
      const view = new StructureView(root, {
        saves: true,
        say: (text, ...values) => trans.__(text, ...values),
        onSelect: ({ node }) => choose(pairs.findIndex((pair) => pair[at] === node)),
      });
      if (at === 'before' && plan) {
        const { scene, state } = ghostOf(side.model, plan);
        view.setScene(scene);
        view.setState(state, plan.steps);
      } else {
        view.setScene(sceneOf(side.model));
      }
      this.views.push(view);
      return root;
    };
    const changes = element('input', { type: 'checkbox' });
    changes.addEventListener('change', () =>
      table.setFilter((row) => !changes.checked || pairs[row]?.state !== 'same'),
    );
    table.setData(this.columns(pairs, plan), pairs.length);
    const differences = element(
      'section',
      { class: 'paoding-viewer-table' },
      element('label', {}, changes, ` ${trans.__('Only what differs')}`),
      table.root,
    );
    this.node.replaceChildren(
      element(
        'div',
        { class: 'paoding-view paoding-viewer paoding-compare' },
        element('style', {}, baseStyles + structureStyles + viewerStyles + compareStyles),
        this.totals(before, after, pairs, plan),
        element(
          'div',
          { class: 'paoding-compare-stages' },
          stage(before, 'before'),
          stage(after, 'after'),
        ),
        element('div', { class: 'paoding-viewer-lower' }, differences, details),
      ),
    );
    details.textContent = trans.__('Choose a layer to see how its weights differ.');
  }

  private totals(before: Side, after: Side, pairs: Pair[], plan: RunPlan | null): HTMLElement {
    const { trans } = this;
    const row = (name: string, a: number, b: number, text: (value: number) => string) => {
      const percent =
        a > 0 ? ` (${b <= a ? '−' : '+'}${Math.abs((100 * (b - a)) / a).toFixed(1)} %)` : '';
      return [name, a === b ? text(a) : `${text(a)} → ${text(b)}${percent}`] as const;
    };
    const count = (state: Pair['state']) => pairs.filter((pair) => pair.state === state).length;
    const rows = [
      row(trans.__('Parameters'), before.model.parameters, after.model.parameters, formatCount),
      row(trans.__('FLOPs'), before.model.flops, after.model.flops, formatCount),
      row(trans.__('File'), before.file.bytes, after.file.bytes, formatBytes),
      [trans.__('Layers gone'), formatCount(count('gone'))],
      [trans.__('Layers changed'), formatCount(count('changed'))],
      [trans.__('Layers new'), formatCount(count('new'))],
      ...(plan ? [[trans.__('Units removed'), formatCount(plan.removed.length)]] : []),
    ];
    return element(
      'header',
      { class: 'paoding-viewer-header' },
      element('h2', {}, `${before.model.name} → ${after.model.name}`),
      element(
        'dl',
        {},
        ...rows.map(([name, value]) =>
          element('div', {}, element('dt', {}, name ?? ''), element('dd', {}, value ?? '')),
        ),
      ),
    );
  }

  private columns(pairs: Pair[], plan: RunPlan | null): Column[] {
    const { trans } = this;
    const [before, after] = this.sides as [Side, Side];
    const one = (row: number): LayerFacts | undefined =>
      before.model.layers[pairs[row]?.before ?? -1];
    const two = (row: number): LayerFacts | undefined =>
      after.model.layers[pairs[row]?.after ?? -1];
    const states = {
      same: trans.__('= same'),
      changed: trans.__('≠ changed'),
      gone: trans.__('− gone'),
      new: trans.__('+ new'),
    };
    const both = (title: string, of: (layer: LayerFacts) => number | null): Column => ({
      title,
      numeric: true,
      text: (row) => {
        const values = [one(row), two(row)].map((layer) => {
          const value = layer ? of(layer) : undefined;
          return value === undefined ? '–' : value === null ? '?' : formatCount(value);
        });
        return values[0] === values[1] ? (values[0] ?? '') : values.join(' → ');
      },
      key: (row) => {
        const [a, b] = [one(row), two(row)].map((layer) => (layer ? (of(layer) ?? 0) : 0));
        return Math.abs((a ?? 0) - (b ?? 0));
      },
    });
    const name = (row: number): string => {
      const [a, b] = [one(row)?.name, two(row)?.name];
      return a && b && a !== b ? `${a} → ${b}` : (a ?? b ?? '');
    };
    const gone = new Map<string, number>();
    for (const { group } of plan?.removed ?? []) gone.set(group, (gone.get(group) ?? 0) + 1);
    const removed = (row: number): number => gone.get(one(row)?.name ?? '') ?? 0;
    const units: Column = {
      title: trans.__('Units removed'),
      numeric: true,
      text: (row) => (removed(row) > 0 ? formatCount(removed(row)) : ''),
      key: removed,
    };
    return [
      { title: trans.__('Name'), text: name, key: name },
      {
        title: trans.__('Type'),
        text: (row) => (one(row) ?? two(row))?.type ?? '',
        key: (row) => (one(row) ?? two(row))?.type ?? '',
      },
      {
        title: trans.__('Difference'),
        text: (row) => states[pairs[row]?.state ?? 'same'],
        key: (row) => pairs[row]?.state ?? '',
      },
      {
        title: trans.__('Output'),
        text: (row) => {
          const shapes = [one(row), two(row)].flatMap((layer) =>
            layer ? [shapeText(layer.shape)] : [],
          );
          return [...new Set(shapes)].join(' → ');
        },
        key: (row) => shapeText((one(row) ?? two(row))?.shape ?? null),
      },
      both(trans.__('Parameters'), (layer) => layer.parameters),
      both(trans.__('FLOPs'), (layer) => layer.flops),
      ...(plan ? [units] : []),
    ];
  }

  /** What became of one layer: the units that went and where to, and how far its weights moved. */
  private async explain(
    pair: Pair,
    plan: RunPlan | null,
    place: HTMLElement,
    current: () => boolean,
  ): Promise<void> {
    const { trans } = this;
    const [before, after] = this.sides as [Side, Side];
    const name = (before.model.layers[pair.before] ?? after.model.layers[pair.after])?.name ?? '';
    const removed = plan?.removed.filter(({ group }) => group === name) ?? [];
    const fates = removed
      .slice(0, MOST_FATES)
      .map(({ unit, into, step }) =>
        into === null
          ? trans.__('%1 (step %2)', unit, step)
          : trans.__('%1 into %2 (step %3)', unit, into, step),
      );
    const weights = element('div');
    place.replaceChildren(
      element('h3', {}, name),
      ...(fates.length > 0
        ? [
            element(
              'p',
              {},
              trans.__(
                'Units removed: %1',
                fates.join(', ') + (removed.length > MOST_FATES ? ' …' : ''),
              ),
            ),
          ]
        : []),
      weights,
    );
    if (pair.before < 0 || pair.after < 0) return;
    try {
      const [a, b] = await Promise.all([
        before.reader.weights(pair.before),
        after.reader.weights(pair.after),
      ]);
      const rows = await Promise.all(a.map((array) => this.distance(array, b)));
      if (current()) weights.replaceChildren(...rows.map((text) => element('p', {}, text)));
    } catch (error) {
      weights.textContent = sentence(error, trans);
    }
  }

  private async distance(array: WeightInfo, others: readonly WeightInfo[]): Promise<string> {
    const { trans } = this;
    const [before, after] = this.sides as [Side, Side];
    const other = others.find((each) => each.name === array.name);
    const shape = array.shape.join(' × ');
    if (!other) return trans.__('%1: only before, %2', array.name, shape);
    if (other.shape.join() !== array.shape.join()) {
      return trans.__('%1: %2 → %3', array.name, shape, other.shape.join(' × '));
    }
    const [a, b] = await Promise.all([
      before.reader.values(array.address),
      after.reader.values(other.address),
    ]);
    let [moved, size] = [0, 0];
    a.forEach((value, at) => {
      moved += (value - (b[at] ?? 0)) ** 2;
      size += value ** 2;
    });
    if (moved === 0) return trans.__('%1: the same numbers, %2', array.name, shape);
    const share = formatNumber(Math.sqrt(moved / (size || 1)));
    return trans.__('%1: distance %2 of its size, %3', array.name, share, shape);
  }
}

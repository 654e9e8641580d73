/** Arrays of weights: what a layer has, and of each on demand statistics, a histogram and pictures. */
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  drawBins,
  element,
  formatBytes,
  formatCount,
  formatNumber,
  readTheme,
} from '@paoding/core';
import baseStyles from '@paoding/core/base.css';
import type { Opened, Slice, Statistics, WeightInfo } from '@paoding/core/keras';
import type { Reader } from '../reader/reader';
import { sentence } from './panel';
import viewerStyles from './viewer.css';

type Source = Pick<Reader, 'statistics' | 'slice' | 'filters'>;

const shapeText = (shape: readonly number[]): string => shape.join(' × ') || 'one number';
/** Pictures of filters and cells of heat maps are so many pixels wide at most. */
const FILTER_PIXELS = 36;
const MAP_PIXELS = 320;

/** A list of arrays; each opens to what its numbers are like. */
export function arrayList(
  arrays: readonly WeightInfo[],
  source: Source,
  trans: TranslationBundle,
): HTMLElement {
  return element(
    'div',
    { class: 'paoding-arrays' },
    ...arrays.map((one) => arrayItem(one, source, trans)),
  );
}

function arrayItem(array: WeightInfo, source: Source, trans: TranslationBundle): HTMLElement {
  const about = `${shapeText(array.shape)} · ${array.type} · ${formatBytes(array.bytes)}`;
  const body = element('div', { class: 'paoding-array' });
  const item = element(
    'details',
    {},
    element('summary', {}, element('strong', {}, array.name.split('/').at(-1) ?? ''), ` ${about}`),
    body,
  );
  item.addEventListener('toggle', () => {
    if (!item.open || body.childElementCount > 0) return;
    body.textContent = trans.__('Reading the weights ...');
    fill(array, source, trans)
      .then((parts) => body.replaceChildren(...parts))
      .catch((error: unknown) => {
        body.textContent = sentence(error, trans);
      });
  });
  return item;
}

async function fill(
  array: WeightInfo,
  source: Source,
  trans: TranslationBundle,
): Promise<HTMLElement[]> {
  const statistics = await source.statistics(array.address);
  const parts = [figures(statistics, trans)];
  if (statistics.read > statistics.broken) parts.push(histogram(array, statistics));
  if (array.shape.length === 4) parts.push(...(await filters(array, source, trans)));
  if (array.shape.length >= 2) parts.push(heatMap(array, source, trans));
  return parts;
}

function figures(s: Statistics, trans: TranslationBundle): HTMLElement {
  const share = (100 * s.zeros) / Math.max(1, s.read);
  const rows: [string, string][] = [
    [trans.__('Values'), formatCount(s.count)],
    [trans.__('Mean'), formatNumber(s.mean)],
    [trans.__('Standard deviation'), formatNumber(s.deviation)],
    [trans.__('Least'), formatNumber(s.least)],
    [trans.__('Greatest'), formatNumber(s.greatest)],
    [trans.__('Zeros'), `${formatCount(s.zeros)} (${share.toFixed(1)} %)`],
  ];
  if (s.broken > 0) rows.push([trans.__('Not finite'), formatCount(s.broken)]);
  const list = element(
    'dl',
    {},
    ...rows.map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, value)),
    ),
  );
  if (s.read === s.count) return list;
  const some = trans.__(
    'From %1 of %2 values, evenly spaced.',
    formatCount(s.read),
    formatCount(s.count),
  );
  return element('div', {}, list, element('p', { class: 'paoding-note' }, some));
}

function histogram(
  array: WeightInfo,
  { least, greatest, bins, read, broken }: Statistics,
): HTMLElement {
  const drawn = drawBins(
    { low: least, high: greatest, counts: bins, total: read - broken },
    array.name,
  );
  return element('figure', {}, drawn);
}

async function filters(
  array: WeightInfo,
  source: Source,
  trans: TranslationBundle,
): Promise<HTMLElement[]> {
  const pictures = await source.filters(array.address);
  if (pictures.length === 0) return [];
  const all = array.shape[3] ?? 0;
  const caption =
    pictures.length < all
      ? trans.__(
          'The first %1 of %2 filters, the mean over their input channels',
          pictures.length,
          all,
        )
      : trans.__('Filters, the mean over their input channels');
  const row = element('div', { class: 'paoding-filters' });
  pictures.forEach((picture, index) => {
    const canvas = paint(picture, FILTER_PIXELS);
    canvas.title = trans.__('Filter %1', index);
    row.append(canvas);
  });
  return [element('figure', {}, element('figcaption', {}, caption), row)];
}

/** The last two axes as colours; the other axes have a place that can be chosen. */
function heatMap(array: WeightInfo, source: Source, trans: TranslationBundle): HTMLElement {
  const outer = array.shape.slice(0, -2);
  const place = outer.map(() => 0);
  const stage = element('div');
  const caption = element('figcaption');
  const draw = async (): Promise<void> => {
    try {
      const slice = await source.slice(array.address, place);
      const [height, width] = array.shape.slice(-2) as [number, number];
      const part = slice.rows < height || slice.columns < width;
      const at = outer.length > 0 ? ` [${place.join(', ')}, :, :]` : '';
      const size = `${slice.rows} × ${slice.columns}`;
      const shown = part ? trans.__('the first %1', size) : size;
      caption.textContent = `${trans.__('Heat map')}${at}, ${shown}`;
      stage.replaceChildren(paint(slice, Math.min(MAP_PIXELS, 12 * slice.columns)), scale(slice));
    } catch (error) {
      stage.textContent = sentence(error, trans);
    }
  };
  const choices = outer.map((size, axis) => {
    const name = trans.__('Place along axis %1', axis);
    const input = element('input', {
      type: 'number',
      min: 0,
      max: size - 1,
      value: 0,
      'aria-label': name,
    });
    input.addEventListener('change', () => {
      place[axis] = Math.max(0, Math.min(size - 1, Math.round(Number(input.value) || 0)));
      input.value = String(place[axis]);
      void draw();
    });
    return input;
  });
  void draw();
  const bar = element('div', { class: 'paoding-places' }, ...choices);
  return element('figure', {}, caption, ...(choices.length > 0 ? [bar] : []), stage);
}

function ends({ values }: Slice): number {
  return values.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
}

/** Zero is the page's background, negative and positive numbers are two colours. */
function paint(slice: Slice, pixels: number): HTMLCanvasElement {
  const { rows, columns, values } = slice;
  const canvas = element('canvas', { width: columns, height: rows, role: 'img' });
  const size = Math.max(1, pixels / Math.max(rows, columns));
  canvas.style.width = `${size * columns}px`;
  canvas.style.height = `${size * rows}px`;
  const context = canvas.getContext('2d');
  if (!context) return canvas;
  const image = context.createImageData(columns, rows);
  const { dark } = readTheme(document.body);
  const most = ends(slice) || 1;
  const middle = dark ? [28, 32, 38] : [245, 245, 245];
  const [below, above] = dark
    ? [
        [99, 179, 255],
        [255, 154, 87],
      ]
    : [
        [11, 102, 195],
        [194, 65, 12],
      ];
  values.forEach((value, index) => {
    const share = Math.min(1, Math.abs(value) / most);
    const colour = (value < 0 ? below : above) as number[];
    for (let part = 0; part < 3; part++) {
      const from = middle[part] as number;
      image.data[4 * index + part] = Number.isFinite(value)
        ? from + ((colour[part] as number) - from) * share
        : 128;
    }
    image.data[4 * index + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

function scale(slice: Slice): HTMLElement {
  const most = formatNumber(ends(slice));
  return element(
    'div',
    { class: 'paoding-scale' },
    element('span', {}, `−${most}`),
    element('i', { 'aria-hidden': 'true' }),
    element('span', {}, most),
  );
}

/** A file of weights alone: its groups as a tree, each array opens to its numbers. */
export class ArraysView {
  readonly root: HTMLElement;

  constructor(file: Opened, source: Source, trans: TranslationBundle) {
    const count = file.arrays.reduce(
      (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
      0,
    );
    const facts: [string, string][] = [
      [trans.__('Arrays'), formatCount(file.arrays.length)],
      [trans.__('Values'), formatCount(count)],
      [trans.__('File'), formatBytes(file.bytes)],
      ...file.facts,
    ];
    const note = trans.__('This file holds weights without a model: it is shown as a tree.');
    this.root = element(
      'div',
      { class: 'paoding-view paoding-weights-file' },
      element('style', {}, baseStyles + viewerStyles),
      element('p', {}, note),
      element(
        'dl',
        {},
        ...facts.map(([name, value]) =>
          element('div', {}, element('dt', {}, name), element('dd', {}, value)),
        ),
      ),
      tree(file.arrays, 0, source, trans),
    );
  }
}

function tree(
  arrays: readonly WeightInfo[],
  depth: number,
  source: Source,
  trans: TranslationBundle,
): HTMLElement {
  const groups = new Map<string, WeightInfo[]>();
  for (const array of arrays) {
    const part = array.name.split('/')[depth] ?? '';
    groups.set(part, [...(groups.get(part) ?? []), array]);
  }
  const items = [...groups].map(([part, inside]) => {
    const leaf = inside.length === 1 && inside[0]?.name.split('/').length === depth + 1;
    if (leaf) return arrayList(inside, source, trans);
    const about = trans._n('%1 array', '%1 arrays', inside.length);
    return element(
      'details',
      { open: depth < 2 || inside.length < 4 },
      element(
        'summary',
        {},
        element('strong', {}, part),
        ` ${about.replace('%1', String(inside.length))}`,
      ),
      tree(inside, depth + 1, source, trans),
    );
  });
  return element('div', { class: 'paoding-tree' }, ...items);
}

/** How a layer's importances are spread: bars as SVG, with a sentence that says the same. */

import { svg } from './dom';
import { formatNumber } from './scene';

export interface Bins {
  low: number;
  high: number;
  counts: number[];
  total: number;
}

/** Counts the finite values in equal bins; null where there are none. */
export function countBins(values: ArrayLike<number>, bins = 24): Bins | null {
  const known = Array.from(values).filter((value) => Number.isFinite(value));
  if (known.length === 0) return null;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of known) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low || 1;
  const counts = new Array<number>(bins).fill(0);
  for (const value of known) {
    const bin = Math.min(bins - 1, Math.floor(((value - low) / span) * bins));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return { low, high, counts, total: known.length };
}

const WIDTH = 260;
const HEIGHT = 92;
const BASE = HEIGHT - 16;

export function drawHistogram(values: ArrayLike<number>, title: string): SVGSVGElement | null {
  const bins = countBins(values);
  return bins ? drawBins(bins, title) : null;
}

export function drawBins(bins: Bins, title: string): SVGSVGElement {
  const tallest = Math.max(...bins.counts);
  const step = WIDTH / bins.counts.length;
  const label =
    `${title}: ${bins.total} values from ${formatNumber(bins.low)} to ${formatNumber(bins.high)}, ` +
    `most (${tallest}) near ${formatNumber(peak(bins))}`;
  const bars = bins.counts.map((count, index) => {
    const height = (count / tallest) * (BASE - 4);
    return svg('rect', {
      x: index * step + 0.5,
      y: BASE - height,
      width: step - 1,
      height,
      class: 'paoding-bar',
    });
  });
  return svg(
    'svg',
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      class: 'paoding-histogram',
      role: 'img',
      'aria-label': label,
    },
    svg('title', {}, label),
    ...bars,
    svg('line', { x1: 0, x2: WIDTH, y1: BASE, y2: BASE, class: 'paoding-axis' }),
    svg('text', { x: 0, y: HEIGHT - 3 }, formatNumber(bins.low)),
    svg('text', { x: WIDTH, y: HEIGHT - 3, 'text-anchor': 'end' }, formatNumber(bins.high)),
  );
}

function peak(bins: Bins): number {
  const at = bins.counts.indexOf(Math.max(...bins.counts));
  return bins.low + ((at + 0.5) / bins.counts.length) * (bins.high - bins.low);
}

/** Colours of the drawing, read from JupyterLab's variables where they exist. */

export interface Theme {
  dark: boolean;
  background: string;
  card: string;
  border: string;
  text: string;
  muted: string;
  accent: string;
  removed: string;
  warn: string;
  font: string;
  /** From the least salient unit (close to the background) to the most salient. */
  low: Rgb;
  high: Rgb;
  /** Colours of the stripes that tell what kind of layer a card shows. */
  kinds: Readonly<Record<string, string>>;
}

export type Rgb = readonly [number, number, number];

const LIGHT: Theme = {
  dark: false,
  background: '#ffffff',
  card: '#f6f7f8',
  border: '#c4c9ce',
  text: '#1f2328',
  muted: '#5c636b',
  accent: '#0b66c3',
  removed: '#8a9199',
  warn: '#c2410c',
  font: 'system-ui, sans-serif',
  low: [214, 234, 230],
  high: [0, 84, 74],
  kinds: {
    input: '#5c636b',
    weights: '#0b66c3',
    sequence: '#7b3fb5',
    norm: '#1a7f37',
    activation: '#c2410c',
    pool: '#997000',
    merge: '#b5297a',
    block: '#1f2328',
  },
};

const DARK: Theme = {
  dark: true,
  background: '#111417',
  card: '#1b1f24',
  border: '#434a53',
  text: '#e6e8ea',
  muted: '#a3abb4',
  accent: '#63b3ff',
  removed: '#77808a',
  warn: '#ff9a57',
  font: 'system-ui, sans-serif',
  low: [44, 88, 86],
  high: [134, 239, 214],
  kinds: {
    input: '#a3abb4',
    weights: '#63b3ff',
    sequence: '#c69cf5',
    norm: '#56d364',
    activation: '#ff9a57',
    pool: '#e3b341',
    merge: '#ff8fc7',
    block: '#e6e8ea',
  },
};

/** Reads the theme that is in force at `element`. */
export function readTheme(element: HTMLElement): Theme {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  const background = read('--jp-layout-color0') || read('--paoding-background');
  const parsed = parseColour(background);
  const preferDark =
    typeof matchMedia === 'function' && matchMedia('(prefers-color-scheme: dark)').matches;
  const dark = parsed ? luminance(parsed) < 0.4 : background === '' && preferDark && hasNoPage();
  const base = dark ? DARK : LIGHT;
  return {
    ...base,
    background: background || base.background,
    text: read('--jp-ui-font-color0') || base.text,
    accent: read('--jp-brand-color1') || base.accent,
    font: read('--jp-ui-font-family') || base.font,
  };
}

/** A page that sets no background of its own follows the reader's preference. */
function hasNoPage(): boolean {
  const page = parseColour(getComputedStyle(document.body).backgroundColor);
  return page === null;
}

export function parseColour(text: string): Rgb | null {
  const value = text.trim().toLowerCase();
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/.exec(value);
  if (hex) {
    const digits = hex[1] as string;
    const full = digits.length === 3 ? [...digits].map((c) => c + c).join('') : digits;
    return [0, 2, 4].map((at) => Number.parseInt(full.slice(at, at + 2), 16)) as unknown as Rgb;
  }
  const rgb = /^rgba?\(\s*([\d.]+)[\s,]+([\d.]+)[\s,]+([\d.]+)(?:[\s,/]+([\d.]+))?/.exec(value);
  if (rgb && rgb[4] !== '0') return [Number(rgb[1]), Number(rgb[2]), Number(rgb[3])];
  if (value === 'white') return [255, 255, 255];
  if (value === 'black') return [0, 0, 0];
  return null;
}

export function luminance([red, green, blue]: Rgb): number {
  const linear = [red, green, blue].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

export const SHADES = 24;

/** Evenly spaced shades from `low` to `high`. */
export function shades(theme: Theme): string[] {
  return Array.from({ length: SHADES }, (_, index) => rgbText(mix(theme, index / (SHADES - 1))));
}

export function mix(theme: Theme, share: number): Rgb {
  const at = Math.min(1, Math.max(0, share));
  return theme.low.map((from, part) =>
    Math.round(from + ((theme.high[part] as number) - from) * at),
  ) as unknown as Rgb;
}

function rgbText(colour: Rgb): string {
  return `rgb(${colour[0]}, ${colour[1]}, ${colour[2]})`;
}

/** Where each unit lies between its group's least and most salient, 0 to 1; NaN where unknown. */
export function relativeImportance(values: Float32Array): Float32Array {
  const known = Array.from(values.filter((value) => Number.isFinite(value))).sort((a, b) => a - b);
  const out = new Float32Array(values.length).fill(Number.NaN);
  if (known.length === 0) return out;
  // A few outliers would wash out all the others: the ends are the 2nd and the 98th percentile.
  const low = known[Math.floor(0.02 * (known.length - 1))] as number;
  const high = known[Math.ceil(0.98 * (known.length - 1))] as number;
  const span = high - low;
  values.forEach((value, index) => {
    if (Number.isFinite(value)) {
      out[index] = span > 0 ? Math.min(1, Math.max(0, (value - low) / span)) : 0.5;
    }
  });
  return out;
}

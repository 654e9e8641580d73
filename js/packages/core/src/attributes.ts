/** What a layer is set to, from its configuration, in the words of a card and of a table. */

import { plain, type Say } from './say';

/** Of a layer's configuration: what is shown of it. Values come from a file, so they may be anything. */
export type Attributes = Readonly<Record<string, unknown>>;

/** Names as Keras writes them, and as people say them. */
const NAMES: readonly [string, string][] = [
  ['kernel_size', 'kernel'],
  ['pool_size', 'window'],
  ['strides', 'stride'],
  ['padding', 'padding'],
  ['dilation_rate', 'dilation'],
  ['groups', 'groups'],
  ['depth_multiplier', 'depth multiplier'],
  ['activation', 'activation'],
  ['rate', 'rate'],
  ['epsilon', 'epsilon'],
  ['num_heads', 'heads'],
  ['key_dim', 'size of a key'],
  ['return_sequences', 'gives sequences'],
];
export const ATTRIBUTES: readonly string[] = NAMES.map(([name]) => name);
/** What goes without saying. */
const USUAL: Attributes = {
  strides: '1',
  dilation_rate: '1',
  groups: '1',
  depth_multiplier: '1',
  padding: 'valid',
  activation: 'linear',
  return_sequences: 'false',
};
const MOST = 40;

/** The attributes of a configuration, and nothing else of it. */
export function attributesOf(config: Attributes): Attributes {
  return Object.fromEntries(
    ATTRIBUTES.filter((name) => toText(config[name]) !== null).map((name) => [name, config[name]]),
  );
}

/** Number, short text, or up to four numbers: `3 × 3`, and `2` for twice the same stride. */
function toText(value: unknown): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return value.length <= MOST ? value : null;
  if (!Array.isArray(value) || value.length === 0 || value.length > 4) return null;
  return value.every((one) => typeof one === 'number') ? value.join(' × ') : null;
}

function once(text: string): string {
  const parts = text.split(' × ');
  return parts.every((part) => part === parts[0]) ? (parts[0] as string) : text;
}

/** Each attribute that is not as usual, in words. */
export function attributeFacts(
  attributes: Attributes = {},
  say: Say = plain,
): { label: string; value: string }[] {
  return NAMES.flatMap(([name, label]) => {
    const text = toText(attributes[name]);
    if (text === null) return [];
    const value = /kernel|pool/.test(name) ? text : once(text);
    if (value === USUAL[name]) return [];
    return [{ label: say(label), value: value === 'true' ? say('yes') : value }];
  });
}

/** For a card, where room is short: ` 3×3/2` behind the type of a convolution with stride 2. */
export function shortAttributes(attributes: Attributes = {}): string {
  const size = toText(attributes.kernel_size ?? attributes.pool_size);
  if (size === null) return '';
  const stride = once(toText(attributes.strides) ?? '1').replaceAll(' ', '');
  const pools = attributes.kernel_size === undefined;
  const tells = stride !== '1' && !(pools && stride === once(size));
  return ` ${size.replaceAll(' ', '')}${tells ? `/${stride}` : ''}`;
}

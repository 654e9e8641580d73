/** Blocks of a network: runs of layers that belong together, and how often each is repeated. */

import type { SceneNode } from './scene';

export interface Block {
  /** Tells it from all others, and what its card is called. */
  name: string;
  /** How many equal blocks follow each other; they open and close together. */
  count: number;
  /** The cards of each repetition, in the order of data flow. */
  parts: number[][];
  /** All its layers. */
  nodes: number[];
}

/** Structures of so many cards or fewer are shown whole: there is nothing to fold. */
export const FOLD_FROM = 20;
const WORDS = /^(block|stage|layer|cell|mixed|conv|encoder|decoder|bottleneck)$/i;

/** The part of a layer's name that it shares with its block: `conv2_block1` of `conv2_block1_1_conv`. */
export function blockName(name: string): string {
  const slash = name.lastIndexOf('/');
  const outer = slash >= 0 ? name.slice(0, slash) : '';
  const tokens: string[] = [];
  for (const part of name.slice(slash + 1).split('_')) {
    const before = tokens[tokens.length - 1];
    if (/^\d+$/.test(part) && before !== undefined && WORDS.test(before)) {
      tokens[tokens.length - 1] = `${before}_${part}`;
    } else {
      tokens.push(part);
    }
  }
  const numbered = tokens
    .map((token, at) => (at < tokens.length - 1 && isNumbered(token) ? at : -1))
    .filter((at) => at >= 0);
  const named = numbered.filter((at) => /block|cell|layer/i.test(tokens[at] as string));
  const last = (named.length > 0 ? named : numbered).pop();
  const inner = last === undefined ? '' : tokens.slice(0, last + 1).join('_');
  if (!outer) return inner;
  return inner ? `${outer}/${inner}` : outer;
}

/** `block2a` and `conv2`, but neither `conv2d` nor `relu`. */
function isNumbered(token: string): boolean {
  return /[a-z].*\d[a-z]?$/i.test(token) && !/(conv|pooling|dropout)[123]d$/i.test(token);
}

/**
 * Finds blocks among cards in the order of data flow.
 *
 * Layers belong together whose names say so; where they say nothing, what lies between two points
 * through which all data has to pass, when it has branches.
 */
export function findBlocks(
  nodes: readonly SceneNode[],
  cards: readonly number[][],
  links: readonly [number, number][],
): Block[] {
  if (cards.length <= FOLD_FROM) return [];
  const keys = cards.map((card) => blockName(nodes[card[0] as number]?.name ?? ''));
  const runs = [...namedRuns(keys), ...branchedRuns(nodes, cards, links, keys)];
  runs.sort((a, b) => (a.cards[0] as number) - (b.cards[0] as number));
  const blocks: Block[] = [];
  let signature = '';
  for (const run of runs) {
    const mine = signatureOf(nodes, cards, links, run.cards);
    const last = blocks[blocks.length - 1];
    const before = last?.parts[last.parts.length - 1];
    const own = run.cards.flatMap((card) => cards[card] as number[]);
    const follows = before !== undefined && before[before.length - 1] === (run.cards[0] ?? 0) - 1;
    if (last && follows && mine === signature) {
      last.count++;
      last.parts.push(run.cards);
      last.nodes.push(...own);
    } else {
      blocks.push({ name: run.name, count: 1, parts: [run.cards], nodes: own });
    }
    signature = mine;
  }
  return blocks;
}

interface Run {
  name: string;
  cards: number[];
}

function namedRuns(keys: string[]): Run[] {
  const runs: Run[] = [];
  keys.forEach((key, card) => {
    const last = runs[runs.length - 1];
    if (last && last.name === key && last.cards[last.cards.length - 1] === card - 1) {
      last.cards.push(card);
    } else if (key) {
      runs.push({ name: key, cards: [card] });
    }
  });
  return runs.filter((run) => run.cards.length > 1);
}

/** Branches between two cards that nothing passes by, with the card that joins them. */
function branchedRuns(
  nodes: readonly SceneNode[],
  cards: readonly number[][],
  links: readonly [number, number][],
  keys: string[],
): Run[] {
  const passed = new Array<number>(cards.length + 1).fill(0);
  for (const [from, to] of links) {
    for (let card = from + 1; card < to; card++) passed[card] = (passed[card] ?? 0) + 1;
  }
  const runs: Run[] = [];
  let start = 0;
  for (let card = 1; card < cards.length; card++) {
    if (passed[card] !== 0) continue;
    const inside = Array.from({ length: card - start }, (_, at) => start + 1 + at);
    if (inside.length > 2 && inside.every((one) => keys[one] === '')) {
      runs.push({ name: nodes[cards[card]?.[0] ?? 0]?.name ?? '', cards: inside });
    }
    start = card;
  }
  return runs;
}

/** Equal for blocks that do the same: types, shapes and how their layers are connected. */
function signatureOf(
  nodes: readonly SceneNode[],
  cards: readonly number[][],
  links: readonly [number, number][],
  run: number[],
): string {
  const first = run[0] as number;
  const last = run[run.length - 1] as number;
  const layers = run.flatMap((card) =>
    (cards[card] as number[]).map((at) => `${nodes[at]?.op} ${nodes[at]?.detail}`),
  );
  const inner = links
    .filter(([, to]) => to >= first && to <= last)
    .map(([from, to]) => `${Math.max(-1, from - first)}>${to - first}`);
  return [...layers, ...inner.sort()].join('|');
}

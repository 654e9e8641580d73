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
  /** Whether it is a model within the model, which may hold blocks and models of its own. */
  nested?: boolean;
}

/** Structures of so many cards or fewer are shown whole: there is nothing to fold. */
export const FOLD_FROM = 20;
const WORDS = /^(block|stage|layer|cell|mixed|conv|encoder|decoder|bottleneck)$/i;

/** The part of a layer's name that it shares with its block: `conv2_block1` of `conv2_block1_1_conv`. */
export function blockName(name: string): string {
  const outer = modelName(name);
  const inner = innerName(name.slice(outer ? outer.length + 1 : 0));
  if (!outer) return inner;
  return inner ? `${outer}/${inner}` : outer;
}

/** The models around a layer: `encoder/deep` of `encoder/deep/dense_1`. */
function modelName(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}

function innerName(name: string): string {
  const tokens: string[] = [];
  for (const part of name.split('_')) {
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
  return last === undefined ? '' : tokens.slice(0, last + 1).join('_');
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
  const names = cards.map((card) => nodes[card[0] as number]?.name ?? '');
  // What only the name of its model tells is no block: see findNested.
  const keys = names.map((name) => (blockName(name) === modelName(name) ? '' : blockName(name)));
  const models = names.map(modelName);
  const runs = [...namedRuns(keys), ...branchedRuns(nodes, cards, links, keys)].filter((run) =>
    run.cards.every((card) => models[card] === models[run.cards[0] as number]),
  );
  runs.sort((a, b) => (a.cards[0] as number) - (b.cards[0] as number));
  const blocks: Block[] = [];
  let signature = '';
  for (const run of runs) {
    const mine = signatureOf(nodes, cards, links, run.cards);
    const last = blocks[blocks.length - 1];
    const before = last?.parts[last.parts.length - 1];
    const own = run.cards.flatMap((card) => cards[card] as number[]);
    const next = run.cards[0] as number;
    const ended = before?.at(-1);
    const follows = ended === next - 1 && models[ended] === models[next];
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

/** Models within the model, outer ones before those in them, as their layers' names tell. */
export function findNested(nodes: readonly SceneNode[], cards: readonly number[][]): Block[] {
  const found = new Map<string, Block>();
  const last = new Map<string, { card: number; names: Set<string> }>();
  cards.forEach((own, card) => {
    const name = nodes[own[0] as number]?.name ?? '';
    for (let end = name.indexOf('/'); end > 0; end = name.indexOf('/', end + 1)) {
      const model = name.slice(0, end);
      const block = found.get(model) ?? {
        name: model,
        count: 1,
        parts: [],
        nodes: [],
        nested: true,
      };
      found.set(model, block);
      const before = last.get(model);
      // A model that is called again begins again.
      if (before?.card === card - 1 && !before.names.has(name)) {
        block.parts.at(-1)?.push(card);
        before.names.add(name);
        before.card = card;
      } else {
        block.parts.push([card]);
        last.set(model, { card, names: new Set([name]) });
      }
      block.nodes.push(...own);
    }
  });
  return [...found.values()].sort((a, b) => a.name.split('/').length - b.name.split('/').length);
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

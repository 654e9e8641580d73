/** Where each layer is drawn: along the flow of the data, branches side by side. */

import { type Block, blockName, FOLD_FROM, findBlocks, findNested } from './blocks';
import type { Scene, SceneNode } from './scene';
import { wrapRows } from './wrap';

export interface Card {
  /** The node whose units the card shows. */
  main: number;
  /** All nodes on the card, `main` first: layers that only pass channels on share a card. */
  members: number[];
  columns: number;
  rows: number;
  /** Side of one unit's square, with its gap. */
  cell: number;
  x: number;
  y: number;
  width: number;
  height: number;
  /** Top of the grid of units, from the card's top. */
  gridTop: number;
  rank: number;
  /** The block that the card stands for while it is folded; its layers are the members. */
  block?: Block;
  /** What its layers' names begin with in the open block around it. */
  within?: string;
  /** In which of the rows it lies. */
  row?: number;
}

/** What is drawn around the layers of an open block. */
export interface BlockFrame {
  block: Block;
  /** Which of the block's repetitions. */
  part: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface LayoutOptions {
  /** Names of the blocks that are open; `'all'` folds nothing. */
  open?: ReadonlySet<string> | 'all';
  /** The window that rows are wrapped for; without it there is one row. */
  window?: { width: number; height: number };
  /** Whether data flows from top to bottom instead of from left to right; without rows. */
  vertical?: boolean;
}

export interface Edge {
  from: number;
  to: number;
  /** Points that the line passes, from the right of one card to the left of the next. */
  points: { x: number; y: number }[];
  /** Whether it leads to the next row: then it runs straight, around the cards. */
  wraps?: boolean;
}

export interface Layout {
  cards: Card[];
  edges: Edge[];
  width: number;
  height: number;
  /** The card on which a node lies. */
  cardOf: number[];
  /** Every block that there is, folded or open. */
  blocks: Block[];
  frames: BlockFrame[];
  vertical: boolean;
}

export const HEADER = 34;
export const PADDING = 8;
export const MEMBER_LINE = 13;
/** Height of the bar that shows one layer of a folded block. */
export const BAR_LINE = 11;
export const MAX_BARS = 5;
/** Room above a frame's cards for the block's name. */
export const FRAME_TOP = 18;
const FRAME_SIDE = 8;
/** By so much a frame is wider than one within it. */
const FRAME_STEP = 5;
const MIN_WIDTH = 120;
const BLOCK_WIDTH = 150;
/** Wide enough for a shape between two cards. */
const RANK_GAP = 68;
const LANE_GAP = 26;
const MAX_MEMBER_LINES = 4;
const SWEEPS = 6;
/** Nested models that are opened at first, at the most: each costs a layout. */
const MOST_TRIED = 12;
const MOST_NODES = 2000;

/** Squares grow smaller where a layer has many units, so that no card outgrows the screen. */
export function cellSize(units: number): number {
  if (units <= 160) return 10;
  if (units <= 640) return 7;
  if (units <= 2560) return 4;
  return 3;
}

export function gridShape(units: number): { columns: number; rows: number } {
  if (units <= 0) return { columns: 0, rows: 0 };
  // Slightly taller than wide: layers follow each other from left to right.
  const rows = Math.max(1, Math.min(units, Math.ceil(Math.sqrt(units * 1.4))));
  const columns = Math.ceil(units / rows);
  return { columns, rows: Math.ceil(units / columns) };
}

export function memberLines(card: Card): number {
  if (card.block) return 0;
  return Math.min(card.members.length - 1, MAX_MEMBER_LINES);
}

/** Puts layers that only pass channels on onto the card of the layer before them. */
export function foldNodes(nodes: readonly SceneNode[]): { cards: number[][]; cardOf: number[] } {
  const consumers = new Array<number>(nodes.length).fill(0);
  for (const node of nodes) {
    for (const source of new Set(node.inputs)) consumers[source] = (consumers[source] ?? 0) + 1;
  }
  const cards: number[][] = [];
  const cardOf: number[] = [];
  nodes.forEach((node, index) => {
    const source = node.inputs.length === 1 ? (node.inputs[0] as number) : -1;
    const card = source >= 0 && source < index ? cards[cardOf[source] as number] : undefined;
    const follows = card !== undefined && card[card.length - 1] === source;
    if (card && follows && node.units === 0 && !node.alone && consumers[source] === 1) {
      cardOf.push(cardOf[source] as number);
      card.push(index);
    } else {
      cardOf.push(cards.length);
      cards.push([index]);
    }
  });
  return { cards, cardOf };
}

export function layoutScene(scene: Scene, options: LayoutOptions = {}): Layout {
  const folded = foldNodes(scene.nodes);
  const found = [
    ...findNested(scene.nodes, folded.cards),
    ...findBlocks(scene.nodes, folded.cards, cardLinks(scene.nodes, folded.cardOf)),
  ];
  const shown = foldBlocks(folded, found, options.open ?? new Set());
  const { members, cardOf } = shown;
  const links = cardLinks(scene.nodes, cardOf);
  const ranks = longestPaths(members.length, links);
  const cards = members.map((list, index) => {
    const block = shown.blockOf[index];
    const rank = ranks[index] as number;
    return block ? measureBlock(scene, list, rank, block) : measureCard(scene, list, rank);
  });
  const vertical = options.vertical === true;
  // From top to bottom is from left to right, mirrored: so are the sizes before, the places after.
  if (vertical) cards.forEach(mirror);
  const lanes = orderLanes(cards, links);
  placeRanks(cards, lanes, vertical ? HEADER : MIN_WIDTH);
  placeLanes(cards, lanes);
  const edges = lanes.edges.map((edge) => routeEdge(edge, cards, lanes));
  const size = wrapRows(cards, edges, vertical ? undefined : options.window);
  if (vertical) {
    cards.forEach(mirror);
    for (const edge of edges) edge.points = edge.points.map(({ x, y }) => ({ x: y, y: x }));
    [size.width, size.height] = [size.height, size.width];
  }
  for (const { block, cards: own } of shown.open) {
    for (const at of own) {
      const card = cards[at] as Card;
      card.within = block.nested ? block.name : blockName(scene.nodes[card.main]?.name ?? '');
    }
  }
  const frames = shown.open.flatMap((one) => framesOf(one, cards));
  makeRoom(cards, edges, frames, size);
  return { cards, edges, ...size, cardOf, blocks: found, frames, vertical };
}

/** Moves everything down where the frames of models within models need more than the margin. */
function makeRoom(
  cards: Card[],
  edges: Edge[],
  frames: BlockFrame[],
  size: { width: number; height: number },
): void {
  const more = -FRAME_TOP - Math.min(-FRAME_TOP, ...frames.map((frame) => frame.y));
  for (const one of [...cards, ...frames]) one.y += more;
  for (const edge of edges) edge.points = edge.points.map(({ x, y }) => ({ x, y: y + more }));
  size.height += more;
}

/** Models within the model that are open at first: as many as leave a picture of few cards. */
export function openAtFirst(scene: Scene): Set<string> {
  const open = new Set<string>();
  if (scene.nodes.length > MOST_NODES) return open;
  const nested = layoutScene(scene).blocks.filter((block) => block.nested);
  for (const { name } of nested.slice(0, MOST_TRIED)) {
    const parent = name.slice(0, Math.max(0, name.lastIndexOf('/')));
    if (parent && !open.has(parent)) continue;
    open.add(name);
    if (layoutScene(scene, { open }).cards.length > 2 * FOLD_FROM) open.delete(name);
  }
  return open;
}

function mirror(card: Card): void {
  [card.x, card.y] = [card.y, card.x];
  [card.width, card.height] = [card.height, card.width];
}

interface Home {
  block: Block;
  /** Which of the block's parts. */
  part: number;
}

interface Shown {
  members: number[][];
  cardOf: number[];
  blockOf: (Block | undefined)[];
  /** Parts of open blocks with their cards; `inner`: how many open ones are within each other. */
  open: (Home & { cards: number[]; inner: number })[];
}

/** Puts the cards of every folded block onto one: of the outermost that is folded. */
function foldBlocks(
  folded: { cards: number[][]; cardOf: number[] },
  blocks: Block[],
  open: ReadonlySet<string> | 'all',
): Shown {
  const homes = new Map<number, Home[]>();
  for (const block of blocks) {
    block.parts.forEach((cards, part) => {
      for (const card of cards) homes.set(card, [...(homes.get(card) ?? []), { block, part }]);
    });
  }
  const isOpen = ({ block }: Home): boolean => open === 'all' || open.has(block.name);
  const shown: Shown = { members: [], cardOf: [], blockOf: [], open: [] };
  const frames = new Map<number[], Shown['open'][number]>();
  const place: number[] = [];
  let before: Home | undefined;
  folded.cards.forEach((list, card) => {
    const chain = homes.get(card) ?? [];
    const at = chain.findIndex((home) => !isOpen(home));
    const shut = chain[at];
    // Repetitions of a block share a card; calls of a nested model do not.
    const same = shut !== undefined && shut.block === before?.block;
    if (same && (!shut.block.nested || shut.part === before?.part)) {
      shown.members[shown.members.length - 1]?.push(...list);
    } else {
      shown.members.push([...list]);
      shown.blockOf.push(shut?.block);
    }
    before = shut;
    const own = shown.members.length - 1;
    place.push(own);
    addToOpen(frames, at < 0 ? chain : chain.slice(0, at), own);
  });
  shown.open = [...frames.values()];
  shown.cardOf = folded.cardOf.map((card) => place[card] as number);
  return shown;
}

function addToOpen(
  frames: Map<number[], Shown['open'][number]>,
  around: Home[],
  card: number,
): void {
  around.forEach((home, depth) => {
    const inner = around.length - 1 - depth;
    const part = home.block.parts[home.part] as number[];
    const known = frames.get(part) ?? { ...home, cards: [], inner };
    frames.set(part, known);
    if (known.cards.at(-1) !== card) known.cards.push(card);
    known.inner = Math.max(known.inner, inner);
  });
}

/** A frame around the cards of an open block, one for each row that they lie in. */
function framesOf(open: Shown['open'][number], cards: Card[]): BlockFrame[] {
  const own = open.cards.map((at) => cards[at] as Card);
  const side = FRAME_SIDE + FRAME_STEP * open.inner;
  const top = FRAME_TOP * (1 + open.inner);
  return [...new Set(own.map((card) => card.row ?? 0))].map((row) => {
    const here = own.filter((card) => (card.row ?? 0) === row);
    const x = Math.min(...here.map((card) => card.x)) - side;
    const y = Math.min(...here.map((card) => card.y)) - top;
    const right = Math.max(...here.map((card) => card.x + card.width)) + side;
    const bottom = Math.max(...here.map((card) => card.y + card.height)) + side;
    return { block: open.block, part: open.part, x, y, width: right - x, height: bottom - y };
  });
}

/** The layers of one repetition that make units: one bar for each, over all repetitions. */
export function barsOf(scene: Scene, card: Card): number[][] {
  const makers = card.members.filter((at) => (scene.nodes[at]?.units ?? 0) > 0);
  const each = Math.max(1, Math.ceil(makers.length / (card.block?.count ?? 1)));
  return Array.from({ length: Math.min(each, makers.length) }, (_, at) =>
    makers.filter((_maker, index) => index % each === at),
  );
}

function measureBlock(scene: Scene, members: number[], rank: number, block: Block): Card {
  const card: Card = {
    main: members[0] as number,
    members,
    columns: 0,
    rows: 0,
    cell: 0,
    x: 0,
    y: 0,
    width: BLOCK_WIDTH,
    height: 0,
    gridTop: HEADER,
    rank,
    block,
  };
  const bars = Math.min(MAX_BARS, barsOf(scene, card).length);
  card.height = HEADER + bars * BAR_LINE + PADDING;
  return card;
}

function cardLinks(nodes: readonly SceneNode[], cardOf: number[]): [number, number][] {
  const seen = new Set<string>();
  const links: [number, number][] = [];
  nodes.forEach((node, index) => {
    for (const source of node.inputs) {
      const from = cardOf[source] as number;
      const to = cardOf[index] as number;
      const key = `${from}>${to}`;
      if (from !== undefined && from !== to && !seen.has(key)) {
        seen.add(key);
        links.push([from, to]);
      }
    }
  });
  return links;
}

/** Nodes come in the order of data flow, so one pass over the links by target is enough. */
function longestPaths(count: number, links: [number, number][]): number[] {
  const ranks = new Array<number>(count).fill(0);
  const sorted = [...links].sort((a, b) => a[1] - b[1] || a[0] - b[0]);
  for (const [from, to] of sorted) {
    ranks[to] = Math.max(ranks[to] as number, (ranks[from] as number) + 1);
  }
  return ranks;
}

function measureCard(scene: Scene, members: number[], rank: number): Card {
  const node = scene.nodes[members[0] as number] as SceneNode;
  const { columns, rows } = gridShape(node.units);
  const cell = cellSize(node.units);
  const card: Card = {
    main: members[0] as number,
    members,
    columns,
    rows,
    cell,
    x: 0,
    y: 0,
    width: Math.max(MIN_WIDTH, columns * cell + 2 * PADDING),
    height: 0,
    gridTop: HEADER,
    rank,
  };
  const grid = rows > 0 ? rows * cell + PADDING : 0;
  const lines = memberLines(card);
  card.height = HEADER + grid + (lines > 0 ? lines * MEMBER_LINE + 5 : 0);
  return card;
}

interface Slot {
  /** A card's index, or -1 for the place where a long edge passes. */
  card: number;
  height: number;
  y: number;
  before: Slot[];
  after: Slot[];
}

interface Lanes {
  ranks: Slot[][];
  edges: { from: number; to: number; slots: Slot[] }[];
}

/** Orders each rank so that few edges cross (barycentres, swept to and fro). */
function orderLanes(cards: Card[], links: [number, number][]): Lanes {
  const depth = Math.max(0, ...cards.map((card) => card.rank + 1));
  const ranks: Slot[][] = Array.from({ length: depth }, () => []);
  const slotOf = cards.map((card, index): Slot => {
    const slot: Slot = { card: index, height: card.height, y: 0, before: [], after: [] };
    (ranks[card.rank] as Slot[]).push(slot);
    return slot;
  });
  const edges = links.map(([from, to]) => {
    const slots = [slotOf[from] as Slot];
    for (let rank = (cards[from] as Card).rank + 1; rank < (cards[to] as Card).rank; rank++) {
      const passing: Slot = { card: -1, height: 6, y: 0, before: [], after: [] };
      (ranks[rank] as Slot[]).push(passing);
      slots.push(passing);
    }
    slots.push(slotOf[to] as Slot);
    for (let index = 1; index < slots.length; index++) {
      (slots[index] as Slot).before.push(slots[index - 1] as Slot);
      (slots[index - 1] as Slot).after.push(slots[index] as Slot);
    }
    return { from, to, slots };
  });
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const rank of down ? ranks : [...ranks].reverse()) {
      sortByNeighbours(rank, down ? 'before' : 'after');
      rank.forEach((slot, index) => {
        slot.y = index;
      });
    }
  }
  return { ranks, edges };
}

function sortByNeighbours(rank: Slot[], side: 'before' | 'after'): void {
  const keys = new Map<Slot, number>();
  rank.forEach((slot, index) => {
    const near = slot[side];
    const sum = near.reduce((total, other) => total + other.y, 0);
    keys.set(slot, near.length > 0 ? sum / near.length : index);
  });
  rank.sort((a, b) => (keys.get(a) as number) - (keys.get(b) as number));
}

function placeRanks(cards: Card[], lanes: Lanes, least: number): void {
  let x = 0;
  for (const rank of lanes.ranks) {
    const inRank = rank.filter((slot) => slot.card >= 0).map((slot) => cards[slot.card] as Card);
    const width = Math.max(least, ...inRank.map((card) => card.width));
    for (const card of inRank) card.x = x + (width - card.width) / 2;
    x += width + RANK_GAP;
  }
}

/** Gives every slot a height near its neighbours' without overlaps. */
function placeLanes(cards: Card[], lanes: Lanes): void {
  for (const rank of lanes.ranks) {
    const total = rank.reduce((sum, slot) => sum + slot.height + LANE_GAP, -LANE_GAP);
    let y = -total / 2;
    for (const slot of rank) {
      slot.y = y + slot.height / 2;
      y += slot.height + LANE_GAP;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const rank of sweep % 2 === 0 ? lanes.ranks : [...lanes.ranks].reverse()) relax(rank);
  }
  let top = Number.POSITIVE_INFINITY;
  for (const slot of lanes.ranks.flat()) {
    top = Math.min(top, slot.y - slot.height / 2);
  }
  if (!Number.isFinite(top)) return;
  for (const slot of lanes.ranks.flat()) {
    slot.y -= top;
    if (slot.card >= 0) {
      const card = cards[slot.card] as Card;
      card.y = slot.y - card.height / 2;
    }
  }
}

function relax(rank: Slot[]): void {
  const wanted = rank.map((slot) => {
    const near = [...slot.before, ...slot.after];
    return near.length > 0 ? near.reduce((sum, other) => sum + other.y, 0) / near.length : slot.y;
  });
  let low = Number.NEGATIVE_INFINITY;
  rank.forEach((slot, index) => {
    slot.y = Math.max(wanted[index] as number, low + slot.height / 2);
    low = slot.y + slot.height / 2 + LANE_GAP;
  });
  // Pushing down alone drifts: shift the whole rank back to where it wanted to be on average.
  const drift = rank.reduce((sum, slot, i) => sum + slot.y - (wanted[i] as number), 0);
  for (const slot of rank) slot.y -= drift / rank.length;
}

function routeEdge(edge: Lanes['edges'][number], cards: Card[], lanes: Lanes): Edge {
  const from = cards[edge.from] as Card;
  const to = cards[edge.to] as Card;
  const points = [{ x: from.x + from.width, y: from.y + from.height / 2 }];
  edge.slots.slice(1, -1).forEach((slot, index) => {
    const rank = lanes.ranks[from.rank + 1 + index] as Slot[];
    const beside = rank.find((other) => other.card >= 0);
    const card = beside ? (cards[beside.card] as Card) : undefined;
    if (card) {
      points.push({ x: card.x, y: slot.y }, { x: card.x + card.width, y: slot.y });
    }
  });
  points.push({ x: to.x, y: to.y + to.height / 2 });
  return { from: edge.from, to: edge.to, points };
}

/** The square of the card's grid that lies under a point, or -1. */
export function cellAt(card: Card, units: number, x: number, y: number): number {
  const left = card.x + gridLeft(card);
  const column = Math.floor((x - left) / card.cell);
  const row = Math.floor((y - card.y - card.gridTop) / card.cell);
  if (column < 0 || column >= card.columns || row < 0 || row >= card.rows) return -1;
  const cell = row * card.columns + column;
  return cell < units ? cell : -1;
}

/** The left edge of the grid of units, from the card's left. */
export function gridLeft(card: Card): number {
  return (card.width - card.columns * card.cell) / 2;
}

/** The middle of a square of the card's grid. */
export function unitCentre(card: Card, cell: number): { x: number; y: number } {
  const column = cell % card.columns;
  const row = Math.floor(cell / card.columns);
  return {
    x: card.x + gridLeft(card) + (column + 0.5) * card.cell - 0.5,
    y: card.y + card.gridTop + (row + 0.5) * card.cell - 0.5,
  };
}

/** The member of a card whose name lies under a point, or the card's main node. */
export function memberAt(card: Card, y: number): number {
  const lines = memberLines(card);
  const first = card.y + card.height - lines * MEMBER_LINE - 3;
  const line = Math.floor((y - first) / MEMBER_LINE);
  return line >= 0 && line < lines ? (card.members[line + 1] as number) : card.main;
}

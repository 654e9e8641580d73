/** Long networks in rows: like a text, the data goes on at the left of the next line. */

import type { Card, Edge } from './layout';

const ROW_GAP = 56;
/** Above this scale nothing grows any more. */
const FULL = 1.2;
/** Below this scale names can't be read. */
export const READABLE = 0.6;
const MAX_ROWS = 24;

interface Row {
  cards: Card[];
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Moves cards and edges into as many rows as show them largest; returns the size of it all. */
export function wrapRows(
  cards: Card[],
  edges: Edge[],
  window?: { width: number; height: number },
): { width: number; height: number } {
  if (cards.length === 0) return { width: 0, height: 0 };
  const breaks = possibleBreaks(cards, edges);
  const whole = makeRows(cards, edges, []);
  let best = { rows: whole, ...sizeOf(whole) };
  if (window && window.width > 0 && window.height > 0) {
    const scale = (size: { width: number; height: number }): number =>
      Math.min(FULL, window.width / size.width, window.height / size.height);
    const right = cards.reduce((most, card) => Math.max(most, card.x + card.width), 0);
    const left = new Map<number, number>();
    for (const { rank, x } of cards) left.set(rank, Math.min(left.get(rank) ?? x, x));
    const starts = breaks.map((rank) => left.get(rank) ?? 0);
    for (let count = 2; count <= MAX_ROWS; count++) {
      const rows = makeRows(cards, edges, chooseBreaks(breaks, starts, right, count));
      const size = sizeOf(rows);
      const fits = scale(best) >= READABLE || best.width * READABLE <= window.width;
      // Rows that can be read, if only from top to bottom, before a whole that cannot.
      const better = fits ? scale(size) > scale(best) * 1.05 : size.width < best.width;
      if (rows.length > 1 && better && !(fits && scale(size) < READABLE)) best = { rows, ...size };
    }
  }
  place(best.rows, edges, cards);
  return { width: best.width, height: best.height };
}

/** Ranks before which a row may end: whatever crosses there comes from the one card before. */
function possibleBreaks(cards: Card[], edges: Edge[]): number[] {
  const last = cards.reduce((most, card) => Math.max(most, card.rank), 0);
  // How many long lines begin to pass by at a rank, less those that have ended.
  const passing = new Array<number>(last + 3).fill(0);
  const sources = Array.from({ length: last + 1 }, () => new Set<number>());
  for (const edge of edges) {
    const [from, to] = [(cards[edge.from] as Card).rank, (cards[edge.to] as Card).rank];
    sources[from]?.add(edge.from);
    if (to - from < 2) continue;
    passing[from + 2] = (passing[from + 2] as number) + 1;
    passing[to + 1] = (passing[to + 1] as number) - 1;
  }
  const found: number[] = [];
  let long = 0;
  for (let rank = 1; rank <= last; rank++) {
    long += passing[rank] as number;
    if (long === 0 && (sources[rank - 1]?.size ?? 0) <= 1) found.push(rank);
  }
  return found;
}

/** Breaks that make about `count` rows of about the same width; `starts` grow with their ranks. */
function chooseBreaks(ranks: number[], starts: number[], right: number, count: number): number[] {
  const chosen: number[] = [];
  let first = 0;
  for (let row = 1; row < count && first < ranks.length; row++) {
    const wanted = (right * row) / count;
    let [low, high] = [first, ranks.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((starts[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    const far = (at: number): number => Math.abs((starts[at] as number) - wanted);
    const at = low > first && far(low - 1) <= far(low) ? low - 1 : low;
    chosen.push(ranks[at] as number);
    first = at + 1;
  }
  return chosen;
}

function makeRows(cards: Card[], edges: Edge[], breaks: number[]): Row[] {
  const rows: Row[] = Array.from({ length: breaks.length + 1 }, () => ({
    cards: [],
    left: Number.POSITIVE_INFINITY,
    right: Number.NEGATIVE_INFINITY,
    top: Number.POSITIVE_INFINITY,
    bottom: Number.NEGATIVE_INFINITY,
  }));
  const last = cards.reduce((most, card) => Math.max(most, card.rank), 0);
  const rowOf: number[] = [];
  for (let rank = 0, row = 0; rank <= last; rank++) {
    if (breaks[row] === rank) row++;
    rowOf.push(row);
  }
  const rowAt = (card: number): number => rowOf[(cards[card] as Card).rank] as number;
  for (const card of cards) {
    const row = rows[rowOf[card.rank] as number] as Row;
    row.cards.push(card);
    row.left = Math.min(row.left, card.x);
    row.right = Math.max(row.right, card.x + card.width);
    row.top = Math.min(row.top, card.y);
    row.bottom = Math.max(row.bottom, card.y + card.height);
  }
  for (const edge of edges) {
    if (rowAt(edge.from) !== rowAt(edge.to)) continue;
    const row = rows[rowAt(edge.from)] as Row;
    for (const { y } of edge.points) {
      row.top = Math.min(row.top, y);
      row.bottom = Math.max(row.bottom, y);
    }
  }
  return rows.filter((row) => row.cards.length > 0);
}

/** What a line around a row's end needs at either side. */
const TURN = 22;

function sizeOf(rows: Row[]): { width: number; height: number } {
  const around = rows.length > 1 ? 2 * TURN : 0;
  return {
    width: Math.max(...rows.map((row) => row.right - row.left)) + around,
    height: rows.reduce((sum, row) => sum + row.bottom - row.top + ROW_GAP, -ROW_GAP),
  };
}

function place(rows: Row[], edges: Edge[], cards: Card[]): void {
  const rowOf = new Map<Card, number>();
  const shifts: { dx: number; dy: number; end: number }[] = [];
  const indent = rows.length > 1 ? TURN : 0;
  let top = 0;
  rows.forEach((row, index) => {
    for (const card of row.cards) {
      rowOf.set(card, index);
      card.row = index;
    }
    shifts.push({ dx: indent - row.left, dy: top - row.top, end: top + row.bottom - row.top });
    top += row.bottom - row.top + ROW_GAP;
  });
  for (const row of rows) {
    const { dx, dy } = shifts[row.cards[0]?.row ?? 0] as (typeof shifts)[number];
    for (const card of row.cards) {
      card.x += dx;
      card.y += dy;
    }
  }
  for (const edge of edges) {
    const [from, to] = [cards[edge.from] as Card, cards[edge.to] as Card];
    const row = rowOf.get(from) as number;
    const { dx, dy, end } = shifts[row] as (typeof shifts)[number];
    if (rowOf.get(to) === row) {
      edge.points = edge.points.map(({ x, y }) => ({ x: x + dx, y: y + dy }));
    } else {
      const next = rows[rowOf.get(to) as number] as Row;
      const shift = shifts[rowOf.get(to) as number] as (typeof shifts)[number];
      const lane = edge.points
        .slice(1, -1)
        .filter((point) => point.x >= next.left)
        .map(({ x, y }) => ({ x: x + shift.dx, y: y + shift.dy }));
      edge.wraps = true;
      edge.points = around(from, to, end + ROW_GAP / 2, indent, lane);
    }
  }
}

/** From the right of one card, between the rows, and along its lane to the left of the other. */
function around(
  from: Card,
  to: Card,
  between: number,
  left: number,
  lane: { x: number; y: number }[],
): { x: number; y: number }[] {
  const start = from.y + from.height / 2;
  const right = from.x + from.width;
  const end = { x: to.x, y: to.y + to.height / 2 };
  const first = lane[0] ?? end;
  const turn = TURN * 0.7;
  const points = [
    { x: right, y: start },
    { x: right + turn, y: start },
    { x: right + turn, y: between },
    { x: left - turn, y: between },
    { x: left - turn, y: first.y },
  ];
  const last = lane[lane.length - 1];
  // Out of its lane it goes to the card at a right angle, like everything that turns a corner.
  return last
    ? [...points, ...lane, { x: to.x - turn, y: last.y }, { x: to.x - turn, y: end.y }, end]
    : [...points, end];
}

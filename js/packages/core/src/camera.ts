/** Pan and zoom: pure functions from one camera to the next. */

import type { Camera } from './draw';
import type { Card, Layout } from './layout';
import { READABLE } from './wrap';

export const MIN_SCALE = 0.02;
export const MAX_SCALE = 6;
/** A structure is not blown up beyond this when it is fitted into the window. */
const FIT_MAX = 1.5;
const MARGIN = 14;

export interface Size {
  width: number;
  height: number;
}

/** The whole structure, centred. */
export function fitAll(layout: Layout, size: Size): Camera {
  const scale = Math.min(
    FIT_MAX,
    (size.width - 2 * MARGIN) / Math.max(1, layout.width),
    (size.height - 2 * MARGIN) / Math.max(1, layout.height),
  );
  const kept = Math.max(MIN_SCALE, scale);
  return {
    scale: kept,
    x: (size.width - layout.width * kept) / 2,
    y: (size.height - layout.height * kept) / 2,
  };
}

/** All of it where names stay readable, else the beginning at a readable size. */
export function firstView(layout: Layout, size: Size): Camera {
  const all = fitAll(layout, size);
  if (all.scale >= READABLE) return all;
  const byWidth = (size.width - 2 * MARGIN) / Math.max(1, layout.width);
  if (layout.vertical) {
    const scale = Math.min(1, Math.max(READABLE, byWidth));
    return { scale, x: (size.width - layout.width * scale) / 2, y: MARGIN };
  }
  const byHeight = (size.height - 2 * MARGIN) / Math.max(1, layout.height);
  // Rows are read from top to bottom, a single one from left to right.
  const rows = layout.edges.some((edge) => edge.wraps);
  const scale = Math.min(1, Math.max(READABLE, rows ? byWidth : byHeight));
  const first = layout.cards[0];
  const middle = first ? first.y + first.height / 2 : layout.height / 2;
  const tall = layout.height * scale > size.height;
  const y = tall ? size.height / 2 - middle * scale : (size.height - layout.height * scale) / 2;
  const x = byWidth >= scale ? (size.width - layout.width * scale) / 2 : MARGIN;
  return { scale, x, y: rows ? Math.min(y, MARGIN) : y };
}

/** Zooms so that the point of the structure under (x, y) stays there. */
export function zoomAt(camera: Camera, factor: number, x: number, y: number): Camera {
  const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, camera.scale * factor));
  const ratio = scale / camera.scale;
  return { scale, x: x - (x - camera.x) * ratio, y: y - (y - camera.y) * ratio };
}

/** Keeps some of the structure in the window, so that it can't be lost by panning. */
export function keepInSight(camera: Camera, layout: Layout, size: Size): Camera {
  const rest = 60;
  const width = layout.width * camera.scale;
  const height = layout.height * camera.scale;
  return {
    scale: camera.scale,
    x: Math.min(size.width - rest, Math.max(rest - width, camera.x)),
    y: Math.min(size.height - rest, Math.max(rest - height, camera.y)),
  };
}

/** Moves just enough that a card is in the window. */
export function reveal(camera: Camera, card: Card, size: Size): Camera {
  const shift = (start: number, length: number, room: number): number => {
    if (length + 2 * MARGIN > room) return MARGIN - start;
    if (start < MARGIN) return MARGIN - start;
    return start + length > room - MARGIN ? room - MARGIN - start - length : 0;
  };
  const left = card.x * camera.scale + camera.x;
  const top = card.y * camera.scale + camera.y;
  const dx = shift(left, card.width * camera.scale, size.width);
  const dy = shift(top, card.height * camera.scale, size.height);
  return dx || dy ? { scale: camera.scale, x: camera.x + dx, y: camera.y + dy } : camera;
}

/** A card in the middle of the window, at a scale at which its name can be read. */
export function centre(camera: Camera, card: Card, size: Size): Camera {
  const scale = Math.max(camera.scale, READABLE);
  return {
    scale,
    x: size.width / 2 - (card.x + card.width / 2) * scale,
    y: size.height / 2 - (card.y + card.height / 2) * scale,
  };
}

/** One card as large as the window allows. */
export function fitCard(card: Card, size: Size): Camera {
  const scale = Math.min(
    3,
    (size.width - 4 * MARGIN) / card.width,
    (size.height - 4 * MARGIN) / card.height,
  );
  return {
    scale,
    x: size.width / 2 - (card.x + card.width / 2) * scale,
    y: size.height / 2 - (card.y + card.height / 2) * scale,
  };
}

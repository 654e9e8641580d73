/** The structure as SVG, for a file: every card and edge, with the texts of the drawing. */

import { svg } from './dom';
import { arrowHead, edgePath, type Frame, subtitle } from './draw';
import { blockTitle } from './drawBlock';
import { type Card, HEADER, MEMBER_LINE, memberLines, PADDING } from './layout';
import type { SceneNode } from './scene';

const MARGIN = 16;
/** A character of the small type is about so wide. */
const LETTER = 6.2;

export function structureSvg(frame: Frame): SVGSVGElement {
  const { layout, theme } = frame;
  const [width, height] = [layout.width + 2 * MARGIN, layout.height + 2 * MARGIN];
  const edges = layout.edges.flatMap((edge) => {
    const tip = edge.points.at(-1);
    const d = edgePath(edge, layout.vertical);
    const path = svg('path', { d, fill: 'none', stroke: theme.border });
    if (!tip) return [path];
    return [path, svg('path', { d: arrowHead(tip, layout.vertical), fill: theme.border })];
  });
  const frames = layout.frames.flatMap(({ block, x, y, width, height }) => [
    svg('rect', { x, y, width, height, fill: 'none', stroke: theme.muted, 'stroke-dasharray': 4 }),
    svg('text', { x: x + 4, y: y + 12, 'font-size': 11, fill: theme.muted }, block.name),
  ]);
  return svg(
    'svg',
    {
      viewBox: `${-MARGIN} ${-MARGIN} ${width} ${height}`,
      width,
      height,
      'font-family': theme.font,
    },
    svg('rect', { x: -MARGIN, y: -MARGIN, width, height, fill: theme.background }),
    ...frames,
    ...edges,
    ...layout.cards.flatMap((card) => cardSvg(frame, card)),
  );
}

function cardSvg(frame: Frame, card: Card): SVGElement[] {
  const { scene, theme } = frame;
  const node = scene.nodes[card.main] as SceneNode;
  const { x, y, width, height } = card;
  const room = Math.floor((width - 2 * PADDING) / LETTER);
  const clip = (text: string): string =>
    text.length > room ? `${text.slice(0, room - 1)}…` : text;
  const line = (text: string, at: number, strong = false): SVGElement =>
    svg(
      'text',
      {
        x: x + PADDING,
        y: y + at,
        'font-size': strong ? 11 : 10,
        'font-weight': strong ? 600 : 400,
        fill: strong ? theme.text : theme.muted,
      },
      clip(text),
    );
  const about = card.block
    ? frame.say('%1 layers', card.members.length)
    : subtitle(frame, node, scene.groups[node.group], (text) => text.length <= room);
  const stripe = card.block ? undefined : theme.kinds[node.kind ?? ''];
  const lines = memberLines(card);
  const members = card.members.slice(1, 1 + lines).map((member, index) => {
    const more = card.members.length - 1 - lines;
    const op = scene.nodes[member]?.op ?? '';
    const text = index === lines - 1 && more > 0 ? frame.say('… and %1 more', more + 1) : `→ ${op}`;
    return line(text, height - (lines - index - 1) * MEMBER_LINE - 7);
  });
  return [
    svg('rect', { x, y, width, height, rx: 6, fill: theme.card, stroke: theme.border }),
    ...(stripe ? [svg('rect', { x, y: y + 6, width: 3, height: height - 12, fill: stripe })] : []),
    line(card.block ? blockTitle(card) : node.name, 14, true),
    line(about, HEADER - 7),
    ...members,
  ];
}

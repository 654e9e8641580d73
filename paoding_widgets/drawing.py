"""The structure of a pruned network as an SVG: its layers, their units, how they are connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

_WIDTH, _CARD, _GAP = 940.0, 132.0, 46.0
_ROOM = 34.0  # above each row, for lines that pass cards by
_SIDE, _COLUMNS = 7.0, 16
_HEAD, _PADDING = 32.0, 8.0
# A layer of more units is a bar: nobody could count its squares.
_MOST_SQUARES = 512
# Of a whole network: what is more makes the page slow.
_MOST_OF_ALL = 12_000


@dataclass
class _Card:
    node: int
    x: float
    y: float
    height: float
    row: int


def structure_svg(
    scene: Mapping[str, Any], removed: np.ndarray, importance: np.ndarray, moment: int
) -> str:
    """Every layer that makes units, and how they are connected, in rows.

    Args:
        scene: nodes and groups, as :func:`paoding_widgets.scene.make_scene` tells them.
        removed: (units,) the step, from 0, that removed a unit; -1 while it is here, -2 where it
            cannot go.
        importance: (units,) of each unit, NaN where it is not known.
        moment: steps that are applied.
    """
    nodes = scene["nodes"]
    shown = [at for at, node in enumerate(nodes) if node["units"] or node["op"] == "Input"]
    squares = sum(min(nodes[at]["units"], _MOST_SQUARES) for at in shown) <= _MOST_OF_ALL
    cards, height = _place(nodes, shown, squares)
    parts = [_links(nodes, cards)]
    for card in cards.values():
        parts.append(_draw(scene, card, removed, importance, moment, squares))
    label = f"Structure of {scene['name']}: each square is a unit, struck out where it was removed"
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _place(
    nodes: Sequence[Mapping[str, Any]], shown: Sequence[int], squares: bool
) -> tuple[dict[int, _Card], float]:
    """Cards side by side, in as many rows as it takes."""
    cards: dict[int, _Card] = {}
    x, y, tallest, row = 0.0, _ROOM, 0.0, 0
    for at in shown:
        if x + _CARD > _WIDTH:
            x, y, tallest, row = 0.0, y + tallest + _ROOM, 0.0, row + 1
        height = _HEAD + _grid_height(int(nodes[at]["units"]), squares) + _PADDING
        cards[at] = _Card(at, x, y, height, row)
        x, tallest = x + _CARD + _GAP, max(tallest, height)
    return cards, y + tallest + 4


def _grid_height(units: int, squares: bool) -> float:
    if not units:
        return 0.0
    if not squares or units > _MOST_SQUARES:
        return 12.0
    return -(-units // _COLUMNS) * _SIDE


def _links(nodes: Sequence[Mapping[str, Any]], cards: Mapping[int, _Card]) -> str:
    """Lines from each card to those that read it, through the layers that only pass it on."""
    sources: list[set[int]] = []
    lines = []
    for at, node in enumerate(nodes):
        reads = {card for one in node["inputs"] for card in sources[one]}
        if at in cards:
            lines += [_line(cards[one], cards[at]) for one in sorted(reads)]
            reads = {at}
        sources.append(reads)
    return "".join(lines)


def _line(start: _Card, end: _Card) -> str:
    x1, x2 = start.x + _CARD, end.x
    y1, y2 = start.y + 16, end.y + 16
    if start.row == end.row and 0 < x2 - x1 <= _GAP + 1:
        path = f"M{x1:g} {y1:g}H{x2:g}"
    elif start.row == end.row:
        path = (
            f"M{x1:g} {y1:g}C{x1 + 20:g} {start.y - 26:g} {x2 - 20:g} {end.y - 26:g} {x2:g} {y2:g}"
        )
    else:
        between = end.y - _ROOM / 2
        left = max(2.0, x2 - 12)
        path = f"M{x1:g} {y1:g}h10V{between:g}H{left:g}V{y2:g}H{x2:g}"
    arrow = f"M{x2:g} {y2:g}l-6 -3.5v7z"
    return f'<path class="link" d="{path}"/><path class="was" d="{arrow}"/>'


def _draw(
    scene: Mapping[str, Any],
    card: _Card,
    removed: np.ndarray,
    importance: np.ndarray,
    moment: int,
    squares: bool,
) -> str:
    node = scene["nodes"][card.node]
    group = scene["groups"][node["group"]] if node["group"] >= 0 else None
    where = np.arange(node["units"])
    if group is not None:
        where = group["start"] + np.asarray(node.get("map", range(node["units"])), int)
    known = removed[where] if group is not None else np.full(len(where), -2)
    gone = (known >= 0) & (known < moment)
    left = len(where) - int(gone.sum())
    told = node["op"]
    if node["units"]:
        told += f" · {left:,}" + (f" of {len(where):,}" if left < len(where) else "")
    name = escape(_cut(node["name"], 20))
    parts = [
        f"<g><title>{escape(node['name'])}, {escape(told)}, {escape(node['detail'])}</title>",
        f'<rect class="box" x="{card.x:g}" y="{card.y:g}" width="{_CARD:g}" '
        f'height="{card.height:g}" rx="5"/>',
        f'<text class="value" x="{card.x + 8:g}" y="{card.y + 14:g}">{name}</text>',
        f'<text x="{card.x + 8:g}" y="{card.y + 27:g}">{escape(_cut(told, 22))}</text>',
    ]
    if squares and len(where) <= _MOST_SQUARES:
        values = importance[where] if group is not None else np.full(len(where), np.nan)
        parts.append(_squares(card, gone, known == -2, values))
    elif len(where):
        share = (_CARD - 16) * left / len(where)
        at = f'x="{card.x + 8:g}" y="{card.y + _HEAD:g}" height="9"'
        parts.append(f'<rect class="gone" {at} width="{_CARD - 16:g}"/>')
        parts.append(f'<rect class="now" {at} width="{share:g}"/>')
    return "".join([*parts, "</g>"])


def _squares(card: _Card, gone: np.ndarray, fixed: np.ndarray, values: np.ndarray) -> str:
    order = np.argsort(np.argsort(np.where(np.isfinite(values), values, np.inf)))
    parts = []
    for unit in range(len(gone)):
        x = card.x + 8 + unit % _COLUMNS * _SIDE
        y = card.y + _HEAD + unit // _COLUMNS * _SIDE
        side = _SIDE - 1.5
        if gone[unit]:
            parts.append(
                f'<path class="out" d="M{x:g} {y:g}h{side}v{side}h-{side}zl{side} {side}"/>'
            )
        elif fixed[unit]:
            parts.append(f'<path class="out" d="M{x:g} {y:g}h{side}v{side}h-{side}z"/>')
        else:
            strong = 0.35 + 0.65 * order[unit] / max(1, len(gone) - 1)
            parts.append(
                f'<rect class="now" x="{x:g}" y="{y:g}" width="{side}" height="{side}" '
                f'opacity="{strong:.2f}"/>'
            )
    return "".join(parts)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

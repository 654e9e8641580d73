"""The legal inputs of a model: what the user says, or what the model tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.domain.box import Box, Domain, outside, resolve
from paoding.domain.hints import InputHints, hints_of
from paoding.domain.values import Binned
from paoding.effort import NORMAL
from paoding.graph.cost import pass_cost
from paoding.layers import statistics_of
from paoding.synthetic.bn_matching import batch_norms, moment_gaps
from paoding.synthetic.choice import choose

if TYPE_CHECKING:
    from paoding.graph import Graph

_FROM_BYTES = 1 / 64  # scale below which a Rescaling brings bytes to about 1: by 1/255 or 1/127.5
_WIDEST = 0.6  # deviation that no column within [0, 1] has
# Usual ranges of inputs that are scaled outside of a model; bytes are for images.
_SCALES = {"unit": Box(0, 1), "signed": Box(-1, 1), "standard": Box(-3, 3), "bytes": Box(0, 255)}
_JUDGED, _FEWEST_JUDGED = 256, 8  # inputs that tell which scale fits what is remembered ...
_CLEAR = 2.0  # how many times farther off another scale must be
_REACH = 4.0  # deviations about its mean within which nearly all of an input lies


def legal_inputs(graph: Graph, domain: Domain | None) -> tuple[tuple[Box, ...], str]:
    """The boxes of a model's inputs, and what was assumed of them in one sentence.

    Args:
        graph: the traced model.
        domain: what the user says; None takes what the first layers suggest, and else [0, 1].

    Raises:
        DomainError: the domain does not fit the model.

    >>> from keras import Input, Sequential, layers
    >>> from paoding.graph import trace
    >>> model = Sequential([Input((2, 2)), layers.Rescaling(1 / 255), layers.Flatten()])
    >>> legal_inputs(trace(model), None)[1]
    'Legal inputs are taken to be 0 to 255, since a Rescaling comes first; pass domain= to say so.'
    """
    names = [x.name for x in graph.model.inputs]
    if domain is not None:
        return resolve(domain, graph.input_shapes, names), ""
    boxes, notes = [], []
    for tensor, symbol, shape in zip(
        graph.flat.inputs, graph.model.inputs, graph.input_shapes, strict=True
    ):
        box, why = _suggested_box(hints_of(graph, tensor), str(symbol.dtype))
        boxes.append(box.fit(shape))
        name = f" of '{symbol.name}'" if len(names) > 1 else ""
        if box.assumed:
            notes.append(
                f"Legal inputs{name} are assumed to be {box.lo:g} to {box.hi:g}, as nothing in "
                "the model tells their range; pass domain= to say so."
            )
        elif why:
            notes.append(f"Legal inputs{name} are taken to be {why}; pass domain= to say so.")
    scale = _remembered_scale(graph, tuple(boxes))
    if scale is not None:
        (box,) = [scale.fit(box.lo.shape) for box in boxes]
        why = f"{scale.lo:g} to {scale.hi:g}, of which scale the first batch normalization was"
        return (box,), f"Legal inputs are taken to be {why}; pass domain= to say so."
    return tuple(boxes), " ".join(notes)


def _remembered_scale(graph: Graph, boxes: tuple[Box, ...]) -> Box | None:
    """The range of the only input that the first batch normalization remembers, if it is clear.

    It keeps the mean and variance of what the first layers made of the training data: inputs of
    another scale give others.
    """
    norms = batch_norms(graph)[:1]
    cost = len(_SCALES) * pass_cost(graph)
    if len(boxes) != 1 or not boxes[0].assumed or not norms:
        return None
    kept = statistics_of(norms[0].op)
    if kept is None or not np.asarray(kept.mean).any():
        return None  # it never saw data
    count = int(np.clip(NORMAL.judging_work / max(cost, 1), _FEWEST_JUDGED, _JUDGED))
    gaps = {}
    image = hints_of(graph, graph.flat.inputs[0]).image is not None
    for name, box in _SCALES.items():
        if name == "bytes" and not image:
            continue
        drawn = choose(graph, (box.fit(boxes[0].lo.shape),)).draw(np.random.default_rng(0), count)
        (z,) = graph.run(graph.original, drawn, norms[0].inputs)
        mean, second = np.split(moment_gaps(norms[0].op, z).mean(axis=0), 2)
        spread = np.maximum(second + 1 - mean**2, 1e-9)
        # The median, as some channels are dead; in ratios, as priors have contrasts of their own.
        gaps[name] = np.median(mean**2 / np.maximum(spread, 1) + (np.log(spread) / 2) ** 2)
    best = min(gaps, key=gaps.__getitem__)
    if _CLEAR * gaps[best] < gaps["unit"]:
        return _SCALES[best]
    return _SCALES["unit"] if _CLEAR * gaps["unit"] < gaps["standard"] else None


def misfit(graph: Graph, boxes: Sequence[Box], inputs: Any) -> str:
    """One sentence where data is not what a run takes for legal inputs, else an empty string.

    Args:
        graph: the traced model; numbers of tokens are not judged.
        boxes: its legal inputs.
        inputs: one array (n, ...), or a list of one for each input.
    """
    arrays = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    for tensor, box, x in zip(graph.flat.inputs, boxes, arrays, strict=False):
        looked_up = hints_of(graph, tensor).values is not None
        found = "" if looked_up else outside(box, x)
        if found:
            return f"The data {found}: set the domain."
    return ""


def _suggested_box(hints: InputHints, dtype: str) -> tuple[Box, str]:
    if isinstance(hints.values, Binned):
        least, most = (float(end) for end in hints.values.ends[[0, -1]])
        return Box(least, most), f"{least:g} to {most:g}, since {hints.reader}"
    if dtype == "uint8":
        return Box(0.0, 255.0), "0 to 255, since they are bytes"
    if 0 < hints.scale < _FROM_BYTES:
        return Box(0.0, 255.0), "0 to 255, since a Rescaling comes first"
    if hints.mean is not None and hints.deviation is not None:
        beyond = (hints.mean < 0) | (hints.mean > 1) | (hints.deviation > _WIDEST)
        if beyond.any():
            reach = _REACH * hints.deviation
            why = f"within {_REACH:g} deviations of the means that the model carries"
            return Box(hints.mean - reach, hints.mean + reach), why
    if hints.values is not None or hints.mean is not None or not dtype.startswith(("float", "bf")):
        return Box(0.0, 1.0), ""
    if hints.dark:
        return Box(0.0, 1.0), "0 to 1, since they are 0 wherever the first layer never saw data"
    return Box(0.0, 1.0, assumed=True), ""

"""Inputs whose class provably stays: for themselves, and for every input close to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paoding.bounds.difference import differences
from paoding.bounds.forms import Form, Network
from paoding.bounds.forward import forward
from paoding.bounds.intervals import Floats, Interval
from paoding.bounds.linear import Linear
from paoding.bounds.lowering import lower
from paoding.bounds.primitives import Program, score_values
from paoding.domain import Box
from paoding.errors import ArgumentError, BoundsError
from paoding.graph import Graph, State, trace

if TYPE_CHECKING:
    import keras

Certify = Callable[[Any, Any, np.ndarray], NDArray[np.bool_]]


def certify(eps: float = 0.0, clip: Box | tuple[Any, Any] | None = None) -> Certify:
    """A judge for ``paoding.evaluate(..., certify=...)``.

    Args:
        eps: radius of the ball around each input, in input units, largest-coordinate norm.
        clip: the legal range of inputs; the ball ends there.

    Returns:
        ``(reference, model, x) -> n booleans``, see :func:`certified_class`.
    """
    return lambda reference, model, x: certified_class(reference, model, x, eps, clip)


def certified_share(
    reference: keras.Model,
    model: keras.Model,
    x: ArrayLike,
    eps: float = 0.0,
    clip: Box | tuple[Any, Any] | None = None,
) -> float:
    """Share of inputs whose class provably stays what the reference says; see
    :func:`certified_class`."""
    return float(np.mean(certified_class(reference, model, x, eps, clip)))


def certified_class(
    reference: keras.Model,
    model: keras.Model,
    x: ArrayLike,
    eps: float = 0.0,
    clip: Box | tuple[Any, Any] | None = None,
) -> NDArray[np.bool_]:
    """Which inputs provably keep the reference's class in a ball around them.

    Args:
        reference: the model before pruning: its class at x itself is the one to keep.
        model: the pruned model, physically smaller or masked.
        x: (n, *input_shape).
        eps: radius in input units, in the largest-coordinate norm; 0 for the inputs alone.
        clip: the legal range; the ball ends there.

    Returns:
        (n,) booleans. True is a proof for real arithmetic: no input in the ball is given
        another class by ``model``. False proves nothing.

    Raises:
        ArgumentError: eps is negative.
        BoundsError: a layer has no rule, or the model has several inputs or outputs.

    Source: ``docs/method.md``, section 12; linear bounds of ``f'_y - f'_k`` for every k.

    >>> import paoding
    >>> model, data = paoding.zoo.load("breast-cancer")
    >>> certified_class(model, model, data.x[:3], eps=0.0).tolist()
    [True, True, True]
    """
    graph = trace(model)
    other = trace(reference)
    points = np.asarray(x, dtype=np.float64)
    classes = classes_of(lower(other, other.original), points)
    program = lower(graph, graph.original)
    return np.array(
        [
            _keeps(graph, program, int(label), _ball(point, eps, clip))
            for label, point in zip(classes, points, strict=True)
        ],
        dtype=bool,
    )


def certified_top1(
    graph: Graph,
    before: State,
    after: State,
    x: ArrayLike,
    eps: float = 0.0,
    clip: Box | tuple[Any, Any] | None = None,
) -> NDArray[np.bool_]:
    """Which inputs provably keep the class that ``before`` gives them, in a ball around them.

    As :func:`certified_class`, for two weightings of one graph. Besides the pruned network
    alone, the original's margin plus the change of the margin is tried.
    """
    old, new = lower(graph, before), lower(graph, after)
    points = np.asarray(x, dtype=np.float64)
    kept = []
    for label, point in zip(classes_of(old, points), points, strict=True):
        ball = _ball(point, eps, clip)
        kept.append(
            _keeps(graph, new, int(label), ball) or _keeps_by_change(graph, old, new, label, ball)
        )
    return np.array(kept, dtype=bool)


def classes_of(program: Program, points: Floats) -> NDArray[np.int64]:
    """The class of each input: the largest score; of one score, whether it is positive."""
    value = _score_value(program)
    scores = forward(program, [Interval.point(points)])[value]
    middle = 0.5 * (scores.lower + scores.upper)
    if middle.shape[-1] == 1:
        return np.asarray((middle[:, 0] > 0).astype(np.int64))
    return np.asarray(middle.argmax(axis=-1))


def _score_value(program: Program) -> int:
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        raise BoundsError("A class is certified only for models of one input and one output.")
    value = score_values(program)[0]
    if len(program.shapes[value]) != 1:
        raise BoundsError("A class is certified only where the output is one row of scores.")
    return value


def _ball(point: Floats, eps: float, clip: Box | tuple[Any, Any] | None) -> Interval:
    if not eps >= 0:
        raise ArgumentError(f"eps={eps} must be 0 or more, in the units of the input.")
    low, high = point - eps, point + eps
    if eps:
        low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    if clip is not None:
        box = clip if isinstance(clip, Box) else Box(*clip)
        low = np.minimum(np.maximum(low, box.lo), point)
        high = np.maximum(np.minimum(high, box.hi), point)
    return Interval.of(low[None], high[None])


def _margins(label: int, count: int) -> Floats:
    """Rows ``e_label - e_k`` for every other class; of one score, its sign."""
    if count == 1:
        return np.array([[1.0 if label else -1.0]])
    rows = -np.eye(count)
    rows[:, label] += 1.0
    return np.delete(rows, label, axis=0)


def _keeps(graph: Graph, program: Program, label: int, ball: Interval) -> bool:
    """Whether the network alone gives the label to the whole ball."""
    value = _score_value(program)
    rows = _margins(label, program.shapes[value][0])
    plain = forward(program, [ball])[value]
    if (_least(rows, plain) > 0).all():  # quick: plain intervals are often enough
        return True
    linear = Linear(graph, program, program)
    twins = differences(graph, program, program, [ball], None, linear)
    if (_least(rows, twins[value].before) > 0).all():
        return True
    form = Form(len(rows))
    form.add_y(value, rows)
    network = Network(program, [t.before for t in twins])
    return bool((linear.substitute(form, value, network, "old") > 0).all())


def _keeps_by_change(graph: Graph, old: Program, new: Program, label: int, ball: Interval) -> bool:
    """Whether the old network's margin outweighs what the change may take from it."""
    value = _score_value(old)
    rows = _margins(int(label), old.shapes[value][0])
    linear = Linear(graph, old, new)
    twins = differences(graph, old, new, [ball], None, linear)
    networks = [
        Network(p, [getattr(t, n) for t in twins]) for p, n in ((old, "before"), (new, "after"))
    ]
    changes: list[Interval | None] = [t.change for t in twins]
    margin, change = Form(len(rows)), Form(len(rows))
    margin.add_y(value, rows)
    change.add_r(value, rows)
    total = np.maximum(
        linear.substitute(margin, value, networks[0], "old"), _least(rows, twins[value].before)
    ) + np.maximum(
        linear.substitute(change, value, networks[0], "change", networks[1], changes),
        _least(rows, twins[value].change),
    )
    return bool((total * (1 - 1e-12) - 1e-290 > 0).all())


def _least(rows: Floats, scores: Interval) -> Floats:
    """The least that each row of +1 and -1 can give for scores within bounds."""
    positive, negative = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
    low, high = scores.lower.reshape(-1), scores.upper.reshape(-1)
    value = positive @ low + negative @ high
    error = 4e-16 * (np.abs(positive) @ np.abs(low) + np.abs(negative) @ np.abs(high))
    result: Floats = value - error
    return result

"""What batch normalization remembers of the training data, and inputs that are made to fit it.

Where a network normalizes batches, it has kept the mean and variance of every channel there: the
only trace of its data that a model carries. They tell how bright an image that is read as one
vector is at each place. Inputs of a prior are then picked by them and moved a little, until whole
batches have these moments and a classifier is sure of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from paoding.domain.box import Canvas
from paoding.effort import Effort
from paoding.graph import Graph
from paoding.graph.flat import Node
from paoding.graph.keras_internals import call
from paoding.layers import statistics_of
from paoding.synthetic.priors import Blobs, Prior, Shaded

if TYPE_CHECKING:
    from paoding.pruning.context import RunContext

_MOST_MOMENTS = 512  # that inputs are picked by
_BATCH = 256  # inputs that have the moments together
_MIXED = 256  # inputs of which a little is mixed into each
_MIXING_STEPS = 15  # of Adam
_BRUSH = 1.0  # pixels: how smoothly an image is painted over
_STRENGTH = 2.0  # of the range of values: of what is painted where a field is 1 all over
_LEAST = 2 / 3  # of the steps: where fewer are affordable, inputs are left as they were
_RATE = 0.1
_SURE = 0.9  # probability of its class from which an input is sure enough
_DOUBT = 0.03  # weight of doubt, in nats, against moments
_PASSES = 3  # forward passes that a step costs
_SHADING_STEPS = 200
_SHADING_BATCHES = 16  # that the steps take in turn
_SOFT = 0.09  # width of a shading's blur, as share of the shorter side


def batch_norms(graph: Graph, most: int | None = _MOST_MOMENTS) -> list[Node]:
    """The first calls of batch normalization, as many as have so few moments; None: all."""
    found, features = [], 0
    for node in graph.nodes:
        kept = statistics_of(node.op)
        if kept is None or kept.axis is None:
            continue
        features += 2 * int(np.prod(kept.mean.shape))
        if most is not None and features > most:
            break
        found.append(node)
    return found


def moment_gaps(norm: Any, z: np.ndarray) -> np.ndarray:
    """How far a sample's first two moments lie from what a normalization keeps: (n, 2 channels)."""
    kept = statistics_of(norm)
    assert kept is not None and kept.axis is not None
    x = np.moveaxis(z, kept.axis, -1)
    mean, variance = np.asarray(kept.mean), np.asarray(kept.variance)
    apart = (x - mean) / np.sqrt(variance + kept.epsilon)
    inside = tuple(range(1, x.ndim - 1))
    return np.concatenate([apart.mean(axis=inside), (apart**2).mean(axis=inside) - 1], axis=1)


def most_inputs(canvases: Sequence[Canvas | None], cost: float, effort: Effort) -> int:
    """How many inputs can be moved in all steps: few that fit tell more than many that do not.

    Args:
        canvases: (height, width, channels) of each input that may be painted over, else None.
        cost: operations that a pass of one sample costs.
        effort: how much work there may be.

    Returns:
        At least one batch, which a larger model moves in fewer steps; 0 where these are too few.
    """
    steps = effort.painting_steps if any(canvases) else _MIXING_STEPS
    affordable = int(effort.painting_work / (_PASSES * steps * max(cost, 1)))
    return max(affordable, _BATCH) if affordable >= _LEAST * _BATCH else 0


def matched(
    run: RunContext,
    rng: np.random.Generator,
    inputs: Sequence[np.ndarray],
    canvases: Sequence[Canvas | None],
    cost: float,
    classes: bool,
) -> list[np.ndarray]:
    """Inputs moved until batches of them have the remembered moments.

    What a convolution or another layer reads in its order is painted over with a smooth field.
    Any other input becomes itself plus a weighted sum of what some other inputs differ from
    their mean by, so that it stays as smooth, or as much of a table, as the prior made it. Field
    and weights are found by gradient descent. Values stay between the least and the largest that
    came in. Moments alone lead to inputs of no class in particular; so they are also moved to
    where a classifier is surer of its class.

    Args:
        run: with the graph, on_progress and the effort.
        rng: chooses the inputs that are mixed in.
        inputs: one array for each input of the model. Whole numbers stay what they are.
        canvases: (height, width, channels) of each input that may be painted over, else None.
        cost: operations that a pass of one sample costs.
        classes: whether the model's one output is the probability of each class.

    Returns:
        As many inputs; the same ones where all are whole numbers.

    Source: data-free distillation by matching batch normalization's statistics (Yin et al. 2020,
    arXiv 1912.08795), here by smooth fields or in the span of a prior's inputs instead of pixel
    by pixel.
    """
    n = len(inputs[0])
    mixed = rng.permutation(n)[:_MIXED]
    painting = run.effort.painting_steps
    ways = [_way(x, canvas, mixed, painting) for x, canvas in zip(inputs, canvases, strict=True)]
    most = max((way.steps for way in ways if way), default=0)
    if not most or n < 2:
        return list(inputs)
    steps = min(most, int(run.effort.painting_work / (_PASSES * _BATCH * max(cost, 1))))
    ranges = [(x.min(), x.max()) if way else (0, 0) for x, way in zip(inputs, ways, strict=True)]
    batch = _Batch(run.graph, ways, ranges, classes, steps)
    # Made ready apart from its calls: TensorFlow takes a few runs for a mistake.
    ready = batch.fitted.get_concrete_function(
        [tf.TensorSpec((_BATCH, *x.shape[1:]), x.dtype) for x in inputs]
    )
    parts = []
    for at in range(0, n, _BATCH):
        run.on_progress("matching batch normalization's statistics", at / n)
        rows = np.arange(at, at + _BATCH) % n  # the last batch is filled up
        parts.append([x.numpy() for x in ready([tf.convert_to_tensor(x[rows]) for x in inputs])])
    return [np.concatenate(part)[:n] for part in zip(*parts, strict=True)]


def shaded(run: RunContext, prior: Prior, cost: float) -> Prior:
    """A flat image's prior, brighter or darker at each place as the remembered moments ask for.

    Each unit of a Dense layer weighs every pixel, so the mean and variance of many units tell
    where images are bright, as far as brightness changes smoothly from place to place. Channels
    of a convolution have the same weights at all places and tell nothing of that kind.

    Args:
        run: with the graph, the legal boxes and on_progress.
        prior: of the model's only input.
        cost: operations that a pass of one sample costs.

    Returns:
        The same prior where it is no flat image, or the model is too large for that.

    Source: ``docs/method.md``, section 6 (statistics that the model carries).
    """
    work = _PASSES * _SHADING_STEPS * _BATCH * cost
    if not isinstance(prior, Blobs) or prior.envelope is None or work > run.effort.painting_work:
        return prior
    run.on_progress("finding where images are bright", 0.0)
    images = prior(np.random.default_rng(0), _SHADING_BATCHES * _BATCH)
    floor = prior.box.fit(images.shape[1:]).lo
    shading = _shading(_MomentGap(run.graph), images.astype(np.float32), floor, prior)
    return Shaded(prior, np.exp(shading), prior.box)


def _shading(moments: _MomentGap, images: np.ndarray, floor: Any, prior: Blobs) -> np.ndarray:
    """The logarithm of the brightness of each pixel: (height, width)."""
    soft = _SOFT * min(prior.height, prior.width)
    down, across = (tf.constant(_blurring(side, soft)) for side in (prior.height, prior.width))
    batches = tf.reshape(tf.constant(images), (_SHADING_BATCHES, _BATCH, *images.shape[1:]))
    low = tf.constant(np.broadcast_to(floor, images.shape[1:]).astype(np.float32))
    most = float(images.max())
    least = float(images.min())

    def smooth(log: Any) -> Any:
        return down @ log @ tf.transpose(across)

    def distance(logs: list[Any], step: Any) -> Any:
        (log,) = logs
        image = low + (batches[step % _SHADING_BATCHES] - low) * tf.reshape(
            tf.exp(smooth(log)), low.shape
        )
        return moments.distance([tf.clip_by_value(image, least, most)])

    @tf.function
    def found() -> Any:
        start = tf.zeros((prior.height, prior.width))
        return smooth(_descended([start], distance, tf.constant(_SHADING_STEPS))[0])

    # Made ready apart from its call: TensorFlow takes a few runs for a mistake.
    return np.asarray(found.get_concrete_function()(), np.float64)


def _blurring(side: int, width: float) -> np.ndarray:
    """A Gaussian blur of one axis as a matrix whose rows have sum 1."""
    place = np.arange(side)
    weight = np.exp(-(((place[:, None] - place) / width) ** 2) / 2)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def _descended(
    start: list[Any], distance: Callable[[list[Any], Any], Any], steps: Any
) -> list[Any]:
    """Variables after so many steps of Adam on ``distance(variables, step)``."""
    at, slopes = start, [tf.zeros_like(x) for x in start]
    squares = slopes
    for k in tf.range(1, steps + 1):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            apart = distance(at, k)
        found = tape.gradient(apart, at, unconnected_gradients="zero")
        time = tf.cast(k, tf.float32)
        slopes = [0.9 * old + 0.1 * new for old, new in zip(slopes, found, strict=True)]
        squares = [0.99 * old + 0.01 * new**2 for old, new in zip(squares, found, strict=True)]
        sizes = [tf.sqrt(square / (1 - 0.99**time)) + 1e-12 for square in squares]
        paces = [slope / (1 - 0.9**time) / size for slope, size in zip(slopes, sizes, strict=True)]
        at = [x - _RATE * pace for x, pace in zip(at, paces, strict=True)]
    return at


@dataclass(frozen=True, eq=False)
class _Way:
    """How inputs may be moved: by a linear function of one variable for each of them.

    Args:
        shape: of the variable of one input.
        move: variables (n, *shape) -> what is added to the inputs (n, ...).
        steps: in which the variables are found.
    """

    shape: tuple[int, ...]
    move: Callable[[Any], Any]
    steps: int


def _way(x: np.ndarray, canvas: Canvas | None, mixed: np.ndarray, painting: int) -> _Way | None:
    """The way in which inputs of this kind are moved; None for whole numbers, which stay.

    Args:
        x: inputs (n, ...).
        canvas: (height, width, channels) of what may be painted over.
        mixed: numbers of those that are mixed into the others where nothing may be painted.
        painting: steps of it.
    """
    if not np.issubdtype(x.dtype, np.floating):
        return None
    if canvas is not None:
        down, across = (tf.constant(_blurring(side, _BRUSH)) for side in canvas[:2])
        down *= _STRENGTH * float(np.ptp(x))

        def paint(field: Any) -> Any:
            smooth = tf.einsum("ij,njkc,lk->nilc", down, field, across)
            return tf.reshape(smooth, (-1, *x.shape[1:]))

        return _Way(canvas, paint, painting)
    # What they differ from their mean by, as rows whose sum with random weights is like one.
    rows = (x[mixed] - x.mean(axis=0)).reshape(len(mixed), -1) / np.sqrt(len(mixed))
    others = tf.constant(rows.astype(np.float32))

    def mix(share: Any) -> Any:
        return tf.reshape(share @ others, (-1, *x.shape[1:]))

    return _Way((len(mixed),), mix, _MIXING_STEPS)


class _MomentGap:
    """How far the moments of a batch are from those that all normalizations remember."""

    def __init__(self, graph: Graph) -> None:
        self._flat = graph.flat
        self._norms: dict[int, tuple[Any, Any, int]] = {}
        for node in batch_norms(graph, None):
            kept = statistics_of(node.op)
            assert kept is not None and kept.axis is not None
            deviation = np.sqrt(np.asarray(kept.variance) + kept.epsilon)
            self._norms[node.index] = np.asarray(kept.mean), deviation, kept.axis

    def distance(self, inputs: list[Any]) -> Any:
        """How far moments are from those remembered, in standard deviations squared."""
        return self.look(inputs)[0]

    def look(self, inputs: list[Any]) -> tuple[Any, Any]:
        """That distance, and the model's first output."""
        known: dict[int, Any] = dict(zip(self._flat.inputs, inputs, strict=True))
        total = 0.0
        for node in self._flat.nodes:
            if node.index in self._norms:
                mean, deviation, axis = self._norms[node.index]
                z = tf.cast(known[node.inputs[0]], tf.float32)
                rest = [a for a in range(z.shape.rank) if a != axis % z.shape.rank]
                found, variance = tf.nn.moments(z, rest)
                width = tf.sqrt(variance + 1e-6) / deviation
                total += tf.reduce_mean(((found - mean) / deviation) ** 2 + (width - 1) ** 2)
            known.update(zip(node.outputs, call(node, known), strict=True))
        return total / len(self._norms), known[self._flat.outputs[0]]


class _Batch:
    """One batch of inputs, moved towards remembered moments.

    Args:
        graph: the traced original.
        ways: how each input may be moved; None for one that stays.
        ranges: the least and the largest value of each input.
        classes: whether the model's one output is the probability of each class.
        steps: of Adam.
    """

    def __init__(
        self,
        graph: Graph,
        ways: Sequence[_Way | None],
        ranges: Sequence[tuple[Any, Any]],
        classes: bool,
        steps: int,
    ) -> None:
        self._moments = _MomentGap(graph)
        self._ways = ways
        self._ranges = ranges
        self._classes = classes
        self._steps = steps

    @tf.function
    def fitted(self, inputs: list[Any]) -> list[Any]:
        """The batch after all steps, from no move at all."""
        goal = tf.argmax(_shares(self._moments.look(inputs)[1]), axis=-1) if self._classes else None

        def distance(variables: list[Any], _: Any) -> Any:
            apart, answers = self._moments.look(self._moved(inputs, variables))
            return apart if goal is None else apart + _DOUBT * _doubt(answers, goal)

        start = [tf.zeros((len(inputs[0]), *way.shape)) for way in self._ways if way]
        return self._moved(inputs, _descended(start, distance, self._steps))

    def _moved(self, inputs: list[Any], variables: list[Any]) -> list[Any]:
        left = iter(variables)
        moved = []
        for x, (least, most), way in zip(inputs, self._ranges, self._ways, strict=True):
            if way:
                x = tf.clip_by_value(x + tf.cast(way.move(next(left)), x.dtype), least, most)
            moved.append(x)
        return moved


def _shares(answers: Any) -> Any:
    """Probabilities of all classes, also where one number stands for two of them."""
    p = tf.cast(answers, tf.float32)
    return tf.concat([1 - p, p], axis=-1) if p.shape[-1] == 1 else p


def _doubt(answers: Any, goal: Any) -> Any:
    """Mean surprise at the class of each input, beyond what is sure enough."""
    given = tf.gather(_shares(answers), goal, batch_dims=1)
    return tf.reduce_mean(tf.nn.relu(np.log(_SURE) - tf.math.log(given + 1e-6)))

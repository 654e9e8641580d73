"""Distillation: all survivors tuned together to the original, on synthetic inputs under attack.

Least squares fits one consumer after another to what the original computes there. What is still
missing shows at the outputs only: this last stage moves all trainable weights a little, so that
the scores match the original's on inputs of the prior, and beside each of them where the smaller
network errs most. No data, no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from paoding.compensation.evidence import Fitted
from paoding.compensation.study import study_of
from paoding.domain.hints import hints_of
from paoding.effort import NORMAL, Effort
from paoding.graph import Graph, State, surgery
from paoding.graph.cost import flops_of, pass_cost
from paoding.graph.flat import Flat
from paoding.graph.heads import head_of, logits
from paoding.graph.keras_internals import call_to_learn, flatten, learnable
from paoding.pruning.context import RunContext
from paoding.synthetic.drawing import sampler_of
from paoding.synthetic.judges import verdict

REACH = 0.05  # of the box's width: how far about an input the two networks are made to agree
_WIDE = 6.0  # deviations of an input, where they are known, that a width is taken to be at most
_RATE = 1e-3  # Adam's, falling to zero along half a cosine
_CAREFUL = 5e-4  # where small batches are met in few steps
_BATCH, _SMALLEST_BATCH = 256, 64
_POOL = 4096  # synthetic inputs, at the most ...
_POOL_BYTES = 1 << 28  # ... and as many as fit in here, with their answers
_HELD = 256  # of them, or a quarter, are not learned from, and say whether it helped
_PASSES = 16  # forward passes of the original that one input of a step costs, about


def affordable(graph: Graph, effort: Effort = NORMAL) -> int:
    """How many steps of distillation a model is given by default; 0 where they would be too few."""
    size = _batch_size(graph, effort)
    whole = min(effort.distil_steps * _BATCH // size, effort.most_distil_steps)
    cheap = int(effort.distil_work / (_PASSES * size * max(_flops(graph), 1)))
    enough = effort.enough_steps
    if cheap >= enough:
        return min(whole, cheap)
    return enough if enough * _PASSES * size * pass_cost(graph) <= effort.most_distil_work else 0


def distilled(run: RunContext, state: State, steps: int) -> State:
    """Tune the survivors of a state to the original.

    Args:
        run: the run: graph, domain, prior and seed.
        state: weights at original shapes and the units that are left.
        steps: of Adam, on batches of inputs each of which is met as it is and attacked.

    Returns:
        The same units with new weights; the given state where they would not match better on
        inputs that were not learned from, of the same kind and of others.

    Source: adversarially robust distillation (Goldblum et al. 2020, arXiv 1905.09747), here on
    synthetic inputs, and with the original's answer at the attacked input as the target.
    """
    graph = run.graph
    small = surgery.cut(graph, state)
    pair = Pair.of(graph, small, run.boxes)
    variables = learnable(small, pair.smaller)
    if not variables:
        return state
    rng = np.random.default_rng([run.settings.seed, 0xD157])
    drawn = _drawn(run, state, rng)
    pool = _typed(graph, drawn)
    size = _batch_size(graph, run.effort)
    rate = _CAREFUL if size < _BATCH and steps <= run.effort.enough_steps else _RATE
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    optimizer.build(variables)

    @tf.function(autograph=False)  # to convert all that is called takes longer than to trace it
    def learn(inputs: list[Any], wanted: list[Any]) -> None:
        inputs, wanted = pair.attacked(inputs, wanted)
        weights = [v.value for v in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            distance = pair.distance(inputs, wanted)
        slopes = tape.gradient(distance, weights, unconnected_gradients="zero")
        optimizer.apply(slopes, variables)

    answers = pair.answers_to(pool, size)  # each is met many times

    def batch(rows: Any) -> tuple[list[Any], list[Any]]:
        met, wanted = ([tf.convert_to_tensor(x[rows]) for x in some] for some in (pool, answers))
        return met, wanted

    apart = min(_HELD, len(pool[0]) // 4)
    held = [[batch(slice(at, min(at + size, apart))) for at in range(0, apart, size)]]
    for other in _other_kinds(run):
        met = _typed(graph, other)
        held.append([(list(map(tf.convert_to_tensor, met)), pair.answers_to(met, size))])

    @tf.function(autograph=False)  # and leaves out gradients by weights, which nobody asks for
    def missed(inputs: list[Any], wanted: list[Any]) -> Any:
        return pair.distance(*pair.attacked(inputs, wanted))

    def distances() -> np.ndarray:
        """On inputs of the own kind that are not learned from, and on each other kind."""
        return np.array([np.mean([missed(*inputs) for inputs in kind]) for kind in held])

    before = distances()
    for number in range(steps):
        run.on_progress("distilling", number / steps)
        learn(*batch(rng.integers(apart, len(pool[0]), size)))
    left = list((distances() + 1e-12) / (before + 1e-12))
    better = verdict(left) < 0  # NaN is no gain either
    if run.study is not None:
        names = run.study.names[1:] or ("held back",)
        told = ", ".join(f"{x:.0%} on {name}" for x, name in zip(left, names, strict=False))
        fit = "distilled" if better else "not distilled"
        run.study.tuned = Fitted("", fit, f"of the scores' error that least squares left: {told}")
    if not better:
        return state
    return surgery.read_back(graph, state, small)


def _drawn(run: RunContext, state: State, rng: np.random.Generator) -> list[np.ndarray]:
    """Synthetic inputs: those of the fit where these are enough."""
    study = study_of(run, state.alive) if run.fits else None
    chosen = sampler_of(run) if study is None else study.chosen
    size = min(_pool_size(run.graph), chosen.most or _POOL)
    if study is None or study.own < size:
        return chosen.draw(rng, size)
    return [x[:size] for x in study.inputs]


def _other_kinds(run: RunContext) -> list[list[np.ndarray]]:
    """Inputs of kinds that nothing was fitted on, if the run has drawn some."""
    study = run.study
    if study is None:
        return []
    numbers = range(2, int(study.kinds.max(initial=0)) + 1)
    return [[x[study.kinds == number] for x in study.inputs] for number in numbers]


def _typed(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Inputs in the types that the model takes."""
    kinds = [graph.flat.dtypes[t] for t in graph.flat.inputs]
    return [x if k == "string" else x.astype(k) for x, k in zip(inputs, kinds, strict=True)]


def _flops(graph: Graph) -> int:
    return sum(map(flops_of, graph.sample_nodes))


def _pool_size(graph: Graph) -> int:
    outputs = [[d or 1 for d in graph.flat.shapes[t]] for t in graph.flat.outputs]
    each = 4 * sum(int(np.prod(shape)) for shape in (*graph.sample_shapes, *outputs))
    return int(np.clip(_POOL_BYTES // max(each, 1), 2 * _HELD, _POOL))


def _batch_size(graph: Graph, effort: Effort) -> int:
    """As many inputs a step as are quickly met, in powers of two."""
    most = effort.batch_work / (_PASSES * effort.distil_steps * max(_flops(graph), 1))
    size = _BATCH
    while size > max(most, _SMALLEST_BATCH):
        size //= 2
    return size


@dataclass(frozen=True, eq=False)
class Pair:
    """The original and a smaller network, compared at their scores.

    Args:
        original, smaller: calls of both.
        widths: of the inputs that are met, one array for each input: legal, and no wider than they
            vary where the model knows (a column that was always the same may be divided by 1e-7).
        heads: the final activation of each output, "softmax", "sigmoid" or "".
    """

    original: Flat
    smaller: Flat
    widths: tuple[Any, ...]
    heads: tuple[str, ...]

    @classmethod
    def of(cls, graph: Graph, small: Any, boxes: Sequence[Any]) -> Pair:
        """Compare a model with the original of a graph."""
        widths = []
        for box, shape, tensor in zip(boxes, graph.input_shapes, graph.flat.inputs, strict=True):
            deviation = hints_of(graph, tensor).deviation
            width = box.width(shape)
            widths.append(width if deviation is None else np.minimum(width, _WIDE * deviation))
        makers = {t: node for node in graph.nodes for t in node.outputs}
        heads = [head_of(makers[t].op) if t in makers else "" for t in graph.flat.outputs]
        return cls(graph.flat, flatten(small), tuple(widths), tuple(heads))

    def answers_to(self, pool: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
        """The original's scores, one array for each output, worked out ``size`` inputs at once."""
        parts = [
            self._answers([tf.convert_to_tensor(x[at : at + size]) for x in pool])
            for at in range(0, len(pool[0]), size)
        ]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def distance(self, inputs: Sequence[Any], wanted: Sequence[Any]) -> Any:
        """Mean squared difference of the scores; a softmax does not see a common shift."""
        total = 0.0
        for goal, found, head in self._beside(inputs, wanted):
            away = found - goal
            if head == "softmax":
                away -= tf.reduce_mean(away, axis=-1, keepdims=True)
            total += tf.reduce_mean(tf.square(away))
        return total

    def attacked(self, inputs: Sequence[Any], wanted: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Inputs, and the same again one sign step towards where the smaller network errs.

        Whole numbers, such as those of tokens, cannot be moved and are met twice.

        Args:
            inputs: one tensor for each input of the networks.
            wanted: what the original answers to them.

        Returns:
            Inputs of twice the length, and what the original answers to these.
        """
        real = [x for x in inputs if x.dtype.is_floating]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(real)
            harm = self._harm(inputs, wanted)
        slopes = iter(tape.gradient(harm, real, unconnected_gradients="zero"))
        moved = []
        for x, width in zip(inputs, self.widths, strict=True):
            if x.dtype.is_floating:
                x = x + tf.cast(REACH * width, x.dtype) * tf.sign(next(slopes))
            moved.append(x)
        pairs = ((inputs, moved), (wanted, self._answers(moved)))
        both = [[tf.concat(p, axis=0) for p in zip(*pair, strict=True)] for pair in pairs]
        return both[0], both[1]

    def _harm(self, inputs: Sequence[Any], wanted: Sequence[Any]) -> Any:
        """What grows as the smaller network leaves the original's answers."""
        total = 0.0
        for goal, found, head in self._beside(inputs, wanted):
            if head == "sigmoid" or goal.shape[-1] in (1, None):
                total -= tf.reduce_sum(found * tf.sign(goal))
            else:
                best = tf.one_hot(tf.argmax(goal, axis=-1), goal.shape[-1])
                rivals = tf.reduce_max(found - 1e9 * best, axis=-1)
                total += tf.reduce_sum(rivals - tf.reduce_sum(found * best, axis=-1))
        return total

    def _answers(self, inputs: Sequence[Any]) -> list[Any]:
        return scores(self.original, inputs)

    def _beside(self, inputs: Sequence[Any], wanted: Sequence[Any]) -> list[tuple[Any, Any, str]]:
        return list(zip(wanted, scores(self.smaller, inputs), self.heads, strict=True))


def scores(flat: Flat, inputs: Sequence[Any]) -> list[Any]:
    """A network's outputs before their final softmax or sigmoid, in float32."""
    known: dict[int, Any] = dict(zip(flat.inputs, inputs, strict=True))
    found: dict[int, Any] = {t: tf.cast(known[t], tf.float32) for t in flat.outputs if t in known}
    for node in flat.nodes:
        known.update(zip(node.outputs, call_to_learn(node, known), strict=True))
        for t in node.outputs:
            if t in flat.outputs:
                found[t] = tf.cast(logits(node, known), tf.float32)
    found = {t: z[:, None] if len(z.shape) == 1 else z for t, z in found.items()}
    return [found[t] for t in flat.outputs]

"""Small networks of every layer type, random weights, plans and boxes for them, and attacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import layers

from paoding.bounds.forward import forward
from paoding.bounds.intervals import Interval
from paoding.bounds.lowering import lower
from paoding.bounds.primitives import (
    Affine,
    Apply,
    Largest,
    Primitive,
    Product,
    Program,
    Quotient,
    Softmax,
)
from paoding.domain import Box
from paoding.graph import Graph, State, trace

ACTIVATIONS = [
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "softplus",
    "squareplus",
    "log_sigmoid",
    "sigmoid",
    "hard_sigmoid",
    "hard_tanh",
    "softsign",
    "tanh",
    "silu",
    "hard_silu",
    "gelu",
    "soft_shrink",
    "tanh_shrink",
    "exponential",
]

# Sides of boxes: a point, next to one, small, usual, large, absurd.
SIZES = [0.0, 1e-12, 1e-9, 1e-4, 0.02, 0.1, 0.5, 2.0, 50.0, 1e4]

Build = Callable[[], keras.Model]
NETWORKS: dict[str, Build] = {}


def network(build: Build) -> Build:
    NETWORKS[build.__name__] = build
    return build


def _dense(activation: str) -> Build:
    def build() -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((3,)),
                layers.Dense(6, activation, name="one"),
                layers.Dense(5, activation, name="two"),
                layers.Dense(3, name="out"),
            ]
        )

    return build


for _name in ACTIVATIONS:
    NETWORKS[f"dense_{_name}"] = _dense(_name)


@network
def deep() -> keras.Model:
    hidden = [layers.Dense(5, "relu") for _ in range(5)]
    return keras.Sequential([keras.Input((3,)), *hidden, layers.Dense(2)])


@network
def classifier() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, "relu"),
            layers.Dense(5, "tanh"),
            layers.Dense(4, "softmax"),
        ]
    )


@network
def batch_norms() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.BatchNormalization(),
            layers.Dense(6, use_bias=False),
            layers.BatchNormalization(scale=False),
            layers.ReLU(),
            layers.Dense(5),
            layers.BatchNormalization(center=False),
            layers.LeakyReLU(negative_slope=0.1),
            layers.Dense(2, "sigmoid"),
        ]
    )


@network
def rectifiers() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(5),
            layers.ReLU(max_value=2.0),
            layers.Dense(5),
            layers.ReLU(negative_slope=0.3),
            layers.Dense(5),
            layers.ELU(alpha=0.5),
            layers.Dense(5),
            layers.PReLU(alpha_initializer=keras.initializers.Constant(0.2)),
            layers.Dense(2),
            layers.Softmax(),
        ]
    )


@network
def convolutions() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Conv2D(3, 2, padding="valid", activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


@network
def strided() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="tanh"),
            layers.AveragePooling2D(2, 1, padding="same"),
            layers.Conv2D(4, 2, dilation_rate=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax"),
        ]
    )


@network
def mobile() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
            layers.ReLU(max_value=6.0),
            layers.Conv2D(4, 1, activation="hard_silu"),
            layers.SeparableConv2D(4, 2, activation="relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2),
        ]
    )


@network
def grouped() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2D(4, 2, groups=2, activation="relu"),
            layers.Conv2DTranspose(3, 2, strides=2, activation="relu"),
            layers.UpSampling2D(2),
            layers.Cropping2D(2),
            layers.ZeroPadding2D(1),
            layers.Conv2D(2, 3),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


@network
def signals() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6, 1)),
            layers.Conv1D(4, 3, padding="causal", activation="relu"),
            layers.MaxPooling1D(2),
            layers.Conv1D(4, 2, activation="gelu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2),
        ]
    )


@network
def volumes() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((2, 3, 2, 1)),
            layers.Conv3D(3, 2, padding="same", activation="relu"),
            layers.MaxPooling3D((1, 2, 2), padding="same"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


@network
def residual() -> keras.Model:
    x = inputs = keras.Input((3,))
    x = layers.Dense(5, "relu")(x)
    y = layers.Dense(5, "relu")(x)
    y = layers.Dense(5)(y)
    x = layers.Activation("relu")(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(2)(x))


@network
def branches() -> keras.Model:
    inputs = keras.Input((3,))
    a = layers.Dense(4, "relu")(inputs)
    b = layers.Dense(3, "tanh")(inputs)
    x = layers.Concatenate()([a, b, a])
    c, d = layers.Dense(4, "sigmoid")(x), layers.Dense(4)(x)
    joined = [
        layers.Maximum()([c, d]),
        layers.Minimum()([c, d]),
        layers.Multiply()([c, d]),
        layers.Average()([c, d]),
        layers.Subtract()([c, d]),
    ]
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(joined)))


@network
def shared() -> keras.Model:
    a, b = keras.Input((2,)), keras.Input((2,))
    body = layers.Dense(5, "relu")
    head = layers.Dense(3, "relu")
    x, y = head(body(a)), head(body(b))
    both = layers.Concatenate()([x, y])
    return keras.Model([a, b], [layers.Dense(2)(both), layers.Dense(1, "sigmoid")(x)])


@network
def raw_operations() -> keras.Model:
    inputs = keras.Input((4,))
    x = layers.Dense(6)(inputs)
    x = keras.ops.relu(x) * 2.0 - 0.5
    x = keras.ops.reshape(x, (-1, 2, 3))
    x = keras.ops.transpose(x, (0, 2, 1))
    x = keras.ops.mean(x, axis=1)
    x = layers.Dense(5, "silu")(x)
    x = keras.ops.maximum(x, keras.ops.negative(x))
    return keras.Model(inputs, layers.Dense(2)(x))


@network
def attention_gate() -> keras.Model:
    inputs = keras.Input((3, 3, 2))
    x = layers.Conv2D(4, 2, activation="silu")(inputs)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(3, 1, activation="relu")(gate)
    gate = layers.Conv2D(4, 1, activation="hard_sigmoid")(gate)
    x = layers.Multiply()([x, gate])
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


@network
def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(5, "relu"), layers.Dense(4, "elu")])
    inputs = keras.Input((2,))
    x = layers.Dense(4, "relu")(layers.Rescaling(0.5, 0.1)(inputs))
    return keras.Model(inputs, layers.Dense(2)(inner(layers.Dropout(0.5)(x))))


@network
def rows() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((2, 3)),
            layers.TimeDistributed(layers.Dense(4, "relu")),
            layers.Permute((2, 1)),
            layers.Dense(3, "tanh"),
            layers.Reshape((12,)),
            layers.RepeatVector(2),
            layers.Dense(3, "relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


@cache
def graph_of(name: str) -> Graph:
    """The traced network, made once."""
    keras.utils.set_random_seed(0)
    return trace(NETWORKS[name]())


@dataclass(frozen=True)
class Case:
    """Two weightings of a network, a box, and the removals between them."""

    graph: Graph
    before: State
    after: State
    boxes: list[Box]
    removals: list[Any]

    def points(self, rng: np.random.Generator, count: int) -> list[np.ndarray]:
        """Inputs inside the box: corners for the most part, then anything."""
        made = []
        for box, tensor in zip(self.boxes, self.graph.flat.inputs, strict=True):
            shape = self.graph.flat.shapes[tensor][1:]
            lo, hi = (np.broadcast_to(b, shape) for b in (box.lo, box.hi))
            u = rng.random((count, *shape))
            u[: count // 2] = u[: count // 2].round()
            made.append(np.clip(lo + u * (hi - lo), lo, hi))
        return made


def random_state(graph: Graph, rng: np.random.Generator) -> State:
    """Weights of many sizes, some duplicated, some zero."""
    scale = rng.choice([0.1, 0.5, 1.0, 3.0])
    changed = {}
    for number, variable in enumerate(graph.variables):
        shape, name = variable.shape, variable.name
        if "seed" in name:
            continue
        value = rng.normal(0, 1, shape)
        if "variance" in name:
            value = rng.uniform(0.05, 2, shape)
        elif "alpha" in name:
            value = rng.uniform(0, 1, shape)
        elif "kernel" in name:
            value *= scale / max(1.0, np.sqrt(np.prod(shape[:-1])) / 2)
            if rng.random() < 0.3 and shape[-1] > 2:  # units that are nearly alike
                value[..., 1] = value[..., 0] + rng.choice([0, 1e-7, 1e-2]) * value[..., 1]
        changed[number] = value.astype(np.float32)
    return graph.original.replace(changed)


def random_plan(graph: Graph, state: State, rng: np.random.Generator) -> tuple[State, list[Any]]:
    """Merges (in chains too), plain removals, and other compensation, as masked weights."""
    values = {i: np.array(v) for i, v in enumerate(state.values)}
    removals = []
    for group in graph.prunable:
        if rng.random() < 0.25:
            continue
        alive = [int(u) for u in np.flatnonzero(group.removable)]
        for _ in range(int(rng.integers(1, max(2, len(alive))))):
            if len(alive) < 2:
                break
            gone = alive.pop(int(rng.integers(len(alive))))
            into = int(rng.choice(alive)) if rng.random() < 0.75 else None
            removals.append(SimpleNamespace(group=group.name, unit=gone, into=into))
            for member in group.with_role("consume"):
                value = np.moveaxis(values[member.variable], member.axis, 0)
                indices = member.indices
                if indices is None:
                    continue
                if into is not None:
                    value[indices[into]] += value[indices[gone]]
                value[indices[gone]] = 0
    if rng.random() < 0.3:  # as distillation does: all that can be trained moves together
        size = rng.choice([0.01, 0.05, 0.3])
        for number, variable in enumerate(graph.variables):
            if variable.trainable:
                noise = rng.normal(0, size, variable.shape).astype(np.float32)
                stays = "kernel" in variable.name and values[number] == 0  # rows of units gone
                values[number] = values[number] + np.where(stays, 0, noise)
                if "alpha" in variable.name:  # slopes outside of [0, 1] have no certificate
                    values[number] = values[number].clip(0, 1)
    return state.replace(values), removals


def random_case(name: str, seed: int) -> Case:
    """Weights, a plan and a box of any size (degenerate ones too), from one seed."""
    rng = np.random.default_rng([seed, *map(ord, name)])
    graph = graph_of(name)
    before = random_state(graph, rng)
    after, removals = random_plan(graph, before, rng)
    boxes = []
    for tensor in graph.flat.inputs:
        shape = graph.flat.shapes[tensor][1:]
        lo = rng.normal(0, 1, shape) * rng.choice([1.0, 1.0, 1.0, 1e3])
        size = rng.choice(SIZES) * (rng.random(shape) < rng.choice([0.5, 1.0]))
        boxes.append(Box(lo, lo + size))
    return Case(graph, before, after, boxes, removals)


def exact(program: Program, points: list[np.ndarray]) -> list[Interval]:
    """Every value at given inputs: intervals a few roundings wide that hold the true number."""
    return forward(program, [Interval.point(p) for p in points])


def worst_points(
    case: Case, programs: tuple[Program, Program], rng: np.random.Generator, rounds: int = 4
) -> list[np.ndarray]:
    """Corner search: keep the points where an output's change is largest, move them, repeat."""
    points = case.points(rng, 96)
    shapes = [p.shape[1:] for p in points]
    for _ in range(rounds):
        before, after = (exact(program, points) for program in programs)
        changes = [
            (after[v].lower - before[v].lower).reshape(len(points[0]), -1)
            for v in programs[0].outputs
        ]
        every = np.concatenate(changes, axis=1)
        best = np.unique(np.concatenate([every.argmax(axis=0), every.argmin(axis=0)]))
        moved = []
        for p, box, shape in zip(points, case.boxes, shapes, strict=True):
            lo, hi = (np.broadcast_to(b, shape) for b in (box.lo, box.hi))
            tries = np.repeat(p[best], 8, axis=0)
            flip = rng.random(tries.shape) < 0.25
            corner = np.where(rng.random(tries.shape) < 0.5, lo, hi)
            moved.append(np.concatenate([p, np.where(flip, corner, tries)]))
        points = moved
    return points


@dataclass(frozen=True)
class Goals:
    """What each point of an ascent climbs: one entry of one value, as ``old a + new b``.

    Args:
        values, entries: (P,) which entry of which value.
        old, new: (P,) its weights in the two networks: (-1, 1) for the change, (0, -1) for the
            least value of the new network, and so on.
    """

    values: np.ndarray
    entries: np.ndarray
    old: np.ndarray
    new: np.ndarray

    def of(self, old: list[Interval], new: list[Interval]) -> np.ndarray:
        """(P,) how high each point is."""
        height = np.empty(len(self.values))
        for value in np.unique(self.values):
            here = np.flatnonzero(self.values == value)
            a, b = (v[value].lower.reshape(len(height), -1) for v in (old, new))
            entry = self.entries[here]
            height[here] = self.old[here] * a[here, entry] + self.new[here] * b[here, entry]
        return height

    def rows(self, program: Program, weights: np.ndarray) -> dict[int, np.ndarray]:
        """Value -> (P, *shape): each point's weight at its own entry."""
        found = {}
        for value in np.unique(self.values):
            here = np.flatnonzero(self.values == value)
            row = np.zeros((len(weights), int(np.prod(program.shapes[value]))))
            row[here, self.entries[here]] = weights[here]
            found[int(value)] = row.reshape(len(weights), *program.shapes[value])
        return found


def goals_of(program: Program, rng: np.random.Generator, inner: int, restarts: int) -> Goals:
    """Both sides of every output's change, and of some entries (changes, values) further in."""
    picked = [
        (value, entry, -1.0, 1.0)
        for value in program.outputs
        for entry in range(int(np.prod(program.shapes[value])))
    ]
    made = [step.output for step in program.steps]
    for _ in range(inner):
        value = int(rng.choice(made))
        entry = int(rng.integers(np.prod(program.shapes[value])))
        picked.append((value, entry, *((-1.0, 1.0), (1.0, 0.0), (0.0, 1.0))[rng.integers(3)]))
    every = np.repeat(np.array(picked), 2 * restarts, axis=0)
    side = np.tile([1.0, -1.0], len(every) // 2)
    return Goals(
        every[:, 0].astype(int), every[:, 1].astype(int), every[:, 2] * side, every[:, 3] * side
    )


def gradient(
    program: Program, values: list[Interval], rows: dict[int, np.ndarray]
) -> list[np.ndarray]:
    """The gradient of ``sum rows[v] * value_v`` at each input, point by point."""
    known, back = [v.lower for v in values], dict(rows)
    for step in reversed(program.steps):
        behind = back.pop(step.output, None)
        if behind is None:
            continue
        inputs = [known[i] for i in step.inputs]
        for i, part in zip(step.inputs, _pulled(step.primitive, inputs, behind), strict=True):
            part = part.reshape(len(behind), *program.shapes[i])
            back[i] = back[i] + part if i in back else part
    nothing = np.zeros(())
    return [back.get(i, nothing) + np.zeros_like(known[i]) for i in program.inputs]


def _pulled(primitive: Primitive, x: list[np.ndarray], g: np.ndarray) -> list[np.ndarray]:
    """What a step's output is worth at its inputs: the chain rule, one step of it."""
    if isinstance(primitive, Affine):
        return [linear.adjoint(g) for linear in primitive.maps]
    if isinstance(primitive, Apply):
        h = 1e-6 * (1.0 + np.abs(x[0]))
        rise = primitive.kind._value(x[0] + h) - primitive.kind._value(x[0] - h)
        return [g * np.clip(np.nan_to_num(rise / (2 * h)), -1e6, 1e6)]
    if isinstance(primitive, Softmax):
        e = np.exp(x[0] - x[0].max(axis=-1, keepdims=True))
        p = e / e.sum(axis=-1, keepdims=True)
        return [p * (g - (g * p).sum(axis=-1, keepdims=True))]
    if isinstance(primitive, Product):
        return [g * x[1], g * x[0]]
    if isinstance(primitive, Quotient):
        return [g / x[1], -g * x[0] / x[1] ** 2]
    assert isinstance(primitive, Largest)
    sizes = [a[0].size for a in x]
    starts = np.cumsum([0, *sizes])
    numbers = [
        np.arange(s, s + n, dtype=float).reshape(1, *a.shape[1:])
        for s, n, a in zip(starts, sizes, x, strict=False)
    ]
    entries = np.stack(primitive.readings(numbers, -1.0))
    wins = np.stack(primitive.readings(x, -np.inf)).argmax(axis=0)
    winner = np.take_along_axis(
        np.broadcast_to(entries, (len(entries), *wins.shape)), wins[None], 0
    )
    flat = np.zeros((len(g), starts[-1]))
    where = winner[0].reshape(len(g), -1).astype(int)
    np.add.at(flat, (np.arange(len(g))[:, None], where), g.reshape(len(g), -1))
    return [flat[:, s : s + n] for s, n in zip(starts, sizes, strict=False)]


def ascent(
    case: Case,
    programs: tuple[Program, Program],
    rng: np.random.Generator,
    inner: int = 16,
    restarts: int = 3,
    rounds: int = 10,
) -> list[np.ndarray]:
    """Sign-gradient ascent, projected on the box: the highest point of each goal and restart."""
    goals = goals_of(programs[0], rng, inner, restarts)
    points = case.points(rng, len(goals.values))
    order = rng.permutation(len(goals.values))  # corners and inside points for every goal
    points = best = [p[order] for p in points]
    top = np.full(len(order), -np.inf)
    edges = [
        tuple(np.broadcast_to(b, p.shape[1:]) for b in (box.lo, box.hi))
        for p, box in zip(points, case.boxes, strict=True)
    ]
    for k in range(rounds):
        values = [exact(program, points) for program in programs]
        height = goals.of(*values)
        rises, top = height > top, np.maximum(top, height)
        best = [np.where(_like(rises, p), p, b) for p, b in zip(points, best, strict=True)]
        slopes = [
            gradient(program, known, goals.rows(program, weights))
            for program, known, weights in zip(
                programs, values, (goals.old, goals.new), strict=True
            )
        ]
        points = [
            np.clip(p + np.sign(a + b) * (hi - lo) * 0.7**k, lo, hi)
            for p, a, b, (lo, hi) in zip(points, *slopes, edges, strict=True)
        ]
    return [np.concatenate(pair) for pair in zip(best, points, strict=True)]


def _like(choice: np.ndarray, points: np.ndarray) -> np.ndarray:
    return choice.reshape(-1, *(1,) * (points.ndim - 1))


def programs_of(case: Case) -> tuple[Program, Program]:
    return lower(case.graph, case.before), lower(case.graph, case.after)

"""What every proof about graph and surgery needs: random weights, removals, the comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from paoding.graph import Graph, State, surgery, trace

TOLERANCE = 1e-5  # of the outputs' scale


def randomize(model: Any, seed: int = 0) -> Any:
    """Give every weight a random value, statistics included, so that nothing is zero by luck."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if "float" not in str(weight.dtype):
            continue
        if "variance" in weight.name:
            value = rng.uniform(0.5, 2.0, shape)
        elif len(shape) < 2:
            value = rng.normal(0.3, 0.6, shape)
        else:
            value = rng.normal(0, 1 / np.sqrt(max(np.prod(shape[:-1]), 1)), shape)
        weight.assign(value.astype("float32"))
    return model


def samples(model: Any, seed: int = 1) -> Any:
    """A batch of three random inputs in the structure that the model takes."""
    rng = np.random.default_rng(seed)

    def one(symbol: Any) -> np.ndarray:
        shape = (3, *(6 if size is None else size for size in symbol.shape[1:]))
        if "int" in str(symbol.dtype):
            return rng.integers(0, 5, shape).astype(str(symbol.dtype))
        return rng.normal(0, 1, shape).astype("float32")

    return keras.tree.map_structure(one, model.input)


def outputs(model: Any, x: Any, xla: bool = False) -> list[np.ndarray]:
    """Every output of a model at inference, as one list; ``xla`` for channels_first on a CPU."""
    call: Any = lambda v: model(v, training=False)  # noqa: E731
    made = tf.function(call, jit_compile=True)(x) if xla else call(x)
    return [np.asarray(y, dtype=np.float64) for y in keras.tree.flatten(made)]


def assert_equal(ours: list[np.ndarray], theirs: list[np.ndarray], tolerance: float) -> None:
    """Outputs agree relative to their own scale, and are not all the same by luck."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert np.isfinite(b).all()
        scale = max(float(np.abs(b).max()), 1e-6)
        assert float(np.abs(a - b).max()) <= tolerance * scale


def without(graph: Graph, removed: Mapping[str, Iterable[int]]) -> State:
    """The state in which some units are gone and all that read them see zeros."""
    alive, values = graph.original.alive.copy(), {}
    for name, units in removed.items():
        group = graph.by_name[name]
        gone = np.array(list(units), dtype=int)
        assert group.removable[gone].all(), (name, group.reason)
        alive[group.ids[gone]] = False
        for member in group.with_role("consume"):
            value = values.setdefault(
                member.variable, graph.original.values[member.variable].copy()
            )
            np.moveaxis(value, member.axis, 0)[np.isin(member.unit, gone)] = 0
    return graph.original.replace(values, alive)


def pick(graph: Graph, where: str, seed: int = 0) -> dict[str, list[int]]:
    """Units to remove from every prunable group: first, middle, last or several."""
    rng = np.random.default_rng(seed)
    found = {}
    for group in graph.prunable:
        may = np.flatnonzero(group.removable)
        most = min(len(may), group.units - 1)
        if most < 1:
            continue
        places = {"first": [0], "middle": [len(may) // 2], "last": [-1]}
        if where == "several":
            chosen = np.sort(rng.choice(may, min(most, max(2, group.units // 2)), replace=False))
        else:
            chosen = may[places[where]]
        found[group.name] = [int(u) for u in chosen]
    return found


@pytest.fixture
def prove(tmp_path: Path) -> Callable[..., Any]:
    """Remove units, and assert that cutting them equals zeroing what reads them."""

    def proof(
        model: Any,
        where: str | Mapping[str, Iterable[int]] = "several",
        *,
        xla: bool = False,
        save: bool = True,
        custom: dict[str, Any] | None = None,
        tolerance: float = TOLERANCE,
        x: Any = None,
    ) -> Any:
        before = [np.array(w) for w in model.weights]
        graph = trace(model)
        removed = pick(graph, where) if isinstance(where, str) else where
        assert removed, str(graph)
        state = without(graph, removed)
        x = samples(model) if x is None else x
        masked = outputs(surgery.mask(graph, state), x, xla)
        assert any(
            np.abs(a - b).max() > 0 for a, b in zip(masked, outputs(model, x, xla), strict=True)
        ), "what was removed changed nothing, so the comparison would prove nothing"
        smaller = surgery.cut(graph, state)
        assert smaller.count_params() < model.count_params()
        assert_equal(outputs(smaller, x, xla), masked, tolerance)
        if save:
            path = tmp_path / "smaller.keras"
            smaller.save(path)
            loaded = keras.models.load_model(path, custom_objects=custom)
            assert_equal(outputs(loaded, x, xla), masked, tolerance)
        for old, now in zip(before, model.weights, strict=True):
            np.testing.assert_array_equal(old, np.array(now))
        return smaller

    return proof

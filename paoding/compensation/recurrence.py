"""How LSTM, GRU and SimpleRNN are fitted; what their units are is in ``layers.recurrent``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from paoding.compensation.consumers import Consumer, Rows
from paoding.graph import Graph
from paoding.graph.flat import Node
from paoding.graph.keras_internals import call_in_one, config_of, revive
from paoding.layers import rule_for

_BATCH = 1024  # sequences whose states are held at once


@dataclass(frozen=True, eq=False)
class Recurrence(Consumer):
    """A recurrent kernel: a weight that reads what its own layer put out a step before.

    Its rows are the states under the original's weights, on inputs as they are now: so it is
    fitted to what the original's recurrence computes, and errors do not pile up along time.

    Args:
        layer: the recurrent layer, one direction of a bidirectional one.
    """

    layer: Any = None

    @property
    def key(self) -> int:
        return -1 - self.variable  # no tensor of the graph

    def whole(self, graph: Graph) -> bool:
        alone = len(self.nodes) == 1 and len(self.nodes[0].inputs) == 1
        return alone and not self.layer.stateful

    def places(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (max(shape[1] - 1, 1),)

    def rows(self, x: np.ndarray, where: np.ndarray | None) -> Rows:
        """The states that are read: (n * places, units); the start, which is zero, is left out."""
        if x.shape[1] == 1:
            return np.zeros((len(x), len(self.units)), x.dtype)
        parts = []
        for start in range(0, len(x), _BATCH):
            made = call_in_one(self._sequence, (x[start : start + _BATCH],), {"training": False})
            states = np.asarray(made)[:, : x.shape[1] - 1]
            parts.append(states if where is None else states[:, where])
        return np.concatenate(parts).reshape(-1, len(self.units))

    @cached_property
    def _sequence(self) -> Any:
        return as_sequence(self.layer, int(self.nodes[0].in_shapes[0][-1] or 0))


def recurrences_of(graph: Graph) -> tuple[Recurrence, ...]:
    """Every recurrent kernel whose units may go, in the order in which data meets it."""
    found = {}
    for group in graph.prunable:
        for member in group.with_role("consume"):
            node = graph.nodes[member.binding.node]
            for layer in directions(node.op):
                if graph.number(layer.cell.recurrent_kernel) == member.variable:
                    found[member.variable] = Recurrence(
                        variable=member.variable,
                        axis=0,
                        nodes=tuple(n for n in graph.nodes if n.op is node.op),
                        source=(node.inputs[0],),
                        units=graph.axes[member.variable, 0],
                        full=False,
                        tensor_axis=-1,
                        layer=layer,
                    )
    return tuple(found.values())


def directions(op: Any) -> tuple[Any, ...]:
    """The recurrent layers that a call runs: a bidirectional layer's two, or the layer itself."""
    rule = rule_for(op)
    return () if rule is None else rule.recurrences(op)


def as_sequence(layer: Any, width: int) -> Any:
    """A copy of a recurrent layer that puts out the state after each step, in its own order."""
    config = {**config_of(layer), "return_sequences": True, "return_state": False}
    if "cell" in config:
        config["cell"].pop("build_config", None)  # it holds the width of before
    made = revive(layer, config)
    made.build((None, None, width))
    _copy(layer, made, layer.cell.kernel)
    return made


def listening(op: Any, width: int) -> Any:
    """A copy of a recurrent layer whose input has further columns that act like its states.

    What stands there joins the pre-activations as the states of the step before do, so the
    outputs feel it alike: gradients by these columns are those by the states that the
    recurrence reads. (A GRU resets the states only; there it is an estimate.)

    Args:
        op: the layer, with one column more for each unit of each direction.
        width: columns of its own input.
    """
    own = directions(op)
    units = [layer.cell.units for layer in own]
    config = config_of(op)
    for inner in ("layer", "backward_layer", "cell"):
        if inner in config:
            config[inner].pop("build_config", None)  # it holds the width of before
    made = revive(op, config)
    made.build((None, None, width + sum(units)))
    for number, (layer, copy) in enumerate(zip(own, directions(made), strict=True)):
        recurrent = np.asarray(layer.cell.recurrent_kernel)
        blocks = [
            recurrent if other == number else np.zeros((count, recurrent.shape[1]))
            for other, count in enumerate(units)
        ]
        _copy(layer, copy, np.concatenate([np.asarray(layer.cell.kernel), *blocks]))
    return made


def _copy(layer: Any, made: Any, kernel: Any) -> None:
    made.cell.kernel.assign(kernel)
    made.cell.recurrent_kernel.assign(layer.cell.recurrent_kernel)
    if layer.cell.use_bias:
        made.cell.bias.assign(layer.cell.bias)


@dataclass(frozen=True, eq=False)
class Listener:
    """One call whose states are listened to, with the consumers that read them.

    Args:
        node: the call.
        consumers: in the order of its directions.
        layer: what is called instead, see :func:`listening`.
    """

    node: Node
    consumers: tuple[Recurrence, ...]
    layer: Any

    @classmethod
    def of(cls, consumers: Sequence[Consumer]) -> dict[int, Listener]:
        """Node's number -> listener, for all recurrences among some consumers."""
        found: dict[int, list[Recurrence]] = {}
        for consumer in consumers:
            if isinstance(consumer, Recurrence):
                found.setdefault(consumer.nodes[0].index, []).append(consumer)
        listeners = {}
        for index, own in found.items():
            node = own[0].nodes[0]
            layer = listening(node.op, int(node.in_shapes[0][-1] or 0))
            listeners[index] = cls(node, tuple(own), layer)
        return listeners

    def call(self, x: Any, watch: Any) -> tuple[list[Any], dict[int, Any]]:
        """Outputs of the call, and the zeros that stand for the states: consumer's key -> tensor.

        Args:
            x: what the call reads, (n, steps, channels).
            watch: is given each of the zeros before they are used.
        """
        zeros = {}
        columns = [x]
        for direction in directions(self.node.op):
            own = [c for c in self.consumers if c.layer is direction]
            zero = keras.ops.zeros((*keras.ops.shape(x)[:2], direction.cell.units), dtype=x.dtype)
            if own:
                watch(zero)
                zeros[own[0].key] = zero
            columns.append(zero)
        made = self.layer(keras.ops.concatenate(columns, axis=-1), training=False)
        return list(keras.tree.flatten(made)), zeros

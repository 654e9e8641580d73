"""Layers that read units through weights: what they read, as rows of a matrix, and how to write."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from paoding.graph import Graph, State
from paoding.graph.flat import Node
from paoding.layers import FIXED, Linear, Slides, linear_of, statistics_of
from paoding.layers.windows import Windows, windows_of

Rows = np.ndarray


@dataclass(frozen=True, eq=False)
class Consumer:
    """One weight whose rows read units, with the calls that use it.

    Its pre-activation is ``rows(x) @ matrix + bias``: for Dense the rows are the input vectors,
    for a convolution the patches that the kernel sees.

    Args:
        variable: number of the kernel in ``Graph.variables``.
        axis: the kernel's axis that reads.
        nodes: the calls, first one first (several for a shared layer).
        source: for each call, the tensor that it reads.
        units: for each index of the axis, the unit of the whole graph, or ``FIXED``.
        full: whether all of the pre-activation is known here (Dense, plain convolution), so
            that it can be fitted as a whole; else only channels are fitted, each row alike.
        tensor_axis: the axis of the tensor on which the units lie.
    """

    variable: int
    axis: int
    nodes: tuple[Node, ...]
    source: tuple[int, ...]
    units: np.ndarray
    full: bool
    tensor_axis: int

    @property
    def op(self) -> Any:
        """The layer."""
        return self.nodes[0].op

    @property
    def key(self) -> int:
        """Names what is read: a tensor of the graph, or a number below 0."""
        return self.source[0]

    def whole(self, graph: Graph) -> bool:
        """Whether the units lie on the tensor just as on the weight (not in grouped layers)."""
        shapes = [graph.flat.shapes[t] for t in self.source]
        return all(shape[self.tensor_axis] == len(self.units) for shape in shapes)

    @cached_property
    def form(self) -> Linear | None:
        """What the layer adds up, where all of it can be fitted as a whole."""
        return linear_of(self.op) if self.full else None

    @property
    def convolution(self) -> bool:
        """Whether rows are patches of several taps."""
        return self.form is not None and self.form.slides is not None

    @cached_property
    def taps(self) -> int:
        """Places of the kernel that read the same channel (1 for Dense)."""
        return math.prod(self._slides.size) if self.convolution else 1

    @cached_property
    def columns(self) -> np.ndarray:
        """The unit that each column of ``rows`` belongs to: the channels, once for each tap."""
        return np.tile(self.units, self.taps)

    def matrix(self, value: np.ndarray) -> np.ndarray:
        """The kernel as (columns, outputs)."""
        if self.full:
            return value.reshape(-1, value.shape[-1])
        return np.moveaxis(value, self.axis, 0).reshape(value.shape[self.axis], -1)

    def kernel(self, matrix: np.ndarray, like: np.ndarray) -> np.ndarray:
        """The inverse of ``matrix``, in the shape and type of ``like``."""
        if self.full:
            return matrix.reshape(like.shape).astype(like.dtype)
        moved = np.moveaxis(like, self.axis, 0).shape
        return np.ascontiguousarray(
            np.moveaxis(matrix.reshape(moved), 0, self.axis).astype(like.dtype)
        )

    def places(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the places at which one sample is read, given the tensor's shape (n, ...)."""
        if self.convolution:
            return self._windows(shape).out
        axis = self.tensor_axis % len(shape)
        return tuple(size for i, size in enumerate(shape) if i not in (0, axis))

    def rows(self, x: np.ndarray, where: np.ndarray | None) -> Rows:
        """What the layer reads from a batch: (n * places, columns), some places only.

        Args:
            x: the tensor (n, ...) that the layer reads.
            where: numbers of the places to read; None for all.
        """
        if self.convolution:
            return self._patches(x, where)
        front = np.moveaxis(x, self.tensor_axis, -1)
        flat = front.reshape(len(x), -1, front.shape[-1])
        return (flat if where is None else flat[:, where]).reshape(-1, front.shape[-1])

    def _windows(self, shape: tuple[int, ...]) -> Windows:
        slides = self._slides
        spatial = shape[1:-1] if slides.channels_last else shape[2:]
        return windows_of(spatial, slides.size, slides.strides, slides.padding, slides.dilation)

    @property
    def _slides(self) -> Slides:
        assert self.form is not None and self.form.slides is not None
        return self.form.slides

    def _patches(self, x: np.ndarray, where: np.ndarray | None) -> Rows:
        windows = self._windows(x.shape)
        if not self._slides.channels_last:
            x = np.moveaxis(x, 1, -1)
        padded = windows.padded(x)
        if where is None:
            where = np.arange(math.prod(windows.out))
        places = np.unravel_index(where, windows.out)
        corner = [index * stride for index, stride in zip(places, windows.strides, strict=True)]
        taps = []
        for tap in np.ndindex(*windows.kernel):
            steps = zip(corner, tap, windows.dilation, strict=True)
            taps.append(padded[(slice(None), *(c + t * dilation for c, t, dilation in steps))])
        return np.concatenate(taps, axis=-1).reshape(len(x) * len(where), -1)


def consumers_of(graph: Graph) -> tuple[Consumer, ...]:
    """Every weight that reads prunable units, in the order in which data meets it."""
    found: dict[tuple[int, int], list[Any]] = {}
    for group in graph.prunable:
        for member in group.members:
            if member.role == "consume" and member.binding.tensor_axis is not None:
                found.setdefault((member.variable, member.axis), []).append(member.binding)
    consumers = []
    for (variable, axis), bindings in found.items():
        calls = {binding.node: binding for binding in bindings}
        nodes = tuple(graph.nodes[index] for index in sorted(calls))
        consumers.append(
            Consumer(
                variable=variable,
                axis=axis,
                nodes=nodes,
                source=tuple(node.inputs[calls[node.index].input] for node in nodes),
                units=graph.axes[variable, axis],
                full=_is_full(graph, variable, nodes),
                tensor_axis=calls[nodes[0].index].tensor_axis,
            )
        )
    return tuple(sorted(consumers, key=lambda c: c.nodes[0].index))


def _is_full(graph: Graph, variable: int, nodes: tuple[Node, ...]) -> bool:
    if any(node.op is not nodes[0].op for node in nodes):
        return False  # a weight that several layers hold, each with a bias of its own
    form = linear_of(nodes[0].op)
    return form is not None and graph.number(form.kernel) == variable


@dataclass(frozen=True)
class Constant:
    """Where a constant that joins a pre-activation can be written: a bias, or the next BN's mean.

    Args:
        variable: number of the weight.
        sign: +1 for a bias; -1 for a moving mean, which is subtracted.
    """

    variable: int
    sign: int


def constant_of(graph: Graph, consumer: Consumer) -> Constant | None:
    """Where a consumer's constant goes; None where there is no place for one."""
    form = consumer.form
    if form is None:
        return None
    if form.bias is not None:
        return Constant(graph.number(form.bias), 1)
    if len(consumer.nodes) > 1 or not form.plain:
        return None
    made = consumer.nodes[0].outputs[0]
    readers = [node for node in graph.nodes if made in node.inputs]
    if len(readers) != 1 or made in graph.flat.outputs:
        return None
    follower = readers[0].op
    calls = sum(node.op is follower for node in graph.nodes)
    kept = statistics_of(follower)
    if kept is None or kept.axis is None or calls > 1:
        return None
    if tuple(kept.mean.shape) != (form.kernel.shape[-1],):
        return None
    return Constant(graph.number(kept.mean), -1)


def missing(consumer: Consumer, state: State) -> np.ndarray:
    """Mask of the indices of a consumer's axis whose units are gone."""
    return (consumer.units != FIXED) & ~state.alive[np.maximum(consumer.units, 0)]

"""Linear maps in double precision: applied, applied with absolute weights, and transposed.

A bound of a linear layer needs three things of it: ``x @ M``, ``x @ |M|``, and for linear
relaxations ``y @ M.T``. Each class here gives them for one kind of layer, batched over the
leading axis. Nothing here knows Keras; channels are last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Ints = NDArray[Any]
BLOCK_BYTES = 64 * 2**20  # float64 copies of float32 weights and patches are made in such blocks


class Map:
    """A linear map from ``(B, *in_shape)`` to ``(B, *out_shape)``.

    ``terms`` is the largest number of products that one output sums; 0 means that the map only
    moves entries, without any rounding.
    """

    terms: int = 0

    def forward(self, x: Floats) -> Floats:
        """Apply the map."""
        raise NotImplementedError

    def forward_abs(self, x: Floats) -> Floats:
        """Apply the map with the absolute values of its weights."""
        raise NotImplementedError

    def adjoint(self, y: Floats) -> Floats:
        """Apply the transposed map."""
        raise NotImplementedError

    def columns(self, keep: Ints) -> Map:
        """The map to chosen output channels only (last axis)."""
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True, eq=False)
class MatMul(Map):
    """``x @ kernel`` on the last axis: Dense layers.

    Args:
        kernel: (n, m) weights, float32 or float64; converted to float64 block by block.
    """

    kernel: NDArray[np.floating]

    @property
    def terms(self) -> int:  # type: ignore[override]
        return self.kernel.shape[0]

    @cached_property
    def _exact(self) -> Floats | None:
        small = self.kernel.size * 8 <= BLOCK_BYTES
        return self.kernel.astype(np.float64) if small else None

    @cached_property
    def _absolute(self) -> Floats | None:
        return None if self._exact is None else np.abs(self._exact)

    def _blocks(self) -> Iterator[tuple[slice, Floats]]:
        n, m = self.kernel.shape
        step = max(1, BLOCK_BYTES // (8 * max(n, 1)))
        for start in range(0, m, step):
            part = slice(start, start + step)
            yield part, self.kernel[:, part].astype(np.float64)

    def forward(self, x: Floats) -> Floats:
        if self._exact is not None:
            return x @ self._exact
        out = np.empty((*x.shape[:-1], self.kernel.shape[1]))
        for part, block in self._blocks():
            out[..., part] = x @ block
        return out

    def forward_abs(self, x: Floats) -> Floats:
        if self._absolute is not None:
            return x @ self._absolute
        out = np.empty((*x.shape[:-1], self.kernel.shape[1]))
        for part, block in self._blocks():
            out[..., part] = x @ np.abs(block)
        return out

    def adjoint(self, y: Floats) -> Floats:
        if self._exact is not None:
            return y @ self._exact.T
        out = np.zeros((*y.shape[:-1], self.kernel.shape[0]))
        for part, block in self._blocks():
            out += y[..., part] @ block.T
        return out

    def columns(self, keep: Ints) -> MatMul:
        return MatMul(self.kernel[:, keep])


@dataclass(frozen=True, eq=False)
class Transposed(Map):
    """Another map the other way round: transposed convolutions.

    Args:
        inner: the map whose adjoint this is.
        inner_abs: the same map with the absolute values of its weights.
        terms: products per output, at most.
    """

    inner: Map
    inner_abs: Map
    terms: int

    def forward(self, x: Floats) -> Floats:
        return self.inner.adjoint(x)

    def forward_abs(self, x: Floats) -> Floats:
        return self.inner_abs.adjoint(x)

    def adjoint(self, y: Floats) -> Floats:
        return self.inner.forward(y)


@dataclass(frozen=True, eq=False)
class Scale(Map):
    """Every entry times a factor that broadcasts to one sample's shape."""

    factor: Floats
    terms: int = 1

    def forward(self, x: Floats) -> Floats:
        return x * self.factor

    def forward_abs(self, x: Floats) -> Floats:
        return x * np.abs(self.factor)

    def adjoint(self, y: Floats) -> Floats:
        return y * self.factor


@dataclass(frozen=True, eq=False)
class Mean(Map):
    """The mean (or the sum) over some axes.

    Args:
        in_shape: one sample's shape.
        axes: axes of a batch, so 1 is the first of a sample.
        keepdims: whether they stay, with size 1.
        total: the sum instead of the mean.
    """

    in_shape: tuple[int, ...]
    axes: tuple[int, ...]
    keepdims: bool
    total: bool = False

    @property
    def _count(self) -> int:
        return math.prod(self.in_shape[axis - 1] for axis in self.axes)

    @property
    def terms(self) -> int:  # type: ignore[override]
        return self._count + 2

    def forward(self, x: Floats) -> Floats:
        result = x.sum(axis=self.axes, keepdims=self.keepdims)
        return result if self.total else result / self._count

    forward_abs = forward

    def adjoint(self, y: Floats) -> Floats:
        if not self.keepdims:
            y = np.expand_dims(y, self.axes)
        if not self.total:
            y = y / self._count
        return np.broadcast_to(y, (len(y), *self.in_shape))


@dataclass(frozen=True, eq=False)
class Rearrange(Map):
    """Entries moved, repeated or dropped, with zeros in between: no rounding at all.

    Flatten, Reshape, Permute, padding, cropping, nearest upsampling, concatenation.

    Args:
        index: for each output entry the flat index of the input entry, -1 for a zero;
            its shape is one output sample's.
        in_shape: one input sample's shape.
    """

    index: Ints
    in_shape: tuple[int, ...]
    terms: int = 0

    @cached_property
    def _zeros(self) -> bool:
        return bool((self.index < 0).any())

    @cached_property
    def _identity(self) -> bool:
        size = math.prod(self.in_shape)
        return self.index.size == size and bool((self.index.ravel() == np.arange(size)).all())

    def forward(self, x: Floats) -> Floats:
        flat = x.reshape(len(x), -1)
        if self._identity:
            return flat.reshape(len(x), *self.index.shape)
        moved = flat[:, self.index.ravel()]
        if self._zeros:
            moved[:, self.index.ravel() < 0] = 0.0
        return moved.reshape(len(x), *self.index.shape)

    forward_abs = forward

    def adjoint(self, y: Floats) -> Floats:
        flat = y.reshape(len(y), -1)
        if self._identity:
            return flat.reshape(len(y), *self.in_shape)
        out = np.zeros((len(y), math.prod(self.in_shape)))
        index = self.index.ravel()
        np.add.at(out.T, index[index >= 0], flat[:, index >= 0].T)
        return out.reshape(len(y), *self.in_shape)

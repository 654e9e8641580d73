"""Linear maps with a sliding window: convolutions and average pooling, as in ``maps``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paoding.bounds.maps import BLOCK_BYTES, Floats, Ints, Map
from paoding.layers.windows import Windows


@dataclass(frozen=True, eq=False)
class Convolution(Map):
    """A convolution of any rank, with groups; products over patches.

    Args:
        kernel: (*taps, channels in per group, filters).
        windows: where it slides.
        groups: equal shares of the channels that do not see each other.
    """

    kernel: NDArray[np.floating]
    windows: Windows
    groups: int = 1

    @property
    def terms(self) -> int:  # type: ignore[override]
        return math.prod(self.kernel.shape[:-1])

    @cached_property
    def _exact(self) -> Floats:
        return self.kernel.astype(np.float64)

    def forward(self, x: Floats) -> Floats:
        return self._apply(x, self._exact)

    def forward_abs(self, x: Floats) -> Floats:
        return self._apply(x, np.abs(self._exact))

    def _apply(self, x: Floats, kernel: Floats) -> Floats:
        out = np.empty((len(x), *self.windows.out, kernel.shape[-1]))
        share, made = kernel.shape[-2], kernel.shape[-1] // self.groups
        taps, cells = math.prod(self.windows.kernel), math.prod(self.windows.out)
        flat = kernel.reshape(-1, kernel.shape[-1])
        step = max(1, BLOCK_BYTES // (8 * taps * cells * share))
        for start in range(0, len(x), step):
            padded = self.windows.padded(x[start : start + step])
            for g in range(self.groups):
                part = self.windows.patches(padded[..., g * share : (g + 1) * share])
                product = part.reshape(-1, taps * share) @ flat[:, g * made : (g + 1) * made]
                out[start : start + step, ..., g * made : (g + 1) * made] = product.reshape(
                    -1, *self.windows.out, made
                )
        return out

    def adjoint(self, y: Floats) -> Floats:
        share, made = self.kernel.shape[-2], self.kernel.shape[-1] // self.groups
        out = np.empty((len(y), *self.windows.spatial, share * self.groups))
        taps, cells = math.prod(self.windows.kernel), math.prod(self.windows.out)
        flat = self._exact.reshape(-1, self.kernel.shape[-1])
        step = max(1, BLOCK_BYTES // (8 * taps * cells * share))
        for start in range(0, len(y), step):
            part = y[start : start + step]
            for g in range(self.groups):
                mine = slice(g * made, (g + 1) * made)
                product = part[..., mine].reshape(-1, made) @ flat[:, mine].T
                back = product.reshape(len(part), *self.windows.out, *self.windows.kernel, share)
                out[start : start + step, ..., g * share : (g + 1) * share] = self.windows.scatter(
                    back
                )
        return out

    def columns(self, keep: Ints) -> Map:
        if self.groups > 1:
            return Convolution(self._dense_kernel()[..., keep], self.windows)
        return Convolution(self.kernel[..., keep], self.windows)

    def _dense_kernel(self) -> Floats:
        """The kernel as if every group saw all channels, with zeros."""
        share, filters = self.kernel.shape[-2:]
        made = filters // self.groups
        wide = np.zeros((*self.kernel.shape[:-2], share * self.groups, filters))
        for g in range(self.groups):
            mine = slice(g * made, (g + 1) * made)
            wide[..., g * share : (g + 1) * share, mine] = self.kernel[..., mine]
        return wide


@dataclass(frozen=True, eq=False)
class Depthwise(Map):
    """A depthwise convolution: output ``c * multiplier + j`` reads channel c alone.

    Args:
        kernel: (*taps, channels, multiplier).
        windows: where it slides.
    """

    kernel: NDArray[np.floating]
    windows: Windows

    @property
    def terms(self) -> int:  # type: ignore[override]
        return math.prod(self.kernel.shape[:-2])

    def forward(self, x: Floats) -> Floats:
        return self._apply(x, self.kernel.astype(np.float64))

    def forward_abs(self, x: Floats) -> Floats:
        return self._apply(x, np.abs(self.kernel.astype(np.float64)))

    def _apply(self, x: Floats, kernel: Floats) -> Floats:
        channels, multiplier = kernel.shape[-2:]
        out = np.zeros((len(x), *self.windows.out, channels, multiplier))
        padded = self.windows.padded(x)
        for tap, where in self.windows.taps():
            out += padded[where][..., None] * kernel[tap]
        return out.reshape(len(x), *self.windows.out, channels * multiplier)

    def adjoint(self, y: Floats) -> Floats:
        kernel = self.kernel.astype(np.float64)
        channels, multiplier = kernel.shape[-2:]
        parts = y.reshape(*y.shape[:-1], channels, multiplier)
        sizes = (*self.windows.out, *self.windows.kernel, channels)
        back = np.empty((len(y), *sizes))
        outer: Any = (slice(None),) * (1 + len(self.windows.spatial))
        for tap, _ in self.windows.taps():
            back[(*outer, *tap)] = (parts * kernel[tap]).sum(axis=-1)
        return self.windows.scatter(back)


@dataclass(frozen=True, eq=False)
class Pool(Map):
    """Average pooling; padding does not count, as in Keras.

    Args:
        windows: where it slides.
    """

    windows: Windows

    @property
    def terms(self) -> int:  # type: ignore[override]
        return math.prod(self.windows.kernel) + 2  # the sum, the share, and its own rounding

    @cached_property
    def _share(self) -> Floats:
        """One over the number of true cells under each window, (*out, 1)."""
        cells = self.windows.padded(np.ones((1, *self.windows.spatial, 1)))
        count = np.sum([cells[where] for _, where in self.windows.taps()], axis=0)
        return np.asarray(1.0 / count[0])

    def forward(self, x: Floats) -> Floats:
        padded = self.windows.padded(x)
        total = np.zeros((len(x), *self.windows.out, x.shape[-1]))
        for _, where in self.windows.taps():
            total += padded[where]
        return total * self._share

    forward_abs = forward

    def adjoint(self, y: Floats) -> Floats:
        shared = y * self._share
        outer: Any = (slice(None),) * (1 + len(self.windows.spatial))
        spread = shared[(*outer, *(None,) * len(self.windows.kernel))]
        shape = (len(y), *self.windows.out, *self.windows.kernel, y.shape[-1])
        return self.windows.scatter(np.broadcast_to(spread, shape))

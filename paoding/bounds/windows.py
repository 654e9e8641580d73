"""Linear maps with a sliding window: convolutions and average pooling, as in ``maps``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from paoding.bounds.maps import BLOCK_BYTES, Floats, Ints, Map


@dataclass(frozen=True)
class Windows:
    """Where a sliding window falls: TensorFlow's rules for padding, strides and dilation.

    Args:
        spatial: sizes of the input's spatial axes.
        kernel, strides, dilation: one number per spatial axis.
        padding: ``valid``, ``same``, or ``causal`` (one axis).
    """

    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str

    @property
    def reach(self) -> tuple[int, ...]:
        """Cells from the first to the last tap of a window, both included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        """Sizes of the output's spatial axes."""
        if self.padding == "valid":
            return tuple(
                (n - r) // s + 1
                for n, r, s in zip(self.spatial, self.reach, self.strides, strict=True)
            )
        return tuple(-(-n // s) for n, s in zip(self.spatial, self.strides, strict=True))

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """Cells added before and after each spatial axis."""
        pads = []
        for n, o, s, r in zip(self.spatial, self.out, self.strides, self.reach, strict=True):
            total = max((o - 1) * s + r - n, 0)
            if self.padding == "valid":
                pads.append((0, 0))
            elif self.padding == "causal":
                pads.append((r - 1, max(total - (r - 1), 0)))
            else:
                pads.append((total // 2, total - total // 2))
        return tuple(pads)

    def padded(self, x: NDArray, value: float = 0.0) -> NDArray:
        """``x`` (B, *spatial, channels) with its padding."""
        if not any(map(any, self.pads)):
            return x
        return np.pad(x, ((0, 0), *self.pads, (0, 0)), constant_values=value)

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Each tap, and the slices of the padded input that it reads, one cell per output."""
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
            where = tuple(
                slice(a, a + (o - 1) * s + 1, s)
                for a, o, s in zip(starts, self.out, self.strides, strict=True)
            )
            yield tap, (slice(None), *where, slice(None))

    def patches(self, padded: Floats) -> Floats:
        """A view (B, *out, *kernel, channels) of a padded input."""
        batch, *spatial, channel = padded.strides
        steps = [p * s for p, s in zip(spatial, self.strides, strict=True)]
        inner = [p * d for p, d in zip(spatial, self.dilation, strict=True)]
        return as_strided(
            padded,
            (padded.shape[0], *self.out, *self.kernel, padded.shape[-1]),
            (batch, *steps, *inner, channel),
            writeable=False,
        )

    def scatter(self, patches: Floats) -> Floats:
        """The transpose of ``patches``: add every tap back to the cell it came from."""
        sizes = [n + a + b for n, (a, b) in zip(self.spatial, self.pads, strict=True)]
        out = np.zeros((patches.shape[0], *sizes, patches.shape[-1]))
        lead: Any = (slice(None),) * (1 + len(self.spatial))
        for tap, where in self.taps():
            out[where] += patches[(*lead, *tap)]
        crop = tuple(slice(a, a + n) for n, (a, _) in zip(self.spatial, self.pads, strict=True))
        return out[(slice(None), *crop)]


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
        lead: Any = (slice(None),) * (1 + len(self.windows.spatial))
        for tap, _ in self.windows.taps():
            back[(*lead, *tap)] = (parts * kernel[tap]).sum(axis=-1)
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
        lead: Any = (slice(None),) * (1 + len(self.windows.spatial))
        spread = shared[(*lead, *(None,) * len(self.windows.kernel))]
        shape = (len(y), *self.windows.out, *self.windows.kernel, y.shape[-1])
        return self.windows.scatter(np.broadcast_to(spread, shape))


def windows_of(
    spatial: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
) -> Windows:
    """``Windows`` from any sequences."""
    return Windows(
        tuple(map(int, spatial)),
        tuple(map(int, kernel)),
        tuple(map(int, strides)),
        tuple(map(int, dilation)),
        padding,
    )

"""Where a sliding window falls: TensorFlow's rules for padding, strides and dilation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray


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

    def patches(self, padded: NDArray) -> NDArray:
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

    def scatter(self, patches: NDArray) -> NDArray:
        """The transpose of ``patches``: add every tap back to the cell it came from."""
        sizes = [n + a + b for n, (a, b) in zip(self.spatial, self.pads, strict=True)]
        out = np.zeros((patches.shape[0], *sizes, patches.shape[-1]))
        outer: Any = (slice(None),) * (1 + len(self.spatial))
        for tap, where in self.taps():
            out[where] += patches[(*outer, *tap)]
        crop = tuple(slice(a, a + n) for n, (a, _) in zip(self.spatial, self.pads, strict=True))
        return out[(slice(None), *crop)]


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

"""Random fields that priors are made of: drawn in blocks, blurred, and mixed over channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

from paoding.domain.box import Floats

# Images drawn at once: bounds memory, and a longer draw begins with a shorter one.
_BLOCK, _BLOCK_ENTRIES = 256, 1 << 22
_MARGIN = 3  # blurs are drawn this many widths larger than needed, so that nothing wraps round


def in_blocks(
    rng: np.random.Generator, n: int, draw: Callable[..., np.ndarray], each: int
) -> np.ndarray:
    """``n`` samples of ``each`` numbers, drawn a block at a time."""
    block = min(_BLOCK, max(_BLOCK_ENTRIES // each, 1))
    parts = [draw(rng, min(block, n - start)) for start in range(0, n, block)]
    return np.concatenate(parts)


def blurred(
    rng: np.random.Generator, size: tuple[int, int], widths: Floats, channels: int
) -> Floats:
    """Gaussian noise blurred to a width of its own for each sample: (n, *size, channels), std 1."""
    margin = [0 if s == 1 else int(_MARGIN * widths.max()) for s in size]
    whole = [fft.next_fast_len(s + m, real=True) for s, m in zip(size, margin, strict=True)]
    down, across = fft.fftfreq(whole[0])[:, None], fft.rfftfreq(whole[1])[None, :]
    decay = (-2 * np.pi**2 * (down**2 + across**2)).astype(np.float32)
    noise = rng.standard_normal((len(widths), channels, *whole), dtype=np.float32)
    soft = fft.rfft2(noise, overwrite_x=True)
    soft *= np.exp(decay * (widths[:, None, None, None] ** 2).astype(np.float32))
    field = fft.irfft2(soft, s=whole, overwrite_x=True)[:, :, : size[0], : size[1]]
    field = field / (field.std(axis=(2, 3), keepdims=True) + 1e-12)
    return np.moveaxis(field, 1, -1)


def mixed_channels(rng: np.random.Generator, n: int, channels: int) -> Floats:
    """Mixing matrices (n, channels, channels) that make the channels of an image correlated."""
    if channels == 1:
        return np.ones((n, 1, 1))
    common = rng.uniform(0.5, 1.0, (n, 1, 1))
    mix = np.sqrt(1 - common**2) * np.eye(channels)
    mix[:, 0, :] += common[:, :, 0]
    return mix / np.sqrt((mix**2).sum(axis=1, keepdims=True))

"""What real inputs probably look like: priors that draw synthetic inputs from a box.

A prior is any ``callable(rng, n) -> array (n, *input_shape)``. A new one is a class here and, to
be known by name, a line in ``paoding.synthetic.choice``. No data is needed for any of these, and
no Keras: what a model tells about its inputs is read in ``paoding.domain.hints``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from paoding.domain.box import Box, Canvas, Floats, Shape
from paoding.synthetic.fields import blurred, in_blocks, mixed_channels

Prior = Callable[[np.random.Generator, int], np.ndarray]

_STRONGER = 0.5  # added to the part of blobs in the directions that a first layer learned
_CAST = 0.1  # deviation of an image's colours from grey
_COMMON = 0.2  # share of a column's variance that all columns of a table have in common
_JUDGED, _FEWEST_JUDGED = 2048, 16  # inputs that tell the moments of a prior ...
_JUDGED_NUMBERS = 1 << 21  # ... and how many numbers these may hold
_DEAD = 0.1  # share of the greatest deviation below which an input is taken to be dead


@dataclass(frozen=True, eq=False)
class Uniform:
    """Every number by itself, uniform in the box.

    Args:
        box: legal inputs.
        shape: of one input.
    """

    box: Box
    shape: Shape

    def __call__(self, rng: np.random.Generator, n: int) -> Floats:
        return self.box.sample(rng, n, self.shape)

    def __str__(self) -> str:
        return "independent uniform values"


@dataclass(frozen=True, eq=False)
class Blobs:
    """Smooth random blobs: blurred noise, thresholded at a random height and clipped to the box.

    Args:
        box: legal inputs.
        height, width, channels: of one image.
        shape: of one input, into which the image is laid; (height, width, channels) by default.
        envelope: (height, width) factors between 0 and 1 by which an image is dimmed towards
            `lo`: where inputs ever carry data. None for everywhere.
        blur: least and greatest width of the blur, as shares of the shorter side.
        span: (height * width * channels, k) orthonormal directions in which images vary more
            than blobs do; their part is half as large again about the blobs' mean. Such
            inputs may leave the box a little: fits need their covariance, and clipping spoils it.

    >>> Blobs(Box(0, 1), 8, 8)(np.random.default_rng(0), 5).shape
    (5, 8, 8, 1)
    """

    box: Box
    height: int
    width: int
    channels: int = 1
    shape: Shape | None = None
    envelope: Floats | None = None
    blur: tuple[float, float] = (0.03, 0.15)
    span: Floats | None = None

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        images = in_blocks(rng, n, self._draw, self.height * self.width * self.channels)
        if self.span is None:
            return images
        flat = images.reshape(n, -1)
        part = (flat - flat.mean(axis=0)) @ self.span
        return (flat + _STRONGER * part @ self.span.T).astype(np.float32).reshape(images.shape)

    def _draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        short = min(self.height, self.width)
        least, most = np.log(np.array(self.blur) * short)
        widths = np.exp(rng.uniform(least, most, n))
        noise = mixed_channels(rng, n, self.channels)
        field = blurred(rng, (self.height, self.width), widths, self.channels)
        field = np.einsum("nhwc,ncd->nhwd", field, noise)
        height = rng.uniform(0.0, 1.5, n)[:, None, None, None]
        contrast = np.exp(rng.uniform(np.log(0.7), np.log(4.0), n))[:, None, None, None]
        image = np.clip((field - height) * contrast, 0.0, 1.0)
        if self.envelope is not None:
            image *= self.envelope[:, :, None]
        return _into(self.box, image, self.shape)

    def __str__(self) -> str:
        where = "" if self.envelope is None else ", dimmed where the first layer never saw data"
        if self.span is not None:
            where += f", stronger in the {self.span.shape[1]} directions that it learned"
        return f"smooth random blobs of {self.height} x {self.width} x {self.channels}{where}"


@dataclass(frozen=True, eq=False)
class Shaded:
    """Images of another prior, brighter or darker at each place, within the range that they had.

    Args:
        prior: of images.
        shading: (height, width) factors of what a pixel is above the least legal value.
        box: legal inputs.

    >>> half = Shaded(Uniform(Box(0, 1), (2, 2)), np.array([[1.0, 0.5], [0.0, 1.0]]), Box(0, 1))
    >>> float(half(np.random.default_rng(0), 3)[:, 1, 0].max())
    0.0
    """

    prior: Prior
    shading: Floats
    box: Box

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        images = self.prior(rng, n)
        shape = images.shape[1:]
        low = self.box.fit(shape).lo
        factor = np.repeat(self.shading.ravel(), int(np.prod(shape)) // self.shading.size)
        found = low + (images - low) * factor.reshape(shape)
        return np.clip(found, images.min(), images.max()).astype(images.dtype)

    def __str__(self) -> str:
        return f"{self.prior}, as bright at each place as batch normalization's statistics say"


@dataclass(frozen=True, eq=False)
class DeadLeaves:
    """Discs of random size and colour that cover each other.

    Args:
        box: legal inputs.
        height, width, channels: of one image.
        shape: of one input; (height, width, channels) by default.
        leaves: discs an image.
    """

    box: Box
    height: int
    width: int
    channels: int = 1
    shape: Shape | None = None
    leaves: int = 60

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return in_blocks(rng, n, self._draw, self.height * self.width * self.channels)

    def _draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        rows = np.arange(self.height, dtype=np.float32)[:, None]
        columns = np.arange(self.width, dtype=np.float32)
        short = min(self.height, self.width)
        colours = np.empty((n, 1 + self.leaves, self.channels))
        colours[:, 0] = rng.random((n, self.channels))
        seen = np.zeros((n, self.height, self.width), np.intp)  # which leaf lies on top
        for leaf in range(1, 1 + self.leaves):
            y, x = rng.random((2, n, 1, 1)).astype(np.float32)
            # Areas fall with the inverse cube of the radius, as in photographs.
            radius = short / 2 / np.sqrt(rng.uniform(1.0, (short / 2) ** 2, (n, 1, 1)))
            away = (rows - y * self.height) ** 2 + (columns - x * self.width) ** 2
            np.copyto(seen, leaf, where=away < radius**2)
            grey, tint = rng.random((n, 1)), rng.standard_normal((n, self.channels))
            colours[:, leaf] = np.clip(grey + 0.3 * tint, 0, 1)
        image = colours[np.arange(n)[:, None, None], seen]
        return _into(self.box, image, self.shape)

    def __str__(self) -> str:
        return f"dead leaves of {self.height} x {self.width} x {self.channels}"


@dataclass(frozen=True, eq=False)
class Spectra:
    """Noise with the spectra of natural images, at a level and in colours of each image's own.

    The power of photographs falls with the square of the frequency; that of crops and of pictures
    made smaller from larger ones falls faster.

    Args:
        box: legal inputs.
        height, width, channels: of one image.
        shape: of one input; (height, width, channels) by default.
    """

    box: Box
    height: int
    width: int
    channels: int = 1
    shape: Shape | None = None

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return in_blocks(rng, n, self._draw, self.height * self.width * self.channels)

    def _draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        down = np.fft.fftfreq(self.height)[:, None]
        across = np.fft.rfftfreq(self.width)[None, :]
        frequency = np.maximum(np.hypot(down, across), 1 / max(self.height, self.width))
        power = rng.uniform(0.9, 2.0, n)[:, None, None, None]  # of amplitudes
        noise = rng.standard_normal((n, self.channels, self.height, self.width))
        field = np.fft.irfft2(np.fft.rfft2(noise) * frequency**-power, s=(self.height, self.width))
        field /= field.std(axis=(2, 3), keepdims=True) + 1e-12
        field = np.einsum("nchw,ncd->nhwd", field, mixed_channels(rng, n, self.channels))
        level = rng.uniform(0.2, 0.8, (n, 1, 1, 1))
        if self.channels > 1:
            level = level + _CAST * rng.standard_normal((n, 1, 1, self.channels))
        image = np.clip(level + rng.uniform(0.05, 0.3, (n, 1, 1, 1)) * field, 0, 1)
        return _into(self.box, image, self.shape)

    def __str__(self) -> str:
        return f"natural-image spectra of {self.height} x {self.width} x {self.channels}"


@dataclass(frozen=True, eq=False)
class Signals:
    """Smooth random signals: blurred noise along one axis, with a random level.

    Args:
        box: legal inputs.
        length, channels: of one signal.
        shape: of one input; (length, channels) by default.
    """

    box: Box
    length: int
    channels: int = 1
    shape: Shape | None = None

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return in_blocks(rng, n, self._draw, self.length * self.channels)

    def _draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        widths = np.exp(rng.uniform(np.log(0.5), np.log(max(self.length / 8, 1.0)), n))
        field = blurred(rng, (1, self.length), widths, self.channels)[:, 0]
        field = np.einsum("nlc,ncd->nld", field, mixed_channels(rng, n, self.channels))
        level = rng.uniform(0.2, 0.8, (n, 1, 1))
        signal = np.clip(level + rng.uniform(0.1, 0.4, (n, 1, 1)) * field, 0, 1)
        shape = self.shape or (self.length, self.channels)
        return _into(self.box, signal, shape)

    def __str__(self) -> str:
        return f"smooth random signals of {self.length} x {self.channels}"


@dataclass(frozen=True, eq=False)
class Table:
    """Columns that are normal about their means, or about a level of the sample, within the box.

    Args:
        box: legal inputs.
        shape: of one input.
        mean, deviation: of each column, in input units. Columns rise together: a part of their
            variance is common to all. Where the means are not known, each sample has a level of
            its own, uniform in the box, about which its columns lie: real tables seldom sit in
            the middle of their box. The deviation is a sixth of the box's width unless known.
        about: what the means and deviations are, for the user.
    """

    box: Box
    shape: Shape
    mean: Floats | None = None
    deviation: Floats | None = None
    about: str = ""

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        width = self.box.width(self.shape)
        spread = width / 6 if self.deviation is None else self.deviation
        draw = rng.standard_normal((n, *self.shape))
        each = (n, *(1,) * len(self.shape))
        if self.mean is None:
            middle = self.box.center(self.shape) + width * (rng.random(each) - 0.5)
        else:
            middle = self.mean
            draw = np.sqrt(1 - _COMMON) * draw + np.sqrt(_COMMON) * rng.standard_normal(each)
        return np.asarray(self.box.clip(middle + spread * draw))

    def __str__(self) -> str:
        if self.mean is None:
            return "normal columns about a level of each sample's own, clipped to the box"
        return f"normal columns {self.about or 'about given means'}, clipped to the box"


@dataclass(frozen=True, eq=False)
class Moved:
    """Inputs of another prior, moved and stretched to a given mean and deviation, within the box.

    Args:
        prior: of inputs of any kind.
        box: legal inputs.
        mean, deviation: arrays that broadcast to one input, in input units. Along axes on which
            they are one number, so are the moments that the prior's own inputs had.
        about: what the mean and deviation are, for the user.

    >>> prior = Moved(Uniform(Box(0, 1), (3,)), Box(-9, 9), np.zeros(3), np.ones(3))
    >>> prior(np.random.default_rng(0), 1000).std(axis=0).round(1)
    array([1., 1., 1.])
    """

    prior: Prior
    box: Box
    mean: Floats
    deviation: Floats
    about: str = "moved to a given mean and deviation"

    @cached_property
    def _own(self) -> tuple[Floats, Floats]:
        count = int(np.clip(_JUDGED_NUMBERS // max(self.box.lo.size, 1), _FEWEST_JUDGED, _JUDGED))
        x = np.asarray(self.prior(np.random.default_rng(0), count), np.float64)
        wanted = (1,) * (x.ndim - 1 - self.mean.ndim) + self.mean.shape
        common = (0, *(axis for axis, size in enumerate(wanted, start=1) if size == 1))
        mean, deviation = x.mean(axis=common, keepdims=True), x.std(axis=common, keepdims=True)
        # What hardly varies is not blown up: it never carried data.
        return mean[0], np.maximum(deviation[0], max(_DEAD * deviation.max(), 1e-12))

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        mean, deviation = self._own
        x = self.prior(rng, n)
        moved = self.mean + self.deviation * ((x - mean) / deviation)
        return np.asarray(self.box.clip(moved)).astype(x.dtype)

    def __str__(self) -> str:
        return f"{self.prior}, {self.about}"


@dataclass(frozen=True, eq=False)
class Mixture:
    """Inputs of several priors in turn, in equal shares.

    >>> both = Mixture((Uniform(Box(0, 1), (2,)), Uniform(Box(4, 5), (2,))))
    >>> both(np.random.default_rng(0), 4).mean(axis=1) > 2
    array([False,  True, False,  True])
    """

    priors: Sequence[Prior]

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        share = -(-n // len(self.priors))
        parts = [prior(rng, share) for prior in self.priors]
        return np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])[:n]

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.priors[:-1]))} and {self.priors[-1]} in turn"


def canvas_of(prior: Any) -> Canvas | None:
    """(height, width, channels) in which neighbours of a prior's input are alike, or None.

    >>> canvas_of(Signals(Box(0, 1), 32, 2)), canvas_of(Table(Box(0, 1), (5,)))
    ((32, 1, 2), None)
    """
    if isinstance(prior, Moved | Shaded):
        return canvas_of(prior.prior)
    if isinstance(prior, Mixture):
        found = {canvas_of(part) for part in prior.priors}
        return found.pop() if len(found) == 1 else None
    if isinstance(prior, Blobs | DeadLeaves | Spectra):
        return prior.height, prior.width, prior.channels
    return (prior.length, 1, prior.channels) if isinstance(prior, Signals) else None


def _into(box: Box, unit: Any, shape: Shape | None) -> np.ndarray:
    """Values between 0 and 1 (n, ...) as legal inputs of the wanted shape, in float32."""
    shape = tuple(unit.shape[1:]) if shape is None else shape
    values = np.asarray(unit).reshape(len(unit), *shape)
    return np.asarray(box.clip(box.fit(shape).lo + box.width(shape) * values).astype(np.float32))

"""What the first layers tell of a model's inputs: shape, moments, order, where data ever was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.domain.box import Box, Canvas, Floats, Shape
from paoding.domain.values import Drawn, values_of
from paoding.layers import linear_of, rule_for, statistics_of

if TYPE_CHECKING:
    from paoding.graph import Graph


_ALIKE = 0.05  # correlation of neighbours' weight vectors from which they count as neighbours ...
_CHANCE = 5.0  # ... and standard deviations of what chance gives, which small kernels exceed
_SIGNAL = 0.16  # the same for inputs in one row, where a table's columns may be alike too
_FEWEST_COLUMNS = 8  # numbers in a row, or columns of a picture, that may show an order
_SHORTEST = 4  # pixels of the shorter side of what may be an image
_STANDARD = (
    4.0  # mean width of legal values about 0 from which they are those of standardized inputs
)
_DARK = 0.05  # of a live-input map, below which nothing ever came in ...
_DARK_SHARE = 0.05  # ... and of pixels that are so
_MAP_BLUR = 2.0  # pixels: a live-input map is noisy at each pixel, and real ones are smooth


@dataclass(frozen=True, eq=False)
class InputHints:
    """What the first layers tell of one input.

    Args:
        shape: of one input, open axes as short as will run.
        image: (height, width, channels) of what is known to be an image.
        first: the first layer with weights, or None.
        kernel: its weights as (inputs, units), where it reads the input as one vector.
        channels: its weights as (channels, any), where it reads the input as a sequence.
        mean, deviation: of the input, where the model carries them.
        values: how the input is drawn, where it is looked up (tokens, categories, words) ...
        reader: ... and which layer does.
        scale: by which a Rescaling multiplies the input; 1 where there is none.
    """

    shape: Shape
    image: Canvas | None = None
    first: Any = None
    kernel: Floats | None = None
    channels: Floats | None = None
    mean: Floats | None = None
    deviation: Floats | None = None
    values: Drawn | None = None
    reader: str = ""
    scale: float = 1.0

    @property
    def dark(self) -> bool:
        """Whether it is a flat picture of which some pixels were always 0.

        A pixel that is not 0 moves its weights in training; where they are still their random
        start, nothing ever came in: such pictures are dark there, not moved to a mean of 0.
        """
        size = None if self.kernel is None else picture_of(self.kernel)
        if size is None or self.kernel is None:
            return False
        return bool((live_map(self.kernel.reshape(*size, -1)) < _DARK).mean() > _DARK_SHARE)


def hints_of(graph: Graph, tensor: int) -> InputHints:
    """Follow an input to the first layer with weights, and note what it tells."""
    shape = graph.sample_shapes[graph.flat.inputs.index(tensor)]
    found = values_of(graph, tensor, shape)
    if found is not None:
        return InputHints(shape, values=found[0], reader=found[1])
    weights = graph.weights(graph.original)
    scale, offset = np.ones(()), np.zeros(())
    hints = InputHints(shape, _as_image(shape))
    current = shape
    while True:
        readers = [node for node in graph.sample_nodes if tensor in node.inputs]
        if len(readers) != 1:
            return hints
        node = readers[0]
        op = node.op
        moments = _moments(op, len(current))
        scaling = _scaling(op)
        if moments is not None and hints.mean is None and _tell(*moments, shape):
            mean, deviation = (moments[0] - offset) / scale, np.abs(moments[1] / scale)
            hints = replace(hints, mean=mean, deviation=deviation)
        elif scaling is not None:
            scale, offset = scaling[0] * scale, scaling[0] * offset + scaling[1]
            if hints.mean is None:
                hints = replace(hints, scale=float(np.mean(scale)))
        elif moments is None:
            rows = _by_channel(op, weights, current)
            return replace(
                hints, first=op, kernel=_flat(op, weights, current, shape), channels=rows
            )
        tensor = node.outputs[0]
        current = tuple(int(n or 1) for n in node.out_shapes[0][1:])
        hints = replace(hints, image=hints.image or _as_image(current))


def _scaling(op: Any) -> tuple[Any, Any] | None:
    rule = rule_for(op)
    return None if rule is None else rule.scaling(op)


def _flat(op: Any, weights: Any, current: Shape, shape: Shape) -> Floats | None:
    """A Dense layer's kernel, where it reads the whole input as one vector."""
    form = linear_of(op)
    if form is None or form.slides is not None or len(current) != 1:
        return None
    kernel: Floats = weights(form.kernel)
    return kernel if len(kernel) == int(np.prod(shape)) else None


def _by_channel(op: Any, weights: Any, shape: Shape) -> Floats | None:
    """A layer's weights as (channels, any), where it reads a sequence of this shape."""
    inner = getattr(op, "forward_layer", op)
    kernel = getattr(getattr(inner, "cell", inner), "kernel", None)
    if len(shape) != 2 or kernel is None or shape[1] not in kernel.shape[-2:-1]:
        return None
    return np.moveaxis(weights(kernel), -2, 0).reshape(shape[1], -1)


def _moments(op: Any, rank: int) -> tuple[Floats, Floats] | None:
    """Mean and deviation of a layer's input of so many axes, where the layer carries them."""
    kept = statistics_of(op)
    if kept is None:
        return None
    mean = np.asarray(kept.mean).astype(np.float64)
    deviation = np.sqrt(np.asarray(kept.variance).astype(np.float64))
    if kept.axis is None:
        view = mean.shape[1:] if mean.ndim > rank else mean.shape
    else:
        view = tuple(-1 if axis == kept.axis % (rank + 1) else 1 for axis in range(1, rank + 1))
    return mean.reshape(view), deviation.reshape(view)


def _tell(mean: Floats, deviation: Floats, shape: Shape) -> bool:
    """Whether moments say anything of an input of this shape: not before a layer saw data."""
    return _spans(mean, shape) and bool((mean != 0).any() or (deviation != 1).any())


def _spans(value: Floats, shape: Shape) -> bool:
    """Whether a value for each entry, or for each channel, can be laid over a shape."""
    last = shape[len(shape) - value.ndim :]
    return value.ndim <= len(shape) and all(
        v in (1, s) for v, s in zip(value.shape, last, strict=True)
    )


def _as_image(shape: Shape) -> Canvas | None:
    if len(shape) != 3:
        return None
    height, width, _ = shape
    if height <= 4 < width:  # channels first
        return None
    return shape if min(height, width) >= _SHORTEST else None


def known_moments(hints: InputHints, box: Box) -> tuple[Floats, Floats, str] | None:
    """Mean and deviation of an input and where they are known from; None where they are not.

    The model may carry them. Else legal values on both sides of 0 that reach further than +-1
    are those of standardized inputs, whose mean is 0: bounds that differ from number to number
    are then the data's own, and the deviation is 1; the same bound for all is taken for three
    deviations.
    """
    if hints.mean is not None and hints.deviation is not None:
        return hints.mean, hints.deviation, "with the means and variances that the model carries"
    legal = box.fit(hints.shape)
    width, middle = float((legal.hi - legal.lo).mean()), float((legal.hi + legal.lo).mean()) / 2
    own = np.ptp(legal.lo) > 0 or np.ptp(legal.hi) > 0
    about_zero = (legal.lo <= 0).all() and (legal.hi >= 0).all()
    if not about_zero or width < _STANDARD or not (own or abs(middle) <= width / 4):
        return None
    deviation = 1.0 if own else width / 6
    shape = (
        hints.shape if hints.kernel is not None or len(hints.shape) < 3 else (1, 1, hints.shape[-1])
    )
    about = "of mean 0, as legal values on both sides of 0 suggest"
    return np.zeros(shape), np.full(shape, deviation), about


def picture_of(kernel: Floats) -> tuple[int, int] | None:
    """The (height, width) of the image that a flat input is, or None where it is none.

    Neighbouring pixels of natural images get similar weights, in a row and from row to row; no
    other order of inputs shows both.

    Args:
        kernel: first layer's weights (inputs, units).
    """
    inputs = len(kernel)
    unit = _directions(kernel)
    best = least = _beyond_chance(kernel)
    found = None
    for width in range(_SHORTEST, inputs // _SHORTEST + 1):
        if inputs % width or not 1 / 3 <= width * width / inputs <= 3:
            continue
        down = _lag(unit, width)
        if down > best:
            best, found = down, (inputs // width, width)
    return found if _lag(unit, 1) > least else None


def reads_as_signal(kernel: Floats) -> bool:
    """Whether neighbouring inputs of a flat row have similar weights."""
    return len(kernel) >= _FEWEST_COLUMNS and _lag(_directions(kernel), 1) > _SIGNAL


def in_order(rows: Floats) -> bool:
    """Whether neighbouring channels have similar weights, as columns of a picture do."""
    return len(rows) >= _FEWEST_COLUMNS and _lag(_directions(rows), 1) > _beyond_chance(rows)


def _beyond_chance(kernel: Floats) -> float:
    return max(_ALIKE, _CHANCE / float(np.sqrt(kernel.size)))


def _directions(kernel: Floats) -> Floats:
    rows = kernel.reshape(len(kernel), -1).astype(np.float64)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12)


def _lag(unit: Floats, lag: int) -> float:
    """Mean correlation of weight vectors of inputs ``lag`` apart; 0 where there are none."""
    return 0.0 if len(unit) <= lag else float((unit[lag:] * unit[:-lag]).sum(axis=1).mean())


def live_map(kernel: Floats) -> Floats:
    """Where an image input ever carried data: (height, width) factors between 0 and 1.

    Weights that never had a gradient are still their random start, which differs from pixel
    to pixel; trained weights resemble their neighbours'.

    Args:
        kernel: first layer's weights (height, width, units).
    """
    height, width, _ = kernel.shape
    unit = _directions(kernel.reshape(height * width, -1)).reshape(kernel.shape)
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for near, far in (
        (np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[:, 1:], np.s_[:, :-1]),
    ):
        alike = (unit[near] * unit[far]).sum(axis=2)
        for side in (near, far):
            total[side] += alike
            count[side] += 1
    soft = np.maximum(_blur(total / count, _MAP_BLUR), 0.0)
    return np.clip(soft / max(float(np.percentile(soft, 95)), 1e-12), 0.0, 1.0) ** 2


def learned_span(kernel: Floats) -> Floats | None:
    """Directions of the data that a first layer has learned: (inputs, k), or None for none.

    Gradients of the first layer are combinations of inputs. Its singular vectors above the
    Marchenko-Pastur edge of the random start, whose level the median singular value tells, are
    therefore directions of the data.

    Args:
        kernel: first layer's weights (inputs, units).

    Source: ``docs/method.md``, section 6; the edge after Gavish & Donoho 2014.
    """
    left, values, _ = np.linalg.svd(kernel.astype(np.float64), full_matrices=False)
    short, long = sorted(kernel.shape)
    ratio = short / long
    edge = np.median(values) * (1 + np.sqrt(ratio)) / np.sqrt(_bulk_median(ratio))
    count = int((values > edge).sum())
    return left[:, :count] if count else None


def _bulk_median(ratio: float) -> float:
    """Median eigenvalue of a random covariance with ``ratio`` = columns / rows, by quadrature."""
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    middle = low + (high - low) * (np.arange(2000) + 0.5) / 2000
    mass = np.cumsum(np.sqrt((high - middle) * (middle - low)) / middle)
    return float(middle[np.searchsorted(mass, mass[-1] / 2)])


def _blur(image: Floats, width: float) -> Floats:
    margin = int(3 * width)
    wide = np.pad(image, margin, mode="edge")
    down, across = (np.fft.fftfreq(s) for s in wide.shape)
    decay = np.exp(-2 * np.pi**2 * width**2 * (down[:, None] ** 2 + across[None, :] ** 2))
    soft = np.fft.ifft2(np.fft.fft2(wide) * decay).real
    return np.asarray(soft[margin : margin + image.shape[0], margin : margin + image.shape[1]])

"""Which prior fits a model: read from its input shapes, first layers and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from paoding.domain.box import Box, Domain, Floats, Shape, outside, resolve
from paoding.domain.priors import (
    Blobs,
    Canvas,
    DeadLeaves,
    Mixture,
    Moved,
    Prior,
    Signals,
    Spectra,
    Table,
    Uniform,
    canvas_of,
)
from paoding.domain.values import Drawn, Entries, Tokens, values_of
from paoding.errors import ArgumentError

if TYPE_CHECKING:
    from paoding.graph import Graph

_ALIKE = 0.05  # correlation of neighbours' weight vectors from which they count as neighbours ...
_CHANCE = 5.0  # ... and standard deviations of what chance gives, which small kernels exceed
_SIGNAL = 0.16  # the same for inputs in one row, where a table's columns may be alike too
_FEWEST_COLUMNS = 8  # numbers in a row, or columns of a picture, that may show an order
_COLOURS = 3  # channels of an image in colour
_SHORTEST = 4  # pixels of the shorter side of what may be an image
_STANDARD = (
    4.0  # mean width of legal values about 0 from which they are those of standardized inputs
)
_FROM_BYTES = 1 / 64  # scale below which a Rescaling brings bytes to about 1: by 1/255 or 1/127.5
_WIDEST = 0.6  # deviation that no column within [0, 1] has
_REACH = 4.0  # deviations about its mean within which nearly all of an input lies
_MAP_BLUR = 2.0  # pixels: a live-input map is noisy at each pixel, and real ones are smooth
_PASSES = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dropout,
    keras.layers.GaussianNoise,
    keras.layers.Rescaling,
    keras.layers.ZeroPadding2D,
)
_IMAGES = {"blobs": Blobs, "dead-leaves": DeadLeaves, "spectra": Spectra}
_OTHERS = ("mixture", "signals", "table", "uniform", "tokens", "zipf")
NAMES = (*_IMAGES, *_OTHERS)


@dataclass(frozen=True, eq=False)
class Lead:
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


@dataclass(frozen=True, eq=False)
class Chosen:
    """Priors of all inputs of a model, and the sentence that tells the user.

    Args:
        canvases: (height, width, channels) of each input that the model reads in its order, as a
            convolution does; None for one that a Dense layer reads as one vector, and for tables.
        most: how many inputs there should be at the most, where each costs a lot; else None.
    """

    priors: tuple[Prior, ...]
    sentence: str
    canvases: tuple[Canvas | None, ...] = ()
    most: int | None = None

    def draw(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        """``n`` inputs, one array for each input of the model."""
        return [np.asarray(prior(rng, n)) for prior in self.priors]

    def of(self, prior: Prior) -> Chosen:
        """The same choice for the only input, with a prior that is derived from the chosen one."""
        told = self.sentence.replace(str(self.priors[0]), str(prior), 1)
        return replace(self, priors=(prior,), sentence=told)


def choose(graph: Graph, boxes: tuple[Box, ...], name: str | None = None) -> Chosen:
    """Choose a prior for each input of a model.

    Args:
        graph: the traced model; only its original weights are read.
        boxes: legal inputs, one box for each input.
        name: "blobs", "dead-leaves", "spectra", "mixture" (of these three), "signals", "table",
            "uniform", "tokens" or "zipf" instead of the choice that the model suggests.

    Raises:
        ArgumentError: the name is not known, or does not fit the input.

    Source: method, section 6.
    """
    _check_lengths(graph)
    priors, sentences, canvases = [], [], []
    fits = False
    for tensor, box in zip(graph.flat.inputs, boxes, strict=True):
        lead = lead_of(graph, tensor)
        found = _named(name, lead, box) if name else None
        fits |= found is not None
        prior, why = _suggested(lead, box) if found is None else (found, "it was asked for")
        priors.append(prior)
        sentences.append(f"{prior}, since {why}")
        canvases.append(canvas_of(prior) if lead.kernel is None else None)
    if name and not fits:
        raise ArgumentError(
            f"prior={name!r} does not fit inputs of shape "
            f"{', '.join(map(str, graph.sample_shapes))}; leave prior=None, or pass a "
            "callable(rng, n) -> array."
        )
    told = "Synthetic inputs: " + "; ".join(sentences) + "."
    return Chosen(tuple(priors), told, tuple(canvases))


def _check_lengths(graph: Graph) -> None:
    """Refuse what cannot be drawn, in one sentence that names the input."""
    for symbol, tensor in zip(graph.model.inputs, graph.flat.inputs, strict=True):
        wanted = graph.flat.shapes[tensor][1:]
        way = "pass prior=callable(rng, n) -> array, or calibration= with a few real inputs"
        if None in wanted and not graph.sized:
            raise ArgumentError(
                f"No length of the open axes of input '{symbol.name}' {wanted} was found at which "
                f"the model runs: {way}."
            )
        if graph.flat.dtypes[tensor] == "string" and lead_of(graph, tensor).values is None:
            raise ArgumentError(
                f"Input '{symbol.name}' takes text, and no layer that reads it tells which words "
                f"it knows: {way}."
            )


def _suggested(lead: Lead, box: Box) -> tuple[Prior, str]:
    if lead.values is not None:
        return lead.values, lead.reader
    if lead.image is not None:
        return _image(lead, lead.image, box)
    if lead.kernel is not None:
        size = picture_of(lead.kernel)
        if size is not None:
            return _image(lead, (*size, 1), box)
        enough = len(lead.kernel) >= _FEWEST_COLUMNS
        if enough and _lag(_directions(lead.kernel), 1) > _SIGNAL:
            return _signals(lead, box), "neighbouring inputs have similar weights"
    if lead.channels is not None and _in_order(lead.channels):
        channels = len(lead.channels)
        length = int(np.prod(lead.shape)) // channels
        blobs = Blobs(box, length, channels, 1, lead.shape, live_map(lead.channels[None]))
        why = "neighbouring channels of the sequence have similar weights"
        return _moved(blobs, lead, box), why
    if len(lead.shape) == 2 or lead.channels is not None:
        return _signals(lead, box), "the input is a sequence"
    if lead.mean is not None:
        return _table(lead, box), "a normalization comes first"
    return _table(lead, box), "the inputs show no order"


def _image(lead: Lead, size: Canvas, box: Box) -> tuple[Prior, str]:
    if size[2] == _COLOURS:
        return _pictures("mixture", lead, size, box), "the input is an image in colour"
    flat = "neighbouring pixels have similar weights in the first layer"
    why = "the input is an image" if _by_pixel(lead, size) is None else flat
    return _pictures("blobs", lead, size, box), why


def _by_pixel(lead: Lead, size: Canvas) -> Floats | None:
    """A Dense layer's weights, where each is that of a pixel: those tell where images have data."""
    return lead.kernel if size[2] == 1 else None


def _pictures(name: str, lead: Lead, size: Canvas, box: Box) -> Prior:
    """Images of one kind, or of all kinds in turn: photographs are like none of them."""
    prior: Prior
    if name == "mixture":
        prior = Mixture([kind(box, *size, lead.shape) for kind in _IMAGES.values()])
    elif name == "blobs" and (kernel := _by_pixel(lead, size)) is not None:
        envelope = live_map(kernel.reshape(size[0], size[1], -1))
        prior = Blobs(box, *size, lead.shape, envelope, span=learned_span(kernel))
    else:
        prior = _IMAGES[name](box, *size, lead.shape)
    return _moved(prior, lead, box)


def _signals(lead: Lead, box: Box) -> Prior:
    flat = 1 if lead.channels is None else len(lead.channels)
    channels = lead.shape[1] if len(lead.shape) == 2 else flat
    length = int(np.prod(lead.shape)) // channels
    return _moved(Signals(box, length, channels, lead.shape), lead, box)


def _table(lead: Lead, box: Box) -> Prior:
    return Table(box, lead.shape, *(known_moments(lead, box) or ()))


def _moved(prior: Prior, lead: Lead, box: Box) -> Prior:
    known = known_moments(lead, box)
    return prior if known is None else Moved(prior, box, *known)


def known_moments(lead: Lead, box: Box) -> tuple[Floats, Floats, str] | None:
    """Mean and deviation of an input and where they are known from; None where they are not.

    The model may carry them. Else legal values on both sides of 0 that reach further than +-1
    are those of standardized inputs, whose mean is 0: bounds that differ from number to number
    are then the data's own, and the deviation is 1; the same bound for all is taken for three
    deviations.
    """
    if lead.mean is not None and lead.deviation is not None:
        return lead.mean, lead.deviation, "with the means and variances that the model carries"
    legal = box.fit(lead.shape)
    width, middle = float((legal.hi - legal.lo).mean()), float((legal.hi + legal.lo).mean()) / 2
    own = np.ptp(legal.lo) > 0 or np.ptp(legal.hi) > 0
    about_zero = (legal.lo <= 0).all() and (legal.hi >= 0).all()
    if not about_zero or width < _STANDARD or not (own or abs(middle) <= width / 4):
        return None
    deviation = 1.0 if own else width / 6
    shape = lead.shape if lead.kernel is not None or len(lead.shape) < 3 else (1, 1, lead.shape[-1])
    about = "of mean 0, as legal values on both sides of 0 suggest"
    return np.zeros(shape), np.full(shape, deviation), about


def _named(name: str, lead: Lead, box: Box) -> Prior | None:
    """The prior of this name for one input; None where it fits no such input."""
    if name not in NAMES:
        known = ", ".join(repr(n) for n in NAMES)
        raise ArgumentError(
            f"prior={name!r} is not known; choose one of {known}, or pass a callable."
        )
    if isinstance(lead.values, Tokens | Entries) and name in ("tokens", "zipf"):
        return replace(lead.values, zipf=name == "zipf")
    if lead.values is not None or name in ("tokens", "zipf"):
        return None
    if name == "uniform":
        return Uniform(box, lead.shape)
    if name == "table":
        return _table(lead, box)
    if name == "signals":
        return _signals(lead, box)
    size = lead.image
    if size is None and lead.kernel is not None:
        found = picture_of(lead.kernel)
        size = None if found is None else (*found, 1)
    return None if size is None else _pictures(name, lead, size, box)


def alternatives(graph: Graph, boxes: tuple[Box, ...]) -> dict[str, Chosen]:
    """Every named prior that fits a model, for checks across priors."""
    found = {}
    for name in NAMES:
        try:
            found[name] = choose(graph, boxes, name)
        except ArgumentError:
            continue
    return found


def legal_inputs(graph: Graph, domain: Domain | None) -> tuple[tuple[Box, ...], str]:
    """The boxes of a model's inputs, and what was assumed of them in one sentence.

    Args:
        graph: the traced model.
        domain: what the user says; None takes what the first layers suggest, and else [0, 1].

    Raises:
        DomainError: the domain does not fit the model.

    >>> from keras import Input, Sequential, layers
    >>> from paoding.graph import trace
    >>> model = Sequential([Input((2, 2)), layers.Rescaling(1 / 255), layers.Flatten()])
    >>> legal_inputs(trace(model), None)[1]
    'Legal inputs are taken to be 0 to 255, since a Rescaling comes first; pass domain= to say so.'
    """
    names = [x.name for x in graph.model.inputs]
    if domain is not None:
        return resolve(domain, graph.input_shapes, names), ""
    boxes, told = [], []
    for tensor, symbol, shape in zip(
        graph.flat.inputs, graph.model.inputs, graph.input_shapes, strict=True
    ):
        box, why = _suggested_box(lead_of(graph, tensor), str(symbol.dtype))
        boxes.append(box.fit(shape))
        if why:
            name = f" of '{symbol.name}'" if len(names) > 1 else ""
            told.append(f"Legal inputs{name} are taken to be {why}; pass domain= to say so.")
    return tuple(boxes), " ".join(told)


def misfit(graph: Graph, boxes: Sequence[Box], inputs: Any) -> str:
    """One sentence where data is not what a run takes for legal inputs, else an empty string.

    Args:
        graph: the traced model; numbers of tokens are not judged.
        boxes: its legal inputs.
        inputs: one array (n, ...), or a list of one for each input.
    """
    arrays = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    for tensor, box, x in zip(graph.flat.inputs, boxes, arrays, strict=False):
        looked_up = lead_of(graph, tensor).values is not None
        found = "" if looked_up else outside(box, x)
        if found:
            return f"The data {found}: set the domain."
    return ""


def _suggested_box(lead: Lead, dtype: str) -> tuple[Box, str]:
    if dtype == "uint8":
        return Box(0.0, 255.0), "0 to 255, since they are bytes"
    if 0 < lead.scale < _FROM_BYTES:
        return Box(0.0, 255.0), "0 to 255, since a Rescaling comes first"
    if lead.mean is not None and lead.deviation is not None:
        beyond = (lead.mean < 0) | (lead.mean > 1) | (lead.deviation > _WIDEST)
        if beyond.any():
            reach = _REACH * lead.deviation
            why = f"within {_REACH:g} deviations of the means that the model carries"
            return Box(lead.mean - reach, lead.mean + reach), why
    return Box(0.0, 1.0), ""


def lead_of(graph: Graph, tensor: int) -> Lead:
    """Follow an input to the first layer with weights, and note what it tells."""
    shape = graph.sample_shapes[graph.flat.inputs.index(tensor)]
    told = values_of(graph, tensor, shape)
    if told is not None:
        return Lead(shape, values=told[0], reader=told[1])
    weights = graph.weights(graph.original)
    scale, offset = np.ones(()), np.zeros(())
    lead = Lead(shape, _as_image(shape))
    current = shape
    while True:
        readers = [node for node in graph.sample_nodes if tensor in node.inputs]
        if len(readers) != 1:
            return lead
        node = readers[0]
        op = node.op
        moments = _moments(op, weights, len(current))
        if moments is not None and lead.mean is None and _tell(*moments, shape):
            mean, deviation = (moments[0] - offset) / scale, np.abs(moments[1] / scale)
            lead = replace(lead, mean=mean, deviation=deviation)
        elif isinstance(op, keras.layers.Rescaling):
            scale, offset = op.scale * scale, op.scale * offset + op.offset
            if lead.mean is None:
                lead = replace(lead, scale=float(np.mean(scale)))
        elif moments is None and not isinstance(op, _PASSES):
            rows = _by_channel(op, weights, current)
            return replace(lead, first=op, kernel=_flat(op, weights, current, shape), channels=rows)
        tensor = node.outputs[0]
        current = tuple(int(n or 1) for n in node.out_shapes[0][1:])
        lead = replace(lead, image=lead.image or _as_image(current))


def _flat(op: Any, weights: Any, current: Shape, shape: Shape) -> Floats | None:
    """A Dense layer's kernel, where it reads the whole input as one vector."""
    if not isinstance(op, keras.layers.Dense) or len(current) != 1:
        return None
    kernel: Floats = weights(op.kernel)
    return kernel if len(kernel) == int(np.prod(shape)) else None


def _by_channel(op: Any, weights: Any, shape: Shape) -> Floats | None:
    """A layer's weights as (channels, any), where it reads a sequence of this shape."""
    inner = getattr(op, "forward_layer", op)
    kernel = getattr(getattr(inner, "cell", inner), "kernel", None)
    if len(shape) != 2 or kernel is None or shape[1] not in kernel.shape[-2:-1]:
        return None
    return np.moveaxis(weights(kernel), -2, 0).reshape(shape[1], -1)


def _moments(op: Any, weights: Any, rank: int) -> tuple[Floats, Floats] | None:
    """Mean and deviation of a layer's input of so many axes, where the layer carries them."""
    if isinstance(op, keras.layers.Normalization):
        given = getattr(op, "input_mean", None) is not None
        mean = np.asarray(op.input_mean if given else op.mean)
        variance = np.asarray(op.input_variance if given else op.variance)
        view = mean.shape[1:] if mean.ndim > rank else mean.shape
    elif type(op) is keras.layers.BatchNormalization:
        mean, variance = weights(op.moving_mean), weights(op.moving_variance)
        view = tuple(-1 if axis == op.axis % (rank + 1) else 1 for axis in range(1, rank + 1))
    else:
        return None
    deviation = np.sqrt(variance.astype(np.float64))
    return mean.astype(np.float64).reshape(view), deviation.reshape(view)


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


def _in_order(rows: Floats) -> bool:
    """Whether neighbouring channels have similar weights, as columns of a picture do."""
    return len(rows) >= _FEWEST_COLUMNS and _lag(_directions(rows), 1) > _beyond_chance(rows)


def _beyond_chance(kernel: Floats) -> float:
    return max(_ALIKE, _CHANCE / float(np.sqrt(kernel.size)))


def _directions(kernel: Floats) -> Floats:
    rows = kernel.reshape(len(kernel), -1).astype(np.float64)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12)


def _lag(unit: Floats, lag: int) -> float:
    """Mean correlation of weight vectors of inputs that are ``lag`` apart."""
    return float((unit[lag:] * unit[:-lag]).sum(axis=1).mean())


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

    Source: method, section 6; the edge after Gavish & Donoho 2014.
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


__all__ = ["NAMES", "Chosen", "Lead", "alternatives", "choose", "lead_of", "live_map"]

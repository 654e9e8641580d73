"""Which prior fits a model: chosen by what its inputs and first layers tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from paoding.domain.box import Box, Canvas, Floats
from paoding.domain.hints import (
    InputHints,
    hints_of,
    in_order,
    known_moments,
    learned_span,
    live_map,
    picture_of,
    reads_as_signal,
)
from paoding.domain.values import Entries, Tokens
from paoding.errors import ArgumentError
from paoding.synthetic.priors import (
    Blobs,
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

if TYPE_CHECKING:
    from paoding.graph import Graph

STANDARDIZED = Box(-4, 4)  # within which nearly all numbers of mean 0 and deviation 1 lie
_COLOURS = 3  # channels of an image in colour
_IMAGES = {"blobs": Blobs, "dead-leaves": DeadLeaves, "spectra": Spectra}
_OTHERS = ("mixture", "signals", "table", "uniform", "tokens", "zipf")
NAMES = (*_IMAGES, *_OTHERS)


@dataclass(frozen=True, eq=False)
class Sampler:
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

    def of(self, prior: Prior) -> Sampler:
        """The same choice for the only input, with a prior that is derived from the chosen one."""
        sentence = self.sentence.replace(str(self.priors[0]), str(prior), 1)
        return replace(self, priors=(prior,), sentence=sentence)


def choose(
    graph: Graph, boxes: tuple[Box, ...], name: str | None = None, scale: str = "both"
) -> Sampler:
    """Choose a prior for each input of a model.

    Args:
        graph: the traced model; only its original weights are read.
        boxes: legal inputs, one box for each input.
        name: "blobs", "dead-leaves", "spectra", "mixture" (of these three), "signals", "table",
            "uniform", "tokens" or "zipf" instead of the choice that the model suggests.
        scale: where legal inputs are only assumed, what is drawn: "unit" for these,
            "standardized" for mean 0 and deviation 1, "both" for half of each.

    Raises:
        ArgumentError: the name is not known, or does not fit the input.

    Source: ``docs/method.md``, section 6.
    """
    _check_lengths(graph)
    priors, sentences, canvases = [], [], []
    fits = False
    for tensor, box in zip(graph.flat.inputs, boxes, strict=True):
        hints = hints_of(graph, tensor)
        found = _named(name, hints, box) if name else None
        fits |= found is not None
        prior, why = _suggested(hints, box) if found is None else (found, "it was asked for")
        if found is None and box.assumed and scale != "unit":
            moved = _standardized(hints)
            prior = moved if scale == "standardized" else Mixture((prior, moved))
        priors.append(prior)
        sentences.append(f"{prior}, since {why}")
        canvases.append(canvas_of(prior) if hints.kernel is None else None)
    if name and not fits:
        raise ArgumentError(
            f"prior={name!r} does not fit inputs of shape "
            f"{', '.join(map(str, graph.sample_shapes))}; leave prior=None, or pass a "
            "callable(rng, n) -> array."
        )
    sentence = "Synthetic inputs: " + "; ".join(sentences) + "."
    return Sampler(tuple(priors), sentence, tuple(canvases))


def _standardized(hints: InputHints) -> Prior:
    """The suggested prior as it would be of standardized inputs."""
    flat = hints.kernel is not None or len(hints.shape) < 3
    shape = hints.shape if flat else (1, 1, hints.shape[-1])
    box = STANDARDIZED.fit(hints.shape)
    return _suggested(replace(hints, mean=np.zeros(shape), deviation=np.ones(shape)), box)[0]


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
        if graph.flat.dtypes[tensor] == "string" and hints_of(graph, tensor).values is None:
            raise ArgumentError(
                f"Input '{symbol.name}' takes text, and no layer that reads it tells which words "
                f"it knows: {way}."
            )


def _suggested(hints: InputHints, box: Box) -> tuple[Prior, str]:
    if hints.values is not None:
        return hints.values, hints.reader
    if hints.image is not None:
        return _image(hints, hints.image, box)
    if hints.kernel is not None:
        size = picture_of(hints.kernel)
        if size is not None:
            return _image(hints, (*size, 1), box)
        if reads_as_signal(hints.kernel):
            return _signals(hints, box), "neighbouring inputs have similar weights"
    if hints.channels is not None and in_order(hints.channels):
        channels = len(hints.channels)
        length = int(np.prod(hints.shape)) // channels
        blobs = Blobs(box, length, channels, 1, hints.shape, live_map(hints.channels[None]))
        why = "neighbouring channels of the sequence have similar weights"
        return _moved(blobs, hints, box), why
    if len(hints.shape) == 2 or hints.channels is not None:
        return _signals(hints, box), "the input is a sequence"
    if hints.mean is not None:
        return _table(hints, box), "a normalization comes first"
    return _table(hints, box), "the inputs show no order"


def _image(hints: InputHints, size: Canvas, box: Box) -> tuple[Prior, str]:
    if size[2] == _COLOURS:
        return _pictures("mixture", hints, size, box), "the input is an image in colour"
    flat = "neighbouring pixels have similar weights in the first layer"
    why = "the input is an image" if _by_pixel(hints, size) is None else flat
    return _pictures("blobs", hints, size, box), why


def _by_pixel(hints: InputHints, size: Canvas) -> Floats | None:
    """A Dense layer's weights, where each is that of a pixel: those tell where images have data."""
    return hints.kernel if size[2] == 1 else None


def _pictures(name: str, hints: InputHints, size: Canvas, box: Box) -> Prior:
    """Images of one kind, or of all kinds in turn: photographs are like none of them."""
    prior: Prior
    if name == "mixture":
        prior = Mixture([kind(box, *size, hints.shape) for kind in _IMAGES.values()])
    elif name == "blobs" and (kernel := _by_pixel(hints, size)) is not None:
        envelope = live_map(kernel.reshape(size[0], size[1], -1))
        prior = Blobs(box, *size, hints.shape, envelope, span=learned_span(kernel))
    else:
        prior = _IMAGES[name](box, *size, hints.shape)
    return _moved(prior, hints, box)


def _signals(hints: InputHints, box: Box) -> Prior:
    flat = 1 if hints.channels is None else len(hints.channels)
    channels = hints.shape[1] if len(hints.shape) == 2 else flat
    length = int(np.prod(hints.shape)) // channels
    return _moved(Signals(box, length, channels, hints.shape), hints, box)


def _table(hints: InputHints, box: Box) -> Prior:
    return Table(box, hints.shape, *(known_moments(hints, box) or ()))


def _moved(prior: Prior, hints: InputHints, box: Box) -> Prior:
    known = known_moments(hints, box)
    return prior if known is None else Moved(prior, box, *known)


def _named(name: str, hints: InputHints, box: Box) -> Prior | None:
    """The prior of this name for one input; None where it fits no such input."""
    if name not in NAMES:
        known = ", ".join(repr(n) for n in NAMES)
        raise ArgumentError(
            f"prior={name!r} is not known; choose one of {known}, or pass a callable."
        )
    if isinstance(hints.values, Tokens) and name in ("tokens", "zipf"):
        return replace(hints.values, zipf=name == "zipf", often=None)
    if isinstance(hints.values, Entries) and name in ("tokens", "zipf"):
        return replace(hints.values, zipf=name == "zipf")
    if hints.values is not None or name in ("tokens", "zipf"):
        return None
    if name == "uniform":
        return Uniform(box, hints.shape)
    if name == "table":
        return _table(hints, box)
    if name == "signals":
        return _signals(hints, box)
    size = hints.image
    if size is None and hints.kernel is not None:
        found = picture_of(hints.kernel)
        size = None if found is None else (*found, 1)
    return None if size is None else _pictures(name, hints, size, box)


def alternatives(graph: Graph, boxes: tuple[Box, ...]) -> dict[str, Sampler]:
    """Every named prior that fits a model, for checks across priors."""
    found = {}
    for name in NAMES:
        try:
            found[name] = choose(graph, boxes, name)
        except ArgumentError:
            continue
    if any(box.assumed for box in boxes):
        found["standardized"] = choose(graph, boxes, scale="standardized")
    return found

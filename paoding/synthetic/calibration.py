"""A few real inputs that the user has, without labels, in the place of synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.domain import Box
from paoding.errors import DataError
from paoding.files.data import load_inputs
from paoding.graph import Graph
from paoding.synthetic.choice import Sampler

_READ = 64  # images at a time
FEWEST, MOST = 16, 4096  # real inputs: from fewer no covariance is known, more change nothing


class Calibration(Sampler):
    """Real inputs, each as often as any other.

    Args:
        arrays: one (n, ...) for each input of the model, at least ``FEWEST`` rows; of more than
            ``MOST`` the first are taken.

    >>> Calibration([np.zeros((20, 3))]).sentence
    'Calibrated on 20 real inputs.'
    """

    arrays: list[np.ndarray]

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        count = min(len(arrays[0]), MOST)
        super().__init__((), f"Calibrated on {count} real inputs.", most=count)
        object.__setattr__(self, "arrays", [x[:count] for x in arrays])

    def draw(self, rng: np.random.Generator, n: int) -> list[np.ndarray]:
        count = len(self.arrays[0])
        rows = np.concatenate([rng.permutation(count) for _ in range(-(-n // count))])[:n]
        return [x[rows] for x in self.arrays]


def fitted_on(given: Calibration | None) -> str:
    """What survivors are fitted on, in two or three words, for every front end.

    >>> fitted_on(None)
    'data-free'
    """
    return "data-free" if given is None else f"calibrated on {len(given.arrays[0]):,} inputs"


def calibration_of(graph: Graph, given: Any, boxes: Sequence[Box]) -> Calibration | None:
    """Real inputs as a user passes them: an array, a list of one for each input, or by name.

    A path stands for an ``.npz`` file, or for a folder of images (which may lie in folders of it),
    which are brought to the legal inputs' size and range.

    Raises:
        DataError: they do not fit the model, are no finite numbers, or too few.
    """
    if given is None or isinstance(given, Calibration):
        return given
    names = [x.name for x in graph.model.inputs]
    if isinstance(given, str | Path):
        path = Path(given)
        given = _images(graph, path, boxes) if path.is_dir() else load_inputs(path)
    if isinstance(given, Mapping):
        if set(given) != set(names):
            raise DataError(
                f"calibration names {sorted(map(str, given))}; the model's inputs are "
                f"{sorted(names)}."
            )
        given = [given[name] for name in names]
    alone = len(names) == 1 and not isinstance(given, list | tuple)
    arrays = [np.asarray(x) for x in ([given] if alone else given)]
    if len(arrays) != len(names):
        raise DataError(f"calibration has {len(arrays)} arrays for {len(names)} inputs.")
    for name, x, tensor in zip(names, arrays, graph.flat.inputs, strict=True):
        wanted = graph.flat.shapes[tensor][1:]
        fits = x.ndim == len(wanted) + 1 and all(
            size in (None, have) for size, have in zip(wanted, x.shape[1:], strict=True)
        )
        if not fits or len(x) != len(arrays[0]):
            raise DataError(
                f"calibration of shape {x.shape} does not fit input '{name}' of shape {wanted}; "
                "the first axis is over samples."
            )
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise DataError("calibration holds values that are NaN or infinite.")
    if len(arrays[0]) < FEWEST:
        raise DataError(
            f"calibration holds {len(arrays[0])} inputs; pass {FEWEST} or more, or none."
        )
    return Calibration(arrays)


def _images(graph: Graph, folder: Path, boxes: Sequence[Box]) -> np.ndarray:
    """Images of a folder as inputs, in an order that is random and always the same."""
    shapes = graph.flat.shapes[graph.flat.inputs[0]]
    modes = {1: "grayscale", 3: "rgb", 4: "rgba"}
    if len(boxes) > 1 or len(shapes) != 4 or shapes[-1] not in modes:
        raise DataError(
            f"A folder of images needs a model of one image; '{graph.model.name}' takes inputs of "
            f"shape {', '.join(str(s) for s in graph.sample_shapes)}."
        )
    size = graph.sample_shapes[0][:2]
    try:
        stream = keras.utils.image_dataset_from_directory(
            folder,
            labels=None,
            color_mode=modes[shapes[-1]],
            image_size=size,
            batch_size=_READ,
            seed=0,
            verbose=False,
        )
        found = [np.asarray(x) for x in stream.take(-(-MOST // _READ))]
    except ValueError as error:
        raise DataError(f"{folder} holds no images that can be read ({error}).") from None
    lo, hi = float(np.min(boxes[0].lo)), float(np.max(boxes[0].hi))
    return (lo + np.concatenate(found)[:MOST] * ((hi - lo) / 255)).astype(np.float32)

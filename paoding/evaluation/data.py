"""Evaluation data of any kind, as checked batches: arrays, streams, folders, files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from paoding.errors import ArgumentError, DataError
from paoding.graph.keras_internals import names_of

_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
Arrays = list[np.ndarray]
# Kinds of NumPy's types: numbers alone, and with them what a model may turn into numbers.
NUMBERS = "biuf"
VALUES = NUMBERS + "USO"


@dataclass(frozen=True)
class Batch:
    """Some samples: one array an input, one an output (None without labels), and weights.

    A weight says which places count: where it is 0, they do not.
    """

    x: Arrays
    y: list[np.ndarray | None]
    weight: np.ndarray | None


class Data:
    """Samples for a model, in batches of what the model takes; only one batch is held at a time.

    Args:
        model: The model that takes them.
        x: An array, a list or a dictionary of arrays by input; a ``tf.data.Dataset`` or a
            ``keras.utils.PyDataset``; or the path of an ``.npz`` file or of a folder with one
            folder of images for each class.
        y: Labels in the same way by output, or None. A stream brings its own.
        weight: Which places count, or None; ``(n,)``, or of the output's places.
        batch_size: How many samples make a batch; streams have batches of their own.

    Raises:
        DataError: The data does not fit the model.
    """

    def __init__(
        self, model: keras.Model, x: Any, y: Any = None, weight: Any = None, batch_size: int = 256
    ) -> None:
        self.model, self.batch_size = model, batch_size
        self.inputs, self.outputs = names_of(model)
        if isinstance(x, str | Path):
            x, y, weight = self._opened(Path(x), y, weight)
        self._stream = x if is_stream(x) else None
        if self._stream is not None:
            if y is not None:
                raise DataError("A stream brings its own labels; leave y out.")
            return
        self._x = self._by_name(x, self.inputs, "x")
        self._y = [None] * len(self.outputs) if y is None else self._by_name(y, self.outputs, "y")
        self._weight = None if weight is None else as_array(weight, "weight")
        self._check_lengths()
        for name, values, symbol in zip(self.inputs, self._x, model.inputs, strict=True):
            _check_input(name, values, symbol, model.name, len(self.inputs))

    def __iter__(self) -> Iterator[Batch]:
        if self._stream is not None:
            yield from self._streamed(self._stream)
            return
        for first in range(0, len(self._x[0]), self.batch_size):
            part = slice(first, first + self.batch_size)
            yield Batch(
                [x[part] for x in self._x],
                [None if y is None else y[part] for y in self._y],
                None if self._weight is None else self._weight[part],
            )

    @property
    def streamed(self) -> bool:
        """Whether the data is read batch by batch."""
        return self._stream is not None

    def _streamed(self, stream: Any) -> Iterator[Batch]:
        items = (stream[i] for i in range(len(stream))) if _is_sequence(stream) else stream
        empty = True
        for item in items:
            empty = False
            parts = item if isinstance(item, tuple) else (item,)
            if not 1 <= len(parts) <= 3:
                raise DataError(f"The stream gives {len(parts)} values; (x, y) is needed.")
            x, y, weight = (*parts, None, None)[:3]
            # Its own batches may be large: they are cut to what is computed at once.
            yield from Data(self.model, x, y, weight, self.batch_size)
        if empty:
            raise DataError("The stream holds no samples.")

    def _by_name(self, values: Any, names: list[str], what: str) -> Any:
        if isinstance(values, Mapping):
            missing = [name for name in names if name not in values]
            if missing:
                raise DataError(
                    f"{what} has no '{missing[0]}' (found {', '.join(map(str, values))}); model "
                    f"'{self.model.name}' needs {', '.join(names)}."
                )
            return [as_array(values[name], f"{what}['{name}']") for name in names]
        if len(names) == 1:
            one = isinstance(values, list | tuple) and len(values) == 1 and np.ndim(values[0]) > 1
            return [as_array(values[0] if one else values, what)]
        if not isinstance(values, list | tuple) or len(values) != len(names):
            raise DataError(
                f"Model '{self.model.name}' needs {len(names)} arrays as {what}, a list or a "
                f"dictionary of {', '.join(names)}."
            )
        return [as_array(v, f"{what}['{n}']") for n, v in zip(names, values, strict=True)]

    def _check_lengths(self) -> None:
        whole = [(f"input '{n}'", x) for n, x in zip(self.inputs, self._x, strict=True)]
        whole += [(f"labels '{n}'", y) for n, y in zip(self.outputs, self._y, strict=True)]
        if self._weight is not None:
            whole.append(("weight", self._weight))
        count = len(self._x[0]) if self._x[0].ndim else 0
        if count == 0:
            raise DataError(f"x holds no samples (shape {self._x[0].shape}).")
        for name, values in whole:
            if values is not None and (values.ndim == 0 or len(values) != count):
                raise DataError(
                    f"{name} has shape {values.shape} for {count} samples; they must be as many."
                )

    def _opened(self, path: Path, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        if path.is_dir():
            return _images(self.model, path, self.batch_size), y, weight
        from paoding.files.data import load_arrays

        held = load_arrays(path)
        x: Any = {n: held[n] for n in self.inputs if n in held}
        if len(x) < len(self.inputs):
            if "x" not in held or len(self.inputs) > 1:
                raise DataError(
                    f"{path} needs arrays {', '.join(self.inputs)} (found {', '.join(held)})."
                )
            x = held["x"]
        if y is None:
            named = {n: held[n] for n in self.outputs if n in held}
            y = named if len(named) == len(self.outputs) else held.get("y")
        return x, y, held.get("weight") if weight is None else weight


def _images(model: keras.Model, folder: Path, batch_size: int) -> Any:
    """Return a folder of images as a stream in the size and range that the model takes."""
    from paoding.graph import trace
    from paoding.synthetic.legal import legal_inputs

    shape = model.inputs[0].shape
    if len(model.inputs) > 1 or len(shape) != 4 or shape[-1] not in (1, 3, 4):
        raise DataError(f"A folder of images needs a model of one image; {model.name} has not.")
    if not any(p.suffix.lower() in _IMAGES for p in folder.glob("*/*")):
        raise DataError(f"{folder} has no folders with images ({', '.join(_IMAGES)}), one a class.")
    box = legal_inputs(trace(model), None)[0][0]
    lo, hi = float(np.min(box.lo)), float(np.max(box.hi))
    modes = {1: "grayscale", 3: "rgb", 4: "rgba"}
    stream = keras.utils.image_dataset_from_directory(
        folder, label_mode="int", color_mode=modes[shape[-1]], shuffle=False, verbose=False,
        image_size=tuple(n or 224 for n in shape[1:3]), batch_size=batch_size,
    )  # fmt: skip
    return stream.map(lambda x, y: (lo + x * ((hi - lo) / 255), y))


def _is_sequence(x: Any) -> bool:
    return isinstance(x, keras.utils.PyDataset)


def is_stream(x: Any) -> bool:
    """Return whether samples come in batches of their own, rather than as arrays."""
    if _is_sequence(x) or hasattr(x, "element_spec"):
        return True
    plain = isinstance(x, Mapping | Sequence | np.ndarray) or hasattr(x, "__array__")
    return isinstance(x, Iterable) and not plain


def as_array(values: Any, name: str, kinds: str = VALUES) -> np.ndarray:
    """Return values as an array, of one of these kinds of NumPy's types.

    Raises:
        DataError: They are no array, or of another kind.
    """
    try:
        array = np.asarray(values)
    except Exception as error:
        if "inhomogeneous" in str(error):
            raise DataError(
                f"{name} has samples of different lengths: pad them to one length, or pass a "
                "stream whose batches are each of one length."
            ) from error
        raise DataError(f"{name} is no array: {error}.") from error
    if array.dtype.kind not in kinds:
        raise DataError(f"{name} holds {array.dtype} values; numbers are needed.")
    return array


def each_output(given: Any, names: list[str], what: str) -> list[Any]:
    """Return what was given for each output: one for all, a list, or a dictionary."""
    if isinstance(given, Mapping):
        wrong = [name for name in given if name not in names]
        if wrong:
            raise ArgumentError(
                f"{what} names '{wrong[0]}', which is no output; there are {', '.join(names)}."
            )
        return [given.get(name) for name in names]
    if isinstance(given, list | tuple) and len(names) > 1:
        if len(given) != len(names):
            raise ArgumentError(f"{what} has {len(given)} entries for {len(names)} outputs.")
        return list(given)
    return [given] * len(names)


def _check_input(name: str, x: np.ndarray, symbol: Any, model: str, inputs: int) -> None:
    """Say what is wrong with the samples of one input."""
    where = "x" if inputs == 1 else f"x['{name}']"
    wanted, given = tuple(symbol.shape[1:]), x.shape[1:]
    fits = len(wanted) == len(given) and all(
        w in (None, g) for w, g in zip(wanted, given, strict=True)
    )
    if not fits:
        raise DataError(
            f"{where} has samples of shape {given}, but model '{model}' takes {wanted}; "
            f"reshape {where}."
        )
    if str(symbol.dtype) == "string":
        return
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where} holds {x.dtype} values; numbers are needed.")
    if x.dtype.kind == "f":
        wrong = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1)
        if wrong.any():
            raise DataError(
                f"{where} holds NaN or infinite values in {wrong.sum()} of {len(x)} samples, the "
                f"first at index {wrong.argmax()}."
            )

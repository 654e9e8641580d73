"""Read evaluation data and other inputs from .npz files, of plain numbers only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from paoding.errors import DataError, PaodingError
from paoding.files.archive import check_zip
from paoding.files.atomic import PathLike
from paoding.files.reasons import first_line


def load_inputs(path: PathLike) -> Any:
    """Read inputs without labels from an ``.npz`` file: its array ``x``, or one for each input.

    Returns:
        The array ``x``, or a mapping from names to arrays where there is none of that name.

    Raises:
        DataError: The file is missing, damaged or too large, or holds what are no plain values.
    """
    held = load_arrays(path)
    return held.get("x", held)


def load_data(path: PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Read evaluation data from an ``.npz`` file that holds ``x`` and ``y``.

    Args:
        path: The file. ``x`` has the samples along its first axis, ``y`` as many labels.

    Returns:
        ``(x, y)`` as the file has them.

    Raises:
        DataError: The file is missing, damaged or too large, ``x`` or ``y`` is missing or not
            of numbers, or their lengths differ.
    """
    return labelled(path, load_arrays(path))


def labelled(path: PathLike, held: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return ``x`` and ``y`` of the arrays that a file held; errors as of :func:`load_data`."""
    missing = [key for key in ("x", "y") if key not in held]
    if missing:
        found = ", ".join(map(repr, held)) or "nothing"
        raise DataError(
            f"{path} has no array {' and '.join(map(repr, missing))} (found {found}); "
            "save it with numpy.savez(path, x=..., y=...)."
        )
    _check_arrays(path, held["x"], held["y"])
    return held["x"], held["y"]


def load_arrays(path: PathLike) -> dict[str, np.ndarray]:
    """Read every array of an ``.npz`` file, by its name.

    Raises:
        DataError: The file is missing, damaged or too large, or holds what are no plain values.
    """
    path = Path(path)
    try:
        check_zip(path, DataError)
        with np.load(path, allow_pickle=False) as file:
            return {key: np.asanyarray(file[key]) for key in file.files}
    except PaodingError:
        raise
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except Exception as error:
        raise DataError(
            f"{path} is not a whole .npz file of plain numbers ({first_line(error)})."
        ) from error


def _check_arrays(path: PathLike, x: np.ndarray, y: np.ndarray) -> None:
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "biuf":
            raise DataError(f"{path}: {name} holds {array.dtype} values; numbers are needed.")
        if array.ndim == 0 or len(array) == 0:
            raise DataError(f"{path}: {name} holds no samples (shape {array.shape}).")
    if len(x) != len(y):
        raise DataError(f"{path}: x has {len(x)} samples and y {len(y)}; they must be as many.")

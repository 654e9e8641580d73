"""Read and write models: sizes are checked first, no code in a file is ever run."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paoding.errors import ArgumentError, ModelError, PaodingError, WeightsError
from paoding.files.archive import check_keras_zip
from paoding.files.atomic import PathLike, output_file
from paoding.files.keras2 import modern_hdf5, modern_zip
from paoding.files.reasons import why_not_loaded
from paoding.quiet import quiet_start

if TYPE_CHECKING:
    import keras

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK"
# Values that a model's weights may have room for: as many as the file holds, twice, and some that
# layers keep apart from their weights.
_AS_MANY, _HARMLESS = 2, 1 << 22


def load_model(path: PathLike) -> keras.Model:
    """Load a Keras model from a file, without running any code that the file holds.

    Args:
        path: A ``.keras`` file, or an HDF5 file (``.h5``) saved by Keras 3 or Keras 2. What the
            file is, is told from its first bytes.

    Returns:
        The model, not compiled.

    Raises:
        ModelError: The file is missing, truncated, not a whole Keras model, larger inside than
            it should be, or holds Python code (a Lambda layer).
        WeightsError: A weight is NaN or infinite.

    Example:
        >>> load_model("nowhere.keras")
        Traceback (most recent call last):
        paoding.errors.ModelError: There is no file nowhere.keras.
    """
    path = Path(path)
    kind = _kind_of(path)
    try:
        with _readable(path, kind) as (file, values), warnings.catch_warnings():
            # Keras warns about how old files spell things, which nobody can change any more.
            warnings.simplefilter("ignore")
            model = _keras_load(file, values)
    except ModelError as error:
        raise error if str(path) in str(error) else ModelError(f"{path}: {error}") from None
    except PaodingError:
        raise
    except (MemoryError, RecursionError):
        raise ModelError(
            f"{path} does not fit in memory, or is nested too deeply; is it really a model?"
        ) from None
    except Exception as error:  # Keras raises every kind of error here
        raise ModelError(why_not_loaded(path, error)) from error
    check_weights(model, str(path))
    return model


def check_weights(model: keras.Model, name: str | None = None) -> None:
    """Raise WeightsError when a weight of ``model`` is NaN or infinite, naming the weight."""
    for variable in model.weights:
        values = variable.numpy()
        if values.dtype.kind == "V":  # bfloat16 and its like, which isfinite does not know
            values = values.astype("float32")
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            bad = int(np.size(values) - np.isfinite(values).sum())
            raise WeightsError(
                f"{name or model.name}: {bad} of {np.size(values)} values of the weight "
                f"{variable.path} are NaN or infinite; train or repair the model first."
            )


def save_model(model: keras.Model, path: PathLike, *, overwrite: bool = False) -> Path:
    """Write ``model`` to a ``.keras`` file: either the whole file appears, or none.

    Args:
        model: The model.
        path: Where; the suffix has to be ``.keras``.
        overwrite: Whether a file that exists may be replaced.

    Returns:
        The path.

    Raises:
        ArgumentError: Another suffix, or the folder cannot be written to.
        OutputExistsError: The file exists and ``overwrite`` is false.
    """
    from paoding.graph.keras_internals import require_loadable  # late: it loads Keras

    path = Path(path)
    if path.suffix != ".keras":
        raise ArgumentError(f"A model is saved as .keras, not as {path.name}.")
    with output_file(path, overwrite=overwrite) as temporary:
        model.save(temporary)
        require_loadable(model, temporary)
    return path


def _kind_of(path: Path) -> str:
    """Return "zip" or "hdf5", from the first bytes of the file."""
    try:
        if not path.exists():
            raise ModelError(f"There is no file {path}.")
        if path.is_dir():
            raise ModelError(
                f"{path} is a folder (a SavedModel?); Keras 3 loads models from .keras or .h5 "
                "files."
            )
        if not path.is_file():  # a pipe would be waited for without end
            raise ModelError(f"{path} is not an ordinary file; copy the model into one.")
        with path.open("rb") as file:
            start = file.read(len(_HDF5_MAGIC))
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror or error}.") from error
    if start == _HDF5_MAGIC:
        return "hdf5"
    if start.startswith(_ZIP_MAGIC):
        return "zip"
    what = "is empty" if not start else "is no Keras model"
    raise ModelError(f"{path} {what}; a .keras or .h5 file is needed.")


@contextmanager
def _readable(path: Path, kind: str) -> Iterator[tuple[Path, int]]:
    """Check the file and give it, or a corrected copy, under a name that Keras accepts.

    With it goes the number of values that its weights hold.
    """
    with tempfile.TemporaryDirectory(prefix="paoding-") as folder:
        if kind == "zip":
            config, version, values = check_keras_zip(path)
            if version.startswith("2"):
                path = modern_zip(path, config, Path(folder))
            yield _with_suffix(path, ".keras", Path(folder)), values
        else:
            file, values = modern_hdf5(path, Path(folder))
            yield _with_suffix(file, ".h5", Path(folder)), values


def _with_suffix(path: Path, suffix: str, folder: Path) -> Path:
    if path.suffix == suffix:
        return path
    link = folder / f"model{suffix}"
    link.symlink_to(path.resolve())
    return link


def _keras_load(path: Path, values: int) -> keras.Model:
    with quiet_start():
        import keras

    from paoding.graph.keras_internals.loading import room_for

    with room_for(_AS_MANY * values + _HARMLESS):
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise ModelError(f"{path} holds a {type(model).__name__}, not a model.")
    return model

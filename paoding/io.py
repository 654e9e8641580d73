"""Read and write models and data: sizes are checked first, no code in a file is ever run."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import socket
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.errors import (
    ArgumentError,
    DataError,
    ModelError,
    OutputExistsError,
    PaodingError,
    WeightsError,
)
from paoding.quiet import quiet_start

if TYPE_CHECKING:
    import keras

PathLike = str | os.PathLike[str]

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK"
# No honest array packs better than this; smaller files may, they can do no harm.
_MAX_EXPANSION = 200
_HARMLESS_BYTES = 64 << 20
_MAX_CONFIG_BYTES = 64 << 20
# An input with more values than this is a mistake or an attack, not a sample.
_MAX_INPUT_VALUES = 1 << 30


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
        with _readable(path, kind) as file, warnings.catch_warnings():
            # Keras warns about how old files spell things, which nobody can change any more.
            warnings.simplefilter("ignore")
            model = _keras_load(file)
    except PaodingError:
        raise
    except (MemoryError, RecursionError):
        raise ModelError(
            f"{path} does not fit in memory, or is nested too deeply; is it really a model?"
        ) from None
    except Exception as error:  # Keras raises every kind of error here
        raise ModelError(_why_not_loaded(path, error)) from error
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


def load_inputs(path: PathLike) -> Any:
    """Read inputs without labels from an ``.npz`` file: its array ``x``, or one for each input.

    Returns:
        The array ``x``, or a mapping from names to arrays where there is none of that name.

    Raises:
        DataError: The file is missing, damaged or too large.
    """
    path = Path(path)
    try:
        _check_zip(path, DataError)
        with np.load(path, allow_pickle=False) as file:
            return file["x"] if "x" in file else {name: file[name] for name in file.files}
    except PaodingError:
        raise
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except Exception as error:
        raise DataError(f"{path} is not a whole .npz file ({_first_line(error)}).") from error


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
    path = Path(path)
    held = load_arrays(path)
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
        _check_zip(path, DataError)
        with np.load(path, allow_pickle=False) as file:
            return {key: np.asanyarray(file[key]) for key in file.files}
    except PaodingError:
        raise
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except Exception as error:
        raise DataError(
            f"{path} is not a whole .npz file of plain numbers ({_first_line(error)})."
        ) from error


def _check_arrays(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "biuf":
            raise DataError(f"{path}: {name} holds {array.dtype} values; numbers are needed.")
        if array.ndim == 0 or len(array) == 0:
            raise DataError(f"{path}: {name} holds no samples (shape {array.shape}).")
    if len(x) != len(y):
        raise DataError(f"{path}: x has {len(x)} samples and y {len(y)}; they must be as many.")


@contextmanager
def output_file(path: PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that becomes ``path`` when the block succeeds.

    Raises:
        OutputExistsError: ``path`` exists and ``overwrite`` is false.
        ArgumentError: The folder cannot be written to.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    with _temporary_sibling(path) as folder:
        # The temporary file has the final name, since writers look at its suffix.
        temporary = folder / path.name
        yield temporary
        if overwrite:
            refuse_existing(path, overwrite)
            os.replace(temporary, path)
            return
        try:
            os.link(temporary, path)  # which fails where the name was taken in the meantime
        except FileExistsError:
            refuse_existing(path)
            raise
        except OSError:  # a disk without links
            refuse_existing(path)
            os.replace(temporary, path)


@contextmanager
def output_folder(path: PathLike) -> Iterator[Path]:
    """Give a temporary folder beside ``path`` that becomes ``path`` when the block succeeds.

    Raises:
        OutputExistsError: ``path`` exists, as a folder or a file.
        ArgumentError: The folder around it cannot be written to.
    """
    path = Path(path)
    refuse_existing(path)
    with _temporary_sibling(path) as folder:
        temporary = folder / path.name
        temporary.mkdir()
        yield temporary
        refuse_existing(path)
        os.rename(temporary, path)


def refuse_existing(path: PathLike, overwrite: bool = False) -> None:
    """Raise unless ``path`` is free to be written, or a file that may be replaced.

    Raises:
        OutputExistsError: ``path`` exists and ``overwrite`` is false, or it is a folder.
        ArgumentError: no file can have that name.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    if os.path.isdir(path) or not overwrite:
        raise OutputExistsError(f"{path} exists already; choose another name or remove it first.")


def refuse_unwritable(path: PathLike) -> None:
    """Raise unless ``path`` can be written and is free, and leave nothing: said before long work.

    Raises:
        OutputExistsError: ``path`` exists.
        ArgumentError: its folder cannot be made or written to.
    """
    path = Path(path)
    refuse_existing(path)
    around = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".paoding-", dir=around))
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: PathLike, error: Exception) -> ArgumentError:
    return ArgumentError(f"Cannot write to {path}: {getattr(error, 'strerror', None) or error}.")


@contextmanager
def _temporary_sibling(path: Path) -> Iterator[Path]:
    """Make a folder on the same disk as ``path`` and remove it at the end."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name[:100]}-{_host()}."
        _remove_leftovers(path.parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=path.parent))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _host() -> str:
    return re.sub(r"\W", "", socket.gethostname())[:20]


def _remove_leftovers(around: Path, prefix: str) -> None:
    """Remove what a run left that was killed while it wrote: this machine's, no longer alive."""
    if os.name != "posix":
        return
    for folder in around.glob(f"{glob.escape(prefix)}*-*"):
        number = folder.name.removeprefix(prefix).partition("-")[0]
        with contextlib.suppress(PermissionError):
            try:
                os.kill(int(number), 0)  # asks only whether it is alive
            except ProcessLookupError:
                shutil.rmtree(folder, ignore_errors=True)
            except (ValueError, OverflowError):
                continue  # another's name that happens to look alike


# -- what a file is, and how large it is inside --------------------------------------------------


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
def _readable(path: Path, kind: str) -> Iterator[Path]:
    """Check the file and give it, or a corrected copy, under a name that Keras accepts."""
    with tempfile.TemporaryDirectory(prefix="paoding-") as folder:
        if kind == "zip":
            config, version = _check_keras_zip(path)
            if version.startswith("2"):
                path = _modern_zip(path, config, Path(folder))
            yield _with_suffix(path, ".keras", Path(folder))
        else:
            yield _with_suffix(_modern_hdf5(path, Path(folder)), ".h5", Path(folder))


def _with_suffix(path: Path, suffix: str, folder: Path) -> Path:
    if path.suffix == suffix:
        return path
    link = folder / f"model{suffix}"
    link.symlink_to(path.resolve())
    return link


def _check_zip(path: Path, error: type[PaodingError]) -> None:
    """Refuse a zip file whose members unpack to more than they can honestly hold."""
    with zipfile.ZipFile(path) as archive:
        packed = sum(member.compress_size for member in archive.infolist())
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _HARMLESS_BYTES and unpacked > _MAX_EXPANSION * packed:
        raise error(
            f"{path} would unpack from {_size(packed)} to {_size(unpacked)}; it is refused."
        )
    if unpacked > _memory():
        raise error(f"{path} holds {_size(unpacked)}, more than this machine's memory.")


def _check_keras_zip(path: Path) -> tuple[Any, str]:
    """Check the sizes in a ``.keras`` file; return its config and the version that wrote it."""
    import h5py

    _check_zip(path, ModelError)
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if "config.json" not in names:
            raise ModelError(f"{path} is a zip file without a config.json; it is no Keras model.")
        if archive.getinfo("config.json").file_size > _MAX_CONFIG_BYTES:
            raise ModelError(f"{path} has a config.json beyond {_size(_MAX_CONFIG_BYTES)}.")
        config = json.loads(archive.read("config.json"))
        if "model.weights.h5" not in names:
            raise ModelError(f"{path} has no model.weights.h5, so no weights; save it again.")
        with archive.open("model.weights.h5") as member, h5py.File(member, "r") as weights:
            shapes = _check_hdf5(path, weights)
        version = ""
        if "metadata.json" in names:
            found = re.search(rb'"keras_version": "([^"]*)"', archive.read("metadata.json"))
            version = found[1].decode(errors="replace") if found else ""
    _check_config_size(path, config, shapes)
    return config, version


def _check_hdf5(path: Path, file: Any) -> list[tuple[int, ...]]:
    """Return the shapes of all arrays, after refusing links to other files and hollow arrays."""
    import h5py

    shapes: list[tuple[int, ...]] = []
    stored = declared = 0
    groups = [file]
    seen: set[Any] = set()
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ModelError(f"{path} links to data elsewhere ({name!r}); it is refused.")
            item = group[name]
            if item.id.__hash__() in seen:
                continue
            seen.add(item.id.__hash__())
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise ModelError(f"{path} keeps {name!r} in another file; it is refused.")
                shapes.append(item.shape)
                declared += item.size * item.dtype.itemsize
                stored += item.id.get_storage_size()
    if declared > _HARMLESS_BYTES and declared > _MAX_EXPANSION * stored:
        raise ModelError(
            f"{path} would unpack from {_size(stored)} to {_size(declared)}; it is refused."
        )
    if declared > _memory():
        raise ModelError(f"{path} holds {_size(declared)}, more than this machine's memory.")
    return shapes


def _check_config_size(path: Path, config: Any, shapes: list[tuple[int, ...]]) -> None:
    """Refuse layers that are larger than any weight in the file, before Keras makes room for them.

    A layer with N units has a weight with an axis of at least N; a config that promises more
    than the weights hold would make Keras fill memory with random numbers.
    """
    longest = max((max(shape, default=1) for shape in shapes), default=1)
    for layer, settings in _layer_configs(config):
        for key in ("units", "filters", "input_dim", "key_dim", "value_dim"):
            value = settings.get(key)
            if isinstance(value, int) and value > max(longest, 1024):
                raise ModelError(
                    f"{path}: layer {layer!r} has {key} {value}, but no weight in the file is "
                    "that long; the file is damaged."
                )
        for key in ("batch_shape", "batch_input_shape"):
            shape = settings.get(key)
            if isinstance(shape, list) and _product(shape) > _MAX_INPUT_VALUES:
                raise ModelError(f"{path}: layer {layer!r} has inputs of shape {shape}.")


def _product(shape: list[Any]) -> int:
    total = 1
    for length in shape:
        total *= length if isinstance(length, int) else 1
    return total


def _layer_configs(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, settings) of every layer at any depth of a model's config."""
    todo = [config]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            settings = item.get("config")
            if isinstance(settings, dict) and "class_name" in item:
                yield str(settings.get("name", item["class_name"])), settings
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)


def _memory() -> int:
    """Return the bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _size(count: int) -> str:
    """Return a number of bytes as people read it."""
    power = min(max(count.bit_length() - 1, 0) // 10, 4)
    return f"{count >> 10 * power} {('bytes', 'KB', 'MB', 'GB', 'TB')[power]}"


# -- what Keras says -----------------------------------------------------------------------------


def _keras_load(path: Path) -> keras.Model:
    with quiet_start():
        import keras

    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise ModelError(f"{path} holds a {type(model).__name__}, not a model.")
    return model


def _first_line(error: BaseException) -> str:
    # Around the reason Keras prints the whole config of a layer, once for each that encloses it.
    text = str(error).rpartition("Exception encountered:")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text.rstrip(".") if len(text) <= 200 else text[:199] + "…"


def _why_not_loaded(path: Path, error: Exception) -> str:
    """Return one sentence for whatever Keras, h5py or zipfile raised."""
    text = str(error)
    if isinstance(error, zipfile.BadZipFile | EOFError | OSError) or "truncated" in text.lower():
        return f"{path} is damaged or truncated; copy or save it again."
    if "lambda" in text.lower() and ("safe" in text or "function_type" in text):
        return (
            f"{path} holds a Lambda layer with Python code, which is never run from a file; "
            "load it yourself and pass the model."
        )
    if "TFOpLambda" in text or "SlicingOpLambda" in text:
        return (
            f"{path} was saved by Keras 2 with raw TensorFlow operations (TFOpLambda), which "
            "Keras 3 cannot load; rebuild those steps from layers and save it again."
        )
    foreign = re.search(r"Could not locate (class|function) '([^']*)'", text)
    if foreign:
        return (
            f"{path} needs the {foreign[1]} {foreign[2]!r}, which is not Keras's own: load the "
            "model in Python, where its code is at hand, and pass that."
        )
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return f"{path} has a config that cannot be read; the file is damaged."
    return f"{path} cannot be loaded by Keras: {_first_line(error)}."


# -- files of Keras 2 ----------------------------------------------------------------------------


def _modern_hdf5(path: Path, folder: Path) -> Path:
    """Check an HDF5 model; return ``path``, or a copy whose config Keras 3 understands."""
    import h5py

    with h5py.File(path, "r") as file:
        shapes = _check_hdf5(path, file)
        text, weights = file.attrs.get("model_config"), "model_weights" in file
        version = _text(file.attrs.get("keras_version", ""))
    if text is None:
        raise ModelError(
            f"{path} has no model config: it holds only weights, or no Keras model; "
            "save the whole model."
        )
    if not weights:
        raise ModelError(f"{path} holds no weights, only a model's config; save the whole model.")
    text = _text(text)
    config = json.loads(text)
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path} has a config that cannot be read; the file is damaged.")
    _check_config_size(path, config, shapes)
    if not version.startswith("3"):
        _refuse_what_changed(path, config)
    modern = modernize(config)
    if modern == json.loads(text):
        return path
    copy = folder / "modern.h5"
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(modern)
    return copy


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _refuse_what_changed(path: Path, config: Any) -> None:
    """Raise ``ModelError`` where Keras 3 would load the model, and compute something else."""
    for layer, settings in _layer_configs(config):
        for key in ("activation", "recurrent_activation"):
            if settings.get(key) == "hard_sigmoid":
                raise ModelError(
                    f"{path} was saved by Keras 2 with a hard_sigmoid (layer {layer!r}), which in "
                    "Keras 3 is another function; train it with a sigmoid, or convert it yourself."
                )


def _modern_zip(path: Path, config: dict[str, Any], folder: Path) -> Path:
    """Return a copy of a ``.keras`` file of Keras 2 whose config Keras 3 understands."""
    _refuse_what_changed(path, config)
    copy = folder / "modern.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name != "config.json":
                new.writestr(name, old.read(name))
        new.writestr("config.json", json.dumps(modernize(config)))
    return copy


# Settings that Keras 2 wrote and Keras 3 refuses, with the values at which they say nothing.
_OLD_SETTINGS: dict[str, Callable[[Any], bool]] = {
    "groups": lambda value: value == 1,
    "time_major": lambda value: value is False,
    "input_length": lambda value: True,
    "implementation": lambda value: True,
    "query_shape": lambda value: True,
    "key_shape": lambda value: True,
    "value_shape": lambda value: True,
    "softmax_robust_masking": lambda value: value is False,
    "rng_type": lambda value: True,
}
# Keras 2 wrote one kernel's settings also for layers that have a depthwise and a pointwise one.
_UNUSED_IN_SEPARABLE = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_TAKES_GROUPS = {"Conv1D", "Conv2D", "Conv3D", "GroupNormalization"}
_MODELS = {"Functional", "Model", "Sequential"}


def modernize(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a Keras 2 model as Keras 3 spells it; the argument is not changed."""
    return _modern_layer(json.loads(json.dumps(config)))


def _modern_layer(layer: dict[str, Any]) -> dict[str, Any]:
    kind, settings = layer.get("class_name"), layer.get("config")
    if isinstance(settings, list):  # a Sequential of Keras before 2.2.3: only its layers
        settings = layer["config"] = {"layers": settings}
    if not isinstance(settings, dict):
        return layer
    if "module" in layer:  # a .keras file, which says where a class is at home
        if kind in _MODELS:
            layer["module"] = "keras" if kind == "Sequential" else "keras.src.models.functional"
        else:
            layer.pop("build_config", None)  # of the first call, by other rules than Keras 3's
            if kind != "InputLayer":
                settings.pop("batch_input_shape", None)
            if isinstance(settings.get("axis"), list) and kind == "BatchNormalization":
                settings["axis"] = settings["axis"][0]
    if kind in _MODELS:
        _modern_model(settings)
    policy = settings.get("dtype")
    if isinstance(policy, dict) and policy.get("class_name") == "Policy":
        settings["dtype"] = policy["config"]["name"]
    for key in ("layer", "forward_layer", "backward_layer", "cell"):
        if isinstance(settings.get(key), dict):
            settings[key] = _modern_layer(settings[key])
    for key, says_nothing in _OLD_SETTINGS.items():
        if key == "groups" and kind in _TAKES_GROUPS:
            continue
        if key in settings and says_nothing(settings[key]):
            del settings[key]
    if kind in ("SeparableConv1D", "SeparableConv2D"):
        for key in _UNUSED_IN_SEPARABLE:
            settings.pop(key, None)
    if kind == "ThresholdedReLU":
        layer["class_name"] = "ReLU"
        settings["threshold"] = settings.pop("theta", 1.0)
    if kind == "LeakyReLU" and "alpha" in settings:
        settings["negative_slope"] = settings.pop("alpha")
    return layer


def _modern_model(settings: dict[str, Any]) -> None:
    layers = settings["layers"] = [_modern_layer(layer) for layer in settings.get("layers", [])]
    # Keras 2 counts the making of a nested model as its first call, Keras 3 does not.
    nested = {layer.get("name") for layer in layers if layer.get("class_name") in _MODELS}
    for layer in layers:
        if layer.get("inbound_nodes"):
            calls = _renumbered(layer["inbound_nodes"], nested)
            layer["inbound_nodes"] = [_modern_call(call) for call in calls]
    for key in ("input_layers", "output_layers"):
        if key in settings:
            tensors = _renumbered(settings[key], nested)
            one = len(tensors) == 1 and isinstance(tensors[0], list)
            # A model of one input takes an array, not a list of one.
            settings[key] = tensors[0] if one else tensors


def _is_tensor(item: Any) -> bool:
    """Tell whether ``item`` is Keras 2's reference to a tensor: [layer, call, output]."""
    return isinstance(item, list) and len(item) == 3 and [type(i) for i in item] == [str, int, int]


def _modern_call(call: Any) -> Any:
    """Rewrite a call that passes a tensor by keyword, which Keras 3 reads only in its own form."""
    if not isinstance(call, list) or not all(isinstance(i, list) and len(i) == 4 for i in call):
        return call
    keywords = {key: value for item in call for key, value in item[3].items()}
    if not any(map(_is_tensor, keywords.values())):
        return call

    def tensor(item: list[Any]) -> dict[str, Any]:
        settings = {"shape": [None], "dtype": "float32", "keras_history": item[:3]}
        return {"class_name": "__keras_tensor__", "config": settings}

    inputs = [tensor(item) for item in call]
    return {
        "args": [inputs[0] if len(inputs) == 1 else inputs],
        "kwargs": {k: tensor(v) if _is_tensor(v) else v for k, v in keywords.items()},
    }


def _renumbered(item: Any, nested: set[Any]) -> Any:
    """Count the calls of nested models from 0 in every tensor reference [name, call, output]."""
    if isinstance(item, dict):
        return {key: _renumbered(value, nested) for key, value in item.items()}
    if not isinstance(item, list):
        return item
    if len(item) in (3, 4) and isinstance(item[0], str) and isinstance(item[1], int):
        call = item[1] - 1 if item[0] in nested and item[1] > 0 else item[1]
        return [item[0], call, *(_renumbered(value, nested) for value in item[2:])]
    return [_renumbered(value, nested) for value in item]

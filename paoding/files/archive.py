"""What a .keras, .h5 or .npz file may contain: sizes and links, checked before unpacking.

The viewer in the browser has its own gate, in ``js/packages/core/src/keras/archive.ts``.
"""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paoding.errors import ModelError, PaodingError

# No honest array packs better than this; smaller files may, they can do no harm.
_MAX_EXPANSION = 200
_HARMLESS_BYTES = 64 << 20
_MAX_CONFIG_BYTES = 64 << 20
# An input with more values than this is a mistake or an attack, not a sample.
_MAX_INPUT_VALUES = 1 << 30
# Calls of layers; the largest model of keras.applications has about a thousand.
_MOST_CALLS = 20_000


def check_zip(path: Path, error: type[PaodingError]) -> None:
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


def check_keras_zip(path: Path) -> tuple[Any, str, int]:
    """Check the sizes in a ``.keras`` file.

    Returns:
        Its config, the version that wrote it, and how many values its weights hold.
    """
    import h5py

    check_zip(path, ModelError)
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
            shapes = check_hdf5(path, weights)
        version = ""
        if "metadata.json" in names:
            found = re.search(rb'"keras_version": "([^"]*)"', archive.read("metadata.json"))
            version = found[1].decode(errors="replace") if found else ""
    check_config_size(path, config, shapes)
    return config, version, values_of(shapes)


def check_hdf5(path: Path, file: Any) -> list[tuple[int, ...]]:
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


def check_config_size(path: Path, config: Any, shapes: list[tuple[int, ...]]) -> None:
    """Refuse layers that are larger than any weight in the file, before Keras makes room for them.

    A layer with N units has a weight with an axis of at least N; a config that promises more
    than the weights hold would make Keras fill memory with random numbers.
    """
    calls = _calls(config)
    if calls > _MOST_CALLS:
        raise ModelError(f"{path} calls its layers {calls:,} times; it is refused.")
    longest = max((max(shape, default=1) for shape in shapes), default=1)
    for layer, settings in layer_configs(config):
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


def _calls(config: Any) -> int:
    """How often layers are called, in all models of a config."""
    every = (item.get("inbound_nodes") for item in _mappings(config))
    return sum(len(nodes) for nodes in every if isinstance(nodes, list))


def values_of(shapes: list[tuple[int, ...]]) -> int:
    """How many numbers arrays of these shapes hold."""
    return sum(math.prod(shape) for shape in shapes)


def _product(shape: list[Any]) -> int:
    total = 1
    for length in shape:
        total *= length if isinstance(length, int) else 1
    return total


def layer_configs(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, settings) of every layer at any depth of a model's config."""
    for item in _mappings(config):
        settings = item.get("config")
        if isinstance(settings, dict) and "class_name" in item:
            yield str(settings.get("name", item["class_name"])), settings


def _mappings(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping at any depth of a config."""
    todo = [config]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            yield item
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

"""Files of Keras 2, spelled as Keras 3 understands them."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paoding.errors import ModelError
from paoding.files.archive import check_config_size, check_hdf5, layer_configs, values_of

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


def modern_hdf5(path: Path, folder: Path) -> tuple[Path, int]:
    """Check an HDF5 model.

    Returns:
        ``path``, or a copy whose config Keras 3 understands, and how many values it holds.
    """
    import h5py

    with h5py.File(path, "r") as file:
        shapes = check_hdf5(path, file)
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
    check_config_size(path, config, shapes)
    if not version.startswith("3"):
        _refuse_what_changed(path, config)
    modern = modernize(config)
    if modern == json.loads(text):
        return path, values_of(shapes)
    copy = folder / "modern.h5"
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(modern)
    return copy, values_of(shapes)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _refuse_what_changed(path: Path, config: Any) -> None:
    """Raise ``ModelError`` where Keras 3 would load the model, and compute something else."""
    for layer, settings in layer_configs(config):
        for key in ("activation", "recurrent_activation"):
            if settings.get(key) == "hard_sigmoid":
                raise ModelError(
                    f"{path} was saved by Keras 2 with a hard_sigmoid (layer {layer!r}), which in "
                    "Keras 3 is another function; train it with a sigmoid, or convert it yourself."
                )


def modern_zip(path: Path, config: dict[str, Any], folder: Path) -> Path:
    """Return a copy of a ``.keras`` file of Keras 2 whose config Keras 3 understands."""
    _refuse_what_changed(path, config)
    copy = folder / "modern.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name != "config.json":
                new.writestr(name, old.read(name))
        new.writestr("config.json", json.dumps(modernize(config)))
    return copy


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
    elif kind != "InputLayer" and "batch_input_shape" in settings:  # Keras 3 counts the batch in
        settings["input_shape"] = settings.pop("batch_input_shape")[1:]
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

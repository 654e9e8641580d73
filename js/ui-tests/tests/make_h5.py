"""Writes a model as Keras 2 did, and a file of weights, without loading Keras."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np

LAYERS = [
    {
        "class_name": "Conv2D",
        "config": {
            "name": "conv",
            "filters": 8,
            "kernel_size": [3, 3],
            "strides": [1, 1],
            "padding": "same",
            "activation": "relu",
            "use_bias": True,
            "batch_input_shape": [None, 12, 12, 3],
        },
    },
    {"class_name": "Flatten", "config": {"name": "flatten"}},
    {"class_name": "Dense", "config": {"name": "<b>out</b>", "units": 2, "use_bias": False}},
]

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
with h5py.File(folder / "old.h5", "w") as file:
    config = {"class_name": "Sequential", "config": {"name": "old", "layers": LAYERS}}
    file.attrs["model_config"] = json.dumps(config)
    file.attrs["keras_version"] = "2.15.0"
    file.attrs["training_config"] = json.dumps(
        {"loss": "mse", "optimizer_config": {"class_name": "SGD"}}
    )
    kernel = rng.normal(size=(3, 3, 3, 8)).astype("float32")
    file["model_weights/conv/conv/kernel:0"] = kernel
    file["model_weights/conv/conv/bias:0"] = np.zeros(8, "float32")
with h5py.File(folder / "only.weights.h5", "w") as file:
    file["layers/dense/vars/0"] = rng.normal(size=(5, 4)).astype("float32")
    file["layers/dense/vars/1"] = np.zeros(4, "float32")
    file["layers/conv2d/vars/0"] = rng.normal(size=(3, 3, 1, 2)).astype("float16")
    file.create_dataset(
        "layers/packed/vars/0", data=rng.normal(size=(40, 30)), chunks=(16, 16), compression="gzip"
    )


def make_large(path: Path, units: int = 11_000) -> None:
    """Write a model of half a gigabyte of weights that takes no room on the disk: all are zero."""
    config = {"name": "wide", "units": units, "batch_input_shape": [None, units], "use_bias": False}
    layers = [{"class_name": "Dense", "config": config}]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"name": "large", "layers": layers}}
        )
        space = h5py.h5s.create_simple((units, units))
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        group = file.create_group("model_weights/wide/wide")
        h5py.h5d.create(group.id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, how)


def make_hostile(path: Path, layers: int = 19_000) -> None:
    """Write a model of more layers than anybody draws, and a zip bomb beside it."""
    named = [
        {"class_name": "ReLU", "config": {"name": f"layer_{at}", "activation": "<script>"}}
        for at in range(layers)
    ]
    config = {"class_name": "Sequential", "config": {"name": "endless", "layers": named}}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps(config))
    with zipfile.ZipFile(path.with_name("bomb.keras"), "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", b"0" * (200 << 20))


if len(sys.argv) > 2:
    make_large(Path(sys.argv[2]))
else:
    make_hostile(folder / "endless.keras")

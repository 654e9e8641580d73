"""Runs the peer on given weights inside its own environment and writes what it took as JSON.

``python run.py JOBS.json``, with the Python of ``environment.py``. JOBS.json holds ``network`` (an
npz: kernel_0, bias_0, activation_0, ..., x, y), ``jobs`` and ``out``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# ruff: noqa: I001 (the peer has our name, and is no first-party package here)
import numpy as np
import paoding
import tensorflow as tf
from paoding.evaluator import Evaluator
from paoding.pruning.pruner import Pruner
from paoding.sampler import Sampler
from paoding.utility.option import ModelType, SamplingMode

if not hasattr(paoding, "__version__"):  # some of its wheels forget it, and its banner reads it
    paoding.__version__ = "1.0.0.post3"

MODES = {
    "baseline": SamplingMode.BASELINE,
    "impact": SamplingMode.IMPACT,
    "stochastic": SamplingMode.STOCHASTIC,
}

IMAGE = (28, 28, 1)  # the only shape that its FGSM for MNIST accepts


def build(network, image: bool = False) -> tf.keras.Model:
    """Return the Keras 2 model whose Dense weights ``network`` holds, on vectors or on images."""
    shape = IMAGE if image else (network["kernel_0"].shape[0],)
    model = tf.keras.Sequential([tf.keras.Input(shape)])
    if image:
        model.add(tf.keras.layers.Flatten())
    count = sum(name.startswith("kernel_") for name in network.files)
    for i in range(count):
        units, activation = network[f"kernel_{i}"].shape[1], str(network[f"activation_{i}"])
        model.add(tf.keras.layers.Dense(units, activation=activation, name=f"dense_{i}"))
        model.layers[-1].set_weights([network[f"kernel_{i}"], network[f"bias_{i}"]])
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def accuracy(model, x, y) -> float:
    return float(np.mean(np.argmax(model.predict(x, verbose=0), axis=1) == y))


def time_pruning(path: str, job: dict, data) -> dict:
    """Time its pruning loop alone: no import, no loading, no evaluation between the steps."""
    seconds, cpu, accuracies = [], [], []
    for repetition in range(job["repetitions"]):
        sampler = Sampler()
        sampler.set_strategy(MODES[job["strategy"]], params=(0.75, 0.25), recursive_pruning=True)
        pruner = Pruner(
            path,
            target=job["target"],
            step=job["step"],
            sample_strategy=sampler,
            input_interval=(0, 1),
            model_type=ModelType.MNIST,
            seed_val=repetition,
        )
        pruner.load_model()
        start, work = time.perf_counter(), time.process_time()
        pruner.prune_fc()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - work)
        accuracies.append(accuracy(pruner.model, *data))
    return {"seconds": seconds, "cpu": cpu, "accuracy": accuracies}


def time_fgsm(path: str, job: dict, data) -> dict:
    """Time its FGSM over the first images; it skips those that the model gets wrong."""
    x, y = data[0][: job["images"]].reshape(-1, *IMAGE), data[1][: job["images"]]
    model = tf.keras.models.load_model(path)
    seconds, cpu = [], []
    for _ in range(job["repetitions"]):
        evaluator = Evaluator(epsilons=job["epsilons"], batch_size=len(x))
        start, work = time.perf_counter(), time.process_time()
        evaluator.evaluate_robustness(model, (x, y), ModelType.MNIST)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - work)
    return {"seconds": seconds, "cpu": cpu, "images": len(x)}


def main(path: str) -> None:
    with open(path) as file:
        order = json.load(file)
    network = np.load(order["network"])
    data = network["x"], network["y"]
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it writes logs where it stands
        build(network).save("vectors.h5")
        build(network, image=True).save("images.h5")
        results = []
        for job in order["jobs"]:
            print(f"peer: {job}", file=sys.stderr, flush=True)
            with contextlib.redirect_stdout(io.StringIO()):
                if job["kind"] == "fgsm":
                    results.append(time_fgsm("images.h5", job, data))
                else:
                    results.append(time_pruning("vectors.h5", job, data))
        before = accuracy(tf.keras.models.load_model("vectors.h5"), *data)
        os.chdir(home)
    with open(order["out"], "w") as file:
        json.dump({"accuracy_before": before, "results": results}, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])

"""What a run with default settings costs on networks of several sizes and kinds.

Run ``python benchmarks/cost.py`` in a clone; each network is pruned in a process of its own, and
``docs/cost.md`` is written anew. ``--only NAME ...`` measures some, and prints the table alone.
Weights are random, which changes nothing of the cost. CPU seconds (of all threads) hardly change
with other work beside; seconds do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slow_kinds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PAGE = Path(__file__).parent.parent / "docs" / "cost.md"
HEAD = (
    "network",
    "parameters",
    "first step, s",
    "run, s",
    "run, CPU s",
    "of it distilling",
    "floor, CPU s",
    "memory, GB",
    "goal",
)
_AT_ONCE = 1 << 24  # bytes of inputs of a batch in the pass that the floor is taken from


@dataclass(frozen=True)
class Network:
    """A row of the table.

    Args:
        make: builds the model.
        words: what it is.
        goal: seconds and gigabytes that are wanted of it, as text.
        options: of the run, beside the target.
    """

    make: Callable[[], Any]
    words: str
    goal: str = "–"
    options: tuple[tuple[str, Any], ...] = ()


def _zoo() -> Any:
    import paoding

    return paoding.zoo.load("mnist-mlp")[0]


def _application(name: str, size: int | None = None) -> Callable[[], Any]:
    def make() -> Any:
        import keras

        shape = {} if size is None else {"input_shape": (size, size, 3), "classes": 10}
        return getattr(keras.applications, name)(weights=None, **shape)

    return make


NETWORKS = {
    "mnist-mlp": Network(_zoo, "784-128-128-64-10, the zoo's", "3 s"),
    "vgg16": Network(
        _application("VGG16"),
        "VGG16's three Dense layers, 25,088-4,096-4,096-1,000",
        options=(("locked", "Conv2D"),),
    ),
    "mobilenet-v2": Network(_application("MobileNetV2"), "MobileNetV2 at 224", "30 s, 2 GB"),
    "efficientnet-b0": Network(_application("EfficientNetB0"), "EfficientNetB0 at 224", "45 s"),
    "resnet50": Network(_application("ResNet50"), "ResNet50 at 224", "90 s, 3 GB"),
    "resnet50-96": Network(_application("ResNet50", 96), "ResNet50 at 96"),
    **{name: Network(make, words) for name, (make, words) in slow_kinds.KINDS.items()},
}


def measure(name: str) -> dict[str, Any]:
    """Prune half of a network in this process as by default."""
    import paoding

    network = NETWORKS[name]
    model = network.make()
    _remember(model)
    model(_zeros(model), training=False)  # what TensorFlow needs to run it is not the pruner's
    before, started, work = _peak(), time.perf_counter(), time.process_time()
    stages = _Stages()
    pruner = paoding.Pruner(model, target=0.5, **dict(network.options))
    pruner.watch = stages.hear
    next(pruner)
    first = time.perf_counter() - started
    for _ in pruner:
        pass
    _ = pruner.result().model
    stages.hear("", 1.0)
    seconds, cpu = time.perf_counter() - started, time.process_time() - work
    peak = _peak() - before
    return {
        "network": name,
        "parameters": model.count_params(),
        "first": first,
        "seconds": seconds,
        "cpu": cpu,
        "distilling": stages.cpu.get("distilling", 0.0),
        "floor": _floor(model, _drawn(pruner)),
        "peak": peak,
    }


class _Stages:
    """CPU seconds of each kind of work that a run tells."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self._what, self._since = "", time.process_time()

    def hear(self, what: str, share: float) -> None:
        now = time.process_time()
        self.cpu[self._what] = self.cpu.get(self._what, 0.0) + now - self._since
        self._what, self._since = what, now


def _remember(model: Any) -> None:
    """Give batch normalization statistics as of training."""
    import keras
    import numpy as np

    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0.0, 0.3, shape))
            layer.moving_variance.assign(np.exp(rng.normal(0.0, 0.3, shape)))


def _zeros(model: Any, n: int = 1) -> Any:
    import numpy as np

    return np.zeros((n, *model.inputs[0].shape[1:]), str(model.inputs[0].dtype))


def _drawn(pruner: Any) -> int:
    """How many synthetic inputs a run has walked through."""
    study = pruner._run.study
    return 0 if study is None else int(study.samples)


def _floor(model: Any, n: int) -> float:
    """CPU seconds of one pass of so many inputs through the model, as one graph."""
    import tensorflow as tf

    ask = tf.function(lambda x: model(x, training=False), autograph=False)
    batch = tf.constant(_zeros(model, max(1, min(n, _AT_ONCE // _zeros(model).nbytes))))
    ask(batch)
    started, done = time.process_time(), 0
    while done < n:
        ask(batch)
        done += len(batch)
    return time.process_time() - started


def _peak() -> int:
    """Bytes that this process has held at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def page(rows: list[dict[str, Any]], beside: bool) -> str:
    """The page of documentation."""
    how = "with other work beside it: compare CPU seconds" if beside else "with nothing beside it"
    lines = [
        "# Cost, measured",
        "",
        f"Made by `python benchmarks/cost.py` on {os.cpu_count()} cores, {how}. Half of every",
        "layer's units are removed with default settings, distillation included where it is the",
        "default; each network in a process of its own. The *first step* includes drawing and",
        "studying synthetic inputs. *Memory* is the peak beyond what was held before. The *floor*",
        "is one pass of as many inputs through the unpruned network: a run passes forth twice,",
        "and back on a part of them.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---" * len(HEAD) + "|",
    ]
    for row in rows:
        network = NETWORKS[row["network"]]
        numbers = ("first", "seconds", "cpu", "distilling", "floor")
        cells = [network.words, f"{row['parameters']:,}"]
        cells += [f"{row[key]:.1f}" for key in numbers]
        cells += [f"{row['peak'] / 1e9:.2f}", network.goal]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(NETWORKS), help="some, and no page")
    parser.add_argument("--beside", action="store_true", help="say that other work ran beside it")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # measure in this process
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one)))
        return
    rows = []
    for network in given.only or NETWORKS:
        command = [sys.executable, __file__, "--one", network]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows.append(json.loads(said.splitlines()[-1]))
        print(rows[-1], flush=True)
    text = page(rows, given.beside)
    print(text)
    if not given.only:
        PAGE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

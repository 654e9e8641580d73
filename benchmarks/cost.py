"""What least squares costs on networks of several sizes: seconds, and memory beyond the weights.

Run ``python benchmarks/cost.py`` in a clone; each network is pruned in a process of its own, and
``docs/cost.md`` is written anew. Weights are random, which changes nothing of the cost.
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
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PAGE = Path(__file__).parent.parent / "docs" / "cost.md"
STRATEGIES = ("saliency", "annealing")
STEP = 1 / 32


def _zoo() -> tuple[Any, dict[str, Any]]:
    import paoding

    return paoding.zoo.load("mnist-mlp")[0], {}


def _vgg16() -> tuple[Any, dict[str, Any]]:
    import keras

    return keras.applications.VGG16(weights=None), {"locked": "Conv2D"}


def _mobilenet() -> tuple[Any, dict[str, Any]]:
    import keras

    return keras.applications.MobileNetV2((96, 96, 3), weights=None), {}


NETWORKS: dict[str, tuple[Callable[[], tuple[Any, dict[str, Any]]], str]] = {
    "mnist-mlp": (_zoo, "784-128-128-64-10, the zoo's"),
    "vgg16": (
        _vgg16,
        "VGG16's three Dense layers, 25,088-4,096-4,096-1,000",
    ),
    "mobilenet-v2": (_mobilenet, "MobileNetV2 at 96 x 96, every layer"),
}


def measure(network: str, strategy: str) -> dict[str, Any]:
    """Prune half of a network in this process, first without distillation, then as by default."""
    import paoding

    model, settings = NETWORKS[network][0]()
    weights = sum(w.numpy().nbytes for w in model.weights)
    _run_once(model)
    settings = {"target": 0.5, "step": STEP, "strategy": strategy, **settings}
    before = _peak()
    started = time.perf_counter()
    pruner = paoding.Pruner(model, distil=0, **settings)
    next(pruner)
    first = time.perf_counter() - started
    for _ in pruner:
        pass
    state = pruner.state
    seconds = time.perf_counter() - started
    peak = _peak() - before
    whole = paoding.Pruner(model, **settings)
    distilled = None
    if whole.settings.distil:
        started = time.perf_counter()
        whole.fast_forward(pruner.plan)
        assert (whole.state.alive == state.alive).all()
        distilled = time.perf_counter() - started
    return {
        "network": network,
        "strategy": strategy,
        "weights": weights,
        "first": first,
        "seconds": seconds,
        "peak": peak,
        "distilled": distilled,
    }


def _run_once(model: Any) -> None:
    """One sample through the network: what TensorFlow needs to run it is not the pruner's."""
    import numpy as np

    model(np.zeros((1, *model.input_shape[1:]), "float32"), training=False)


def _peak() -> int:
    """Bytes that this process has held at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def page(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# Cost, measured",
        "",
        "Made by `python benchmarks/cost.py` on 2 cores: half of every layer's units removed in",
        "steps of 1/32 with least squares, each network in a process of its own. *Seconds* are",
        "those of the whole run without distillation, *memory* is the peak beyond what was held",
        "before. The first step includes drawing and studying synthetic inputs. *Distilled*:",
        "seconds to refit and distil the outcome, where that is the default (smaller models).",
        "",
        "| network | weights, MB | strategy | first step | seconds | memory, GB | distilled |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        told = "–" if row["distilled"] is None else f"{row['distilled']:.1f}"
        lines.append(
            f"| {NETWORKS[row['network']][1]} | {row['weights'] / 1e6:.0f} | {row['strategy']} | "
            f"{row['first']:.1f} | {row['seconds']:.1f} | {row['peak'] / 1e9:.2f} | {told} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(NETWORKS), help="some, and no page")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # measure in this process
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(*given.one)))
        return
    rows = []
    for network in given.only or NETWORKS:
        for strategy in STRATEGIES:
            command = [sys.executable, __file__, "--one", network, strategy]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows.append(json.loads(said.splitlines()[-1]))
            print(rows[-1], flush=True)
    text = page(rows)
    print(text)
    if not given.only:
        PAGE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

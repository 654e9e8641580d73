"""Milliseconds against FLOPs: how much faster a network gets at the same estimated change.

Run ``python benchmarks/latency.py`` in a clone, with a runtime and networks if not all are wanted
(``--runtime litert --only mobilenet-v2 resnet50``); rows are added to ``docs/latency.md``. For each
network some of the FLOPs are saved where the outputs feel it least, as peers count. Then time is
saved, as long as the *estimated change of the outputs is no larger*. Both networks and the original
are measured in turns; times are the least of many runs: other work on the machine moves that least.
Weights of the large networks are random (no file is downloaded), and their BatchNorm statistics are
measured on noise: that changes nothing of the time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PAGE = Path(__file__).parent.parent / "docs" / "latency.md"
ROWS = Path(__file__).parent / "data" / "latency.json"
SAVED = 0.3  # of each group's operations
LARGE = {
    "mobilenet-v2": "MobileNetV2",
    "resnet50": "ResNet50",
    "efficientnet-b0": "EfficientNetB0",
}
NETWORKS = ("mnist-cnn", "mnist-mlp", *LARGE)
RUNTIMES = ("litert", "onnxruntime")
MARK = "<!-- rows: python benchmarks/latency.py -->"


def network(name: str) -> Any:
    """Return one of the networks, large ones with plausible BatchNorm statistics."""
    import keras

    import paoding

    if name not in LARGE:
        return paoding.zoo.load(name)[0]
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, LARGE[name])(weights=None, input_shape=(224, 224, 3))
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    rng = np.random.default_rng(0)
    for norm in norms:
        norm.momentum = 0.0
        norm.gamma.assign(rng.uniform(0.5, 1.5, norm.gamma.shape))
    model(rng.uniform(-1, 1, (8, 224, 224, 3)).astype("float32"), training=True)
    return model


def measure(name: str, runtime: str) -> dict[str, Any]:
    """Compare the two budgets on one network in one runtime."""
    import paoding
    from paoding.compensation.sensitivity import sensitivity_of
    from paoding.compensation.study import study_of
    from paoding.deploy.latency import in_turns
    from paoding.deploy.surroundings import narrowed
    from paoding.errors import ArgumentError
    from paoding.evaluation import cost
    from paoding.pruning.allocation import curve, global_counts
    from paoding.pruning.milliseconds import bought, moves, within

    model = network(name)
    samples = 16 if name in LARGE else 512
    # A run before its first step: it has traced, drawn and studied all that is needed here.
    pruner = paoding.Pruner(
        model, target=SAVED, allocation="global", budget="flops", effort="fast", samples=samples
    )
    graph, settings = pruner.graph, pruner.settings
    n_remove = {g.name: round(SAVED * g.units) for g in graph.prunable}
    study = study_of(pruner._run)
    views = {n: v for n in n_remove if (v := sensitivity_of(study, graph.by_name[n]))}
    curves = {}
    for group in (graph.by_name[n] for n in views):
        most = min(group.units - 1, int(group.removable.sum()))
        curves[group.name] = np.maximum.accumulate(
            curve(views[group.name], group.removable, most)[0]
        )
    units = {n: graph.by_name[n].units for n in curves}

    by_flops = {
        n: c for n, c in global_counts(graph, n_remove, views, settings, "flops").items() if c
    }
    allowed = change(curves, by_flops)
    table = paoding.latency_table(graph, runtime)
    widths = [units, *moves(table, curves, units, allowed=allowed)][-1]
    by_time = {n: units[n] - w for n, w in widths.items() if w < units[n]}
    models = [model, narrowed(graph, by_flops), narrowed(graph, by_time)]
    before, flops, time = in_turns(models, runtime)
    share = time.least / before.least
    first = table.predicted({n: units[n] - c for n, c in by_time.items()}) / table.total
    last = math.nan
    with suppress(ArgumentError):  # no widths reach it, by what was learnt of smaller models
        _, found = bought(table, 1 - share, graph, lambda t: within(t, 1 - share, curves, units))
        last = (found.expected or math.nan) / (found.reached or math.nan)
    return {
        "network": name,
        "runtime": runtime,
        "before": before.least,
        "flops": flops.least,
        "time": time.least,
        "flops_left": [cost(m, latency=False).flops / cost(model, latency=False).flops
                       for m in models[1:]],
        "first": first / share,
        "last": last,
        "spread": max(x.median / x.least for x in (before, flops, time)),
        "machine": before.machine,
        "versions": before.versions,
    }  # fmt: skip


def change(curves: Mapping[str, np.ndarray], lost: Mapping[str, int]) -> float:
    """Return the estimated change of the outputs when groups lose so many units."""
    return sum(float(curves[name][:count].sum()) for name, count in lost.items())


def page(rows: list[dict[str, Any]]) -> str:
    """Return the table of all rows."""
    head = (
        "| network | runtime | original (ms) | FLOPs budget (ms) | latency budget (ms) | faster by "
        "| FLOPs left | predicted / measured: first, last |\n|---|---|---|---|---|---|---|---|\n"
    )
    lines = []
    for row in sorted(rows, key=lambda r: (r["runtime"], NETWORKS.index(r["network"]))):
        left = " and ".join(f"{x:.0%}" for x in row["flops_left"])
        lines.append(
            f"| {row['network']} | {row['runtime']} | {1e3 * row['before']:.3g} | "
            f"{1e3 * row['flops']:.3g} | {1e3 * row['time']:.3g} | "
            f"**{row['flops'] / row['time']:.2f}** | {left} | {row['first']:.2f}, "
            f"{row['last']:.2f} |"
        )
    error = [np.nanmean([abs(row[k] - 1) for row in rows]) for k in ("first", "last")]
    machines = sorted({row["machine"] for row in rows})
    return (
        f"{MARK}\n\n{head}" + "\n".join(lines) + f"\n\nMean error of the first prediction "
        f"{error[0]:.0%}, of the last {error[1]:.0%}. Measured on {'; '.join(machines)}.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--only", nargs="*", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--runtime", nargs="*", choices=RUNTIMES, default=RUNTIMES)
    asked = parser.parse_args()
    for name in asked.only:
        for runtime in asked.runtime:
            found = measure(name, runtime)
            print(json.dumps(found), flush=True)
            rows = json.loads(ROWS.read_text("utf-8")) if ROWS.exists() else []
            key = (name, runtime)
            rows = [row for row in rows if (row["network"], row["runtime"]) != key] + [found]
            ROWS.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
            text = PAGE.read_text("utf-8")
            PAGE.write_text(text[: text.index(MARK)] + page(rows), "utf-8")


if __name__ == "__main__":
    main()

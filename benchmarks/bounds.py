"""Measure the bounds: how tight, how quick, and whether energies rank candidates.

Run by hand: ``python benchmarks/bounds.py [tightness] [screen] [certificate] [energies]``.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import resource
import sys
import time
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

import paoding
from paoding.bounds.certificate import Certifier
from paoding.bounds.forward import forward
from paoding.bounds.intervals import Interval
from paoding.bounds.lowering import lower
from paoding.bounds.primitives import score_values
from paoding.bounds.scoring import Scorer
from paoding.bounds.screening import pair_distance
from paoding.compensation.forecast import Forecast
from paoding.compensation.sensitivity import sensitivity_of
from paoding.compensation.study import study_of
from paoding.criteria import energy
from paoding.graph import Graph, State

CONSOLE = Console(width=110)


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, box=MARKDOWN)  # as docs/bounds.md has it
    for k, column in enumerate(columns):
        made.add_column(column, justify="left" if k == 0 else "right")
    return made


def digits(depth: int, width: int = 64) -> tuple[keras.Model, np.ndarray]:
    """A trained MLP with ``depth`` Dense layers on the zoo's digits; held-back inputs."""
    _, data = paoding.zoo.load("mnist-mlp")
    x, y = data.x.reshape(len(data.x), -1), data.y
    keras.utils.set_random_seed(depth)
    hidden = [keras.layers.Dense(width, "relu") for _ in range(depth - 1)]
    model = keras.Sequential([keras.Input((x.shape[1],)), *hidden, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    half = len(x) // 2
    model.fit(x[:half], y[:half], epochs=8, batch_size=64, verbose=0)
    return model, x[half:]


def change_scores(graph: Graph, before: State, after: State, x: np.ndarray) -> np.ndarray:
    """Change of the scores before a final softmax, (n, m), in float64."""
    old, new = lower(graph, before), lower(graph, after)
    value = score_values(old)[0]
    ends = [forward(p, [Interval.point(x.astype(np.float64))])[value].lower for p in (old, new)]
    return ends[1] - ends[0]


def attack(model: keras.Model, pruned: keras.Model, lo: np.ndarray, hi: np.ndarray) -> float:
    """Mean over outputs of (largest - least change) that sign-gradient ascent finds."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    outputs = model.output_shape[-1]
    x = tf.Variable(rng.uniform(lo, hi, (2 * outputs * 16, len(lo))).astype(np.float32))
    which = np.repeat(np.arange(2 * outputs), 16)
    pick = tf.constant(np.eye(outputs)[which % outputs] * np.where(which < outputs, 1, -1)[:, None])
    best = np.full(len(which), -np.inf)
    for k in range(60):
        with tf.GradientTape() as tape:
            gain = tf.reduce_sum((pruned(x) - model(x)) * tf.cast(pick, tf.float32), axis=1)
        best = np.maximum(best, gain.numpy())
        step = (hi - lo) * (0.25 * 0.95**k)
        x.assign(tf.clip_by_value(x + tf.sign(tape.gradient(gain, x)) * step, lo, hi))
    ends = best.reshape(2 * outputs, 16).max(axis=1)
    return float((ends[:outputs] + ends[outputs:]).mean())


RUNS = ((0.05, "merge"), (0.5, "merge"), (0.5, "least-squares"))
BALLS = 5  # held-back digits, each with a small box around it


def tightness() -> None:
    """Width of each bound over the widest change found by attack."""
    result = table(
        "Width of the certified change / largest change found by attack (10 logits)",
        "layers, box",
        "removed",
        "subtraction",
        "interval",
        "linear",
        "gain",
        "s interval",
        "s linear",
    )
    for depth in (2, 3, 4, 5, 6):
        model, x = digits(depth)
        balls = [(np.clip(p - 0.02, 0, 1), np.clip(p + 0.02, 0, 1)) for p in x[:BALLS]]
        everything = [(np.zeros(x.shape[1]), np.ones(x.shape[1]))]
        for removed, compensation in RUNS:
            run = paoding.prune(
                model,
                target=removed,
                step=removed,
                strategy="saliency",
                compensation=compensation,
            )
            for name, boxes in (("[0, 1]", everything), ("±0.02", balls)):
                measured = np.array([_measure(model, run, lo, hi) for lo, hi in boxes])
                ratios = np.exp(np.log(measured[:, 1:4] / measured[:, :1]).mean(axis=0))
                seconds = measured[:, 4:].mean(axis=0)
                result.add_row(
                    f"{depth}, {name}",
                    f"{removed:.0%} {compensation}",
                    *(f"{ratio:,.1f}" for ratio in ratios),
                    f"{ratios[0] / ratios[2]:.0f}x",
                    *(f"{s:.2f}" for s in seconds),
                )
    CONSOLE.print(result)


def _measure(model: keras.Model, run: paoding.PruningResult, lo: Any, hi: Any) -> list[float]:
    """Mean widths: found by attack, plain subtraction, interval, linear; and two times."""
    program, after = lower(run.graph, run.graph.original), lower(run.graph, run.state)
    inputs = [Interval.of(lo[None], hi[None])]
    ends = [forward(p, inputs)[p.outputs[0]] for p in (program, after)]
    widths = [attack(model, run.masked, lo, hi), float((ends[1] - ends[0]).width.mean())]
    merges = [removal for removal in run.plan.removals if removal.method == "merge"]
    seconds = []
    for method in ("interval", "linear"):
        start = time.perf_counter()
        judge = Certifier(run.graph, paoding.Box(lo, hi), method)  # type: ignore[arg-type]
        low, high = judge.certificate(run.state, merges)
        seconds.append(time.perf_counter() - start)
        widths.append(float((high - low).mean()))
    return widths + seconds


def screen() -> None:
    """All pairs of a 4,096-unit layer with 25,088 inputs, against its bare matrix product."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((25088, 4096), dtype=np.float32)
    bias = np.zeros(4096)
    box = Interval.of(np.zeros((1, 25088)), np.ones((1, 25088)))
    gemm = []
    for _ in range(2):
        start = time.perf_counter()
        other = np.ascontiguousarray(kernel[:, ::-1])
        start = time.perf_counter()
        kernel.T @ other
        gemm.append(time.perf_counter() - start)
        del other
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    pair_distance(kernel, bias, box)
    taken = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = table("Pre-screen of all pairs, 4,096 units x 25,088 inputs", "what", "measured")
    result.add_row("bare float32 product W^T W", f"{min(gemm):.2f} s")
    result.add_row("sound bound of every pair", f"{taken:.2f} s")
    result.add_row("ratio (at most 3)", f"{taken / min(gemm):.2f}")
    # The product above held a second copy of the weights: that much is below the peak.
    extra = (after - before) / 2**20 + kernel.nbytes / 2**30
    result.add_row("memory beyond the weights, at most (2 GB)", f"{extra:.2f} GB")
    CONSOLE.print(result)


def certificate() -> None:
    """The certificate of a full 50 % plan of the MNIST network (under a second)."""
    model, data = paoding.zoo.load("mnist-mlp")
    result = table(
        "Certificate of a 50 % plan of mnist-mlp, box ±0.02 around a digit",
        "compensation",
        "method",
        "seconds",
        "widest output",
        "widest score",
    )
    for compensation in ("merge", "least-squares"):
        run = paoding.prune(
            model, target=0.5, step=0.125, strategy="saliency", compensation=compensation
        )
        box = paoding.Box(np.clip(data.x[0] - 0.02, 0, 1), np.clip(data.x[0] + 0.02, 0, 1))
        for method in ("interval", "linear"):
            times = []
            for _ in range(3):
                start = time.perf_counter()
                judge: Any = Certifier(run.graph, box, method)  # type: ignore[arg-type]
                merges = [r for r in run.plan.removals if r.method == "merge"]
                changes = judge.changes(run.state, merges)
                times.append(time.perf_counter() - start)
            widest = [(high - low).max() for low, high in (changes.outputs, changes.scores)]
            shown = (f"{w:.3g}" for w in widest)
            result.add_row(compensation, method, f"{min(times):.2f}", *shown)
    CONSOLE.print(result)


def energies() -> None:
    """Rank correlation of each energy with the true change of the scores on held-back digits."""
    result = table(
        "Spearman correlation with the true change (mean |change| of the scores), ties in energy",
        "network, layer",
        "saliency",
        "paper's",
        "ties",
        "log",
        "log, beta 0",
        "ties",
        "ms a candidate",
        "estimated",
    )
    for depth in (3, 4, 6):
        model, x = digits(depth)
        pruner = paoding.Pruner(model, target=0.5, step=0.5, compensation="merge")
        graph, study = pruner.graph, study_of(pruner._run)
        state = graph.original
        rng = np.random.default_rng(0)
        for group in graph.prunable[:: max(1, depth - 3)]:
            gone = rng.integers(0, group.units, 80)
            into = (gone + rng.integers(1, group.units, 80)) % group.units
            truth = [
                np.abs(
                    change_scores(graph, state, _merged(graph, state, group, j, i), x[:150])
                ).mean()
                for j, i in zip(gone, into, strict=True)
            ]
            sound, paper = Scorer(graph, state), Scorer(graph, state, propagation="paper")
            start = time.perf_counter()
            low, high = sound.propagate(group, sound.deltas(group, gone, into))
            taken = (time.perf_counter() - start) * 1000 / len(gone)
            ours = (energy.amount(low, high), energy.evenness(low, high))
            low, high = paper.propagate(group, paper.deltas(group, gone, into))
            theirs = (energy.amount(low, high), energy.evenness(low, high))
            by = [
                energy.get("paper")(*theirs),
                energy.get("log")(*ours),
                energy.get("log", 1.0, 0.0)(*ours),
            ]
            forecast = Forecast(sensitivity_of(study, group)).rises(gone, into)
            saliency = _saliency(graph, state, group, gone, into)
            rank = [float(spearmanr(e, truth).statistic) if np.ptp(e) else 0.0 for e in by]
            ties = [1 - len(np.unique(e)) / len(e) for e in by]
            result.add_row(
                f"{depth} layers, {group.name}",
                f"{spearmanr(saliency, truth).statistic:.2f}",
                f"{rank[0]:.2f}",
                f"{ties[0]:.0%}",
                f"{rank[1]:.2f}",
                f"{rank[2]:.2f}",
                f"{ties[1]:.0%}",
                f"{taken:.2f}",
                f"{spearmanr(forecast, truth).statistic:.2f}",
            )
    CONSOLE.print(result)


def _merged(graph: Graph, state: State, group: Any, unit: int, into: int) -> State:
    work = SimpleNamespace(graph=graph)
    removal = paoding.Removal(group.name, int(unit), int(into), "merge")
    from paoding import compensation

    return compensation.get("merge").apply(work, state, (removal,))  # type: ignore[arg-type]


def _saliency(graph: Graph, state: State, group: Any, gone: np.ndarray, into: np.ndarray) -> Any:
    """The paper's saliency of pairs, ``docs/method.md``, section 2."""
    parts = {m.axis: m for m in group.with_role("produce")}
    made = [m.rows(state.values[m.variable], group.units) for m in group.with_role("produce")]
    read = [m.rows(state.values[m.variable], group.units) for m in group.with_role("consume")]
    del parts
    w, b = made[0], made[1][:, 0]
    apart = np.linalg.norm(w[gone] - w[into], axis=1)
    both = np.abs(b[gone]) + np.abs(b[into])
    bias = np.divide(np.abs(b[gone] - b[into]), both, out=np.zeros_like(both), where=both > 0)
    return np.linalg.norm(read[0][gone], axis=1) * (apart + bias)


PARTS = {f.__name__: f for f in (tightness, screen, certificate, energies)}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()

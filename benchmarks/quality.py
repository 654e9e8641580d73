"""How much of a network's quality survives: every compensation, prior and allocation in one table.

Run ``python benchmarks/quality.py`` in a clone (``--quick`` for one seed of the small networks,
one attack; ``--rows FILE`` goes on from an interrupted run). Networks are the zoo's and further
ones trained here, each seed in a process with one thread; every number is measured on data held
back from training. The anchors: removal by magnitude, the paper's merge, and the *ceiling*, the
same least squares fitted on the real training inputs, which Paoding may not see.
"""

from __future__ import annotations

import argparse
import csv
import inspect
import itertools
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import astuple, dataclass, replace
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import paoding
from paoding.evaluation.network import network_of

HERE = Path(__file__).parent
SHARES = (0.25, 0.5, 0.75)
EPSILON = 0.05
STEP = 1 / 16
UNIT = paoding.Box(0, 1)
ATTACKED = 500  # held-back samples that are attacked


@dataclass(frozen=True)
class Split:
    """Training inputs and labels, and those held back.

    Args:
        box: legal inputs; attacks reach ``EPSILON`` of its width.
        told: whether Paoding is told of it, or has to find it.
    """

    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray
    epochs: int = 10
    box: paoding.Box = UNIT
    told: bool = True


@dataclass(frozen=True)
class Method:
    """One way of pruning; ``real`` draws from the training inputs."""

    settings: dict[str, Any]
    real: bool = False


PLAIN = {"strategy": "saliency", "compensation": "least-squares", "distil": 0}
WHOLE = {"strategy": "saliency", "compensation": "least-squares"}  # and distillation, the default
MERGE = {"strategy": "saliency", "compensation": "merge"}
METHODS: dict[str, Method] = {
    "magnitude, none": Method({"strategy": "magnitude", "compensation": "none"}),
    "merge, saliency (paper's)": Method(MERGE),
    "merge, impact": Method({**MERGE, "strategy": "impact"}),
    "merge, annealing": Method({**MERGE, "strategy": "annealing"}),
    "merge, certified impact": Method({**MERGE, "strategy": paoding.Impact(energy="log")}),
    "mean": Method({"strategy": "saliency", "compensation": "mean"}),
    "scaled merge": Method({"strategy": "saliency", "compensation": "scaled-merge"}),
    "least squares": Method(PLAIN),
    "ceiling: least squares on real inputs": Method(PLAIN, real=True),
    "distilled": Method(WHOLE),
    "distilled, impact": Method({**WHOLE, "strategy": "impact"}),
    "distilled, annealing": Method({**WHOLE, "strategy": "annealing"}),
    "distilled, global": Method({**WHOLE, "allocation": "global"}),
    "distilled, uniform prior": Method({**WHOLE, "prior": "uniform"}),
    "distilled, dead leaves": Method({**WHOLE, "prior": "dead-leaves"}),
    "distilled, spectra": Method({**WHOLE, "prior": "spectra"}),
    "distilled on real inputs": Method(WHOLE, real=True),
}


def digits(*shape: int, epochs: int = 10) -> Split:
    train = np.load(HERE / "data" / "mnist-train.npz")
    held = np.load(Path(paoding.__file__).parent / "zoo" / "mnist.npz")
    shape = (-1, *shape)
    x, hx = (np.asarray(a["x"], "float32").reshape(shape) / 255 for a in (train, held))
    return Split(x, train["y"].astype(int), hx, held["y"].astype(int), epochs)


def bytes_of(split: Split) -> Split:
    """The same images as numbers up to 255, of which Paoding is not told."""
    return replace(
        split, x=255 * split.x, held_x=255 * split.held_x, box=paoding.Box(0, 255), told=False
    )


def table(name: str, standard: bool = False) -> Split:
    """A table of scikit-learn with columns scaled by its training rows: to [0, 1], or z-scores."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y, cut = x[order], y[order], int(0.7 * len(x))
    if standard:
        z = (x - x[:cut].mean(axis=0)) / np.maximum(x[:cut].std(axis=0), 1e-9)
        z = np.clip(z, -3, 3).astype("float32")
        return Split(z[:cut], y[:cut], z[cut:], y[cut:], epochs=60, box=paoding.Box(-3, 3))
    low, high = x[:cut].min(axis=0), x[:cut].max(axis=0)
    x = np.clip((x - low) / np.maximum(high - low, 1e-9), 0, 1).astype("float32")
    return Split(x[:cut], y[:cut], x[cut:], y[cut:], epochs=60)


def photographs(count: int = 9000, side: int = 32) -> Split:
    """Crops of scikit-learn's two photographs, large and small, flipped, in changed colours.

    The class of a crop is its cluster by what is where and by how rough it is there.
    """
    from sklearn import cluster, datasets

    rng = np.random.default_rng(0)
    whole = [image.astype("float32") / 255 for image in datasets.load_sample_images().images]
    crops = []
    for number in range(count):
        image, times = whole[number % len(whole)], int(rng.integers(1, 8))
        top, left = (rng.integers(0, edge - side * times + 1) for edge in image.shape[:2])
        crop = image[top : top + side * times, left : left + side * times]
        crop = crop.reshape(side, times, side, times, 3).mean(axis=(1, 3))
        crop = crop[:, ::-1] if rng.random() < 0.5 else crop
        crops.append(
            (crop * rng.uniform(0.6, 1.2) + rng.uniform(-0.1, 0.1, 3))[..., rng.permutation(3)]
        )
    x = np.clip(np.stack(crops), 0, 1).astype("float32")
    parts = x.reshape(count, 4, side // 4, 4, side // 4, 3)
    rows = [
        part.reshape(count, -1) for part in (parts.mean(axis=(2, 4)), 3 * parts.std(axis=(2, 4)))
    ]
    y = cluster.KMeans(10, n_init=3, random_state=0).fit_predict(np.concatenate(rows, axis=1))
    cut = 5 * count // 6
    return Split(x[:cut], y[:cut].astype(int), x[cut:], y[cut:].astype(int), epochs=8)


def sources(count: int = 8000, length: int = 48) -> Split:
    """Characters of modules of the standard library, as numbers; the class is the module."""
    names = (
        "argparse",
        "decimal",
        "tarfile",
        "turtle",
        "typing",
        "ipaddress",
        "unittest.mock",
        "ast",
    )
    rng = np.random.default_rng(0)
    x, y = [], []
    for number, name in enumerate(names):
        source = inspect.getsource(import_module(name))
        text = np.frombuffer(source.encode("ascii", "replace"), np.uint8)
        at = rng.integers(0, len(text) - length, count // len(names))
        x.append(np.stack([text[a : a + length] for a in at]).astype("int32") % 128)
        y.append(np.full(len(at), number))
    order = rng.permutation(count // len(names) * len(names))
    x, y, cut = np.concatenate(x)[order], np.concatenate(y)[order], 3 * count // 4
    return Split(x[:cut], y[:cut], x[cut:], y[cut:], epochs=6, told=False)


def attended(y: Any, width: int, heads: int) -> Any:
    """A transformer's block: attention and two Dense layers, each behind a LayerNormalization."""
    z = layers.LayerNormalization()(y)
    y = layers.Add()([y, layers.MultiHeadAttention(heads, width // heads)(z, z)])
    z = layers.Dense(2 * width, "gelu")(layers.LayerNormalization()(y))
    return layers.Add()([y, layers.Dense(width)(z)])


def vit(width: int = 32) -> keras.Model:
    """A small vision transformer: 49 patches, whose places a depthwise convolution tells."""
    x = keras.Input((28, 28, 1))
    y = layers.Conv2D(width, 4, strides=4)(x)
    y = layers.Add()([y, layers.DepthwiseConv2D(3, padding="same")(y)])
    y = layers.Reshape((49, width))(y)
    for _ in range(2):
        y = attended(y, width, 4)
    y = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(y))
    return keras.Model(x, layers.Dense(10, "softmax")(y))


def reader(width: int = 32) -> keras.Model:
    """A small transformer over characters, whose places a depthwise convolution tells."""
    x = keras.Input((48,), dtype="int32")
    y = layers.Embedding(128, width)(x)
    y = layers.Add()([y, layers.DepthwiseConv1D(3, padding="same")(y)])
    for _ in range(2):
        y = attended(y, width, 4)
    y = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(y))
    return keras.Model(x, layers.Dense(8, "softmax")(y))


def mlp(
    inputs: int, widths: Iterable[int], classes: int, activation: str, *first: Any
) -> keras.Model:
    stack: list[Any] = [keras.Input((inputs,)), *first]
    stack += [layers.Dense(width, activation) for width in widths]
    return keras.Sequential(
        [*stack, layers.Dense(classes, "softmax" if classes > 1 else "sigmoid")]
    )


def convolutional() -> keras.Model:
    x = keras.Input((28, 28, 1))
    y = layers.MaxPooling2D()(layers.Conv2D(32, 3, activation="relu")(x))
    y = layers.MaxPooling2D()(layers.Conv2D(64, 3, activation="relu")(y))
    y = layers.Dense(512, "relu")(layers.Flatten()(y))
    return keras.Model(x, layers.Dense(10, "softmax")(layers.Dense(128, "relu")(y)))


def residual() -> keras.Model:
    x = keras.Input((28, 28, 1))
    y = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y))
    for filters in (16, 16):
        z = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        z = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(z))
        z = layers.Conv2D(filters, 3, padding="same", use_bias=False)(z)
        y = layers.ReLU()(layers.Add()([y, layers.BatchNormalization(momentum=0.9)(z)]))
    y = layers.Dense(64, "relu")(layers.Flatten()(layers.MaxPooling2D()(y)))
    return keras.Model(x, layers.Dense(10, "softmax")(y))


def pooled() -> keras.Model:
    x = y = keras.Input((28, 28, 1))
    for filters in (16, 32, 64):
        y = y if filters == 16 else layers.MaxPooling2D()(y)
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        y = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y))
    return keras.Model(x, layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(y)))


def resnet(blocks: int) -> keras.Model:
    """A ResNet for small images: three stages of so many blocks, ending in a global pooling."""

    def normalized(y: Any, filters: int, size: int, stride: int) -> Any:
        y = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(y)
        return layers.BatchNormalization(momentum=0.9)(y)

    x = keras.Input((28, 28, 1))
    y = layers.ReLU()(normalized(x, 16, 3, 1))
    for filters in (16, 32, 64):
        for block in range(blocks):
            stride = 2 if block == 0 and filters > 16 else 1
            z = normalized(layers.ReLU()(normalized(y, filters, 3, stride)), filters, 3, 1)
            y = y if stride == 1 else normalized(y, filters, 1, stride)
            y = layers.ReLU()(layers.Add()([y, z]))
    return keras.Model(x, layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(y)))


def colours(normalized: bool) -> keras.Model:
    x = y = keras.Input((32, 32, 3))
    for filters in (16, 32, 64):
        y = layers.Conv2D(filters, 3, padding="same", use_bias=not normalized)(y)
        y = layers.BatchNormalization(momentum=0.9)(y) if normalized else y
        y = layers.MaxPooling2D()(layers.ReLU()(y))
    y = layers.Dense(64, "relu")(layers.Flatten()(y))
    return keras.Model(x, layers.Dense(10, "softmax")(y))


def normalized() -> keras.Model:
    x = y = keras.Input((784,))
    for units in (128, 128, 64):
        y = layers.Dense(units, use_bias=False)(y)
        y = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y))
    return keras.Model(x, layers.Dense(10, "softmax")(y))


def by_rows(*first: Any) -> keras.Model:
    stack = [keras.Input((28, 28)), *first, layers.Dense(64, "relu"), layers.Dense(10, "softmax")]
    return keras.Sequential(stack)


def conv1d() -> keras.Model:
    second = layers.Conv1D(64, 3, activation="relu")
    first = layers.Conv1D(32, 3, padding="same", activation="relu")
    return by_rows(first, layers.MaxPooling1D(), second, layers.Flatten())


Build = Callable[[], keras.Model]
TRAINED: dict[str, tuple[Build, Callable[[], Split]]] = {
    "mlp 784-128-128-64": (lambda: mlp(784, (128, 128, 64), 10, "relu"), lambda: digits(784)),
    "wide 784-512-256": (lambda: mlp(784, (512, 256), 10, "relu"), lambda: digits(784)),
    "deep 784-5x96": (lambda: mlp(784, (96,) * 5, 10, "relu"), lambda: digits(784)),
    "tanh 784-128-128-64": (lambda: mlp(784, (128, 128, 64), 10, "tanh"), lambda: digits(784)),
    "bn 784-128-128-64": (normalized, lambda: digits(784)),
    "wine 13-64-64": (lambda: mlp(13, (64, 64), 3, "relu"), lambda: table("wine")),
    "digits 64-64-64": (lambda: mlp(64, (64, 64), 10, "relu"), lambda: table("digits")),
    "cancer 30-64-64": (lambda: mlp(30, (64, 64), 2, "relu"), lambda: table("breast_cancer")),
    "cancer 30-64-64-1": (lambda: mlp(30, (64, 64), 1, "relu"), lambda: table("breast_cancer")),
    "residual conv-bn": (residual, lambda: digits(28, 28, 1, epochs=4)),
    "conv 32-64-512-128": (convolutional, lambda: digits(28, 28, 1, epochs=4)),
}
# Not in the mean: inputs of which Paoding has to find out what they are, narrow and large networks.
OTHER: dict[str, tuple[Build, Callable[[], Split]]] = {
    "digits standardized 64-64-64": (
        lambda: mlp(64, (64, 64), 10, "relu"),
        lambda: table("digits", standard=True),
    ),
    "bytes 784-128-64": (
        lambda: mlp(784, (128, 64), 10, "relu", layers.Rescaling(1 / 255)),
        lambda: bytes_of(digits(784)),
    ),
    "rows conv1d 32-64-64": (conv1d, lambda: digits(28, 28, epochs=6)),
    "pooled conv-bn 16-32-64": (pooled, lambda: digits(28, 28, 1, epochs=6)),
    "resnet-8": (lambda: resnet(1), lambda: digits(28, 28, 1, epochs=4)),
    "resnet-14": (lambda: resnet(2), lambda: digits(28, 28, 1, epochs=4)),
    "resnet-20": (lambda: resnet(3), lambda: digits(28, 28, 1, epochs=4)),
    "photographs conv 16-32-64": (lambda: colours(False), photographs),
    "photographs conv-bn 16-32-64": (lambda: colours(True), photographs),
    "vit 2x32": (vit, lambda: digits(28, 28, 1, epochs=6)),
    "text transformer 2x32": (reader, sources),
    "rows lstm 64-64": (lambda: by_rows(layers.LSTM(64)), lambda: digits(28, 28, epochs=6)),
}
QUICK = tuple(name for name in TRAINED if "conv" not in name)


def trained(name: str, seed: int) -> tuple[keras.Model, Split]:
    build, load = (TRAINED | OTHER)[name]
    split = load()
    keras.utils.set_random_seed(seed)
    model = build()
    single = model.output_shape[-1] == 1
    model.compile("adam", "binary_crossentropy" if single else "sparse_categorical_crossentropy")
    model.fit(split.x, split.y, epochs=split.epochs, batch_size=64, verbose=0)
    return model, split


def of_zoo(name: str, seed: int) -> tuple[keras.Model, Split]:
    model, data = paoding.zoo.load(name)
    if "mnist" in name:
        return model, digits(*model.input_shape[1:])
    return model, Split(data.x, data.y, data.x, data.y)  # the ceiling then sees held-back inputs


@dataclass(frozen=True)
class Row:
    """One measurement; differences against the original network."""

    network: str
    method: str
    share: float
    change: float
    robust: float
    retention: float
    seed: int
    version: str


@dataclass(frozen=True)
class Job:
    """All that is measured on one training of one network."""

    network: str
    seed: int
    cases: tuple[tuple[str, float], ...]  # methods and shares
    quick: bool
    version: str

    def rows(self) -> Iterator[Row]:
        of = of_zoo if self.network in paoding.zoo.names() else trained
        model, split = of(self.network, self.seed)
        reach = EPSILON * float((split.box.hi - split.box.lo).mean())
        attacks: list[Any] = [paoding.FGSM(reach)]
        if not self.quick:
            attacks.append(paoding.PGD(reach, steps=20))
        before, stood = standing(model, split, attacks)
        for name, share in self.cases:
            started = time.perf_counter()
            try:
                small = pruned(model, split, METHODS[name], share, self.seed)
            except paoding.errors.ArgumentError:
                continue  # a prior for images on a table
            seconds = time.perf_counter() - started
            after, stands = standing(small, split, attacks)
            change, robust = after - before, float(stands.mean())
            kept = float(stands[stood].mean()) if stood.any() else float("nan")
            print(
                f"{self.network:20} seed {self.seed} {name:30} {share:.0%}: accuracy {before:.4f} "
                f"{change:+.4f}, robust {robust:.3f}, retention {kept:.3f}, {seconds:.1f} s",
                flush=True,
            )
            change, robust, kept = (round(float(n), 5) for n in (change, robust, kept))
            yield Row(self.network, name, share, change, robust, kept, self.seed, self.version)


def standing(model: keras.Model, split: Split, attacks: list[Any]) -> tuple[float, np.ndarray]:
    """Accuracy, and which of the first held-back samples stay right under every attack."""
    network = network_of(model)
    right = network.predict(split.held_x, 256).argmax(1) == split.held_y
    x, y = split.held_x[:ATTACKED], split.held_y[:ATTACKED]
    stands = right[:ATTACKED].copy()
    for attack in attacks if x.dtype.kind == "f" else ():  # numbers of tokens cannot be moved
        moved = attack.adversarial(network, x, y, split.box, 256)
        stands &= network.predict(moved, 256).argmax(1) == y
    return float(right.mean()), stands


def run(job: Job, path: Path | None) -> list[Row]:
    """Measure in a process of its own, and keep each row as soon as it is there."""
    found = []
    for row in job.rows():
        found.append(row)
        if path is not None:
            with path.open("a", encoding="utf-8", newline="") as out:  # one write: never torn
                csv.writer(out, lineterminator="\n").writerow(astuple(row))
    return found


def alone() -> None:
    """One thread a process: two processes of one are faster than one of two."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def pruned(
    model: keras.Model, split: Split, method: Method, share: float, seed: int
) -> keras.Model:
    prior = {}
    if method.real:
        prior = {"prior": lambda rng, n: split.x[rng.integers(0, len(split.x), n)]}
    domain = split.box if split.told else None
    settings = {"target": share, "step": STEP, "seed": seed, "domain": domain}
    settings |= {**method.settings, **prior}
    return paoding.prune(model, **settings).model


def read(path: Path | None) -> list[Row]:
    """Measurements of an earlier run, one a line."""
    if path is None or not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return [
            Row(
                network,
                method,
                float(share),
                float(change),
                float(robust),
                float(kept),
                int(seed),
                v,
            )
            for network, method, share, change, robust, kept, seed, v in csv.reader(lines)
        ]


def as_table(rows: list[Row], methods: Iterable[str], seeds: int) -> list[str]:
    """Means over networks; says where a method was run with fewer seeds on one of them."""
    lines = [
        "| method | " + " | ".join(f"{s:.0%}" for s in SHARES) + " |",
        "|---|" + "---|" * len(SHARES),
    ]
    for name in methods:
        own = [r for r in rows if r.method == name]
        if not own:
            continue
        run = min(len({r.seed for r in own if r.network == n}) for n in {r.network for r in own})
        fewer = f" ({run} of {seeds} seeds)" if run < seeds else ""
        cells = [mean_of([r for r in own if r.share == share]) for share in SHARES]
        told = [cell(some) if some else "–" for some in cells]
        lines.append(f"| {name}{fewer} | " + " | ".join(told) + " |")
    return [*lines, ""]


def cell(rows: list[Row]) -> str:
    change = 100 * statistics.fmean(r.change for r in rows)
    robust = statistics.fmean(r.robust for r in rows)
    kept = [r.retention for r in rows if r.retention == r.retention]
    shown = f"{statistics.fmean(kept):.3f}" if kept else "–"
    return f"{change:+.1f} · {robust:.3f} · {shown}"


PAIRS = {
    "merge, impact": "merge, saliency (paper's)",
    "merge, annealing": "merge, saliency (paper's)",
    "distilled, impact": "distilled",
    "distilled, annealing": "distilled",
}


def against_saliency(rows: list[Row]) -> list[str]:
    """Strategies less saliency, paired by network and seed, in each network and in the mean."""
    known = {(r.network, r.method, r.share, r.seed): r for r in rows}
    lines = []
    for method, plain in PAIRS.items():
        gains: dict[tuple[str, float], list[tuple[float, float]]] = {}
        for r in rows:
            other = known.get((r.network, plain, r.share, r.seed))
            if r.method == method and other:
                gain = (100 * (r.change - other.change), r.retention - other.retention)
                gains.setdefault((r.network, r.share), []).append(gain)
        networks = list(dict.fromkeys(network for network, _ in gains))
        if not networks:
            continue
        for name in networks:
            own = [gains.get((name, share), []) for share in SHARES]
            lines.append(f"| {name} | {method} | " + " | ".join(map(difference, own)) + " |")
        every = [
            [mean for n in networks if (mean := centre(gains.get((n, share), [])))]
            for share in SHARES
        ]
        told = " | ".join(map(difference, every))
        lines.append(f"| **mean of {len(networks)}** | {method} | {told} |")
    head = "| network | method | " + " | ".join(f"{s:.0%}" for s in SHARES) + " |"
    return [head, "|---|---|" + "---|" * len(SHARES), *lines, ""] if lines else []


def centre(gains: list[tuple[float, float]]) -> tuple[float, float] | None:
    if not gains:
        return None
    kept = [k for _, k in gains if k == k]
    return statistics.fmean(g for g, _ in gains), statistics.fmean(kept) if kept else float("nan")


def difference(gains: list[tuple[float, float]]) -> str:
    """Mean gain in points with its standard error, and in retention."""
    mean = centre(gains)
    if mean is None:
        return "–"
    points = [g for g, _ in gains]
    error = statistics.stdev(points) / len(points) ** 0.5 if len(points) > 1 else 0.0
    return f"{mean[0]:+.1f} ± {error:.1f} · {mean[1]:+.3f}"


def page(rows: list[Row], methods: list[str], seeds: int, quick: bool) -> str:
    attack = f"FGSM at {EPSILON}" + ("" if quick else f" and PGD at {EPSILON} with 20 steps")
    attack += " (of the legal width)"
    networks = list(dict.fromkeys(r.network for r in rows))
    versions = ", ".join(dict.fromkeys(r.version for r in rows))
    told = " ".join(
        ("python", "benchmarks/quality.py", shlex.join(a for a in sys.argv[1:] if a != "--page"))
    ).strip()
    everywhere = [m for m in methods if {r.network for r in rows if r.method == m} == set(networks)]
    lines = [
        "# Quality: the tables",
        "",
        f"Made by `{told}`",
        f"at {versions}: {len(networks)} networks of {seeds} seed(s), of the",
        "zoo's networks of the pruning only; each hidden group loses 25, 50 or 75 % of its units.",
        "A cell holds the change of accuracy in points of all held-back data, robust accuracy, and",
        "retention, the latter two under",
        f"{attack} on the first {ATTACKED} held-back samples.",
        "The peer, `paoding-dl` 1.0.0.post3, at 50 % on 784-128-128-64-10: 0.9505 → 0.40 to 0.51",
        "(`benchmarks/speed.py` measures it).",
        "",
        f"## Mean over all {len(networks)} networks",
        "",
        *as_table(rows, everywhere, seeds),
    ]
    for network in networks:
        some = [r for r in rows if r.network == network]
        lines += [f"## {network}", "", *as_table(some, methods, seeds)]
    pairs = against_saliency(rows)
    if pairs:
        lines += [
            "## Strategies less saliency",
            "",
            "In points and in retention, paired by seed.",
            "",
        ]
    return "\n".join([*lines, *pairs]).rstrip()


def mean_of(rows: list[Row]) -> list[Row]:
    """One row for each network, method and share: every network counts the same."""
    found = []
    groups: dict[tuple[str, str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.network, row.method, row.share), []).append(row)
    for (network, method, share), some in groups.items():
        kept = [r.retention for r in some if r.retention == r.retention]
        change, robust = (
            statistics.fmean(getattr(r, n) for r in some) for n in ("change", "robust")
        )
        retention = statistics.fmean(kept) if kept else float("nan")
        found.append(Row(network, method, share, change, robust, retention, 0, some[0].version))
    return found


def version_of() -> str:
    """The commit of this clone, marked where files were changed since."""
    told = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(told, cwd=HERE, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, small networks, FGSM")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--networks", nargs="*", help="some of them, by name")
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), help="some of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--rows", type=Path, help="go on from the measurements in this CSV file")
    parser.add_argument("--page", action="store_true", help="measure nothing: only write the page")
    parser.add_argument("--out", type=Path, help="write the table there as Markdown")
    given = parser.parse_args()
    seeds = 1 if given.quick else given.seeds
    methods = given.methods or list(METHODS)
    names = given.networks or [*(() if given.quick else paoding.zoo.names()), *TRAINED]
    if given.quick and not given.networks:
        names = list(QUICK)
    rows = read(given.rows)
    version = version_of()
    jobs = []
    for seed, name in itertools.product(range(seeds), names):
        known = {(r.method, r.share) for r in rows if (r.network, r.seed) == (name, seed)}
        cases = [case for case in itertools.product(methods, SHARES) if case not in known]
        cases.sort(key=lambda case: METHODS[case[0]].real)  # so as to draw inputs but once
        if cases and not given.page:
            jobs.append(Job(name, seed, tuple(cases), given.quick, version))
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with ProcessPoolExecutor(given.jobs, get_context("spawn"), alone) as pool:
        for done in as_completed([pool.submit(run, job, given.rows) for job in jobs]):
            rows += done.result()
    rows = [row for name in names for row in rows if row.network == name and row.method in methods]
    text = page(rows, methods, seeds, given.quick)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

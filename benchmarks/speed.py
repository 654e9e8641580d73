"""Time Paoding and its peer, paoding-dl, side by side: same weights, same target, same step.

``python benchmarks/speed.py`` makes the peer's environment the first time, then runs both on the
zoo's MNIST network (784-128-128-64-10), 50 % of every hidden layer, and prints the ratios. Imports
and loading are outside of all times; evaluation too, except where evaluation is what is timed. The
two never run at the same time. ``--repetitions 1`` is quick (about four minutes).

Paoding is timed as a user calls it: ``paoding.prune`` from tracing to the smaller model, and
``paoding.evaluate`` with three FGSM attacks. The peer neither traces nor makes the model smaller
within the time that is taken of it, which is in its favour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peer"))

import environment  # noqa: E402 (in the folder just added: it is no package)

TARGET, STEP = 0.5, 1 / 64
STRATEGIES = ("baseline", "impact", "stochastic")
COMPENSATIONS: dict[str, dict[str, Any]] = {
    "merge": {"compensation": "merge"},
    "least-squares": {"compensation": "least-squares", "distil": 0},
    "distilled": {"compensation": "least-squares"},
}
EPSILONS = [0.01, 0.05, 0.1]
PEER_IMAGES = 200  # at a quarter of a second each
WANTED_PRUNING, WANTED_FGSM = 100, 200  # the ratios that we promise (impact; per image)


def dense_weights(model: Any) -> dict[str, Any]:
    """Return kernels, biases and names of activations of a chain of Dense layers."""
    arrays: dict[str, Any] = {}
    for i, layer in enumerate(model.layers):
        arrays[f"kernel_{i}"], arrays[f"bias_{i}"] = layer.get_weights()
        arrays[f"activation_{i}"] = layer.activation.__name__
    return arrays


def run_peer(model: Any, data: Any, repetitions: int) -> dict[str, Any]:
    """Return what the peer's process wrote: seconds and accuracy for every job."""
    import numpy as np

    python = environment.ensure()
    jobs: list[dict[str, Any]] = [
        {"kind": "prune", "strategy": s, "target": TARGET, "step": STEP} for s in STRATEGIES
    ]
    jobs.append({"kind": "fgsm", "epsilons": EPSILONS, "images": PEER_IMAGES})
    with tempfile.TemporaryDirectory() as folder:
        network, order, out = (Path(folder) / n for n in ("net.npz", "jobs.json", "out.json"))
        x = np.asarray(data.x, dtype="float32").reshape(len(data.x), -1)
        np.savez(network, x=x, y=data.y, **dense_weights(model))
        jobs = [{**job, "repetitions": repetitions} for job in jobs]
        order.write_text(json.dumps({"network": str(network), "jobs": jobs, "out": str(out)}))
        # Isolated: the peer's package has our name, and PYTHONPATH may lead to ours.
        command = [str(python), "-I", str(HERE / "peer" / "run.py"), str(order)]
        subprocess.run(command, check=True, cwd=folder)
        return json.loads(out.read_text())


def accuracy(model: Any, data: Any) -> float:
    import numpy as np

    return float(np.mean(np.argmax(model.predict(data.x, verbose=0), axis=1) == data.y))


def time_pruning(model: Any, data: Any, strategy: str, compensation: str, n: int) -> dict[str, Any]:
    """Time ``paoding.prune`` with the strategy that the peer calls ``strategy``."""
    import paoding

    ours = {
        "baseline": paoding.Saliency,
        "impact": paoding.Impact,
        "stochastic": paoding.Annealing,
    }[strategy]
    seconds, cpu, accuracies = [], [], []
    for seed in range(n):
        start, work = time.perf_counter(), time.process_time()
        result = paoding.prune(
            model,
            target=TARGET,
            step=STEP,
            strategy=ours(),
            seed=seed,
            **COMPENSATIONS[compensation],
        )
        smaller = result.model
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - work)
        accuracies.append(accuracy(smaller, data))
    return {"seconds": seconds, "cpu": cpu, "accuracy": accuracies}


def time_fgsm(model: Any, data: Any, images: int, n: int) -> dict[str, Any]:
    """Time ``paoding.evaluate`` under the same three FGSM attacks."""
    import paoding

    attacks = [paoding.FGSM(epsilon) for epsilon in EPSILONS]
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        paoding.evaluate(model, data.x[:images], data.y[:images], attacks=attacks)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "images": images}


def spread(values: list[float], digits: int) -> str:
    """Return the median, with the range where there is one."""
    low, high = min(values), max(values)
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if low == high else f"{middle} ({low:.{digits}f}–{high:.{digits}f})"


def compare(model: Any, data: Any, peer: dict[str, Any], n: int) -> dict[str, Any]:
    """Run Paoding and prints the table; returns the ratios."""
    print(f"\nMNIST 784-128-128-64-10, {TARGET:.0%} of each hidden layer, step 1/{1 / STEP:.0f};")
    before = accuracy(model, data)
    print(f"accuracy before {before:.4f} (of the peer's copy {peer['accuracy_before']:.4f})")
    head = ("strategy", "compensation", "seconds", "ratio", "CPU s", "ratio", "accuracy after")
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    ratios: dict[str, Any] = {}
    for strategy, theirs in zip(STRATEGIES, peer["results"], strict=False):
        print(row(f"peer {strategy}", "merge", theirs, theirs))
        for compensation in COMPENSATIONS:
            ours = time_pruning(model, data, strategy, compensation, n)
            print(row(f"paoding {strategy}", compensation, ours, theirs), flush=True)
            ratios[f"{strategy} {compensation}"] = ratio(theirs, ours, "seconds")
    ratios["fgsm"] = compare_fgsm(model, data, peer["results"][-1], n)
    return ratios


def ratio(theirs: dict[str, Any], ours: dict[str, Any], kind: str) -> float:
    """Return how many times less of ``kind`` Paoding took, median by median."""
    return statistics.median(theirs[kind]) / statistics.median(ours[kind])


def row(name: str, compensation: str, run: dict[str, Any], peer: dict[str, Any]) -> str:
    """Return one line of the table; CPU time counts threads that wait for each other, too."""
    fields = (
        name,
        compensation,
        spread(run["seconds"], 2),
        f"{ratio(peer, run, 'seconds'):,.0f}",
        spread(run["cpu"], 2),
        f"{ratio(peer, run, 'cpu'):,.0f}",
        spread(run["accuracy"], 4),
    )
    return "| " + " | ".join(fields) + " |"


def compare_fgsm(model: Any, data: Any, theirs: dict[str, Any], n: int) -> float:
    """Print the cost of FGSM at three ε per image, for the peer's images and for all of them."""
    each = statistics.median(theirs["seconds"]) / theirs["images"]
    print(f"\nFGSM at ε {EPSILONS}, milliseconds an image: peer {each * 1e3:.1f}", end="")
    time_fgsm(model, data, PEER_IMAGES, 1)  # the first call compiles
    times = []
    for images in (theirs["images"], len(data.x)):
        ours = time_fgsm(model, data, images, n)
        mine = statistics.median(ours["seconds"]) / images
        times.append(each / mine)
        print(f"; paoding, {images} images, {mine * 1e3:.3f} (ratio {times[-1]:,.0f})", end="")
    print()
    return times[0]  # with as many images


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3, metavar="N")
    parser.add_argument("--peer-results", metavar="JSON", help="an earlier run's, to debug with")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers")
    options = parser.parse_args()

    import paoding

    model, data = paoding.zoo.load("mnist-mlp")
    if options.peer_results:
        peer = json.loads(Path(options.peer_results).read_text())
    else:
        peer = run_peer(model, data, options.repetitions)
    ratios = compare(model, data, peer, max(options.repetitions, 3))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        machine = {"machine": platform.platform(), "cores": os.cpu_count()}
        options.json.write_text(json.dumps({"peer": peer, "ratios": ratios, **machine}, indent=1))
    fast = ratios["impact merge"] >= WANTED_PRUNING and ratios["fgsm"] >= WANTED_FGSM
    print(
        f"\nimpact: {ratios['impact merge']:,.0f} times faster (wanted {WANTED_PRUNING}); "
        f"FGSM: {ratios['fgsm']:,.0f} times (wanted {WANTED_FGSM})"
    )
    return 0 if fast else 1


if __name__ == "__main__":
    sys.exit(main())

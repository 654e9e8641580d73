"""How a sweep of many runs goes on many machines, simulated with durations that were measured here.

Run ``python benchmarks/schedule.py --durations FRONT`` with the folder of a finished sweep
(``paoding sweep … --out FRONT``); it prints a table. The simulation is of Dask's way: each worker
gets what runs share once, through one scheduler; whoever is free takes the next run; the run of a
worker that dies begins anew elsewhere.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Cluster:
    """Machines and what lies between them.

    Args:
        workers: machines, each with one run at a time.
        start: seconds until a worker has imported TensorFlow and read and traced the model.
        shipment: bytes that each worker gets once: the model and the evaluation data.
        result: bytes that come back of a run.
        bandwidth: bytes a second through the scheduler.
        overhead: seconds of the scheduler for each run.
        hours_to_death: mean hours that a worker lives, then it is replaced; infinite for never.
    """

    workers: int
    start: float
    shipment: float
    result: float
    bandwidth: float = 1e8
    overhead: float = 1e-3
    hours_to_death: float = np.inf


@dataclass(frozen=True)
class Outcome:
    """What a simulated sweep came to.

    Args:
        seconds: from the first call to the last answer.
        busy: share of the workers' time in which they computed runs that counted.
        again: runs that were begun anew.
        traffic: bytes through the scheduler.
    """

    seconds: float
    busy: float
    again: int
    traffic: float


def simulate(durations: Sequence[float], cluster: Cluster, seed: int = 0) -> Outcome:
    """Share runs out to workers in the order given, each to who is free first."""
    rng = np.random.default_rng(seed)
    sent = cluster.shipment / cluster.bandwidth
    # The scheduler serves one worker after another.
    free = [(sent * (k + 1) + cluster.start, k) for k in range(cluster.workers)]
    heapq.heapify(free)
    life = 3600 * cluster.hours_to_death
    dies = [when + rng.exponential(life) if np.isfinite(life) else np.inf for when, _ in free]
    link, end, again, traffic = 0.0, 0.0, 0, cluster.workers * cluster.shipment
    left = list(reversed(durations))
    while left:
        when, worker = heapq.heappop(free)
        seconds = left.pop()
        finished = when + cluster.overhead + seconds
        if finished > dies[worker]:
            again += 1
            left.append(seconds)
            traffic += cluster.shipment
            back = dies[worker] + sent + cluster.start
            dies[worker] = back + rng.exponential(life)
            heapq.heappush(free, (back, worker))
            continue
        link = max(link, finished) + cluster.result / cluster.bandwidth
        traffic += cluster.result
        end = max(end, link)
        heapq.heappush(free, (finished, worker))
    return Outcome(end, sum(durations) / (cluster.workers * end), again, traffic)


def main() -> None:
    import paoding.deploy.front

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--durations", type=Path, required=True, help="folder of a sweep")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--start", type=float, default=30.0, help="seconds until a worker is ready")
    asked = parser.parse_args()
    front = paoding.deploy.front.Front.load(asked.durations)
    seconds = front.table.drop_duplicates("run")["seconds"].to_numpy(float)
    shipment = (asked.durations / "original.keras").stat().st_size
    folders = [p for p in (asked.durations / "runs").iterdir() if p.is_dir()]
    result = float(np.mean([sum(f.stat().st_size for f in p.iterdir()) for p in folders]))
    runs = np.random.default_rng(0).choice(seconds, asked.runs)
    print(
        f"{len(seconds)} measured runs of {seconds.min():.1f} to {seconds.max():.1f} s; a model of "
        f"{shipment / 1e6:.2f} MB goes out, {result / 1e6:.2f} MB a run come back."
    )
    print("| machines | a worker lives | minutes | times faster than one | busy | again | GB |")
    print("|---|---|---|---|---|---|---|")
    alone = simulate(runs, Cluster(1, asked.start, shipment, result)).seconds
    for workers, hours in ((1, np.inf), (10, np.inf), (100, np.inf), (100, 2.0), (100, 0.5)):
        cluster = Cluster(workers, asked.start, shipment, result, hours_to_death=hours)
        found = simulate(runs, cluster)
        lives = "always" if np.isinf(hours) else f"{hours:g} h"
        print(
            f"| {workers} | {lives} | {found.seconds / 60:.1f} | {alone / found.seconds:.0f} | "
            f"{found.busy:.0%} | {found.again} | {found.traffic / 1e9:.2f} |"
        )


if __name__ == "__main__":
    main()

"""The simulation of a cluster adds up where the answer is known."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

script = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "schedule.py"))
)
PLAIN = {"start": 0.0, "shipment": 0.0, "result": 0.0, "overhead": 0.0}


def test_one_worker_takes_the_sum_and_equal_runs_are_shared_evenly() -> None:
    assert script.simulate([1.0, 2.0, 3.0], script.Cluster(1, **PLAIN)).seconds == 6.0
    assert script.simulate([2.0] * 10, script.Cluster(5, **PLAIN)).seconds == 4.0


def test_what_is_shipped_delays_one_worker_after_another() -> None:
    cluster = script.Cluster(2, start=1.0, shipment=1e8, result=0.0, overhead=0.0)
    found = script.simulate([10.0, 10.0], cluster)
    assert found.seconds == pytest.approx(13.0) and found.traffic == 2e8


def test_a_worker_that_dies_costs_time_and_loses_no_run() -> None:
    runs = [600.0] * 200
    calm = script.simulate(runs, script.Cluster(10, **PLAIN))
    rough = script.simulate(runs, script.Cluster(10, **PLAIN, hours_to_death=1.0))
    assert rough.again > 0 and rough.seconds > calm.seconds and calm.again == 0


@given(
    st.lists(st.floats(0.1, 100.0), min_size=1, max_size=40),
    st.integers(1, 12),
)
def test_no_schedule_beats_the_longest_run_or_an_even_share(durations, workers) -> None:
    found = script.simulate(durations, script.Cluster(workers, **PLAIN))
    least = max(max(durations), sum(durations) / workers)
    assert least <= found.seconds * (1 + 1e-9)
    assert found.seconds <= sum(durations) / workers + max(durations) + 1e-6
    assert np.isclose(found.busy * workers * found.seconds, sum(durations))

"""Bounds are attacked at every layer of every kind of network, and never broken."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import networks

from paoding.bounds.difference import differences, resolved
from paoding.bounds.forward import input_intervals
from paoding.bounds.intervals import Interval
from paoding.bounds.linear import Linear
from paoding.errors import BoundsError

LONG = bool(os.environ.get("PAODING_LONG"))
CASES = 140 if LONG else 3  # per network and method: over 10,000 in the long run


def touches(bound: Interval, value: Interval) -> bool:
    """Whether a thin interval around the true number is not wholly outside of the bound."""
    return bool(((value.lower <= bound.upper) & (value.upper >= bound.lower)).all())


def check(name: str, seed: int, method: str) -> None:
    case = networks.random_case(name, seed)
    rng = np.random.default_rng(seed)
    before, after = programs = networks.programs_of(case)
    try:
        boxes = input_intervals(before, case.boxes)
        merges = resolved(case.removals)
        refiner = Linear(case.graph, before, after, merges) if method == "linear" else None
        twins = differences(case.graph, before, after, boxes, merges, refiner)
    except BoundsError:
        assert "exponential" in name  # it overflows float64, and says so
        return
    points = networks.worst_points(case, programs, rng)
    old, new = (networks.exact(program, points) for program in programs)
    for value, twin in enumerate(twins):
        where = f"{name}, seed {seed}, {method}, value {value}"
        assert touches(twin.before, old[value]), where
        assert touches(twin.after, new[value]), where
        assert touches(twin.change, new[value] - old[value]), where


@pytest.mark.parametrize("method", ["interval", "linear"])
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_no_value_and_no_change_leaves_its_bounds_at_any_layer(name: str, method: str) -> None:
    for seed in range(CASES):
        check(name, seed, method)

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
from paoding.bounds.intervals import Interval, Twin
from paoding.bounds.linear import Linear
from paoding.bounds.lowering import lower
from paoding.bounds.primitives import Apply
from paoding.errors import BoundsError

# Per network. With 38 networks the long run has over 10,000 cases, each with both methods.
BLOCKS, CASES = (6, 45) if os.environ.get("PAODING_LONG") else (1, 3)


def touches(bound: Interval, value: Interval) -> bool:
    """Whether a thin interval around the true number is not wholly outside of the bound."""
    return bool(((value.lower <= bound.upper) & (value.upper >= bound.lower)).all())


def bounds_of(case: networks.Case, method: str) -> list[Twin]:
    before, after = networks.programs_of(case)
    boxes, merges = input_intervals(before, case.boxes), resolved(case.removals)
    refiner = Linear(case.graph, before, after, merges) if method == "linear" else None
    return differences(case.graph, before, after, boxes, merges, refiner)


def attacked(case: networks.Case, seed: int) -> list[np.ndarray]:
    """Where corner search and gradient ascent end."""
    rng, programs = np.random.default_rng(seed), networks.programs_of(case)
    found = (networks.worst_points(case, programs, rng), networks.ascent(case, programs, rng))
    return [np.concatenate(pair) for pair in zip(*found, strict=True)]


def check(name: str, seed: int) -> None:
    case = networks.random_case(name, seed)
    try:
        bounds = {method: bounds_of(case, method) for method in ("interval", "linear")}
    except BoundsError:  # values that overflow are told; only an exponential leads there
        assert "exponential" in name
        return
    points = attacked(case, seed)
    old, new = (networks.exact(program, points) for program in networks.programs_of(case))
    for method, twins in bounds.items():
        for value, twin in enumerate(twins):
            where = f"{name}, seed {seed}, {method}, value {value}"
            assert touches(twin.before, old[value]), where
            assert touches(twin.after, new[value]), where
            assert touches(twin.change, new[value] - old[value]), where


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_no_attack_leaves_the_bounds_at_any_layer(name: str, block: int) -> None:
    for seed in range(block * CASES, (block + 1) * CASES):
        check(name, seed)


def test_slopes_that_were_tuned_are_bounded_as_another_function() -> None:
    """A case in which the lines of one PReLU do not hold for the other."""
    check("rectifiers", 19)


def test_what_both_networks_apply_is_known_to_be_the_same_function() -> None:
    for name in ("rectifiers", "dense_leaky_relu", "dense_elu"):
        graph = networks.graph_of(name)
        pair = (lower(graph, graph.original), lower(graph, graph.original))
        steps = zip(*(program.steps for program in pair), strict=True)
        applied = [(a.primitive, b.primitive) for a, b in steps if isinstance(a.primitive, Apply)]
        assert applied and all(a == b for a, b in applied), name


def test_the_attack_reaches_the_bounds_where_nothing_bends() -> None:
    """So that bounds of linear steps that are too tight by a thousandth would be found."""
    compared = 0
    for seed in range(20):
        case = networks.random_case("dense_linear", seed)
        width = bounds_of(case, "linear")[-1].change.width[0]
        if width.min() < 1e-6:  # a box so small that rounding is all there is
            continue
        old, new = (
            networks.exact(program, attacked(case, seed)) for program in networks.programs_of(case)
        )
        change = new[-1] - old[-1]
        assert (change.upper.max(axis=0) - change.lower.min(axis=0) >= 0.999 * width).all()
        compared += 1
    assert compared >= 8


@pytest.mark.parametrize(
    "name", ["dense_relu", "dense_tanh", "dense_softplus", "deep", "residual", "strided", "shared"]
)
def test_bounds_that_are_a_hundredth_too_tight_are_found_out(name: str) -> None:
    def found_out(seed: int) -> bool:
        case = networks.random_case(name, seed)
        twins, points = bounds_of(case, "linear"), attacked(case, seed)
        old, new = (networks.exact(program, points) for program in networks.programs_of(case))
        for twin, a, b in zip(twins, old, new, strict=True):
            center, radius = twin.change.center_radius()
            if not touches(Interval(center - 0.99 * radius, center + 0.99 * radius), b - a):
                return True
        return False

    assert any(found_out(seed) for seed in range(10))

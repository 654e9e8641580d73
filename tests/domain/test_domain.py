"""Boxes hold what they say, refuse what makes no sense, and survive JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paoding.domain import Box, resolve
from paoding.errors import DomainError

finite = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("lo", "hi", "word"),
    [
        (1, 0, "exceeds"),
        ([0, 2], [1, 1], "index"),
        (float("nan"), 1, "NaN"),
        (0, float("inf"), "infinite"),
        ([0, 0], [1, 1, 1], "shape"),
        ("a", 1, "number"),
        (None, 1, "NaN"),
    ],
)
def test_a_senseless_box_is_refused_in_one_sentence(lo, hi, word):
    with pytest.raises(DomainError, match=word) as caught:
        Box(lo, hi)
    assert "\n" not in str(caught.value)


def test_a_box_that_does_not_fit_the_input_names_both_shapes():
    with pytest.raises(DomainError, match=r"\(3,\).*\(4,\)"):
        Box([0, 0, 0], 1).fit((4,))


@given(finite, finite)
def test_center_and_radius_cover_the_box_exactly(a, b):
    lo, hi = min(a, b), max(a, b)
    box = Box(lo, hi)
    center, radius = (Fraction(float(v)) for v in (box.center(()), box.radius(())))
    assert center - radius <= Fraction(lo) and Fraction(hi) <= center + radius


def test_a_point_has_radius_zero():
    assert Box(0.1, 0.1).radius((2,)).tolist() == [0, 0]


@given(finite, finite, st.integers(0, 2**32 - 1))
def test_samples_lie_inside_and_clip_changes_nothing_inside(a, b, seed):
    box = Box(min(a, b), max(a, b))
    x = box.sample(np.random.default_rng(seed), 5, (2, 3))
    assert box.contains(x).all()
    np.testing.assert_array_equal(box.clip(x), x)
    assert box.contains(box.clip(x * 3 + 1)).all()


def test_clip_keeps_the_floating_point_type():
    assert Box(0, 1).clip(np.array([[2.0]], np.float32)).dtype == np.float32


@given(st.lists(finite, min_size=1, max_size=4))
def test_a_box_survives_json(values):
    box = Box(values, np.array(values) + 1)
    again = Box.from_dict(json.loads(json.dumps(box.to_dict())))
    assert again == box and hash(again) == hash(box)


def test_bounds_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="read-only"):
        Box([0.0], [1.0]).lo[0] = 5


def test_several_inputs_take_one_box_each_by_order_or_by_name():
    shapes, names = [(2,), (3,)], ["a", "b"]
    by_order = resolve([Box(0, 1), Box(-1, 1)], shapes, names)
    by_name = resolve({"b": Box(-1, 1), "a": Box(0, 1)}, shapes, names)
    assert by_order == by_name and by_order[1].lo.shape == (3,)
    assert resolve(None, shapes) == resolve(Box(0, 1), shapes) == resolve((0, 1), shapes)


@pytest.mark.parametrize("domain", [[Box(0, 1)], {"a": Box(0, 1)}, [1, 2, 3], 7])
def test_boxes_that_do_not_match_the_inputs_are_refused(domain):
    with pytest.raises(DomainError):
        resolve(domain, [(2,), (3,)], ["a", "b"])


def test_importing_the_domain_does_not_import_keras():
    code = "import sys, paoding.domain; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

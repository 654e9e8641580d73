"""The page of a run shows what it was given, as text, and needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paoding import zoo
from paoding.evaluation import FGSM, evaluate
from paoding.evaluation.page import render, write_html

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run():
    model, data = zoo.load("breast-cancer")
    report = evaluate(model, data.x, data.y, model, [FGSM(0.02)])
    return {
        "model": "breast_cancer",
        "fingerprint": "abc123",
        "settings": {"target": 0.5, "strategy": {"name": "annealing", "alpha": 0.75}},
        "before": {"parameters": 6209, "flops": 12418, "bytes": 24836},
        "after": {"parameters": 2081, "flops": 4162, "bytes": 8324},
        "layers": [
            {"layer": "dense_1", "units": 64, "left": 32, "prunable": True, "reason": None},
            {"layer": "benign", "units": 1, "left": 1, "prunable": False, "reason": "an output"},
        ],
        "steps": [
            {"step": k, "removed": 4, "progress": k / 8, "energy": 0.1 * k, "seconds": 0.01}
            for k in range(1, 9)
        ],
        "certificate": {"lower": [-0.25], "upper": [0.5], "reason": None},
        "evaluation": report.to_dict(),
    }


class Tags(HTMLParser):
    """Collects the tags, and whether each that must be closed is."""

    def __init__(self, page):
        super().__init__()
        self.names, self.open = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        if tag not in {"meta", "br", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_shows_sizes_layers_accuracy_and_certificate(run, tmp_path):
    write_html(tmp_path / "report.html", run)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for part in ("breast_cancer, pruned", "2.08 k", "6.21 k", "dense_1", "an output", "FGSM"):
        assert part in page
    for part in ("name annealing, alpha 0.75", "−0.25 to +0.5", "abc123", "32 of 64 prunable"):
        assert part in page
    assert not Tags(page).open


def test_the_page_tells_what_was_estimated_without_data_and_certifies_the_scores(run):
    scores = {"lower": [-12.5], "upper": [7.5], "reason": None, "scores": None}
    page = render(
        {
            **run,
            "prior": f"Synthetic inputs: {HOSTILE}.",
            "selfcheck": {
                "agreement": {"blobs": 0.9, HOSTILE: 0.7},
                "warning": "the priors disagree",
            },
            "certificate": {"lower": [-1.0], "upper": [1.0], "reason": None, "scores": scores},
        }
    )
    for part in ("estimated", "90.0%", "20.0 points", "The priors disagree.", "certified"):
        assert part in page
    assert "−12.5 to +7.5" in page and "each output changes by −1 to 1" in page
    assert Tags(page).names.isdisjoint({"script", "img"})


def test_the_page_asks_nothing_of_any_other_file(run):
    page = render(run)
    assert not re.search(r"(src|href)=|@import|url\(|<script|<link", page)


def test_names_and_reasons_are_text_whatever_they_hold(run):
    layers = [{**layer, "layer": HOSTILE, "reason": HOSTILE} for layer in run["layers"]]
    found = {**run["evaluation"], "model": HOSTILE, "reference": HOSTILE}
    found["attacks"] = [{**a, "name": HOSTILE} for a in found["attacks"]]
    certificate = {"lower": None, "upper": None, "reason": HOSTILE}
    page = render(
        {
            **run,
            "model": HOSTILE,
            "layers": layers,
            "evaluation": found,
            "certificate": certificate,
            "settings": {HOSTILE: HOSTILE},
            "fingerprint": HOSTILE,
        }
    )
    assert Tags(page).names.isdisjoint({"script", "img"})


def test_a_page_can_be_made_of_little():
    page = render({"model": "m"})
    assert "None is given." in page
    assert not Tags(page).open


@settings(max_examples=40, deadline=None)
@given(
    energies=st.lists(st.none() | st.floats(allow_nan=True), max_size=6),
    bounds=st.none() | st.lists(st.tuples(st.floats(), st.floats(0, 9)), max_size=40),
    units=st.integers(0, 50),
)
def test_no_numbers_break_the_page(energies, bounds, units):
    report = {
        "model": "m",
        "before": {"parameters": 0, "flops": 10**12, "bytes": 1},
        "after": {"parameters": 0, "flops": 5, "bytes": 2},
        "layers": [
            {"layer": "a", "units": units, "left": units // 2, "prunable": True, "reason": ""}
        ],
        "steps": [
            {"step": k, "removed": 1, "progress": 0, "energy": e, "seconds": None}
            for k, e in enumerate(energies)
        ],
        "certificate": {
            "lower": bounds and [a for a, _ in bounds],
            "upper": bounds and [a + b for a, b in bounds],
            "reason": "",
        },
    }
    page = render(report)
    assert not Tags(page).open
    assert not re.search(r'="(nan|inf|-inf)', page)

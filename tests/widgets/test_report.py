"""The page of a studio's run: whole in itself, and every text in it is text."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from paoding_widgets import PruningStudio
from paoding_widgets.drawing import structure_svg
from paoding_widgets.report import figure
from paoding_widgets.scene import make_scene

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(studio: PruningStudio, tmp_path: Path) -> str:
    studio.start()
    studio.wait()
    studio.branch(2)
    studio.wait()
    studio._conductor.timeline.name = EVIL
    studio.step()
    studio.wait()
    studio.save(tmp_path / "run")
    return (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_the_page_has_structure_charts_runs_decisions_and_settings(page: str) -> None:
    titles = re.findall(r"<h2>([^<]*)", page)
    wanted = ("Structure", "What it cost", "Parameters", "Runs compared", "Decisions", "Settings")
    for title in wanted:
        assert any(one.strip().startswith(title) for one in titles), titles
    assert page.count("<summary>Step") == 3
    assert page.count("<svg") >= 3


def test_the_page_needs_nothing_else_and_follows_light_and_dark(page: str) -> None:
    assert "<script" not in page
    links = re.findall(r"(?:src|href)=\"([^\"]*)", page)
    assert all(link.startswith("#") for link in links), links
    assert not re.search(r"url\((?!#)", page)
    assert "prefers-color-scheme: dark" in page
    assert "currentColor" in page and "#010203" not in page


def test_names_are_text(page: str) -> None:
    assert "<img" not in page
    assert "&lt;img src=x" in page
    scene = {
        "name": EVIL,
        "nodes": [
            {"name": EVIL, "op": EVIL, "detail": EVIL, "inputs": [], "units": 2, "group": 0},
        ],
        "groups": [{"start": 0}],
    }
    svg = structure_svg(scene, np.array([0, -1]), np.zeros(2), 1)
    assert "<img" not in svg
    ElementTree.fromstring(svg)
    ElementTree.fromstring(figure(lambda axes: axes.plot([1, 2], label=EVIL), "salt"))


def test_the_drawing_strikes_out_what_was_removed_and_no_more(studio: PruningStudio) -> None:
    studio.start()
    studio.wait()
    conductor = studio._conductor
    scene = make_scene(conductor.graph)
    removed = np.full(scene.total, -1)
    for number, step in enumerate(studio.steps):
        for one in step.removals:
            removed[scene.starts[one.group] + one.unit] = number
    for moment in (0, 2, 4):
        svg = structure_svg(scene.values, removed, np.zeros(scene.total), moment)
        struck = len(re.findall(r'class="out" d="[^"]*zl', svg))
        assert struck == sum(len(step.removals) for step in studio.steps[:moment])

"""The figures: they show the numbers that they are given, and stay apart in grey."""

from __future__ import annotations

from pathlib import Path

import keras
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.testing.compare import compare_images

import paoding
from paoding import plot
from paoding.errors import ArgumentError
from paoding.plot.style import SERIES

mpl.use("Agg")
PICTURES = Path(__file__).parent / "pictures"


@pytest.fixture(autouse=True)
def _closed():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result() -> paoding.PruningResult:
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(8, "relu", name="hidden"),
        keras.layers.Dense(2),
    ]
    model = keras.Sequential(layers)
    return paoding.prune(model, target=0.5, step=0.25, compensation="merge")


def runs() -> pd.DataFrame:
    worse = {"annealing": 0, "impact": 0.05}
    rows = [
        {
            "target": t,
            "seed": s,
            "strategy": n,
            "accuracy": 1 - t / 2 + s / 50 - w,
            "latency": 3 - t,
        }
        for t in (0.25, 0.5)
        for s in (0, 1)
        for n, w in worse.items()
    ]
    return pd.DataFrame(rows)


X = np.random.default_rng(0).random((50, 4)).astype("f4")
FIGURES = {
    "curves": lambda result: plot.curves(runs(), by="strategy"),
    "importance": lambda result: plot.importance(result.graph.model, compensation="merge"),
    "structure": plot.structure,
    "decisions": plot.decisions,
    "certificate": lambda result: plot.certificate(result, X),
    "front": lambda result: plot.front(runs()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_as_it_did_when_somebody_looked_at_it(name, result, tmp_path):
    """To look again: delete tests/plot/pictures/NAME.png, run, and look at what is written."""
    kept, drawn = PICTURES / f"{name}.png", tmp_path / f"{name}.png"
    FIGURES[name](result).figure.savefig(drawn, dpi=60)
    if not kept.exists():
        kept.write_bytes(drawn.read_bytes())
        pytest.fail(f"{kept.name} is new: look at it.")
    assert compare_images(str(kept), str(drawn), tol=12) is None  # of 255: other fonts, not lines


def test_series_differ_in_brightness_marker_and_dash_so_that_grey_prints_keep_them_apart():
    grey = [float(np.dot(mpl.colors.to_rgb(s.color), [0.299, 0.587, 0.114])) for s in SERIES]
    assert np.diff(sorted(grey)).min() > 0.08
    assert len({s.marker for s in SERIES}) == len(SERIES)
    assert len({(s.dash, s.marker) for s in SERIES}) == len(SERIES)


def test_a_curve_is_the_mean_over_seeds_and_its_band_their_range():
    axes = plot.curves(runs(), by="strategy")
    assert [line.get_label() for line in axes.lines] == ["annealing", "impact"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.885, 0.76])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(0.75) and band.max() == pytest.approx(0.895)


def test_the_structure_shows_units_before_and_after(result):
    widths = [patch.get_width() for patch in plot.structure(result).patches]
    assert widths == [8, 4]


def test_what_is_seen_lies_within_what_is_certified(result):
    x = np.random.default_rng(0).random((200, 4)).astype("f4")
    certified, seen = plot.certificate(result, x).containers
    for outer, inner in zip(certified, seen, strict=True):
        assert outer.get_y() <= inner.get_y() + 1e-6
        assert outer.get_y() + outer.get_height() >= inner.get_y() + inner.get_height() - 1e-6


def test_the_front_holds_only_runs_that_none_beats():
    table = pd.DataFrame({"latency": [1, 1, 2, 3], "accuracy": [0.8, 0.7, 0.8, 0.9]})
    assert plot.front(table).lines[0].get_xdata().tolist() == [1, 3]


def test_a_strategy_without_energies_is_refused_with_what_to_do():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    result = paoding.prune(model, strategy="magnitude", compensation="none", step=0.5)
    with pytest.raises(ArgumentError, match="prune with 'annealing' or 'impact'"):
        plot.decisions(result)


@pytest.mark.parametrize("table", [pd.DataFrame(), pd.DataFrame({"target": [1.0]}), 3])
def test_a_table_that_lacks_something_is_refused_by_name(table):
    with pytest.raises(ArgumentError, match=r"no column 'accuracy'|no column 'target'|is needed"):
        plot.curves(table)


def test_the_style_ends_with_its_block():
    before = mpl.rcParams["axes.grid"]
    with plot.paper():
        assert mpl.rcParams["axes.grid"]
    assert mpl.rcParams["axes.grid"] == before

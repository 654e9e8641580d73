"""The front as a picture: every run is a point, and a click goes on from it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import paoding
from paoding.deploy.front import Front
from paoding.errors import ArgumentError
from paoding_widgets import ParetoView


@pytest.fixture(scope="module")
def front(tmp_path_factory) -> Front:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    out = tmp_path_factory.mktemp("s") / "<b>"
    quick = {"step": 0.25, "compensation": "merge", "strategy": "saliency", "distil": 0}
    return paoding.sweep(model, [0.25, 0.5], out=out, runtime=None, **quick)


def test_points_and_front_are_those_of_the_sweep(front) -> None:
    view = ParetoView(front)
    assert view._points.x.tolist() == front.table["flops"].tolist()
    assert view._points.y.tolist() == front.table["estimated_agreement"].tolist()
    assert view._best.x.tolist() == front.front()["flops"].tolist()
    view._cost.value = "bytes"
    assert view._points.x.tolist() == front.table["bytes"].tolist()


def test_a_click_opens_the_run_in_a_studio_that_prunes_on(front) -> None:
    view = ParetoView(front)
    view._points._handle_custom_msgs(
        view._points, {"event": "element_click", "data": {"index": 0}}, []
    )
    first = view.studio
    assert first is not None and first.wait() == "finished"
    assert len(first.result.plan.removals) == 2
    form = first._dashboard.form
    form.target.value = 0.5
    first.start()
    assert first.wait() == "finished" and len(first.result.plan.removals) == 4
    view.open_run(1)  # another run takes its place
    assert view.studio is not first and view._place.children == (view.studio,)
    view.studio.wait()
    view.open_run(None)
    assert view.studio is None


def test_a_run_that_is_gone_is_told_in_a_sentence(front, tmp_path) -> None:
    lost = Front(front.table, tmp_path)
    view = ParetoView(lost)
    view.open_run(0)
    assert view.studio is None and "original.keras" in view._line.value


def test_names_are_text_and_what_was_not_measured_is_refused(front) -> None:
    table = front.table.assign(run="<img src=x>")
    view = ParetoView(Front(table, front.folder))
    assert "<img" not in view._table.value and "&lt;img" in view._table.value
    assert np.isfinite(view._points.x).all()
    with pytest.raises(ArgumentError, match="latency was not measured"):
        ParetoView(front, cost="latency")

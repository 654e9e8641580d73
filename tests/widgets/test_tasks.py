"""The studio measures what the task is judged by, and its chart says which way is better."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from paoding_widgets import PruningStudio

QUICK: dict[str, Any] = {
    "target": 0.5,
    "step": 0.25,
    "strategy": "saliency",
    "compensation": "merge",
    "autosave": False,
}


@pytest.fixture(scope="module")
def prices() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A small regression, not trained: its error is what it is."""
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(12, "relu"), keras.layers.Dense(1)]
    x = np.random.default_rng(0).random((80, 4)).astype("float32")
    return keras.Sequential(layers), x, x.sum(axis=1, keepdims=True) + 0.25


def finished(model: keras.Model, data: Any, **options: Any) -> PruningStudio:
    studio = PruningStudio(model, data=data, **{**QUICK, **options})
    assert studio.wait() == "ready", studio._conductor.now().error
    studio.start()
    assert studio.wait() == "finished", studio._conductor.now().error
    return studio


def test_a_regression_is_charted_by_its_error_of_which_less_is_better(
    prices: tuple[keras.Model, np.ndarray, np.ndarray],
) -> None:
    model, x, y = prices
    studio = finished(model, (x, y))
    chart = studio._dashboard.charts.accuracy
    assert chart.title == "Mean absolute error, lower is better"
    assert chart.y_axis.tick_format != ".0%"
    wanted = float(np.abs(model.predict(x, verbose=0) - y).mean())
    assert chart.accuracy.y[0] == pytest.approx(wanted, rel=1e-5)
    left = float(np.abs(studio.result.model.predict(x, verbose=0) - y).mean())
    assert chart.accuracy.y[-1] == pytest.approx(left, rel=1e-5)
    assert chart.y.min <= min(chart.accuracy.y) and max(chart.accuracy.y) <= chart.y.max
    # How far an attack moves the output is no error: it stays off this axis, and in the head.
    assert len(chart.robust.y) == 0
    labels = [row["label"] for row in studio._dashboard.view.header["figures"]]
    assert labels[-2:] == ["Mean absolute error", "Moved by attack"]
    studio.close()


def test_two_inputs_are_measured_as_well(prices: tuple[keras.Model, Any, Any]) -> None:
    _, x, _y = prices
    inputs = [keras.Input((4,), name="a"), keras.Input((2,), name="b")]
    hidden = keras.layers.Dense(8, "relu")(keras.layers.Concatenate()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden))
    classes = (x[:, 0] > 0.5).astype(int)
    studio = finished(model, ({"a": x, "b": x[:, :2]}, classes))
    chart = studio._dashboard.charts.accuracy
    right = model.predict([x, x[:, :2]], verbose=0).argmax(axis=1) == classes
    assert chart.accuracy.y[0] == pytest.approx(right.mean())
    assert chart.title == "Accuracy"
    studio.close()


def test_a_segmentation_is_charted_by_its_first_metric_without_and_under_attack() -> None:
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(3, 1, activation="softmax"),
        ]
    )
    x = np.random.default_rng(3).random((20, 6, 6, 1)).astype("float32")
    y = (3 * x[..., 0]).astype(int).clip(0, 2)
    studio = finished(model, (x, y))
    moment = studio._conductor.timeline.now.measured
    assert moment is not None and moment.metric.higher_is_better
    report = studio._conductor.standing.run.evaluation()
    assert moment.quality == pytest.approx(report.quality[0].value)
    chart = studio._dashboard.charts.accuracy
    assert chart.title.lower() == report.quality[0].metric.name.lower()
    assert len(chart.robust.y) == len(chart.accuracy.y) == 3
    studio.close()


def test_what_cannot_be_read_as_labels_is_told(prices: tuple[keras.Model, Any, Any]) -> None:
    model, x, _y = prices
    studio = PruningStudio(model, data=(x, np.array(["a"] * len(x))), **QUICK)
    assert studio.wait() == "failed"
    assert studio._dashboard.view.header["error"]
    studio.close()

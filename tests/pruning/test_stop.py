"""A run can be stopped inside a step, tells what it is at, and loses nothing."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest
from keras import layers

import paoding


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(16, "relu"),
            layers.Dense(3, "softmax"),
        ]
    )


def pruner_of(model, **settings):
    return paoding.Pruner(model, **{"target": 0.5, "step": 0.25, "distil": 4, **settings})


@pytest.mark.parametrize("compensation", ["least-squares", "merge"])
@pytest.mark.parametrize("at", ["drawing", "running", "measuring"])
def test_a_step_that_is_stopped_inside_leaves_nothing_and_comes_out_the_same_later(
    compensation, at
):
    model = network()
    wanted = list(pruner_of(model, compensation=compensation))
    pruner = pruner_of(model, compensation=compensation)

    def stop(what, share):
        if what.startswith(at):
            pruner.stop()

    pruner.watch = stop
    assert next(pruner, None) is None
    assert pruner.stopped and not pruner.steps and next(pruner, None) is None
    pruner.watch = None
    pruner.resume()
    found = list(pruner)
    assert [s.removals for s in found] == [s.removals for s in wanted]


def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit():
    model = network()
    wanted = pruner_of(model)
    for _ in wanted:
        pass
    pruner = pruner_of(model)
    next(pruner)
    pruner.stop()
    assert next(pruner, None) is None and len(pruner.steps) == 1
    assert pruner.result().model.count_params() < model.count_params()
    pruner.resume()
    for _ in pruner:
        pass
    for a, b in zip(wanted.weights(), pruner.weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_watcher_hears_of_each_piece_of_long_work_with_a_growing_share():
    pruner = pruner_of(network())
    heard: dict[str, list[float]] = {}
    pruner.watch = lambda what, share: heard.setdefault(what, []).append(share)
    next(pruner)
    assert set(heard) == {
        "drawing synthetic inputs",
        "running the original on synthetic inputs",
        "measuring what the outputs feel",
    }
    for shares in heard.values():
        assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] < 1
    for _ in pruner:
        pass
    assert pruner.state is not None
    assert "walking through the layers" in heard  # the fit, and what reads it in its turn
    assert heard["distilling"] == [0, 0.25, 0.5, 0.75]


def test_a_run_can_be_stopped_from_another_thread():
    pruner = pruner_of(network())
    begun, stopped = threading.Event(), threading.Event()

    def watch(what, share):
        begun.set()
        assert stopped.wait(30)

    def stop():
        assert begun.wait(30)
        pruner.stop()
        stopped.set()

    pruner.watch = watch
    other = threading.Thread(target=stop)
    other.start()
    assert next(pruner, None) is None
    other.join()
    assert not pruner.steps


def test_weights_that_are_asked_for_are_worked_out_whole_after_a_stop():
    model = network()
    pruner, wanted = pruner_of(model), pruner_of(model)
    for _ in pruner:
        pass
    pruner.stop()
    wanted.fast_forward(pruner.plan)
    for a, b in zip(pruner.weights(), wanted.weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_unused_input_and_a_dangling_branch_are_pruned_exactly():
    keras.utils.set_random_seed(0)
    used, unused = keras.Input((6,)), keras.Input((4,))
    y = layers.Dense(8, "relu")(used)
    layers.Dense(5, "relu")(y)  # leads nowhere
    model = keras.Model([used, unused], layers.Dense(3, "softmax")(y))
    result = paoding.prune(model, target=0.5, step=0.25, distil=4)
    rng = np.random.default_rng(0)
    x = [rng.random((9, 6)).astype("float32"), rng.random((9, 4)).astype("float32")]
    np.testing.assert_allclose(result.model(x), result.masked(x), atol=1e-6)
    assert result.model.count_params() == 6 * 4 + 4 + 4 * 3 + 3


@pytest.mark.parametrize("way", ["undone", "resumed", "given up"])
def test_a_wide_layer_is_ranked_bit_for_bit_alike_however_the_run_was_interrupted(monkeypatch, way):
    monkeypatch.setattr("paoding.compensation.least_squares.FOLLOWED", 8)
    model = network()
    settings = {"strategy": "saliency", "step": 1 / 16, "distil": 0}
    wanted, pruner = pruner_of(model, **settings), pruner_of(model, **settings)
    for _ in range(5):
        next(wanted)
    for _ in range(4):
        next(pruner)
    if way == "undone":
        pruner.undo()
        pruner.undo()
    elif way == "resumed":
        plan = pruner.plan
        pruner = pruner_of(model, **settings)
        pruner.fast_forward(plan)
    else:  # decided in part, as by a stop
        selections = pruner._chooser._selections(pruner._history)
        pruner.strategy.choose(selections[-1])
    while len(pruner.steps) < 5:
        next(pruner)
    for name, expected in wanted.importances().items():
        np.testing.assert_array_equal(pruner.importances()[name], expected)

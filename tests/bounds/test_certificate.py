"""What users are told is certified: outputs, and scores where a squashing would hide all."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import paoding
from paoding.bounds.certificate import Certificate, Certifier


def classifier(last: str) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(12, "relu"),
            layers.Dense(10, "relu"),
            layers.Dense(3, last, name="out"),
        ]
    )
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 30)
    return model


def scores(model: keras.Model, x: np.ndarray) -> np.ndarray:
    inner = keras.Model(model.inputs, model.layers[-1].input)
    out = model.layers[-1]
    return np.asarray(inner(x)) @ np.asarray(out.kernel) + np.asarray(out.bias)


@pytest.mark.parametrize("last", ["softmax", "sigmoid"])
@pytest.mark.parametrize("bounds", ["interval", "linear"])
def test_scores_are_certified_where_the_outputs_say_next_to_nothing(last: str, bounds: str) -> None:
    model = classifier(last)
    run = paoding.prune(
        model, target=0.25, step=0.25, strategy="saliency", compensation="merge", bounds=bounds
    )
    bound = run.certificate
    assert bound.lower is not None and bound.upper is not None and bound.scores is not None
    assert bound.lower.min() < -0.9 and bound.upper.max() > 0.9
    x = np.random.default_rng(0).uniform(size=(500, 4)).astype("float32")
    change = scores(run.model, x) - scores(model, x)
    assert bound.scores.lower is not None and bound.scores.upper is not None
    assert (change >= bound.scores.lower - 1e-4).all()
    assert (change <= bound.scores.upper + 1e-4).all()
    assert "each score before the final softmax or sigmoid by" in str(bound)
    assert "each score before" in str(run.steps[0])


def test_outputs_that_are_scores_have_no_others() -> None:
    run = paoding.prune(classifier("linear"), target=0.25, step=0.25, compensation="merge")
    assert run.certificate.scores is None
    assert "score" not in str(run.certificate)


def test_scores_take_no_propagation_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    run = paoding.prune(classifier("softmax"), target=0.25, step=0.25, compensation="merge")
    calls = []
    twins = Certifier.twins
    monkeypatch.setattr(
        Certifier, "twins", lambda self, *args: calls.append(1) or twins(self, *args)
    )
    for _ in range(2):
        assert run.certificate.scores is not None
    assert len(calls) == 1


def test_a_saved_run_keeps_the_certificate_of_its_scores(tmp_path: Path) -> None:
    run = paoding.prune(classifier("softmax"), target=0.25, step=0.25, compensation="merge")
    run.save(tmp_path / "run")
    kept = paoding.PruningResult.load(tmp_path / "run").certificate
    assert str(kept) == str(run.certificate)
    assert kept.scores is not None and run.certificate.scores is not None
    np.testing.assert_array_equal(kept.scores.lower, run.certificate.scores.lower)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "softmax or sigmoid" in page


def test_a_certificate_that_is_not_given_says_why_and_is_kept_too() -> None:
    none = Certificate(None, None, "layer 'odd' has no rule.")
    again = Certificate.from_dict(none.to_dict())
    assert str(again) == str(none) == "No certificate: layer 'odd' has no rule."


def relu(x: object) -> object:
    """Not what its name says."""
    return -x  # type: ignore[operator]


def chain(activation: object) -> keras.Model:
    hidden = [layers.Dense(8, "tanh"), layers.Dense(6, activation)]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(2)])


def test_a_function_is_not_bounded_by_its_name_unless_it_is_keras_or_tensorflows() -> None:
    settings = {"target": 0.5, "step": 0.5, "compensation": "merge"}
    bound = paoding.prune(chain(relu), **settings).certificate
    assert bound.lower is None and "'relu'" in str(bound.reason)
    assert paoding.prune(chain(tf.nn.relu), **settings).certificate.lower is not None
    units = [group.prunable for group in paoding.inspect(chain(tf.nn.relu)).groups]
    assert units == [True, True, False]


def test_a_mean_that_leaves_masked_steps_out_has_no_certificate() -> None:
    x, mask = keras.Input((6, 4)), keras.Input((6,), dtype="bool")
    mean = layers.GlobalAveragePooling1D(name="mean")(layers.Dense(8, "relu")(x), mask=mask)
    model = keras.Model([x, mask], layers.Dense(2)(mean))
    bound = paoding.prune(model, target=0.5, step=0.5, compensation="merge").certificate
    assert bound.lower is None and "'mean'" in str(bound.reason)

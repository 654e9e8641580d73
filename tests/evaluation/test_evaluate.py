"""An evaluation counts all samples, compares like with like, and says what does not fit."""

from __future__ import annotations

import json
import time

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paoding import Box, zoo
from paoding.errors import ArgumentError, DataError
from paoding.evaluation import FGSM, PGD, Report, evaluate


@pytest.fixture(scope="module")
def table():
    return zoo.load("breast-cancer")


def linear(weights, bias=None, activation=None) -> keras.Model:
    W = np.asarray(weights, "float32")
    layer = keras.layers.Dense(W.shape[1], activation=activation)
    model = keras.Sequential([keras.Input((W.shape[0],)), layer])
    model.set_weights([W, np.zeros(W.shape[1]) if bias is None else np.asarray(bias)])
    return model


class Nudge:
    """An attack of known effect: the first input value of chosen samples is flipped."""

    name = "nudge"

    def __init__(self, flipped):
        self.flipped = np.asarray(flipped)

    def settings(self):
        return {"attack": "nudge"}

    def adversarial(self, network, x, y, clip, batch_size):
        moved = x.copy()
        moved[self.flipped, 0] *= -1
        return moved


# -- what is counted -----------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), binary=st.booleans())
def test_accuracy_and_loss_are_those_of_keras(seed, n, binary):
    rng = np.random.default_rng(seed)
    outputs, activation = (1, "sigmoid") if binary else (3, "softmax")
    model = linear(rng.normal(size=(4, outputs)), rng.normal(size=outputs), activation)
    x, y = rng.normal(size=(n, 4)).astype("float32"), rng.integers(0, max(outputs, 2), n)
    loss = "binary_crossentropy" if binary else "sparse_categorical_crossentropy"
    wanted = np.mean(getattr(keras.losses, loss)(y[:, None] if binary else y, model(x)).numpy())
    p = model(x).numpy()
    guess = p[:, 0] > 0.5 if binary else p.argmax(1)
    report = evaluate(model, x, y, latency=False)
    assert report.accuracy == pytest.approx(np.mean(guess == y))
    assert report.loss == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert report.samples == n


def test_shares_are_shares_of_all_samples_and_retention_of_the_references_robust_ones():
    # The model says class 1 where x0 > 0, the reference where x1 > 0.
    model, reference = linear([[-1, 1], [0, 0]]), linear([[0, 0], [-1, 1]])
    x = np.array([[1, 1], [1, 1], [1, -1], [-1, 1], [-1, -1]], "float32")
    y = np.ones(5, "int64")  # model right on 0, 1, 2; reference right on 0, 1, 3
    report = evaluate(
        model, x, y, reference, [Nudge([0]), Nudge([1, 3])], clip=(-2, 2), latency=False
    )
    assert report.accuracy == report.reference_accuracy == pytest.approx(3 / 5)
    assert report.agreement == pytest.approx(3 / 5)
    first, second = report.attacks
    assert first.robust_accuracy == pytest.approx(2 / 5)  # 1 and 2
    assert second.robust_accuracy == pytest.approx(2 / 5)  # 0 and 2; 3 was wrong from the start
    assert first.reference_robust_accuracy == pytest.approx(3 / 5)
    assert first.retention == pytest.approx(1 / 3)  # of 0, 1, 3 only 1
    assert report.robust_accuracy == pytest.approx(1 / 5)  # 2 withstands both
    assert report.retention == pytest.approx(0)
    assert first.transfer is None  # nothing newly fools the reference


def test_transfer_is_the_share_of_the_references_new_errors_that_fool_the_model_too():
    model, reference = linear([[-1, 1], [0, 0]]), linear([[-2, 2], [0, 0]], [1, -1])
    x = np.array([[1, 0], [1, 0], [0.1, 0]], "float32")
    report = evaluate(model, x, np.ones(3), reference, [Nudge([0])], (-2, 2), latency=False)
    assert report.attacks[0].transfer == pytest.approx(1)
    assert report.reference_accuracy == pytest.approx(2 / 3)


def test_a_model_against_itself_keeps_everything(table):
    model, data = table
    report = evaluate(model, data.x, data.y, model, [FGSM(0.02), PGD(0.02, steps=5)])
    assert report.agreement == report.retention == 1
    assert all(a.retention == 1 and a.transfer == 1 for a in report.attacks)
    assert report.robust_accuracy == min(a.robust_accuracy for a in report.attacks)
    assert report.robust_accuracy == report.reference_robust_accuracy <= report.accuracy
    assert report.cost.latency > 0


def test_the_clip_range_is_that_of_the_data_unless_given(table):
    model, data = table
    x, y = data.x[:20], data.y[:20]

    def clip(x, **kwargs):
        return evaluate(model, x, y, attacks=[FGSM(0.1)], latency=False, **kwargs).clip

    assert clip(x) == (0, 1)
    assert clip(2 * x - 1) == pytest.approx((float((2 * x - 1).min()), float((2 * x - 1).max())))
    assert clip(x, clip=(-1, 3)) == clip(x, clip=Box(-1, 3)) == (-1, 3)
    assert clip(x, clip=(0, np.full(30, 1.5)))[1] == [1.5] * 30
    with pytest.raises(DataError, match="outside of the clip range"):
        clip(2 * x, clip=(0, 1))


def test_certified_shares_come_from_the_function_that_is_given(table):
    model, data = table
    report = evaluate(
        model, data.x, data.y, model, latency=False, certify=lambda f, g, x: x[:, 0] < 2
    )
    assert report.certified == 1


# -- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        lambda y: y,
        lambda y: y[:, None],
        lambda y: y.astype("float32"),
        lambda y: y.astype(bool),
        lambda y: y.astype("uint8")[:, None, None],
        lambda y: y.tolist(),
        lambda y: np.eye(2)[y],
    ],
)
def test_labels_of_a_single_output_may_have_any_shape(table, shape):
    model, data = table
    wanted = evaluate(model, data.x, data.y, latency=False).accuracy
    assert wanted > 0.9
    assert evaluate(model, data.x, shape(data.y), latency=False).accuracy == wanted


def test_one_hot_labels_mean_the_same_as_class_numbers():
    model = linear(np.eye(4))
    x, y = np.eye(4, dtype="float32"), np.array([0, 1, 2, 0])
    for labels in (y, y[:, None], np.eye(4)[y], np.eye(4, dtype=bool)[y]):
        assert evaluate(model, x, labels, latency=False).accuracy == 0.75


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 5)), np.zeros(3), r"samples of shape \(5,\), .* takes \(4,\)"),
        (np.zeros((3, 2, 2)), np.zeros(3), "reshape x"),
        (np.zeros((0, 4)), np.zeros(0), "no samples"),
        (np.float64(1), np.zeros(1), "no samples"),
        (np.full((3, 4), np.nan), np.zeros(3), "NaN or infinite values in 3 of 3"),
        (np.array([[0, 0, 0, np.inf]] * 2), np.zeros(2), "NaN or infinite"),
        (np.array([["a"] * 4]), np.zeros(1), "numbers are needed"),
        ([[1, 2], [3]], np.zeros(2), "x has samples of different lengths"),
        (np.zeros((3, 4)), np.zeros(2), r"y has shape \(2,\) for 3 samples"),
        (np.zeros((3, 4)), np.zeros((3, 2)), "one-hot rows of 3"),
        (np.zeros((3, 4)), np.array([0, 1, 3]), "y holds 3 at index 2; .* classes 0 to 2"),
        (np.zeros((3, 4)), np.array([0, -1, 1]), "y holds -1 at index 1"),
        (np.zeros((3, 4)), np.array([0, 0.5, 1]), "y holds 0.5"),
        (np.zeros((3, 4)), np.array([0, np.nan, 1]), "y holds nan"),
        (np.zeros((3, 4)), np.array(["a", "b", "c"]), "numbers are needed"),
        (np.zeros((2, 4)), np.array([[1, 1, 0], [0, 1, 0]]), "row 0 is not a single 1"),
        (np.zeros((2, 4)), np.array([[1, 0, 0], [0, 0.5, 0.5]]), "row 1 is not"),
    ],
)
def test_data_that_does_not_fit_is_explained(x, y, message):
    with pytest.raises(DataError, match=message) as caught:
        evaluate(linear(np.eye(4, 3)), x, y)
    assert "\n" not in str(caught.value)


def test_a_reference_of_other_classes_is_refused():
    with pytest.raises(ArgumentError, match="cannot be compared"):
        evaluate(linear(np.eye(4)), np.eye(4), np.arange(4), linear(np.eye(4, 2)))


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ArgumentError, match="is no attack"):
        evaluate(linear(np.eye(4)), np.eye(4), np.arange(4), attacks=[0.05])
    with pytest.raises(ArgumentError, match="batch_size"):
        evaluate(linear(np.eye(4)), np.eye(4), np.arange(4), batch_size=0)


# -- the report ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(table):
    model, data = table
    return evaluate(model, data.x, data.y, model, [FGSM(0.02), PGD(0.02, steps=5)])


def test_a_report_is_the_same_after_json(report):
    assert Report.from_dict(json.loads(report.to_json())) == report
    alone = Report.from_dict({**report.to_dict(), "clip": None, "reference_cost": None})
    assert alone.reference_cost is None


def test_a_report_prints_its_numbers(report):
    text = str(report)
    for part in ("accuracy", "0.97", "FGSM(eps=0.02)", "PGD(eps=0.02, steps=5)", "6,209", "169"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_name_in_a_notebook_is_text_never_html(table):
    model, data = table
    name = "<script>alert(1)</script>"
    clone = keras.Sequential([keras.Input((30,)), keras.layers.Dense(1)], name="m")
    report = evaluate(clone, data.x, data.y, model, latency=False)
    hostile = Report.from_dict({**report.to_dict(), "model": name, "reference": name})
    assert name not in hostile._repr_html_()
    assert "&lt;script&gt;" in hostile._repr_html_()


def test_fgsm_is_two_hundred_times_faster_than_the_peers_quarter_second_an_image():
    model, data = zoo.load("mnist-mlp")
    evaluate(model, data.x, data.y, attacks=[FGSM(0.05)], latency=False)  # compiles once
    start = time.perf_counter()
    evaluate(model, data.x, data.y, attacks=[FGSM(0.01), FGSM(0.05), FGSM(0.1)], latency=False)
    assert (time.perf_counter() - start) / (3 * len(data.x)) < 0.27 / 200


def test_one_attack_needs_no_list(table):
    model, data = table
    x, y = data.x[:50], data.y[:50]
    alone, listed = (evaluate(model, x, y, attacks=a) for a in (FGSM(0.02), [FGSM(0.02)]))
    assert alone.robust_accuracy == listed.robust_accuracy and len(alone.attacks) == 1


def test_a_head_with_a_regularizer_of_ones_own_is_judged():
    class Squares(keras.regularizers.Regularizer):
        def __call__(self, weight):
            return keras.ops.sum(weight * weight)

        def get_config(self):
            return {}

    head = keras.layers.Dense(3, "softmax", kernel_regularizer=Squares())
    model = keras.Sequential([keras.Input((4,)), head])
    x, y = np.random.default_rng(0).random((9, 4)).astype("float32"), np.arange(9) % 3
    assert evaluate(model, x, y, attacks=FGSM(0.1)).samples == 9

"""A network of any task is measured, compared, and attacked where that is defined."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import paoding
from paoding.domain import Box
from paoding.errors import ArgumentError, DataError
from paoding.evaluation import FGSM, PGD, Metric, Report, check, evaluate, tasks
from paoding.evaluation.page import render

SEED = 5
RNG = np.random.default_rng(SEED)


def net(inputs, body):
    """A model with weights that are the same in every run."""
    keras.utils.set_random_seed(SEED)
    x = keras.Input(inputs)
    return keras.Model(x, body(x))


def grid(head="softmax", classes=3):
    """One class a pixel, by its shade: the class changes at 0.5."""
    model = net((6, 6, 1), lambda x: layers.Conv2D(classes, 1, activation=head)(x))
    slopes = np.linspace(-3, 3, classes)
    model.set_weights([slopes.reshape(1, 1, 1, -1), -slopes / 2])
    return model


def copy_of(model, noise=0.05):
    other = keras.models.clone_model(model)
    other.set_weights([w + noise * RNG.normal(size=w.shape) for w in model.get_weights()])
    return other


def value(report, name, output=""):
    return next(m for m in report.quality if (m.metric.name, m.output) == (name, output))


X4 = RNG.random((9, 4)).astype("float32")
PIXELS = RNG.random((5, 6, 6, 1)).astype("float32")
EACH = {
    "classification": (net((4,), lambda x: layers.Dense(3, "softmax")(x)), X4, np.arange(9) % 3),
    "multi-label": (
        net((4,), lambda x: layers.Dense(3, "sigmoid")(x)), X4, RNG.integers(0, 2, (9, 3)),
    ),
    "regression": (net((4,), lambda x: layers.Dense(2)(x)), X4, RNG.normal(size=(9, 2))),
    "segmentation": (grid(), PIXELS, RNG.integers(0, 3, (5, 6, 6))),
    "tagging": (
        net((7, 2), lambda x: layers.Dense(4, "softmax")(x)),
        RNG.random((5, 7, 2)).astype("float32"), RNG.integers(0, 4, (5, 7)),
    ),
    "embedding": (
        net((4,), lambda x: layers.UnitNormalization()(layers.Dense(3)(x))), X4,
        RNG.normal(size=(9, 3)),
    ),
    "reconstruction": (net((4,), lambda x: layers.Dense(4)(x)), X4, X4),
}  # fmt: skip


@pytest.mark.parametrize("name", EACH)
def test_the_task_is_told_from_head_and_labels_in_one_line(name):
    model, x, y = EACH[name]
    told = evaluate(model, x, y, latency=False).notes
    assert len(told) == 1 and name in told[0] and "\n" not in told[0]


@pytest.mark.parametrize("name", EACH)
def test_a_model_is_the_same_as_itself_and_further_from_a_noisier_copy(name):
    model, x, _ = EACH[name]
    same = evaluate(model, x, reference=model, task=name, latency=False)
    near = evaluate(copy_of(model, 0.02), x, reference=model, task=name, latency=False)
    far = evaluate(copy_of(model, 3.0), x, reference=model, task=name, latency=False)
    best = {True: 1.0, False: 0.0}
    assert len(same.quality) == len(tasks.get(name).alike)
    for self_, close, off in zip(same.quality, near.quality, far.quality, strict=True):
        assert self_.value == pytest.approx(best[self_.metric.higher_is_better], abs=1e-6)
        assert not self_.metric.worse(close.value, off.value)


@pytest.mark.parametrize("name", EACH)
def test_a_report_of_any_task_is_the_same_after_json_and_makes_a_page(name):
    model, x, y = EACH[name]
    report = evaluate(model, x, y, copy_of(model), latency=False)
    assert Report.from_dict(json.loads(report.to_json())) == report
    page = render({"model": "m", "evaluation": report.to_dict()})
    first = report.quality[0].metric
    assert ("lower is better" in page) is not first.higher_is_better
    assert first.name[1:] in page and first.name in str(report) and report._repr_html_()


def test_numbers_of_a_regression_are_those_of_keras():
    model, x, y = EACH["regression"]
    report = evaluate(model, x, y, metrics=["mae", keras.metrics.R2Score()], latency=False)
    p = model.predict(x, verbose=0)
    assert value(report, "mean absolute error").value == pytest.approx(np.abs(p - y).mean())
    assert value(report, "mean_absolute_error").value == pytest.approx(np.abs(p - y).mean())
    rmse = np.sqrt(np.square(p - y).mean())
    assert value(report, "root mean squared error").value == pytest.approx(rmse)
    total = np.square(y - y.mean(axis=0)).sum()
    r2 = 1 - np.square(p - y).sum() / total
    assert value(report, "R²").value == pytest.approx(r2)


def test_iou_is_that_of_keras_and_does_not_depend_on_the_batches():
    model, x, y = EACH["segmentation"]
    wanted = keras.metrics.MeanIoU(3)
    wanted.update_state(y, model.predict(x, verbose=0).argmax(-1))
    for size in (1, 2, 256):
        found = evaluate(model, x, y, batch_size=size, latency=False)
        assert value(found, "mean IoU").value == pytest.approx(float(wanted.result()), abs=1e-6)


def test_f1_and_label_accuracy_are_those_of_keras():
    model, x, y = EACH["multi-label"]
    report = evaluate(model, x, y, latency=False)
    f1 = keras.metrics.F1Score(average="micro", threshold=0.5)
    f1.update_state(y.astype("float32"), model.predict(x, verbose=0))
    assert value(report, "F1").value == pytest.approx(float(f1.result()), abs=1e-6)


def test_one_mask_channel_is_a_segmentation_of_two_classes():
    model = grid("sigmoid", 1)
    y = (PIXELS > 0.5).astype(int)
    for labels in (y, y[..., 0]):
        report = evaluate(model, PIXELS, labels, latency=False)
        assert "segmentation" in report.notes[0]
        hit = ((model.predict(PIXELS, verbose=0) > 0.5) == y).mean()
        assert value(report, "pixel accuracy").value == pytest.approx(hit)


def test_padding_counts_nowhere_whether_the_model_or_the_weights_mask_it():
    keras.utils.set_random_seed(SEED)
    ids = keras.Input((None,), dtype="int32")
    h = layers.Embedding(9, 4, mask_zero=True)(ids)
    model = keras.Model(ids, layers.TimeDistributed(layers.Dense(3, "softmax"))(h))
    x, y = np.array([[4, 5, 0, 0], [1, 2, 3, 4]]), np.array([[0, 1, -1, -1], [2, 2, 0, 1]])
    right = (model.predict(x, verbose=0).argmax(-1) == y)[x > 0].mean()
    masked = evaluate(model, x, y, weight=x > 0, latency=False)
    itself = evaluate(model, x, np.where(x > 0, y, 0), latency=False)
    for report in (masked, itself):
        assert value(report, "token accuracy").value == pytest.approx(right)
    with pytest.raises(DataError, match="weight 0"):
        evaluate(keras.Model(ids, model.output), x, y - 5, latency=False)


def test_labels_of_minus_one_and_one_are_the_classes_of_one_score():
    y = np.array([-1, 1, 1, -1, 1, -1, 1, 1, -1])
    for head in ("tanh", None):
        model = net((4,), lambda x, head=head: layers.Dense(1, head)(x))
        report = evaluate(model, X4, y, latency=False)
        wanted = ((model.predict(X4, verbose=0)[:, 0] > 0) == (y > 0)).mean()
        assert report.accuracy == pytest.approx(wanted)
        assert report == evaluate(model, X4, (y + 1) // 2, latency=False)


def test_the_loss_of_a_tanh_is_the_cross_entropy_of_its_probability():
    model = net((4,), lambda x: layers.Dense(1, "tanh")(x))
    y = np.array([0, 1, 1, 0, 1, 0, 1, 1, 0])
    p = (1 + model.predict(X4, verbose=0)[:, 0].astype("float64")) / 2
    wanted = -np.mean(np.log(np.where(y, p, 1 - p)))
    assert evaluate(model, X4, y, latency=False).loss == pytest.approx(wanted, rel=1e-5)


# -- several inputs and outputs, and data of any kind --------------------------------------------


def two_by_two():
    keras.utils.set_random_seed(SEED)
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    h = layers.Concatenate()([a, b])
    kind, size = layers.Dense(3, "softmax", name="kind")(h), layers.Dense(1, name="size")(h)
    return keras.Model({"a": a, "b": b}, {"kind": kind, "size": size})


TWO_X = {"a": X4, "b": RNG.random((9, 2)).astype("float32")}
TWO_Y = {"kind": np.arange(9) % 3, "size": RNG.normal(size=9)}


def test_each_output_of_a_dictionary_has_its_task_and_its_numbers():
    model = two_by_two()
    report = evaluate(model, TWO_X, TWO_Y, copy_of(model), latency=False)
    p = model.predict(TWO_X, verbose=0)
    right = (p["kind"].argmax(1) == TWO_Y["kind"]).mean()
    assert value(report, "accuracy", "kind").value == pytest.approx(right)
    off = np.abs(p["size"][:, 0] - TWO_Y["size"]).mean()
    assert value(report, "mean absolute error", "size").value == pytest.approx(off, rel=1e-5)
    assert [("kind" in t, "size" in t) for t in report.notes] == [(True, False), (False, True)]
    listed = evaluate(model, list(TWO_X.values()), list(TWO_Y.values()), copy_of(model))
    assert value(listed, "accuracy", "kind").value == pytest.approx(right)


class Pieces(keras.utils.PyDataset):
    """The data in three pieces, as a PyDataset reads it from a disk."""

    def __len__(self):
        return 3

    def __getitem__(self, k):
        part = slice(3 * k, 3 * k + 3)
        return {n: v[part] for n, v in TWO_X.items()}, {n: v[part] for n, v in TWO_Y.items()}


def test_the_same_data_gives_the_same_numbers_in_whatever_form(tmp_path):
    model = two_by_two()
    wanted = evaluate(model, TWO_X, TWO_Y, latency=False).measures
    stream = tf.data.Dataset.from_tensor_slices((TWO_X, TWO_Y)).batch(2)
    np.savez(tmp_path / "d.npz", **TWO_X, **TWO_Y)
    for source in (stream, Pieces(), tmp_path / "d.npz", str(tmp_path / "d.npz")):
        found = evaluate(model, source, latency=False)
        assert found.samples == 9
        for a, b in zip(found.measures, wanted, strict=True):
            assert a.metric == b.metric and a.value == pytest.approx(b.value, rel=1e-9)


def test_a_stream_is_never_held_whole():
    model = EACH["regression"][0]
    alive = []

    def pieces():
        for k in range(6):
            part = RNG.random((8, 4)).astype("float32")
            alive.append(k)
            yield part, part[:, :2]

    source = tf.data.Dataset.from_generator(
        pieces, output_signature=(tf.TensorSpec((8, 4)), tf.TensorSpec((8, 2)))
    )
    data = paoding.evaluation.data.Data(model, source)
    next(iter(data))
    assert len(alive) < 6
    assert evaluate(model, source, latency=False).samples == 48


def test_a_folder_of_images_is_read_in_the_models_size_and_range(tmp_path):
    for name, shade in (("dark", 10), ("light", 240)):
        (tmp_path / name).mkdir()
        for k in range(3):
            keras.utils.save_img(
                tmp_path / name / f"{k}.png", np.full((9, 7, 3), shade), scale=False
            )
    model = net((8, 8, 3), lambda x: layers.Dense(1, "sigmoid")(layers.GlobalAveragePooling2D()(x)))
    model.set_weights([np.full((3, 1), 10.0), np.array([-15.0])])
    report = evaluate(model, tmp_path, latency=False)
    assert report.samples == 6 and value(report, "accuracy").value == 1.0


def test_own_metrics_are_measured_for_both_models():
    model, x, y = EACH["regression"]
    other = copy_of(model)

    def worst_error(y, p):
        return np.abs(y - p).max()

    report = evaluate(model, x, y, other, metrics=worst_error, batch_size=4, latency=False)
    found = value(report, "worst_error")
    assert not found.metric.higher_is_better
    assert found.value == pytest.approx(np.abs(y - model.predict(x, verbose=0)).max(), rel=1e-5)
    assert found.reference == pytest.approx(np.abs(y - other.predict(x, verbose=0)).max(), rel=1e-5)


# -- robustness ----------------------------------------------------------------------------------


def test_a_linear_regression_moves_as_far_as_its_weights_say():
    model = net((4,), lambda x: layers.Dense(1)(x))
    weights = model.get_weights()[0]
    report = evaluate(
        model, X4, task="regression", reference=copy_of(model),
        attacks=[FGSM(0.01), PGD(0.01, steps=3)], clip=(-9, 9), latency=False,
    )  # fmt: skip
    for attack in report.attacks:
        assert attack.measures[0].value == pytest.approx(0.01 * np.abs(weights).sum(), rel=1e-3)
        assert attack.measures[0].reference != attack.measures[0].value
    assert Report.from_dict(report.to_dict()) == report


@pytest.mark.parametrize("name", ["segmentation", "tagging", "multi-label"])
def test_a_stronger_attack_leaves_less_of_the_first_metric(name):
    model, x, _ = EACH[name]
    p = model.predict(x, verbose=0)
    y = (p > 0.5).astype(int) if name == "multi-label" else p.argmax(-1)
    report = evaluate(model, x, y, attacks=[FGSM(0.02), FGSM(0.5)], latency=False, task=name)
    weak, strong = (attack.measures[0].value for attack in report.attacks)
    assert 1 >= weak >= strong and strong < 1


def test_robustness_is_refused_by_name_where_it_is_not_defined():
    model, x, _ = EACH["embedding"]
    with pytest.raises(ArgumentError, match="not defined for embedding"):
        evaluate(model, x, reference=model, attacks=FGSM(0.1), latency=False)
    tokens = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(9, 3)])
    with pytest.raises(ArgumentError, match="takes int32 values; attacks need inputs of real num"):
        evaluate(tokens, np.ones((3, 4)), reference=tokens, attacks=FGSM(0.1), latency=False)


def test_several_inputs_are_attacked_together_and_each_output_by_itself():
    model = two_by_two()
    report = evaluate(model, TWO_X, TWO_Y, reference=model, attacks=FGSM(0.1), latency=False)
    (attack,) = report.attacks
    measured = {(m.output, m.metric.name): m for m in attack.measures}
    assert {output for output, _ in measured} == {"kind", "size"}
    assert all(m.value == m.reference for m in attack.measures)
    # The second output is linear: its greatest change is that of both inputs' weights together.
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    sizes = layers.Dense(1, use_bias=False, name="linear")(layers.Concatenate()([a, b]))
    linear = keras.Model({"a": a, "b": b}, {"kind": layers.Dense(3)(a), "size": sizes})
    box = Box(-1.0, 2.0)
    report = evaluate(linear, TWO_X, TWO_Y, attacks=FGSM(0.1), clip=box, latency=False)
    weights = np.abs(linear.get_layer("linear").get_weights()[0])
    found = {m.metric.name: m.value for m in report.attacks[0].measures if m.output == "size"}
    assert np.isclose(found["greatest change of the output"], 0.1 * weights.sum(), rtol=1e-3)


def test_a_place_that_the_model_masks_counts_under_attack_neither():
    x = np.random.default_rng(0).random((6, 5, 2)).astype("float32")
    x[:, 3:] = 0
    inputs = keras.Input((5, 2))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(layers.Masking()(inputs)))
    y = model.predict(x, verbose=0).argmax(-1)
    y[:, 3:] = 99  # no class at all
    report = evaluate(model, x, y, attacks=FGSM(0.0), latency=False)
    assert report.attacks[0].measures[0].value == 1


# -- what does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": {"a": X4}}, "x has no 'b'"),
        ({"x": {**TWO_X, "b": X4}}, r"x\['b'\] has samples of shape \(4,\)"),
        ({"x": {**TWO_X, "b": TWO_X["b"][:4]}}, "input 'b' has shape .* for 9 samples"),
        ({"y": {**TWO_Y, "kind": np.arange(9)}}, "holds 3 .* classes 0 to 2"),
        ({"y": {**TWO_Y, "size": np.full(9, np.nan)}}, "NaN"),
        ({"y": {"kind": np.arange(9)}}, "y has no 'size'"),
        ({"y": {**TWO_Y, "size": np.zeros(8)}}, "labels 'size' has shape"),
        ({"x": [X4]}, "needs 2 arrays"),
        ({"weight": np.ones(3)}, "weight has shape"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence_before_any_work(change, message):
    arguments = {"x": TWO_X, "y": TWO_Y, **change}
    with pytest.raises(DataError, match=message) as caught:
        check(two_by_two(), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "labels", "says"),
    [
        ("classification", [0, 1, 2], "sparse_categorical_accuracy"),
        ("classification", np.eye(3), "categorical_accuracy"),
        ("multi-label", np.eye(3), "categorical_accuracy"),
    ],
)
def test_accuracy_by_name_is_the_one_for_the_labels_as_in_keras(task, labels, says):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])
    x = X4[:3]
    report = evaluate(model, x, labels, task=task, metrics=["accuracy"], latency=False)
    assert report.quality[0].metric.name == says
    right = (model.predict(x, verbose=0).argmax(1) == [0, 1, 2]).mean()
    assert report.quality[0].value == pytest.approx(right)


def test_a_metric_that_fails_is_told_with_what_it_was_given():
    model, x, y = EACH["regression"]

    def fails(y, p):
        raise RuntimeError("not today.")

    with pytest.raises(ArgumentError, match=r"'fails' fails on labels of shape .* \(not today\)"):
        evaluate(model, x, y, metrics=fails, latency=False)


@pytest.mark.parametrize(
    "setting",
    [{"task": [["regression"]]}, {"batch_size": "x"}, {"clip": 5, "attacks": FGSM(0.1)}],
    ids=str,
)
def test_settings_of_a_wrong_type_are_refused_in_a_sentence(setting):
    model, x, y = EACH["regression"]
    with pytest.raises(ArgumentError):
        evaluate(model, x, y, latency=False, **setting)


def test_samples_of_different_lengths_say_what_to_do():
    with pytest.raises(DataError, match="different lengths: pad them"):
        check(EACH["regression"][0], [[1, 2, 3], [4, 5]], [0, 1])


def test_tasks_and_metrics_that_do_not_exist_are_refused():
    model, x, y = EACH["regression"]
    with pytest.raises(ArgumentError, match="'detection' is no task; there are classification"):
        evaluate(model, x, y, task="detection")
    with pytest.raises(ArgumentError, match="no output; there are kind, size"):
        evaluate(two_by_two(), TWO_X, TWO_Y, task={"sort": "regression"})
    with pytest.raises(ArgumentError, match="is no metric"):
        evaluate(model, x, y, metrics="beauty")
    with pytest.raises(ArgumentError, match="neither labels nor a reference"):
        evaluate(model, x)


def test_a_loss_goes_down_as_the_better():
    assert Metric.error("loss").worse(2.0, 1.0) and not Metric.share("accuracy").worse(2.0, 1.0)

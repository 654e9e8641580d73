"""What an evaluation says of an exported file is measured by running that file."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import paoding
from paoding.errors import ArgumentError, DataError
from paoding.evaluation.runtimes import open_file

L = keras.layers


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    model, data = paoding.zoo.load("breast-cancer")
    folder = tmp_path_factory.mktemp("files")
    for name, format, quantize in (("f", "tflite", None), ("q", "onnx", "int8")):
        paoding.export(model, folder / f"{name}.{format}", format=format, quantize=quantize)
    return model, data, folder


@pytest.mark.parametrize("name", ["f.tflite", "q.onnx"])
def test_accuracy_is_that_of_the_files_own_answers(table, name) -> None:
    model, data, folder = table
    scores = open_file(folder / name)([data.x])[0]
    wanted = np.mean((scores[:, 0] > 0.5) == data.y)
    for reference in (None, model):
        report = paoding.evaluate(folder / name, data.x, data.y, reference, latency=False)
        assert report.accuracy == pytest.approx(wanted)
        assert name in " ".join(report.notes) and "certificate does not cover" in report.note()


def test_the_float_file_agrees_with_its_model_in_every_number(table) -> None:
    model, data, folder = table
    report = paoding.evaluate(folder / "f.tflite", data.x, data.y, model)
    assert report.agreement == 1.0
    assert report.loss == pytest.approx(report.reference_loss, abs=1e-5)
    assert report.cost.bytes == (folder / "f.tflite").stat().st_size
    assert report.cost.parameters is None and report.cost.runtime == "litert"
    assert "litert" in str(report) and report.cost.latency > 0
    assert paoding.evaluation.Report.from_dict(report.to_dict()) == report


def test_attacks_are_made_for_the_reference_and_said_to_be(table) -> None:
    model, data, folder = table
    attack = paoding.FGSM(0.05)
    report = paoding.evaluate(folder / "f.tflite", data.x, data.y, model, attack, latency=False)
    own = paoding.evaluate(model, data.x, data.y, model, attack, latency=False)
    assert report.robust_accuracy == pytest.approx(own.robust_accuracy, abs=0.01)
    assert "made for the reference" in report.attacks[0].name
    with pytest.raises(ArgumentError, match="no gradients"):
        paoding.evaluate(folder / "f.tflite", data.x, data.y, attacks=attack)


def test_a_file_of_several_inputs_and_tasks_is_measured_with_its_model(tmp_path) -> None:
    keras.utils.set_random_seed(0)
    b, a = keras.Input((3,), name="b"), keras.Input((2, 2), name="a")
    h = L.Concatenate()([L.Dense(4)(b), L.Dense(4)(L.Flatten()(a))])
    model = keras.Model([b, a], [L.Dense(2, "softmax", name="z")(h), L.Dense(1, name="c")(h)])
    path = paoding.export(model, tmp_path / "m.tflite")
    rng = np.random.default_rng(0)
    x = {"b": rng.random((9, 3)), "a": rng.random((9, 2, 2))}
    report = paoding.evaluate(path, x, reference=model, latency=False)
    shares = [m.value for m in report.measures if m.metric.name == "agreement"]
    assert shares == [1.0] and len(report.measures) > 1
    with pytest.raises(DataError, match="reference"):
        paoding.evaluate(path, [x["b"], x["a"]])
    other = keras.Sequential([keras.Input((5,)), L.Dense(2)])
    with pytest.raises(DataError, match="exported from"):
        paoding.evaluate(path, x, reference=other)


def test_a_recurrent_file_is_asked_one_sample_at_a_time(tmp_path) -> None:
    model = keras.Sequential([keras.Input((4, 3)), L.SimpleRNN(4), L.Dense(2)])
    path = paoding.export(model, tmp_path / "m.tflite")
    x = np.random.default_rng(0).random((3, 4, 3), dtype="float32")
    np.testing.assert_allclose(open_file(path)([x])[0], model(x), atol=1e-5)

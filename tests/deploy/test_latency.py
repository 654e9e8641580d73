"""Latency is measured where the model will run, and every answer there is the model's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import paoding
from paoding.deploy.export import export
from paoding.errors import ArgumentError, ModelError, RuntimeMissingError
from paoding.evaluation.runtimes import RUNTIMES, KerasRuntime, open_file
from paoding.evaluation.timing import timed

L = keras.layers


@pytest.fixture(scope="module")
def two() -> keras.Model:
    """A model of two inputs and two outputs, named against their order."""
    keras.utils.set_random_seed(0)
    b, a = keras.Input((3,), name="b"), keras.Input((2, 2), name="a")
    h = L.Concatenate()([L.Dense(4)(b), L.Dense(4)(L.Flatten()(a))])
    return keras.Model([b, a], [L.Dense(2, name="z")(h), L.Dense(5, name="c")(h)])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_is_timed_in_every_runtime(two, runtime) -> None:
    found = paoding.latency(two, runtime=runtime, batch=2)
    assert 0 < found.low <= found.median <= found.high
    assert found.spread == found.high - found.low
    assert found.runs >= 10 and found.batch == 2 and found.runtime == runtime
    assert found.versions and "core(s)" in found.machine
    assert found.threads == (None if runtime == "keras" else 1)
    assert "on this machine" in str(found) and found.to_dict()["runtime"] == runtime


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_a_file_answers_as_the_model_input_by_input_and_output_by_output(two, format, tmp_path):
    rng = np.random.default_rng(0)
    x = {"b": rng.random((4, 3), "float32"), "a": rng.random((4, 2, 2), "float32")}
    runner = open_file(export(two, tmp_path / f"m.{format}", format=format))
    answers = runner([x[slot.name] for slot in runner.inputs])
    for mine, wanted in zip(answers, two([x["b"], x["a"]]), strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-5)
    found = paoding.latency(tmp_path / f"m.{format}")
    assert found.runtime == {"tflite": "litert", "onnx": "onnxruntime"}[format]


def test_the_keras_runtime_answers_as_the_model(two) -> None:
    x = [np.ones((3, 3), "float32"), np.ones((3, 2, 2), "float32")]
    for mine, wanted in zip(KerasRuntime(two)(x), two(x), strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-6)


def test_the_measuring_ends_though_the_median_never_settles(two) -> None:
    class Restless:
        runtime, versions, threads, inputs = "keras", {"none": "1"}, None, ()
        calls = 0

        def prepare(self, arrays):
            import time

            def run() -> None:
                self.calls += 1
                time.sleep(0.001 * self.calls)

            return run

    found = timed(Restless(), [np.zeros((1, 1))], longest=0.1)  # type: ignore[arg-type]
    assert found.runs >= 10 and not found.stable and "had not settled" in str(found)


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_a_runtime_that_is_not_installed_names_its_extra(two, runtime, monkeypatch) -> None:
    import sys

    module = {"litert": "ai_edge_litert.interpreter", "onnxruntime": "onnxruntime"}[runtime]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RuntimeMissingError, match=rf"paoding-widgets\[{runtime}\]"):
        paoding.latency(two, runtime=runtime)


def test_open_sizes_are_asked_for_and_taken() -> None:
    layers = [keras.Input((None, None, 1)), L.Conv2D(2, 3), L.GlobalAveragePooling2D()]
    model = keras.Sequential(layers)
    with pytest.raises(ArgumentError, match="input_size"):
        paoding.latency(model)
    assert paoding.latency(model, "litert", input_size=(8, 9)).median > 0


def test_what_makes_no_sense_is_refused_in_a_sentence(two, tmp_path) -> None:
    with pytest.raises(ArgumentError, match="runtime must be"):
        paoding.latency(two, runtime="tpu")
    with pytest.raises(ArgumentError, match="threads"):
        paoding.latency(two, threads=0)
    with pytest.raises(ModelError, match="no file"):
        paoding.latency(tmp_path / "none.onnx")
    with pytest.raises(ArgumentError, match="must end in"):
        paoding.latency(tmp_path / "m.pb")
    with pytest.raises(ArgumentError, match="is run by litert"):
        paoding.latency(tmp_path / "m.tflite", runtime="onnxruntime")
    for name in ("m.tflite", "m.onnx"):
        (tmp_path / name).write_bytes(b"no model")
        with pytest.raises(ModelError, match="cannot be read"):
            paoding.latency(tmp_path / name)

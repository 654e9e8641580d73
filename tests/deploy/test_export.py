"""Exported files answer as the model does, in the runtimes that they are for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from paoding import Box, zoo
from paoding.deploy.export import export
from paoding.errors import ArgumentError, DataError, ExportError, OutputExistsError
from paoding.evaluation.runtimes import open_file

L = keras.layers


@pytest.fixture(scope="module", params=["breast-cancer", "mnist-mlp", "mnist-cnn"])
def known(request):
    model, data = zoo.load(request.param)
    return model, data.x[:200], data.y[:200]


@pytest.fixture
def small() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), L.Dense(3, activation="relu"), L.Dense(2)])


def run_tflite(path, *inputs):
    interpreter = tf.lite.Interpreter(str(path))
    details = interpreter.get_input_details()
    if len(inputs) > 1:  # by name, since TFLite has an order of its own
        details = sorted(details, key=lambda d: d["name"])
    for detail, array in zip(details, inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    for detail, array in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def guesses(scores):
    return scores[:, 0] > 0.5 if scores.shape[1] == 1 else scores.argmax(1)


def test_a_tflite_file_answers_as_the_model(known, tmp_path):
    model, x, _ = known
    path = export(model, tmp_path / "m.tflite")
    np.testing.assert_allclose(run_tflite(path, x), model(x), atol=1e-5)


def test_float16_halves_the_file_and_keeps_the_answers(known, tmp_path):
    model, x, _ = known
    full = export(model, tmp_path / "full.tflite").stat().st_size
    path = export(model, tmp_path / "half.tflite", quantize="float16")
    assert path.stat().st_size < 0.65 * full
    np.testing.assert_allclose(run_tflite(path, x), model(x), atol=0.02)


def test_int8_needs_no_data_and_keeps_the_accuracy(known, tmp_path):
    model, x, y = known
    full = export(model, tmp_path / "full.tflite").stat().st_size
    path = export(model, tmp_path / "int8.tflite", quantize="int8")
    assert path.stat().st_size < 0.5 * full
    before, after = (np.mean(guesses(z) == y) for z in (model(x).numpy(), run_tflite(path, x)))
    assert after >= before - 0.03


def test_int8_really_computes_in_whole_numbers(small, tmp_path):
    path = export(small, tmp_path / "m.tflite", quantize="int8", domain=Box(-2, 2))
    interpreter = tf.lite.Interpreter(str(path))
    kinds = {detail["dtype"] for detail in interpreter.get_tensor_details()}
    assert np.int8 in kinds
    assert interpreter.get_input_details()[0]["dtype"] is np.float32


def test_int8_is_calibrated_on_the_samples_that_are_given(small, tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32") * 10
    path = export(small, tmp_path / "m.tflite", quantize="int8", calibration=x)
    answers, wanted = run_tflite(path, x), small(x).numpy()
    assert np.abs(answers - wanted).max() < 0.05 * np.abs(wanted).max()


def test_models_of_two_inputs_are_calibrated_input_by_input(tmp_path):
    a, b = keras.Input((3,), name="a"), keras.Input((2, 2), name="b")
    h = L.Concatenate()([L.Dense(4)(a), L.Dense(4)(L.Flatten()(b))])
    model = keras.Model([a, b], L.Dense(2)(h))
    rng = np.random.default_rng(0)
    x = [rng.random((50, 3), dtype="float32"), rng.random((50, 2, 2), dtype="float32")]
    path = export(model, tmp_path / "m.tflite", quantize="int8", calibration=x)
    assert np.abs(run_tflite(path, *x) - model(x).numpy()).max() < 0.1
    assert export(model, tmp_path / "n.tflite", quantize="int8").exists()


def test_an_onnx_file_answers_as_the_model(known, tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    model, x, _ = known
    session = runtime.InferenceSession(export(model, tmp_path / "m.onnx", format="onnx"))
    answers = session.run(None, {session.get_inputs()[0].name: x})[0]
    np.testing.assert_allclose(answers, model(x), atol=1e-5)


def test_a_model_that_was_only_loaded_is_written_to_onnx(small, tmp_path):
    pytest.importorskip("tf2onnx")
    small.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert export(loaded, tmp_path / "m.onnx", format="onnx").stat().st_size > 100


def test_gelu_is_written_to_onnx_though_onnx_has_no_erfc(tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    model = keras.Sequential([keras.Input((4,)), L.Dense(9, "gelu"), L.Dense(3)])
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    session = runtime.InferenceSession(export(model, tmp_path / "m.onnx", format="onnx"))
    answers = session.run(None, {session.get_inputs()[0].name: x})[0]
    np.testing.assert_allclose(answers, model(x), atol=1e-5)


class Odd(L.Layer):
    def call(self, x):
        return keras.ops.erfinv(x * 0.1)


def test_what_onnx_has_no_operation_for_is_named_and_not_left_as_a_file(tmp_path):
    pytest.importorskip("tf2onnx")
    layers = [keras.Input((4,)), L.Dense(3), Odd(name="strange")]
    with pytest.raises(ExportError, match=r"ONNX has no Erfinv \(layer 'strange'\)"):
        export(keras.Sequential(layers), tmp_path / "m.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ((6, 6, 4), L.Conv2D(4, 3, groups=2, activation="relu", padding="same")),
        ((9, 4), L.Conv1D(6, 3, groups=2, strides=2, use_bias=False)),
    ],
)
def test_grouped_convolutions_are_written_to_onnx_one_a_group(shape, layer, tmp_path):
    pytest.importorskip("tf2onnx")
    model = keras.Sequential([keras.Input(shape), layer, L.Flatten(), L.Dense(3)])
    x = np.random.default_rng(0).random((5, *shape), dtype="float32")
    before = [w.copy() for w in model.get_weights()]
    path = export(model, tmp_path / "m.onnx", format="onnx")
    np.testing.assert_allclose(open_file(path)([x])[0], model(x), atol=1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_half_precision_is_written_as_a_float32_copy(tmp_path):
    half = "mixed_float16"
    layers = [L.Conv2D(4, 3, activation="relu", dtype=half), L.Flatten(), L.Dense(3, dtype=half)]
    model = keras.Sequential([keras.Input((6, 6, 2)), *layers])
    x = np.random.default_rng(0).random((5, 6, 6, 2), dtype="float32")
    path = export(model, tmp_path / "m.tflite")
    np.testing.assert_allclose(open_file(path)([x])[0], model(x), atol=1e-2)
    assert model.layers[0].compute_dtype == "float16"


def test_open_sizes_are_fixed_where_they_are_given(tmp_path):
    layers = [keras.Input((None, None, 1)), L.Conv2D(2, 3), L.GlobalAveragePooling2D()]
    model = keras.Sequential(layers)
    assert open_file(export(model, tmp_path / "a.tflite")).inputs[0].shape == (None, None, 1)
    path = export(model, tmp_path / "b.tflite", input_size=(8, 9))
    assert open_file(path).inputs[0].shape == (8, 9, 1)
    with pytest.raises(ArgumentError, match="2 axes of unknown length"):
        export(model, tmp_path / "c.tflite", input_size=(8,))


def test_a_layer_that_needs_fixed_sizes_is_named_with_what_to_do(tmp_path):
    larger = L.UpSampling2D(interpolation="bilinear", name="larger")
    model = keras.Sequential([keras.Input((None, None, 1)), L.Conv2D(2, 3), larger])
    with pytest.raises(ExportError, match=r"fixed sizes .* \(layer 'larger'"):
        export(model, tmp_path / "a.tflite")
    path = export(model, tmp_path / "b.tflite", input_size=(8, 9))
    assert open_file(path).inputs[0].shape == (8, 9, 1)


def test_the_format_is_the_one_that_the_path_ends_in(tmp_path):
    pytest.importorskip("tf2onnx")
    model = keras.Sequential([keras.Input((4,)), L.Dense(3)])
    path = export(model, tmp_path / "a.onnx")
    assert type(open_file(path)) is type(open_file(export(model, tmp_path / "b.onnx", "onnx")))
    assert type(open_file(export(model, tmp_path / "c.tflite"))) is not type(open_file(path))


@pytest.mark.parametrize("quantize", ["dynamic", "int8"])
def test_onnx_in_whole_numbers_needs_no_data_and_keeps_the_accuracy(quantize, tmp_path):
    pytest.importorskip("tf2onnx")
    onnx = pytest.importorskip("onnx")
    model, data = zoo.load("mnist-mlp")
    x, y = data.x[:300], data.y[:300]
    full = export(model, tmp_path / "full.onnx", format="onnx").stat().st_size
    path = export(model, tmp_path / "small.onnx", format="onnx", quantize=quantize)
    assert path.stat().st_size < 0.35 * full
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert ("QuantizeLinear" if quantize == "int8" else "DynamicQuantizeLinear") in kinds
    before, after = (np.mean(guesses(z) == y) for z in (model(x).numpy(), open_file(path)([x])[0]))
    assert after >= before - 0.01


def test_dynamic_int8_stores_weights_in_8_bits(tmp_path):
    model, data = zoo.load("mnist-mlp")
    full = export(model, tmp_path / "full.tflite").stat().st_size
    path = export(model, tmp_path / "small.tflite", quantize="dynamic")
    assert path.stat().st_size < 0.35 * full
    agree = guesses(open_file(path)([data.x[:300]])[0]) == guesses(model(data.x[:300]).numpy())
    assert agree.mean() > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("layer", [L.LSTM(5), L.Bidirectional(L.GRU(4)), L.SimpleRNN(4)])
def test_a_recurrent_model_is_written_for_one_sample_at_a_time(layer, tmp_path):
    model = keras.Sequential([keras.Input((6, 3)), layer, L.Dense(2)])
    x = np.random.default_rng(0).random((1, 6, 3), dtype="float32")
    for quantize, tolerance in ((None, 1e-5), ("float16", 1e-2)):
        path = export(model, tmp_path / f"{quantize}.tflite", quantize=quantize)
        np.testing.assert_allclose(run_tflite(path, x), model(x), atol=tolerance)
    with pytest.raises(ExportError, match="float16"):
        export(model, tmp_path / "int8.tflite", quantize="int8")


def test_what_tflite_has_no_operation_for_is_named(tmp_path):
    layers = [keras.Input((4, 4, 4, 1)), L.AveragePooling3D(2), L.Flatten(), L.Dense(2)]
    with pytest.raises(ExportError, match="TFLite has no AvgPool3D") as caught:
        export(keras.Sequential(layers), tmp_path / "m.tflite")
    assert len(str(caught.value)) < 200


def test_what_is_missing_for_onnx_is_told_with_how_to_get_it(small, tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "tf2onnx":
            raise ImportError("No module named 'tf2onnx'", name="tf2onnx")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExportError, match=r"needs tf2onnx; install .*\[export\]"):
        export(small, tmp_path / "m.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_converter_that_fails_leaves_nothing_and_one_sentence(small, tmp_path, monkeypatch):
    def fail(self, *args, **kwargs):
        raise RuntimeError("op Foo is not supported.\nlong trace")

    monkeypatch.setattr(keras.Model, "export", fail)
    with pytest.raises(ExportError) as caught:
        export(small, tmp_path / "m.tflite")
    assert str(caught.value).endswith("cannot be written as tflite: op Foo is not supported.")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_replaced_only_when_asked(small, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        export(small, path)
    assert path.read_text() == "mine"
    export(small, path, overwrite=True)
    assert path.stat().st_size > 100


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"format": "torch"}, ArgumentError),
        ({"quantize": "int4"}, ArgumentError),
        ({"format": "onnx", "quantize": "float16"}, ArgumentError),
        ({"quantize": "int8", "calibration": np.zeros((3, 5))}, DataError),
        ({"quantize": "int8", "calibration": np.zeros((0, 4))}, DataError),
        ({"quantize": "int8", "calibration": np.full((3, 4), np.nan)}, DataError),
        ({"quantize": "int8", "calibration": [np.zeros((3, 4))] * 2}, DataError),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    small, tmp_path, settings, error
):
    with pytest.raises(error):
        export(small, tmp_path / "m.out", **settings)
    assert list(tmp_path.iterdir()) == []


def test_the_reason_why_a_model_cannot_be_written_is_told_and_not_only_where(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="größe")])
    with pytest.raises(ExportError, match="not a valid scope name") as caught:
        export(model, tmp_path / "m.tflite")
    assert "\x1b" not in str(caught.value)

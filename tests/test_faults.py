"""What an attack on the product found: each kind ends in one sentence, or in a sound result."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.cli.job import save_somewhere, self_checked
from paoding.deploy.export import export
from paoding.errors import ArgumentError, ModelError, OutputExistsError
from paoding.files.atomic import output_file, output_folder
from paoding.files.models import save_model

QUICK = {"target": 0.5, "step": 0.25, "distil": 0}


def small(name="small", **options):
    keras.utils.set_random_seed(3)
    x = keras.Input((6,))
    h = layers.Dense(8, "relu", name="first")(x)
    h = layers.Dense(8, "relu", name="second", **options)(h)
    return keras.Model(x, layers.Dense(3, "softmax", name="scores")(h), name=name)


class Tied(layers.Dense):
    """A Dense that computes with the kernel of another layer."""

    def __init__(self, units, source=None, **options):
        super().__init__(units, **options)
        self.source = source

    def build(self, shape):
        self._kernel = self.source._kernel
        self.bias = self.add_weight(shape=(self.units,), name="bias")
        self.built = True


def test_layers_that_hold_the_same_weight_are_refused_by_name_before_any_work():
    x = keras.Input((8,))
    source = layers.Dense(8, "relu", name="source")
    h = Tied(8, source, name="twin")(source(x))
    model = keras.Model(x, layers.Dense(2)(h))
    with pytest.raises(ModelError, match="'source' and 'twin' hold the same weight"):
        paoding.inspect(model)


def test_one_layer_that_is_called_twice_is_no_such_tie():
    x = keras.Input((8,))
    shared = layers.Dense(8, "relu", name="shared")
    model = keras.Model(x, layers.Dense(2)(shared(shared(x))))
    assert paoding.inspect(model).groups


def test_what_keras_cannot_read_again_is_not_called_saved(tmp_path):
    shared, inside = layers.Dense(6, "relu", name="shared"), keras.Input((6,))
    inner = keras.Model(inside, layers.Dense(6, "relu")(shared(inside)), name="inner")
    x = keras.Input((6,))
    model = keras.Model(x, layers.Dense(3)(shared(inner(x))), name="outer")
    result = paoding.prune(model, compensation="none", **QUICK)
    for save in (
        lambda: save_model(result.model, tmp_path / "m.keras"),
        lambda: result.save(tmp_path / "run"),
    ):
        with pytest.raises(ModelError, match="cannot read again"):
            save()
    assert not list(tmp_path.iterdir())
    assert result.model.count_params() < model.count_params()  # it is still there


@pytest.mark.parametrize("compensation", ["least-squares", "merge", "scaled-merge", "mean"])
@pytest.mark.parametrize(
    "constraint",
    [keras.constraints.NonNeg(), keras.constraints.UnitNorm(0), keras.constraints.MaxNorm(1.0)],
    ids=["NonNeg", "UnitNorm", "MaxNorm"],
)
def test_constraints_hold_after_every_compensation_and_are_told(constraint, compensation):
    model = small(kernel_constraint=constraint)
    kernel = model.get_layer("second").kernel
    kernel.assign(constraint(kernel.value))
    with pytest.warns(UserWarning, match=f"second/kernel \\({type(constraint).__name__}\\)"):
        result = paoding.prune(model, compensation=compensation, samples=64, **QUICK)
    found = result.masked.get_layer("second").kernel.value
    np.testing.assert_allclose(found, constraint(found), atol=1e-6)
    x = np.random.default_rng(0).random((20, 6)).astype("float32")
    np.testing.assert_allclose(result.model(x), result.masked(x), atol=1e-5)


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800"])
def test_a_model_name_that_no_file_can_hold_is_refused_before_the_work(name):
    model = small(name)
    with pytest.raises(ModelError, match="no file can hold") as caught:
        paoding.Pruner(model)
    str(caught.value).encode("utf-8")


def test_however_small_the_step_each_takes_a_unit():
    result = paoding.prune(small(), target=0.25, step=1e-12, compensation="none")
    assert len(result.steps) == 2 and len(result.plan.removals) == 4


def test_inputs_that_no_memory_holds_are_refused_before_they_are_drawn():
    with pytest.raises(ArgumentError, match=r"samples=1,000,000,000,000 .* choose fewer"):
        paoding.Pruner(small(), samples=10**12)


def test_a_target_for_units_that_all_stay_is_refused_with_the_reason():
    with pytest.raises(ArgumentError, match="'scores', and all its units stay: it is an output"):
        paoding.Pruner(small(), targets={"scores": 0.5})
    assert paoding.Pruner(small(), targets={"scores": 0}).n_remove


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_what_needs_tensorflow_says_so_before_any_work(monkeypatch, backend, tmp_path):
    model = small()
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    for work in (
        lambda: paoding.prune(model),
        lambda: paoding.evaluate(model, np.zeros((2, 6)), np.zeros(2)),
        lambda: export(model, tmp_path / "m.tflite"),
    ):
        with pytest.raises(ModelError, match=f"needs TensorFlow, and Keras runs on {backend}"):
            work()


def test_a_name_that_is_taken_in_the_meantime_is_not_written_over(tmp_path):
    path = tmp_path / "out.json"
    writing = output_file(path)
    writing.__enter__().write_text("mine")
    path.write_text("another's")
    with pytest.raises(OutputExistsError):
        writing.__exit__(None, None, None)
    assert path.read_text() == "another's" and len(list(tmp_path.iterdir())) == 1


class Block(layers.Layer):
    """A layer of one's own with layers inside, whose units nobody sees."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(6, "relu", name="inner")

    def build(self, shape):
        self.inner.build(shape)
        self.built = True

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (lambda: Block(name="odd"), (6,), "it hides 'inner', whose units are seen only"),
        (
            lambda: layers.SpectralNormalization(layers.Dense(6), name="odd"),
            (6,),
            "put the layer in it into the model by itself",
        ),
        (lambda: layers.RNN(layers.LSTMCell(6), name="odd"), (5, 6), "LSTM, GRU or SimpleRNN"),
        (lambda: layers.ConvLSTM1D(4, 2, name="odd"), (5, 6, 2), "recurrent filters"),
    ],
    ids=["own", "SpectralNormalization", "RNN", "ConvLSTM"],
)
def test_a_layer_without_a_rule_says_what_would_have_to_be_so(layer, shape, said):
    x = keras.Input(shape)
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(layer()(x))))
    graph = paoding.inspect(model)
    assert said in graph.unknown["odd"] and said in str(graph)


def test_what_a_killed_run_left_goes_with_the_next_and_a_living_ones_stays(tmp_path):
    path = tmp_path / "run"
    killed = (
        "import os, pathlib, sys; from paoding.files.atomic import output_folder; "
        "w = output_folder(pathlib.Path(sys.argv[1])); w.__enter__(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    living = output_folder(path)
    living.__enter__()
    with output_folder(path):
        assert len(list(tmp_path.iterdir())) == 2  # the living one's and this one's
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(OutputExistsError):
        living.__exit__(None, None, None)


def test_a_finished_run_is_saved_elsewhere_where_the_disk_is_full(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", None)

    def save(to):
        if "full" in str(to.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        to.parent.mkdir(exist_ok=True)
        to.write_text("saved")

    spare = save_somewhere(tmp_path / "full" / "run", save)
    assert spare.read_text() == "saved" and spare.name == "run"
    said = capsys.readouterr().err
    assert str(spare) in said and "No space left" in said and "full/run" in said


def test_a_self_check_that_fails_loses_no_result(monkeypatch, capsys):
    result = paoding.prune(small(), compensation="none", **QUICK)

    def fails(*_, **__):
        raise ValueError("no such input")

    monkeypatch.setattr("paoding.pruning.result.selfcheck", fails)
    assert self_checked(result, True) is None
    assert "the self-check failed (ValueError: no such input)" in capsys.readouterr().err


def test_dictionary_inputs_are_checked_without_data():
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    h = layers.Dense(8, "relu")(layers.Concatenate()([a, b]))
    model = keras.Model({"a": a, "b": b}, {"y": layers.Dense(3, "softmax")(h)})
    result = paoding.prune(model, compensation="none", **QUICK)
    assert 0 <= result.selfcheck(50).expected <= 1

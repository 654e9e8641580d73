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


def tied(kind=Tied):
    keras.utils.set_random_seed(3)
    x = keras.Input((8,))
    source = layers.Dense(8, "relu", name="source")
    h = kind(8, source, activation="relu", name="twin")(source(layers.Dense(8, "relu")(x)))
    return keras.Model(x, layers.Dense(2)(h))


@pytest.mark.parametrize("compensation", ["least-squares", "merge", "none"])
def test_a_tie_between_two_layers_is_kept(compensation):
    model = tied()
    result = paoding.prune(model, compensation=compensation, samples=64, **QUICK)
    source, twin = result.model.get_layer("source"), result.model.get_layer("twin")
    assert twin.kernel is source.kernel and twin.bias is not source.bias
    assert source.units == twin.units == 4
    x = np.random.default_rng(0).random((20, 8)).astype("float32")
    np.testing.assert_allclose(result.model(x), result.masked(x), atol=1e-5)


class Reading(layers.Layer):
    """Scores of an embedding's own table, as language models have them."""

    def __init__(self, table, **options):
        super().__init__(**options)
        given = isinstance(table, dict)
        self.table = keras.saving.deserialize_keras_object(table) if given else table

    def get_config(self):
        table = keras.saving.serialize_keras_object(self.table)
        return {**super().get_config(), "table": table}

    def build(self, shape):
        self.weight = self.table.embeddings
        self.built = True

    def call(self, x):
        return keras.ops.matmul(x, keras.ops.transpose(self.weight))


def test_units_of_a_weight_that_an_unknown_layer_holds_too_stay_and_the_rest_goes():
    words = keras.Input((5,), dtype="int32")
    table = layers.Embedding(9, 6, name="table")
    h = layers.Dense(6, name="back")(layers.Dense(8, "relu", name="up")(table(words)))
    model = keras.Model(words, Reading(table, name="scores")(h))
    graph = paoding.inspect(model)
    assert [group.name for group in graph.prunable] == ["up"]
    assert "'scores' holds the same weight" in graph.by_name["table"].reason
    result = paoding.prune(model, compensation="none", **QUICK)
    assert result.model.get_layer("scores").weight is result.model.get_layer("table").embeddings


class Hidden(Tied):
    """One that keeps the other layer where nobody finds it."""

    def __init__(self, units, source=None, **options):
        super().__init__(units, **options)
        self.found = lambda: source

    def build(self, shape):
        self.source = self.found()
        super().build(shape)


def test_a_tie_that_a_copy_would_lose_is_refused_by_name_before_any_work():
    with pytest.raises(ModelError, match="'source' and 'twin' hold the same weight"):
        paoding.inspect(tied(Hidden))


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
    x, y = np.zeros((2, 6)), np.zeros(2)
    for work in (
        lambda: paoding.prune(model, distil=5),
        lambda: paoding.prune(model, allocation="global"),
        lambda: paoding.prune(model, keep=0.9),
        lambda: paoding.evaluate(model, x, y, attacks=paoding.FGSM(0.1)),
        lambda: export(model, tmp_path / "m.tflite"),
        lambda: paoding.latency(model),
    ):
        with pytest.raises(ModelError, match=f"needs TensorFlow, and Keras runs on {backend}"):
            work()


_ON_JAX = """
import sys, warnings
import keras, numpy as np
from keras import layers
import paoding
assert keras.backend.backend() == "jax"
keras.utils.set_random_seed(0)
x = keras.Input((8, 8, 2))
h = layers.BatchNormalization()(layers.Conv2D(8, 3, activation="relu", name="conv")(x))
h = layers.Dense(8, "relu", name="dense")(layers.Flatten()(h))
model = keras.Model(x, layers.Dense(3, "softmax", name="scores")(h))
assert [g.name for g in paoding.inspect(model).prunable] == ["conv", "dense"]
given = np.random.default_rng(0).random((5, 8, 8, 2), "float32")
for compensation in ("least-squares", "merge", "scaled-merge"):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = paoding.prune(model, step=0.5, samples=32, compensation=compensation)
    assert any("Keras runs on jax" in str(each.message) for each in told)
    np.testing.assert_allclose(result.model(given), result.masked(given), atol=1e-5)
result.save(sys.argv[1])
saved = paoding.PruningResult.load(sys.argv[1])
np.testing.assert_allclose(saved.model(given), result.model(given), atol=1e-6)
again = paoding.replay(model, saved.plan)
np.testing.assert_array_equal(again.model(given), result.model(given))
assert 0 <= result.selfcheck(20).expected <= 1
report = paoding.evaluate(result.model, given, [0, 1, 2, 0, 1], reference=model)
assert report.quality and report.cost.latency is None
from paoding_widgets import PruningStudio
studio = PruningStudio(model, data=(given, np.array([0, 1, 2, 0, 1])), step=0.5,
                       compensation="merge", autosave=False)
studio.start()
assert studio.wait() == "finished"
assert studio.steps and studio.result.model.count_params() < model.count_params()
"""


@pytest.mark.slow
def test_what_nothing_ties_to_tensorflow_runs_on_jax(tmp_path):
    pytest.importorskip("jax", reason="jax comes with the test tools")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", _ON_JAX, str(tmp_path / "run")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


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


class OwnDense(layers.Dense):
    """A Dense that computes something else."""

    def call(self, x, training=None):
        return super().call(x)[..., ::-1]


class OwnCell(layers.LSTMCell):
    """A cell that computes something else."""

    def call(self, x, states, training=False):
        made, states = super().call(x, states, training)
        return made[..., ::-1], states


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (lambda: Block(name="odd"), (6,), "it hides 'inner', whose units are seen only"),
        (
            lambda: layers.SpectralNormalization(OwnDense(6), name="odd"),
            (6,),
            "SpectralNormalization(OwnDense) is not known",
        ),
        (lambda: layers.RNN(OwnCell(6), name="odd"), (5, 6), "an LSTMCell, a GRUCell or a"),
    ],
    ids=["own", "SpectralNormalization", "RNN"],
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

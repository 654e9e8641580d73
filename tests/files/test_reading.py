"""Files are read with care: what is wrong is said in one sentence, and nothing is run."""

from __future__ import annotations

import json
import os
import pickle
import resource
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paoding.errors import ArgumentError, DataError, ModelError, OutputExistsError, WeightsError
from paoding.files.atomic import output_folder
from paoding.files.data import load_data
from paoding.files.models import load_model, save_model


@pytest.fixture
def model() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a")], name="m")


@pytest.fixture
def saved(model, tmp_path) -> Path:
    return save_model(model, tmp_path / "m.keras")


def rewritten(path: Path, target: Path, **members: bytes) -> Path:
    """Copy a zip file with some members replaced."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            key = name.replace(".", "_")
            new.writestr(name, members[key] if key in members else old.read(name))
    return target


def one_sentence(text: str) -> bool:
    return "\n" not in text and len(text) < 500 and text.endswith((".", "?"))


def refused(path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert one_sentence(str(caught.value)), caught.value
    return str(caught.value)


# -- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_model_answers_as_before(model, tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    model.save(path)
    x = np.random.default_rng(0).random((5, 4), dtype="float32")
    np.testing.assert_array_equal(load_model(path)(x), model(x))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_is_known_by_its_first_bytes_not_by_its_name(model, tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    model.save(path)
    assert load_model(path.rename(tmp_path / "model.bin")).count_params() == 15


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    assert "There is no file" in refused(tmp_path / "none.keras")


def test_a_folder_is_no_model(tmp_path):
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 nothing", b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    refused(path)


def test_a_name_beyond_what_the_disk_takes_or_a_pipe_is_refused_at_once(model, tmp_path):
    assert "Cannot read" in refused(Path("x" * 300)).replace("x" * 300, "")
    os.mkfifo(tmp_path / "pipe.keras")
    assert "not an ordinary file" in refused(tmp_path / "pipe.keras")
    with pytest.raises(ArgumentError, match="Cannot write"):
        save_model(model, tmp_path / ("y" * 260 + ".keras"))


def test_what_code_a_file_needs_and_what_keras_refuses_is_named_without_its_config(saved, tmp_path):
    def with_config(old: bytes, new: bytes) -> Path:
        with zipfile.ZipFile(saved) as archive:
            config = archive.read("config.json")
        assert old in config
        return rewritten(saved, tmp_path / "x.keras", config_json=config.replace(old, new))

    ours = b'{"module": "keras.layers", "class_name": "Dense"'
    told = refused(with_config(ours, b'{"module": "attic", "class_name": "Attic"'))
    assert "needs the class 'Attic'" in told and "config" not in told
    told = refused(with_config(b'"activation": "linear"', b'"activation": "attic"'))
    assert told.endswith("activation function identifier: attic.")
    told = refused(with_config(b'"units": 3', b'"units": -3'))
    assert "units=-3" in told


def test_a_model_without_weights_is_refused(saved, model, tmp_path):
    with (
        zipfile.ZipFile(saved) as old,
        zipfile.ZipFile(tmp_path / "x.keras", "w") as new,
    ):
        new.writestr("config.json", old.read("config.json"))
    assert "no weights" in refused(tmp_path / "x.keras")
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file["model_weights"]
    assert "no weights" in refused(tmp_path / "m.h5")


@pytest.mark.parametrize("config", ["3", "[1]", "null", "{}"])
def test_an_hdf5_file_whose_config_is_no_model_is_damaged(model, tmp_path, config):
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["model_config"] = config
    assert "config that cannot be read" in refused(tmp_path / "m.h5")


def test_a_pickle_is_never_opened(tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "is no Keras model" in refused(path)


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.01, 0.99), suffix=st.sampled_from([".keras", ".h5"]))
def test_a_truncated_file_is_refused_wherever_it_ends(share, suffix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(folder / f"m{suffix}")
    whole = (folder / f"m{suffix}").read_bytes()
    (folder / f"cut{suffix}").write_bytes(whole[: int(len(whole) * share)])
    refused(folder / f"cut{suffix}")


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1), byte=st.integers(0, 255))
def test_a_changed_byte_gives_a_model_or_one_of_our_errors(place, byte, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(folder / "m.keras")
    content = bytearray((folder / "m.keras").read_bytes())
    content[int(place * (len(content) - 1))] = byte
    (folder / "x.keras").write_bytes(content)
    with suppress(ModelError):
        load_model(folder / "x.keras")


def test_a_weights_file_alone_is_no_model(model, tmp_path):
    model.save_weights(tmp_path / "m.weights.h5")
    assert "only weights" in refused(tmp_path / "m.weights.h5")


def test_a_zip_without_a_config_is_no_model(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "config.json" in refused(tmp_path / "m.keras")


def test_a_lambda_layer_is_never_run(tmp_path):
    layers = [keras.Input((4,)), keras.layers.Lambda(lambda x: x + 1)]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    assert "Python code" in refused(tmp_path / "m.keras")
    keras.Sequential(layers).save(tmp_path / "m.h5")
    assert "Python code" in refused(tmp_path / "m.h5")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(saved, tmp_path):
    bomb = rewritten(saved, tmp_path / "bomb.keras", model_weights_h5=bytes(200 << 20))
    assert "would unpack" in refused(bomb)


def test_an_array_that_is_hollow_is_refused_before_it_is_read(saved, model, tmp_path):
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.create_dataset("hollow", (1 << 30,), "f4", chunks=(1 << 20,))
    assert "would unpack" in refused(tmp_path / "m.h5")


def test_links_to_other_files_are_refused(model, tmp_path):
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")
    assert "links to data elsewhere" in refused(tmp_path / "m.h5")


def test_a_config_that_promises_more_than_the_weights_hold_is_refused(saved, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        config = archive.read("config.json").replace(b'"units": 3', b'"units": 3000000000')
    path = rewritten(saved, tmp_path / "wide.keras", config_json=config)
    assert "no weight in the file" in refused(path)


WIDE = 7  # in the models below, the length that a hostile config makes huge
PROMISES = {
    "batch normalization": lambda: keras.layers.BatchNormalization(),
    "layer normalization": lambda: keras.layers.LayerNormalization(),
    "prelu": lambda: keras.layers.PReLU(),
    "dense": lambda: keras.layers.Dense(WIDE),
    "einsum": lambda: keras.layers.EinsumDense("ab,bc->ac", output_shape=WIDE),
    "embedding": lambda: keras.layers.Embedding(3, WIDE),
    "gru": lambda: keras.Sequential(
        [keras.layers.Reshape((1, WIDE)), keras.layers.GRU(2)], name="inner"
    ),
    "low rank": lambda: keras.layers.Dense(5, lora_rank=WIDE),
}


@pytest.mark.parametrize("kind", PROMISES)
def test_no_layer_makes_room_for_more_than_the_file_holds(kind, tmp_path):
    plain = keras.Sequential([keras.Input((WIDE,)), PROMISES[kind]()])
    saved = save_model(plain, tmp_path / "m.keras")
    assert load_model(saved).count_params() == plain.count_params()
    with zipfile.ZipFile(saved) as archive:
        config = archive.read("config.json").replace(b"7", b"900000000")
    path = rewritten(saved, tmp_path / "wide.keras", config_json=config)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KB


def test_many_layers_that_each_fit_do_not_fit_together(tmp_path):
    layers = [keras.layers.Dense(8, name=f"d{k}") for k in range(300)]
    saved = save_model(keras.Sequential([keras.Input((8,)), *layers]), tmp_path / "m.keras")
    with zipfile.ZipFile(saved) as archive:
        config = archive.read("config.json").replace(b'"units": 8', b'"units": 1000')
        config = config.replace(b"null, 8", b"null, 1000")
    told = refused(rewritten(saved, tmp_path / "wide.keras", config_json=config))
    assert "more than the file holds" in told


def test_a_layer_that_is_called_without_end_is_refused(saved, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][-1]["inbound_nodes"] = [{}] * 30_000
    path = rewritten(saved, tmp_path / "calls.keras", config_json=json.dumps(config).encode())
    assert "30,000 times" in refused(path)


@pytest.mark.parametrize("config", [b"{", b"[]", b"{}", b'{"class_name": "Dense"}', b"\xff\xfe"])
def test_a_damaged_config_is_refused(saved, tmp_path, config):
    refused(rewritten(saved, tmp_path / "x.keras", config_json=config))


def test_a_config_nested_without_end_is_refused(saved, tmp_path):
    deep = b'{"config":' * 5000 + b"1" + b"}" * 5000
    refused(rewritten(saved, tmp_path / "deep.keras", config_json=deep))


def test_a_saved_layer_is_no_model(saved, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read("config.json"))
    layer = next(x for x in config["config"]["layers"] if x["class_name"] == "Dense")
    path = rewritten(saved, tmp_path / "x.keras", config_json=json.dumps(layer).encode())
    refused(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_named(model, tmp_path, value):
    model.layers[0].kernel.assign(np.full((4, 3), value))
    with pytest.raises(WeightsError, match=r"12 of 12 values of the weight .*a/kernel"):
        load_model(save_model(model, tmp_path / "m.keras"))


# -- writing -------------------------------------------------------------------------------------


def test_a_model_is_written_whole_or_not_at_all(model, tmp_path, monkeypatch):
    def fail(self, path, **kwargs):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(model, tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_replaced_only_when_asked(model, saved):
    before = saved.read_bytes()
    with pytest.raises(OutputExistsError, match="exists already"):
        save_model(model, saved)
    assert saved.read_bytes() == before
    save_model(model, saved, overwrite=True)
    assert [f.name for f in saved.parent.iterdir()] == ["m.keras"]


def test_another_suffix_is_refused(model, tmp_path):
    with pytest.raises(ArgumentError, match=r"\.keras"):
        save_model(model, tmp_path / "m.h5")


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), output_folder(tmp_path / "run") as folder:  # noqa: PT012
        (folder / "a").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with output_folder(tmp_path / "new" / "run") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "new" / "run").exists()
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["run"]
    assert (tmp_path / "new" / "run" / "a").read_text() == "1"


def test_a_folder_that_exists_is_refused_and_kept(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(OutputExistsError), output_folder(tmp_path / "run"):
        pass
    assert (tmp_path / "run").is_dir()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="Cannot write"), output_folder(tmp_path / "file/x"):
        pass


# -- data ----------------------------------------------------------------------------------------


def test_data_comes_back_as_it_was_saved(tmp_path):
    x, y = np.arange(12).reshape(4, 3), np.array([0, 1, 0, 1])
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    for was, now in zip((x, y), load_data(tmp_path / "xy.npz"), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 3))}, "no array 'y'"),
        ({"a": np.zeros(1)}, "no array 'x' and 'y' .found 'a'"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3)}, "x has 2 samples and y 3"),
        ({"x": np.zeros((0, 3)), "y": np.zeros(0)}, "no samples"),
        ({"x": np.zeros(()), "y": np.zeros(1)}, "no samples"),
        ({"x": np.array(["a"]), "y": np.zeros(1)}, "numbers are needed"),
        ({"x": np.array([{}]), "y": np.zeros(1)}, "plain numbers"),
    ],
)
def test_data_that_cannot_be_used_is_explained(tmp_path, arrays, message):
    np.savez(tmp_path / "xy.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        load_data(tmp_path / "xy.npz")
    assert one_sentence(str(caught.value))


def test_data_files_that_are_missing_or_damaged_are_refused(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        load_data(tmp_path / "none.npz")
    with pytest.raises(DataError):
        load_data(tmp_path)
    np.savez(tmp_path / "xy.npz", x=np.zeros((4, 3)), y=np.zeros(4))
    whole = (tmp_path / "xy.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
        archive.writestr("y.npy", b"")
    zipped = (tmp_path / "zip.npz").read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2], zipped):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(DataError) as caught:
            load_data(tmp_path / "bad.npz")
        assert one_sentence(str(caught.value))


def test_a_data_bomb_is_refused_before_it_is_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "xy.npz", x=np.zeros((1 << 20, 200), "uint8"), y=np.zeros(1))
    with pytest.raises(DataError, match="would unpack"):
        load_data(tmp_path / "xy.npz")

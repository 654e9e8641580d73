"""A corpus of hostile files and a fuzz run: each ends in one of our errors, in bounded room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import paoding
from paoding_widgets import PruningStudio

SEED = 20220400783
ROOM = 1 << 30  # bytes that a file of some KB may make a process larger by
SECONDS = 20  # of the processor's time that one file may take: a bound, not a measurement

# Reads every path that is given, each within the bounds, and tells what ended otherwise.
_READER = """
import json, resource, signal, sys, tempfile, warnings
warnings.simplefilter("ignore")
import keras, paoding
from paoding.errors import PaodingError
from paoding.files.data import load_data
from paoding_widgets import folder
keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])  # what is loaded once
room, seconds = int(sys.argv[1]), int(sys.argv[2])
for line in open("/proc/self/status"):
    if line.startswith("VmSize"):
        limit = int(line.split()[1]) * 1024 + room
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
class TooLong(BaseException): pass
def late(*_): raise TooLong
signal.signal(signal.SIGPROF, late)
readers = {"model": paoding.load_model, "plan": paoding.Plan.load, "data": load_data,
           "run": paoding.PruningResult.load, "studio": folder.load}
found, read = [], 0
for kind, path in json.load(sys.stdin):
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        readers[kind](path)
        read += 1
    except PaodingError as error:
        text = str(error)
        if "\\n" in text or len(text) > 1000:
            found.append([path, "no one sentence", text[:300]])
    except BaseException as error:
        found.append([path, type(error).__name__, str(error)[:300]])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
print(json.dumps([read, found]))
"""


def end_of_each(files: list[tuple[str, Path]]) -> tuple[int, list[Any]]:
    """How many files were read, and those that ended neither so nor in one sentence of ours."""
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _READER, str(ROOM), str(SECONDS)],
        input=json.dumps([[kind, os.fspath(path)] for kind, path in files]),
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    read, found = json.loads(done.stdout.splitlines()[-1])
    return read, found


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with one honest file of each kind."""
    place = tmp_path_factory.mktemp("whole")
    keras.utils.set_random_seed(1)
    x = keras.Input((6, 2))
    h = keras.layers.BatchNormalization()(keras.layers.Conv1D(4, 3, activation="relu")(x))
    h = keras.layers.LSTM(4)(h)
    model = keras.Model(x, keras.layers.Dense(3, "softmax")(h), name="honest")
    model.save(place / "m.keras")
    model.save(place / "m.h5")
    result = paoding.prune(model, step=0.5, compensation="merge", samples=16)
    result.plan.save(place / "plan.json")
    data = np.random.default_rng(0).random((8, 6, 2)).astype("float32"), np.arange(8) % 3
    np.savez(place / "data.npz", x=data[0], y=data[1])
    studio = PruningStudio(model, data=data, step=0.25, compensation="merge", autosave=False)
    studio.step()
    studio.wait()
    studio.save(place / "studio")
    return place


# -- a corpus: what an attacker would write ------------------------------------------------------

# Member of a .keras file or file of a folder -> what its content becomes.
_TEXTS: dict[str, bytes] = {
    "empty": b"",
    "nothing": b"null",
    "a number": b"1e999",
    "a list": b"[]",
    "an empty mapping": b"{}",
    "no text": b"\xff\xfe\x00\xd8",
    "nested without end": b"[" * 200_000,
    "nested mappings": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a lone surrogate": b'"\\ud800"',
    "one long number": b"9" * 100_000,
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00cos\nsystem\n.",
}
_CONFIGS: dict[str, tuple[bytes, bytes]] = {
    "a huge layer": (b'"filters": 4', b'"filters": 4000000000'),
    "a huge kernel": (b'"kernel_size": [3]', b'"kernel_size": [3000000000]'),
    "a negative layer": (b'"units": 4', b'"units": -4'),
    "a layer of a fraction": (b'"units": 4', b'"units": 4.5'),
    "a layer of words": (b'"units": 4', b'"units": "<script>"'),
    "another module": (b'"module": "keras.layers"', b'"module": "os"'),
    "another class": (b'"class_name": "LSTM"', b'"class_name": "__import__"'),
    "a lambda": (b'"class_name": "LSTM"', b'"class_name": "Lambda"'),
    "code for an activation": (b'"activation": "tanh"', b'"activation": "__import__(\'os\')"'),
    "a huge input": (b"[null, 6, 2]", b"[1000000000, 6000000, 2]"),
    "an input of no length": (b"[null, 6, 2]", b"[null, 0, 0]"),
    "another type": (b'"float32"', b'"float9999"'),
    "a name with a null": (b'"honest"', b'"hon\\u0000est"'),
    "a name that leaves the folder": (b'"honest"', b'"../../honest"'),
    "numbers that are none": (b'"epsilon": 0.001', b'"epsilon": NaN'),
}
_PLANS: dict[str, tuple[bytes, bytes]] = {
    "a huge unit": (b'"unit": ', b'"unit": 9999999999999999999'),
    "a negative unit": (b'"unit": ', b'"unit": -'),
    "no format": (b'"format"', b'"form"'),
    "another format": (b'"format": 1', b'"format": 99'),
}


def zipped(source: Path, target: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, members.get(name.replace(".", "_"), old.read(name)))
    return target


def corpus(whole: Path, place: Path) -> list[tuple[str, Path]]:
    made: list[tuple[str, Path]] = []
    config = (whole / "m.keras", zipfile.ZipFile(whole / "m.keras").read("config.json"))
    for number, (name, content) in enumerate(_TEXTS.items()):
        del name
        for member in ("config_json", "metadata_json", "model_weights_h5"):
            path = zipped(config[0], place / f"t{number}-{member}.keras", **{member: content})
            made.append(("model", path))
        for kind, suffix in (("model", "h5"), ("plan", "json"), ("data", "npz")):
            path = place / f"t{number}.{suffix}"
            path.write_bytes(content)
            made.append((kind, path))
        for kind, file in (
            *(("run", each) for each in ("plan.json", "report.json", "decisions.parquet")),
            *(("studio", each) for each in ("studio.json", "data.npz", "original.keras")),
        ):
            folder = place / f"t{number}-{kind}-{file}"
            shutil.copytree(whole / "studio", folder)
            (folder / file).write_bytes(content)
            made.append((kind, folder))
    for number, (old, new) in enumerate(_CONFIGS.values()):
        assert old in config[1], old
        changed = config[1].replace(old, new)
        made.append(("model", zipped(config[0], place / f"c{number}.keras", config_json=changed)))
        shutil.copy(whole / "m.h5", place / f"c{number}.h5")
        with h5py.File(place / f"c{number}.h5", "r+") as file:
            file.attrs["model_config"] = changed.decode("utf-8", "replace")
        made.append(("model", place / f"c{number}.h5"))
    text = (whole / "plan.json").read_bytes()
    for number, (old, new) in enumerate(_PLANS.values()):
        assert old in text, old
        (place / f"p{number}.json").write_bytes(text.replace(old, new))
        made.append(("plan", place / f"p{number}.json"))
    return made


@pytest.mark.slow
def test_every_file_of_the_corpus_ends_in_one_sentence_in_bounded_room(whole, tmp_path):
    read, found = end_of_each(corpus(whole, tmp_path))
    assert not found
    assert read < 30  # some changes do no harm; most files are refused


# -- a fuzz run: what damage does ----------------------------------------------------------------


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with one kind of damage."""
    kind, at = rng.integers(5), int(rng.integers(len(content)))
    much = int(rng.integers(1, max(len(content) // 8, 2)))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + bytes(much) + content[at + much :]
    if kind == 2:
        return content[:at] + content[at + much :]
    if kind == 3:
        return content[:at] + content[max(at - much, 0) : at] + content[at:]
    some = np.frombuffer(content, np.uint8).copy()
    places = rng.integers(0, len(some), 1 + much % 16)
    some[places] = rng.integers(0, 256, len(places))
    return some.tobytes()


def twisted(value: Any, rng: np.random.Generator) -> Any:
    """JSON in which one value, at any depth, is another of any kind."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = keys[int(rng.integers(len(keys)))]
        changed = dict(value) if isinstance(value, dict) else list(value)
        if rng.random() < 0.1:
            del changed[key]
        else:
            changed[key] = twisted(changed[key], rng)
        return changed
    others = (None, True, -1, 0, 2**40, 2**70, 1e308, "", "x" * 1000, "\x00", [], {}, [[]], [value])
    return others[int(rng.integers(len(others)))]


@pytest.mark.slow
def test_damaged_files_end_in_one_sentence_or_are_read_in_bounded_room(whole, tmp_path):
    rng = np.random.default_rng(SEED)
    made: list[tuple[str, Path]] = []
    config = json.loads(zipfile.ZipFile(whole / "m.keras").read("config.json"))
    plan = json.loads((whole / "plan.json").read_text())
    for number in range(30):
        for kind, name in (("model", "m.keras"), ("model", "m.h5"), ("data", "data.npz")):
            path = tmp_path / f"{number}-{name}"
            path.write_bytes(damaged((whole / name).read_bytes(), rng))
            made.append((kind, path))
        text = json.dumps(twisted(config, rng)).encode()
        made.append(
            ("model", zipped(whole / "m.keras", tmp_path / f"{number}.keras", config_json=text))
        )
        (tmp_path / f"{number}.json").write_text(json.dumps(twisted(plan, rng)))
        made.append(("plan", tmp_path / f"{number}.json"))
    files = sorted(path.name for path in (whole / "studio").iterdir() if path.suffix != ".html")
    for number in range(24):
        folder, file = tmp_path / f"studio{number}", files[number % len(files)]
        shutil.copytree(whole / "studio", folder)
        content = (folder / file).read_bytes()
        if file.endswith(".json") and number % 2:
            content = json.dumps(twisted(json.loads(content), rng)).encode()
        else:
            content = damaged(content, rng)
        (folder / file).write_bytes(content)
        made.append(("studio" if number % 3 else "run", folder))
    _, found = end_of_each(made)
    assert not found


# -- kills: nothing is ever half there -----------------------------------------------------------

_SAVER = """
import sys, warnings
warnings.simplefilter("ignore")
import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("breast-cancer")
studio = PruningStudio(model, data=data, step=0.5, target=0.5, compensation="merge",
                       autosave=False)
studio.step()
studio.wait()
print("ready", flush=True)
for number in range(1000):
    studio.save(f"{sys.argv[1]}/{number}")
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_studio_that_is_killed_while_it_saves_leaves_whole_folders_or_none(tmp_path):
    rng = np.random.default_rng(SEED)
    left = []
    for attempt, files in enumerate(rng.integers(0, 9, 2)):
        place = tmp_path / str(attempt)
        place.mkdir()
        with subprocess.Popen(
            [sys.executable, "-c", _SAVER, os.fspath(place)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as saver:  # fmt: skip
            assert saver.stdout is not None
            for _ in range(3):  # ready, and two saved
                assert saver.stdout.readline(), saver.stderr and saver.stderr.read()
            # Within one of the next, when so many of its files are begun.
            while sum(1 for _ in place.glob(".*/**/*")) <= files and saver.poll() is None:
                time.sleep(0.001)
            saver.kill()
        left += [("studio", path) for path in place.iterdir() if not path.name.startswith(".")]
    read, found = end_of_each(left)
    assert not found and read == len(left) >= 4

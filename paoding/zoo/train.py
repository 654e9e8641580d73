"""Train the zoo's models from the digits in the repository and scikit-learn's table.

Run ``python -m paoding.zoo.train`` in a clone: it writes each model, and the evaluation split
of the table, beside this file. The digits are two files of one shuffled set: the training ones
in ``benchmarks/data`` (not in the wheel), the held-back ones in this package. Held-back data is
used once, to print the accuracy; nothing is chosen by it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from paoding.zoo import names

HERE = Path(__file__).parent
TRAINING_DIGITS = HERE.parents[1] / "benchmarks" / "data" / "mnist-train.npz"
TABLE_TRAINING_ROWS = 400
SEED = 0

Arrays = tuple[np.ndarray, np.ndarray]


def mnist_mlp() -> keras.Model:
    """Return an untrained 784-128-128-64-10 network on flat digits."""
    return keras.Sequential(
        [
            keras.Input((784,), name="pixels"),
            keras.layers.Dense(128, activation="relu", name="dense_1"),
            keras.layers.Dense(128, activation="relu", name="dense_2"),
            keras.layers.Dense(64, activation="relu", name="dense_3"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="mnist_mlp",
    )


def mnist_cnn() -> keras.Model:
    """Return an untrained network of two convolutions with BatchNorm, then 512-128-10."""
    layers: list[keras.layers.Layer] = [keras.Input((28, 28, 1), name="image")]
    for index, filters in enumerate((32, 64), start=1):
        layers += [
            # BatchNorm brings its own shift, so the convolution needs no bias.
            keras.layers.Conv2D(filters, 3, use_bias=False, name=f"conv_{index}"),
            keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{index}"),
            keras.layers.ReLU(name=f"relu_{index}"),
            keras.layers.MaxPooling2D(name=f"pool_{index}"),
        ]
    layers += [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(512, activation="relu", name="dense_1"),
        keras.layers.Dropout(0.3, seed=SEED, name="dropout"),
        keras.layers.Dense(128, activation="relu", name="dense_2"),
        keras.layers.Dense(10, activation="softmax", name="digit"),
    ]
    return keras.Sequential(layers, name="mnist_cnn")


def breast_cancer() -> keras.Model:
    """Return an untrained 30-64-64-1 network with a sigmoid output."""
    return keras.Sequential(
        [
            keras.Input((30,), name="measurements"),
            keras.layers.Dense(64, activation="relu", name="dense_1"),
            keras.layers.Dense(64, activation="relu", name="dense_2"),
            keras.layers.Dense(1, activation="sigmoid", name="benign"),
        ],
        name="breast_cancer",
    )


def digits(shape: tuple[int, ...]) -> tuple[Arrays, Arrays]:
    """Return the training and the held-back digits in [0, 1], each digit in ``shape``."""

    def read(path: Path) -> Arrays:
        with np.load(path, allow_pickle=False) as file:
            return file["x"].reshape(-1, *shape).astype("float32") / 255, file["y"].astype("int64")

    return read(TRAINING_DIGITS), read(HERE / "mnist.npz")


def table() -> tuple[Arrays, Arrays]:
    """Return the first 400 rows of the breast cancer table and the rest of it, in [0, 1].

    Each column is scaled by the range it has in the training rows; a held-back value beyond
    that range is moved to its end.
    """
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    train, held = slice(TABLE_TRAINING_ROWS), slice(TABLE_TRAINING_ROWS, None)
    lo, hi = x[train].min(0), x[train].max(0)
    x = np.clip((x - lo) / (hi - lo), 0, 1).astype("float32")
    return (x[train], y[train]), (x[held], y[held])


def _fit(model: keras.Model, data: Arrays, epochs: int, rate: float, batch: int) -> None:
    steps = epochs * -(-len(data[0]) // batch)
    loss = (
        "binary_crossentropy" if model.output_shape[-1] == 1 else "sparse_categorical_crossentropy"
    )
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)), loss)
    model.fit(*data, epochs=epochs, batch_size=batch, verbose=0)


def _accuracy(model: keras.Model, data: Arrays) -> float:
    scores = model.predict(data[0], verbose=0)
    guess = scores[:, 0] > 0.5 if scores.shape[1] == 1 else scores.argmax(1)
    return float(np.mean(guess == data[1]))


RECIPES: dict[str, tuple[Callable[[], keras.Model], Callable[[], tuple[Arrays, Arrays]], dict]] = {
    "mnist-mlp": (mnist_mlp, lambda: digits((784,)), {"epochs": 30, "rate": 1e-3, "batch": 32}),
    "mnist-cnn": (mnist_cnn, lambda: digits((28, 28, 1)), {"epochs": 8, "rate": 1e-3, "batch": 64}),
    "breast-cancer": (breast_cancer, table, {"epochs": 100, "rate": 2e-3, "batch": 16}),
}


def train(name: str, folder: Path = HERE) -> float:
    """Train the model called ``name``, write it into ``folder`` and return its accuracy.

    The same seed gives the same weights on the same machine.
    """
    build, data, settings = RECIPES[name]
    keras.utils.set_random_seed(SEED)
    training, held = data()
    model = build()
    _fit(model, training, **settings)
    # A model without its optimizer: a third of the bytes, and nothing to compile on loading.
    bare = build()
    bare.set_weights(model.get_weights())
    bare.save(folder / f"{name}.keras")
    if name == "breast-cancer":
        np.savez_compressed(folder / "breast-cancer.npz", x=held[0], y=held[1].astype("uint8"))
    return _accuracy(bare, held)


def main() -> None:
    """Train the models named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*names(), []], help="default: all")
    for name in parser.parse_args().names or names():
        print(f"{name}: accuracy on held-back data {train(name):.4f}", flush=True)


if __name__ == "__main__":
    main()

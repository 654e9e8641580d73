"""A network that several tests prune."""

from __future__ import annotations

import keras
from keras import layers


def dense():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(12, "relu"),
            layers.Dense(8, "tanh"),
            layers.Dense(3, "softmax"),
        ]
    )

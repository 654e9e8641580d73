"""Small networks of kinds that once took minutes: few parameters, many small calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def grouped() -> Any:
    import keras
    from keras import layers

    inputs = x = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    for _ in range(2):
        x = layers.Conv2D(32, 3, padding="same", groups=4, activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def shuffled() -> Any:
    import keras
    from keras import layers

    inputs = x = keras.Input((32, 32, 3))
    x = layers.Conv2D(24, 3, strides=2, padding="same", activation="relu")(x)
    for width, strides in ((48, 2), (48, 1), (96, 2), (96, 1)):
        x = _shuffled_block(x, width, strides)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def _shuffled_block(x: Any, width: int, strides: int, groups: int = 3) -> Any:
    from keras import layers

    y = layers.Conv2D(width, 1, groups=groups, use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    height, across, channels = y.shape[1:]
    y = layers.Reshape((height, across, groups, channels // groups))(y)
    y = layers.Reshape((height, across, channels))(layers.Permute((1, 2, 4, 3))(y))
    y = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(y)
    y = layers.Conv2D(width, 1, groups=groups, use_bias=False)(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(y)
    same = strides == 1 and x.shape[-1] == width
    return layers.ReLU()(layers.Add()([x, y]) if same else y)


def gated() -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((100, 6))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GRU(16)(inputs)))


def sequence() -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((16,), dtype="int32")
    x = layers.Embedding(40, 12)(inputs)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.GRU(8)(x)))


def detector() -> Any:
    import keras
    from keras import layers

    inputs = x = keras.Input((96, 96, 3))
    for width in (16, 32, 64):
        x = layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    below = layers.Conv2D(96, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Concatenate()([x, layers.UpSampling2D()(below)])
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    boxes = layers.Conv2D(8, 1, name="boxes")(x)
    return keras.Model(inputs, [boxes, layers.Conv2D(6, 1, activation="sigmoid")(x)])


def u_net() -> Any:
    import keras
    from keras import layers

    def twice(x: Any, width: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        return x

    inputs = keras.Input((64, 64, 1))
    fine = twice(inputs, 8)
    middle = twice(layers.MaxPooling2D()(fine), 16)
    x = twice(layers.MaxPooling2D()(middle), 32)
    for width, beside in ((16, middle), (8, fine)):
        x = layers.Conv2DTranspose(width, 2, strides=2)(x)
        x = twice(layers.Concatenate()([x, beside]), width)
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x))


KINDS: dict[str, tuple[Callable[[], Any], str]] = {
    "grouped": (grouped, "two convolutions in 4 groups"),
    "shuffled": (shuffled, "grouped convolutions, shuffled, depthwise"),
    "gru": (gated, "GRU over 100 steps"),
    "sequence": (sequence, "two directions of LSTM, then GRU, 16 steps"),
    "detector": (detector, "detector of two outputs at 96"),
    "u-net": (u_net, "U-Net at 64"),
}

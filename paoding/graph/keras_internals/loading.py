"""Load models of strangers: a weight that the file does not hold is never made."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from paoding.errors import ModelError

_alone = threading.Lock()


@contextmanager
def room_for(values: int) -> Iterator[None]:
    """Refuse to make weights of more values than these, all together, before memory is taken.

    Layers make their weights full of random numbers before those of the file are read, in the
    sizes that the file's config names: a config of a few bytes can ask for any size.

    Args:
        values: that the layers made inside may hold.

    Raises:
        ModelError: they would hold more; it names the layer.
    """
    made = 0
    plain = keras.layers.Layer.add_weight

    def add_weight(self: Any, shape: Any = None, *args: Any, **options: Any) -> Any:
        nonlocal made
        sizes = [shape] if isinstance(shape, int) else list(shape or ())
        made += math.prod(n for n in sizes if isinstance(n, int))
        if made > values:
            raise ModelError(
                f"layer '{self.name}' asks for a weight of shape {tuple(sizes)}, more than the "
                "file holds; it is damaged."
            )
        return plain(self, shape, *args, **options)

    with _alone:
        keras.layers.Layer.add_weight = add_weight
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = plain

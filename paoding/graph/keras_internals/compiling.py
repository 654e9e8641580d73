"""Call a layer that takes one step after another as one graph, which is made once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import keras
from keras import tree

_made: weakref.WeakKeyDictionary[Any, Callable[..., Any]] = weakref.WeakKeyDictionary()


def takes_steps(op: Any) -> bool:
    """Whether TensorFlow, outside of a graph, would run this layer step by step in Python."""
    known = isinstance(op, keras.layers.RNN | keras.layers.Bidirectional)
    if not known or getattr(op, "stateful", False) or keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.executing_eagerly())


def call_in_one(op: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What the layer makes of its arguments, masks included, under the weights in force."""
    if op not in _made:
        _made[op] = _function(op)
    args, kwargs = tree.map_structure(_tensor, (args, kwargs))
    masks = [_mask_of(x) for x in tree.flatten((args, kwargs))]
    values = [keras.ops.copy(v.value) for v in op.variables]
    made, found = _made[op](values, args, kwargs, masks)
    _put_on(made, found)
    return made


def _function(op: Any) -> Callable[..., Any]:
    import tensorflow as tf

    own, variables = weakref.ref(op), list(op.variables)

    @tf.function(autograph=False)  # one graph a shape: another would round otherwise
    def run(values: Any, args: Any, kwargs: Any, masks: Any) -> Any:
        layer = own()
        assert layer is not None  # it is being called
        _put_on((args, kwargs), masks)
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            made = layer(*args, **kwargs)
        return made, [_mask_of(x) for x in tree.flatten(made)]

    return run


def _tensor(value: Any) -> Any:
    return keras.ops.convert_to_tensor(value) if hasattr(value, "__array__") else value


def _mask_of(value: Any) -> Any:
    return getattr(value, "_keras_mask", None)


def _put_on(tensors: Any, masks: Any) -> None:
    for x, mask in zip(tree.flatten(tensors), masks, strict=True):
        if mask is not None:
            x._keras_mask = mask

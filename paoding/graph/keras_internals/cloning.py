"""Make a model again out of new layers, with its flags, its own state and its compilation."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src.models.functional import functional_like_constructor

from paoding.errors import ModelError
from paoding.graph.flat import Flat, Shape
from paoding.graph.keras_internals.opening import functional_of, is_container

_PASSED_ON = (
    FunctionType,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)
_NO_ASSETS = keras.layers.Layer.save_assets if hasattr(keras.layers.Layer, "save_assets") else None


def clone(model: Any, flat: Flat, rebuild: Callable[[Any, Any], Any], shape_of: Any) -> Any:
    """The same model out of new layers; the original's layers are never called again.

    Args:
        model: the original.
        flat: its calls.
        rebuild: ``(op, config) -> new op``, called once for each layer or operation.
        shape_of: ``tensor number -> shape`` in the new model.
    """
    made: dict[int, tuple[Any, Any]] = {}

    def new(op: Any) -> Any:
        if id(op) not in made:
            fresh = assemble(op) if is_container(op) else rebuild(op, config_of(op))
            _hold_copies(op, fresh, made)
            made[id(op)] = op, fresh
        return made[id(op)][1]

    def assemble(container: Any) -> Any:
        functional = functional_of(container)
        inputs = [
            _new_input(symbol, shape_of(t))
            for symbol, t in zip(functional.inputs, flat.entries[id(functional)], strict=True)
        ]
        if isinstance(container, keras.Sequential):
            layers = [new(layer) for layer in container.layers]
            return keras.Sequential(
                [inputs[0]._keras_history.operation, *layers], name=container.name
            )
        struct = tree.pack_sequence_as(functional._inputs_struct, inputs)
        outputs = functional._run_through_graph(struct, operation_fn=new)
        return _class_of(container)(struct, outputs, name=container.name)

    with keras.saving.custom_object_scope(custom_classes(model)):
        cloned = new(model)
    for old, fresh in made.values():
        _keep_flags(old, fresh)
    return cloned


def _new_input(symbol: Any, shape: Shape) -> Any:
    layer = symbol._keras_history.operation
    config = {**layer.get_config(), "batch_shape": shape}
    return type(layer).from_config(config).output


def _hold_copies(old: Any, fresh: Any, made: dict[int, tuple[Any, Any]]) -> None:
    """Give an own layer that keeps another of the model the copy of that one, before it is built.

    What it takes of the other's weights then stays tied.
    """
    if type(old).__module__.startswith("keras.") or is_container(old):
        return
    for name, kept in vars(old).items():
        if isinstance(kept, keras.layers.Layer) and id(kept) in made:
            own = getattr(fresh, name, None)
            if own is not None:  # a copy of its own, made from its configuration
                fresh._tracker.untrack(own)
            setattr(fresh, name, made[id(kept)][1])


def _class_of(container: Any) -> Any:
    """The container's own class where it can be made from inputs and outputs."""
    kind = type(container)
    return kind if functional_like_constructor(kind) else keras.Model


def _keep_flags(old: Any, fresh: Any) -> None:
    """Trainable flags and initializers, inner layers' too, as the original has them."""
    if not isinstance(old, keras.layers.Layer):
        return
    pairs = [(old, fresh)]
    if not is_container(old):
        inner = (list(layer._flatten_layers()) for layer in (old, fresh))
        pairs = list(zip(*inner, strict=True))
    for before, after in pairs:
        after._trainable = before._trainable
        for name, value in vars(before).items():
            if name.endswith("_initializer") and not _has_own_shape(value):
                setattr(after, name, value)


def _has_own_shape(initializer: Any) -> bool:
    """Whether an initializer holds an array, which no longer fits a smaller layer."""
    return np.ndim(getattr(initializer, "value", 0.0)) > 0


def custom_classes(model: Any) -> dict[str, Any]:
    """Classes of a model that Keras does not know, so that nothing needs to be registered."""
    kinds = {type(layer) for layer in model._flatten_layers()}
    return {kind.__name__: kind for kind in kinds if not kind.__module__.startswith("keras.")}


def copy_compilation(model: Any, fresh: Any) -> None:
    """Compile a new model like the old one; warn where its loss or optimizer cannot be copied."""
    if not getattr(model, "compiled", False):
        return
    scope = custom_classes(model)
    for part in tree.flatten(model._compile_config.config):
        kind = part if isinstance(part, type) or hasattr(part, "__name__") else type(part)
        scope.setdefault(kind.__name__, kind)
    try:
        with keras.saving.custom_object_scope(scope):
            fresh.compile_from_config(model.get_compile_config())
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        warnings.warn(
            f"The pruned '{model.name}' is not compiled, since its loss, metrics or optimizer "
            f"cannot be copied ({str(error).splitlines()[0]}); call compile again.",
            stacklevel=4,
        )


def config_of(op: Any) -> dict[str, Any]:
    """The constructor arguments of a layer or operation.

    Raises:
        ModelError: a custom layer does not tell them.
    """
    if isinstance(op, keras.layers.Lambda):
        return {"name": op.name, "dtype": op.dtype_policy, "trainable": op.trainable}
    try:
        with warnings.catch_warnings():  # of lambdas, which are not written anywhere here
            warnings.simplefilter("ignore")
            config = dict(op.get_config())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(
            f"Layer '{op.name}' ({type(op).__name__}) does not tell how to make it again: give "
            f"it a get_config method ({str(error).strip().splitlines()[0]})."
        ) from None
    _keep_own(op, config)
    return config


def _keep_own(layer: Any, config: dict[str, Any]) -> None:
    """Put functions and regularizers of the user's own into a config as they are.

    Keras finds them again by their names only where they were registered, and a lambda never.
    """
    for key, kept in config.items():
        own = getattr(layer, key, getattr(layer, f"_{key}", None))
        if isinstance(own, keras.layers.Layer):
            if isinstance(kept, dict) and isinstance(kept.get("config"), dict):
                _keep_own(own, kept["config"])
        elif isinstance(own, _PASSED_ON) and not _module_of(own).startswith("keras."):
            config[key] = own


def _module_of(value: Any) -> str:
    kind = value if isinstance(value, FunctionType) else type(value)
    return str(kind.__module__)


def revive(op: Any, config: dict[str, Any]) -> Any:
    """A new layer or operation of the same class; custom classes need no registration.

    Weights are set afterwards, so that initializers do nothing but zeros here.
    """
    if isinstance(op, keras.layers.Lambda):  # the function itself, not its pickled form
        return type(op)(
            op.function,
            output_shape=op._output_shape,
            mask=op.mask,
            arguments=op.arguments,
            **config,
        )
    known = type(op).__module__.startswith("keras.")
    zeros = [k for k in config if known and k.endswith("_initializer") and config[k] is not None]
    return type(op).from_config({**config, **dict.fromkeys(zeros, "zeros")})


def allow_export(model: Any) -> None:
    """Let Keras write a model that was built but never called, such as one just loaded."""
    if functional_of(model) is not None:
        model._called = True


def copy_own_state(old: Any, fresh: Any) -> None:
    """State that is no weight: vocabularies, statistics that a layer works out from weights."""
    for before, after in zip(old._flatten_layers(), fresh._flatten_layers(), strict=True):
        if hasattr(before, "save_assets") and type(before).save_assets is not _NO_ASSETS:
            with tempfile.TemporaryDirectory() as folder:
                before.save_assets(folder)
                after.load_assets(folder)
        if hasattr(after, "finalize_state") and before.built:
            after.finalize_state()

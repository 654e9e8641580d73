"""The one place that touches what Keras keeps private: its nodes, histories and containers."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src.models.functional import Functional, functional_like_constructor

from paoding.errors import ModelError

Shape = tuple[int | None, ...]
_PASSED_ON = (
    FunctionType,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)
# What TensorFlow takes for a name inside a graph; a model may come from another backend.
_SCOPE_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]*")
_NO_ASSETS = keras.layers.Layer.save_assets if hasattr(keras.layers.Layer, "save_assets") else None


@dataclass(frozen=True)
class TensorRef:
    """A tensor of the flat graph, by its number."""

    tensor: int


@dataclass(frozen=True, eq=False)
class Node:
    """One call of one layer or operation, nested models opened up.

    Args:
        index: place in topological order.
        op: the ``keras.Layer`` or ``keras.Operation`` that is called.
        name: its name, after the names of the models that enclose it.
        inputs, outputs: numbers of the tensors that it reads and makes.
        in_shapes, out_shapes: their shapes, the batch axis first.
        args, kwargs: the call's arguments, with a ``TensorRef`` for each tensor.
        source: the Keras node itself (surgery looks calls up by it).
    """

    index: int
    op: Any
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    in_shapes: tuple[Shape, ...]
    out_shapes: tuple[Shape, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    source: Any

    @property
    def kind(self) -> str:
        """The class name of the layer or operation."""
        return type(self.op).__name__


@dataclass(frozen=True, eq=False)
class Flat:
    """A model as a list of calls over numbered tensors.

    Args:
        nodes: the calls, in topological order.
        inputs, outputs: tensors of the model.
        shapes: of every tensor, the batch axis first.
        dtypes: of every tensor.
        entries: ``id`` of each model inside (and of the whole) -> tensors of its first call.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...]
    entries: dict[int, tuple[int, ...]]


def is_container(op: Any) -> bool:
    """Whether ``op`` is a nested model whose graph can be opened."""
    return functional_of(op) is not None


def functional_of(model: Any) -> Any:
    """The ``Functional`` behind a model, or None where the model has no layer graph."""
    if isinstance(model, keras.Sequential):
        return model._functional if type(model).call is keras.Sequential.call else None
    if isinstance(model, Functional) and type(model).call is Functional.call:
        return model
    return None


def require_graph(model: Any) -> Any:
    """The ``Functional`` behind ``model``, or a ``ModelError`` that says what is missing."""
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"A keras.Model is needed, but this is a {type(model).__module__}."
            f"{type(model).__name__}; load it with paoding.load_model(path)."
        )
    functional = functional_of(model)
    if functional is None and isinstance(model, keras.Sequential | Functional) and model.built:
        raise ModelError(
            f"Model '{model.name}' ({type(model).__name__}) has a call method of its own, so its "
            "layer graph does not say what it computes: rebuild it without one to prune it."
        )
    if functional is None and isinstance(model, keras.Sequential):
        raise ModelError(
            f"Model '{model.name}' has not been built, so its shapes are unknown: add an "
            "Input layer, or call model.build(input_shape)."
        )
    if functional is None:
        raise ModelError(
            f"Model '{model.name}' is a subclass of keras.Model ({type(model).__name__}) without "
            "a layer graph: rebuild it as a functional or Sequential model to prune it."
        )
    return functional


def flatten(model: Any) -> Flat:
    """Open ``model`` and the models inside it into one list of calls.

    Args:
        model: a built functional or Sequential ``keras.Model``.

    Returns:
        The calls in topological order.

    Raises:
        ModelError: the model has no layer graph.
    """
    functional = require_graph(model)
    _require_model_name(functional.name)
    shapes: list[Shape] = []
    dtypes: list[str] = []
    nodes: list[Node] = []
    entries: dict[int, tuple[int, ...]] = {}

    def new_tensor(symbol: Any) -> int:
        shapes.append(tuple(symbol.shape))
        dtypes.append(str(symbol.dtype))
        return len(shapes) - 1

    def visit(inner: Any, arguments: list[int], prefix: str) -> list[int]:
        entries.setdefault(id(inner), tuple(arguments))
        ids = {id(symbol): t for symbol, t in zip(inner.inputs, arguments, strict=True)}
        for source in calls_of(inner):
            if any(id(symbol) not in ids for symbol in source.input_tensors):
                continue  # not computable from this model's inputs
            _require_name(source.operation, prefix)
            nested = functional_of(source.operation)
            reads = [ids[id(symbol)] for symbol in source.input_tensors]
            if nested is not None:
                made = visit(nested, reads, f"{prefix}{source.operation.name}/")
            else:
                made = [new_tensor(symbol) for symbol in source.outputs]
                nodes.append(_node(len(nodes), source, prefix, reads, made, ids, shapes))
            ids.update((id(symbol), t) for symbol, t in zip(source.outputs, made, strict=True))
        return [ids[id(symbol)] for symbol in inner.outputs]

    inputs = [new_tensor(symbol) for symbol in functional.inputs]
    outputs = visit(functional, inputs, "")
    kinds = tuple(dtypes)
    return Flat(tuple(nodes), tuple(inputs), tuple(outputs), tuple(shapes), kinds, entries)


def _require_model_name(name: str) -> None:
    if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ModelError(
            f"Model {name!a} has a name that no file can hold: rename it, with whole letters only."
        )


def require_untied(flat: Flat) -> None:
    """Raise ``ModelError`` where two layers hold the same weight.

    Keras makes a layer anew from its configuration, which does not say so: the smaller model
    would have two weights where there was one.
    """
    owners: dict[int, Node] = {}
    for node in flat.nodes:
        for variable in node.op.variables if isinstance(node.op, keras.layers.Layer) else ():
            first = owners.setdefault(id(variable), node)
            if first.op is not node.op:
                raise ModelError(
                    f"Layers '{first.name}' and '{node.name}' hold the same weight "
                    f"('{variable.name}'), a tie that a smaller copy would lose: give each its "
                    "own, or call one layer twice, to prune the model."
                )


def require_tensorflow(what: str) -> None:
    """Raise ``ModelError`` where Keras runs on another backend than TensorFlow."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ModelError(
            f"{what} needs TensorFlow, and Keras runs on {backend}: set KERAS_BACKEND=tensorflow "
            "before Python starts."
        )


def require_loadable(model: Any, path: Any) -> None:
    """Raise ``ModelError`` where Keras cannot read a model again that it has just written."""
    try:
        # The file was made here, from objects that are here already: nothing foreign is read.
        keras.saving.load_model(
            path, custom_objects=custom_classes(model), compile=False, safe_mode=False
        )
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"Keras writes model '{model.name}' in a form that it cannot read again ({reason}), so "
            "nothing is saved: a layer that a model shares with a model inside it has this "
            "effect; call it in one of them."
        ) from error


def _require_name(op: Any, prefix: str) -> None:
    if not _SCOPE_NAME.fullmatch(op.name):
        raise ModelError(
            f"Layer '{prefix}{op.name}' has a name with which TensorFlow cannot run it: rename it, "
            "with letters from a to z, digits, and . _ - only."
        )


def require_free_batch(model: Any, flat: Flat) -> None:
    """Raise ``ModelError`` where a fixed batch size is written into the graph, as a reshape may."""
    shapes = [flat.shapes[t] for t in flat.inputs]
    if shapes[0][0] is None or any(None in shape for shape in shapes):
        return
    one = (np.zeros([int(n or 0) for n in x.shape], x.dtype) for x in model.inputs)
    more = [np.concatenate([batch, batch[:1]]) for batch in one]
    try:
        found = run(flat, more, {}, [], list(flat.outputs))
    except Exception:  # whatever an operation says of shapes that do not fit
        found = []
    if not found or any(len(y) != len(more[0]) for y in found):
        raise ModelError(
            f"Model '{model.name}' works on batches of exactly {shapes[0][0]}: rebuild it for "
            "batches of any size to prune it."
        )


def require_plain(node: Node) -> None:
    """Raise ``ModelError`` for a layer that answers from more than its inputs and its weights."""
    op, name = node.op, f"Layer '{node.name}' ({node.kind})"
    if getattr(op, "stateful", False):
        raise ModelError(
            f"{name} is stateful, so what it answers depends on what it was asked before: "
            "rebuild the model with stateful=False to prune it."
        )
    inside = getattr(op, "activation", None)
    # Keras makes such weights at the first real call only, behind the back of a traced graph.
    if isinstance(inside, keras.layers.Layer) and (inside.weights or not inside.built):
        raise ModelError(
            f"{name} has an activation with weights of its own ({type(inside).__name__}): "
            "make that a layer after it."
        )
    for layer in op._flatten_layers() if isinstance(op, keras.layers.Layer) else ():
        if getattr(layer, "quantization_mode", None):
            raise ModelError(
                f"{name} is quantized ({layer.quantization_mode}): prune the model as it was "
                "before, and quantize what comes out."
            )
        if getattr(layer, "lora_enabled", False):
            raise ModelError(
                f"{name} has LoRA weights: put its kernel, in which they are merged, into a model "
                "without them to prune it."
            )


def _node(
    index: int,
    source: Any,
    prefix: str,
    reads: list[int],
    made: list[int],
    ids: dict[int, int],
    shapes: list[Shape],
) -> Node:
    def ref(value: Any) -> Any:
        return TensorRef(ids[id(value)]) if isinstance(value, keras.KerasTensor) else value

    return Node(
        index=index,
        op=source.operation,
        name=prefix + source.operation.name,
        inputs=tuple(reads),
        outputs=tuple(made),
        in_shapes=tuple(shapes[t] for t in reads),
        out_shapes=tuple(shapes[t] for t in made),
        args=tree.map_structure(ref, tuple(source.arguments.args)),
        kwargs=tree.map_structure(ref, dict(source.arguments.kwargs)),
        source=source,
    )


def calls_of(functional: Any) -> Iterator[Any]:
    """The calls inside one functional model, inputs first (not those of nested models)."""
    by_depth = functional._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.operation is not None and not node.is_input:
                yield node


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


def signature_of_one(model: Any) -> list[Any]:
    """The inputs of a single sample, in the structure that the model takes."""

    def spec(symbol: Any) -> Any:
        return keras.InputSpec(shape=(1, *symbol.shape[1:]), dtype=symbol.dtype, name=symbol.name)

    if isinstance(model, keras.Sequential):
        return [spec(symbol) for symbol in model.inputs]
    return [tree.map_structure(spec, require_graph(model)._inputs_struct)]


def ask(model: Any, arrays: list[Any]) -> list[np.ndarray]:
    """A model's outputs for a batch, one array for each; inputs in their order, as in ``inputs``.

    It is called as it is: ``predict`` would compile it and set up a pipeline.
    """
    return [values for values, _ in answers(model, arrays)]


def answers(model: Any, arrays: list[Any]) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """A model's outputs as ``ask`` gives them, each with the mask that the model says, or None."""
    made = model(pack(model, map(keras.ops.convert_to_tensor, arrays)), training=False)
    masks = [getattr(y, "_keras_mask", None) for y in tree.flatten(made)]
    numpy = keras.ops.convert_to_numpy
    return [
        (numpy(y), None if mask is None else numpy(mask))
        for y, mask in zip(tree.flatten(made), masks, strict=True)
    ]


def pack(model: Any, inputs: Iterable[Any]) -> Any:
    """Inputs in their order, as in ``inputs``, in the form in which the model takes them."""
    given = list(inputs)
    if isinstance(model, keras.Sequential):
        return given[0]
    return tree.pack_sequence_as(require_graph(model)._inputs_struct, given)


def names_of(model: Any) -> tuple[list[str], list[str]]:
    """The names of a model's inputs and outputs in their order: those of its dictionaries first."""
    functional = require_graph(model)

    def keys(struct: Any, otherwise: list[str]) -> list[str]:
        plain = isinstance(struct, dict) and len(struct) == len(otherwise)
        return sorted(map(str, struct)) if plain else otherwise

    inputs = keys(functional._inputs_struct, [x.name for x in functional.inputs])
    return inputs, keys(functional._outputs_struct, list(functional.output_names))


def copy_own_state(old: Any, fresh: Any) -> None:
    """State that is no weight: vocabularies, statistics that a layer works out from weights."""
    for before, after in zip(old._flatten_layers(), fresh._flatten_layers(), strict=True):
        if hasattr(before, "save_assets") and type(before).save_assets is not _NO_ASSETS:
            with tempfile.TemporaryDirectory() as folder:
                before.save_assets(folder)
                after.load_assets(folder)
        if hasattr(after, "finalize_state") and before.built:
            after.finalize_state()


def all_weights(model: Any) -> list[Any]:
    """Every variable of a model, seed generators' state included, each once, in order."""
    seen: dict[int, Any] = {}
    for variable in model.variables:
        seen.setdefault(id(variable), variable)
    return list(seen.values())


def run(
    flat: Flat,
    inputs: list[Any],
    values: dict[int, Any],
    variables: list[Any],
    wanted: list[int],
) -> list[np.ndarray]:
    """Tensors of the graph for concrete inputs, under other weights than the model's own.

    Args:
        flat: the graph.
        inputs: one array per model input, batch first.
        values: variable number -> array to use in place of the variable's value.
        variables: the variables that the numbers mean.
        wanted: numbers of the tensors to return.
    """
    known: dict[int, Any] = dict(
        zip(flat.inputs, map(keras.ops.convert_to_tensor, inputs), strict=False)
    )
    left = dict.fromkeys(wanted, True)
    last = max((n.index for n in flat.nodes if set(n.outputs) & set(left)), default=-1)
    uses: dict[int, int] = {}
    for node in flat.nodes[: last + 1]:
        for t in node.inputs:
            uses[t] = uses.get(t, 0) + 1

    mapping = [(variables[i], keras.ops.cast(v, variables[i].dtype)) for i, v in values.items()]
    with keras.StatelessScope(state_mapping=mapping):
        for node in flat.nodes[: last + 1]:
            known.update(zip(node.outputs, call(node, known), strict=True))
            for t in node.inputs:  # memory: forget what nobody reads again
                uses[t] -= 1
                if not uses[t] and t not in left and t not in flat.inputs:
                    known.pop(t, None)
    return [np.asarray(known[t]) for t in wanted]


def call(node: Node, known: Mapping[int, Any]) -> list[Any]:
    """The output tensors of one node at inference, from the tensors that it reads by number."""

    def resolve(value: Any) -> Any:
        return known[value.tensor] if isinstance(value, TensorRef) else value

    args = tree.map_structure(resolve, node.args)
    kwargs = tree.map_structure(resolve, node.kwargs)
    if isinstance(node.op, keras.layers.Layer) and node.op._call_has_training_arg:
        kwargs["training"] = False
    with keras.name_scope("paoding"):  # inside of one, a name may begin with an underscore
        return list(tree.flatten(node.op(*args, **kwargs)))


def call_to_learn(node: Node, known: Mapping[int, Any]) -> list[Any]:
    """Like ``call``, where gradients by the layer's own weights are to be taken afterwards.

    TensorFlow's oneDNN kernel for the gradient by a convolution's kernel of one place corrupts
    memory for some shapes if it has strides. Such a layer reads single pixels only: picked out
    beforehand, they give the same with no strides.
    """
    op = node.op
    plain = type(op) in (keras.layers.Conv1D, keras.layers.Conv2D) and max(op.kernel_size) == 1
    if not plain or max(op.strides) == 1 or op.data_format != "channels_last":
        return call(node, known)
    x = keras.ops.cast(known[node.inputs[0]], op.compute_dtype)
    x = x[(slice(None), *(slice(None, None, step) for step in op.strides))]
    with keras.name_scope("paoding"):
        kernel = keras.ops.cast(op.kernel, op.compute_dtype)
        y = keras.ops.conv(x, kernel, padding="valid", data_format=op.data_format)
        y = y + keras.ops.cast(op.bias, op.compute_dtype) if op.use_bias else y
        return [y if op.activation is None else op.activation(y)]

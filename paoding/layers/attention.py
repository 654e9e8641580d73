"""Multi-head attention: a unit is a whole head, since a smaller key changes the scale."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from paoding.layers.base import Call, Cut, Layout, Rule, Shapes, register


@register
class MultiHeadAttention(Rule):
    """Whole heads are units, and so is the width that the output layer makes."""

    types = (keras.layers.MultiHeadAttention,)

    def trace(self, call: Call) -> list[Layout] | tuple[Layout, ...]:
        layer = call.op
        if len(call.out_shapes) > 1:
            return call.protect_all("its attention scores are an output")
        (query,), (value,) = call.given(0, "query"), call.given(1, "value")
        key = next(iter(call.given(2, "key")), value)  # without a key the value is the key
        heads = call.new_units(layer.num_heads)
        reads = (
            (layer.query_dense, call.labels(-1, query), query),
            (layer.key_dense, call.labels(-1, key), key),
            (layer.value_dense, call.labels(-1, value), value),
        )
        for dense, labels, which in reads:
            call.consume(dense.kernel, 0, labels, -1, which)
            heads = call.produce(dense.kernel, 1, heads, "heads")
            if dense.bias is not None:
                call.produce(dense.bias, 0, heads, "heads")
        out = layer.output_dense
        call.consume(out.kernel, 0, heads, tensor_axis=None, part="heads")
        if len(out.kernel.shape) != 3:
            return (call.fixed_output(-1, None),)
        units = call.produce(out.kernel, 2, call.new_units(out.kernel.shape[2]))
        if out.bias is not None:
            call.produce(out.bias, 0, units)
        return [call.fixed_output(-1, units)]

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        new = {**config, "num_heads": cut.size(op.query_dense.kernel, 1)}
        if len(op.output_dense.kernel.shape) == 3:
            # Unset, the width would follow the query's, which may have been cut otherwise.
            new["output_shape"] = cut.size(op.output_dense.kernel, 2)
        return new

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        queries, keys = (math.prod(n or 1 for n in shape[1:-1]) for shape in (in_shapes * 2)[:2])
        query, key, value = (d.kernel for d in (op.query_dense, op.key_dense, op.value_dense))
        out = math.prod(op.output_dense.kernel.shape)
        projections = queries * (math.prod(query.shape) + out)
        projections += keys * (math.prod(key.shape) + math.prod(value.shape))
        scores = queries * keys * op.num_heads * (key.shape[-1] + value.shape[-1])
        return 2 * (projections + scores)


@register
class GroupQueryAttention(Rule):
    """Heads of queries share heads of keys: a shared head goes with all that use it, or of each
    the same number of users goes, whichever leaves more to choose from. Either is exact."""

    types = (keras.layers.GroupQueryAttention,)

    def trace(self, call: Call) -> list[Layout] | tuple[Layout, ...]:
        layer = call.op
        if len(call.out_shapes) > 1:
            return call.protect_all("its attention scores are an output")
        (query,), (value,) = call.given(0, "query"), call.given(1, "value")
        key = next(iter(call.given(2, "key")), value)
        shared, users = layer.num_key_value_heads, layer.num_repeats
        whole = whole_heads(layer)
        units = call.new_units(shared if whole else users)
        # Keras repeats each shared head for the queries that lie side by side.
        readers = np.repeat(units, users) if whole else np.tile(units, shared)
        given = {"query": query, "key": key, "value": value, "gate": query}
        weights = parts_of(layer)
        for name, which in given.items():
            if (name, "kernel") not in weights:
                continue
            heads = readers if name in ("query", "gate") else units if whole else None
            call.consume(weights[name, "kernel"], 0, call.labels(-1, which), -1, which)
            for variable, axis in ((weights[name, "kernel"], 1), (weights.get((name, "bias")), 0)):
                if variable is not None and heads is not None:
                    call.produce(variable, axis, heads, "heads")
        out = weights["attention_output", "kernel"]
        call.consume(out, 0, readers, tensor_axis=None, part="heads")
        # Query, value and output are of one width: what is read and what is made go together.
        call.tie(call.labels(-1, query), call.labels(-1, value))
        width = call.produce(out, 2, call.new_units(out.shape[2]))
        if ("attention_output", "bias") in weights:
            call.produce(weights["attention_output", "bias"], 0, width)
        call.tie(width, call.labels(-1, query))
        return [call.fixed_output(-1, width)]

    def resize(self, op: Any, config: dict[str, Any], cut: Cut) -> dict[str, Any]:
        queries = cut.size(parts_of(op)["query", "kernel"], 1)
        shared = queries // op.num_repeats if whole_heads(op) else op.num_key_value_heads
        return {**config, "num_query_heads": queries, "num_key_value_heads": shared}

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        queries, keys = (math.prod(n or 1 for n in shape[1:-1]) for shape in (in_shapes * 2)[:2])
        total = 0
        for (name, kind), variable in parts_of(op).items():
            if kind == "kernel":
                places = keys if name in ("key", "value") else queries
                total += places * math.prod(variable.shape)
        return 2 * (total + 2 * queries * keys * op.num_query_heads * op.head_dim)


def whole_heads(layer: Any) -> bool:
    """Whether a shared head goes with all queries that use it."""
    return bool(layer.num_key_value_heads >= layer.num_repeats)


def parts_of(layer: Any) -> dict[tuple[str, str], Any]:
    """The weights of the layers inside by the names of both, as their paths end."""
    found = {}
    for variable in layer.weights:
        name, kind = variable.path.split("/")[-2:]
        found[name, kind] = variable
    return found


@register
class Attention(Rule):
    """Attention without kernels: the scores mix what they are made of, values pass through."""

    types = (keras.layers.Attention, keras.layers.AdditiveAttention)

    def trace(self, call: Call) -> list[Layout] | tuple[Layout, ...]:
        inputs = call.given(0, "inputs")
        if len(call.out_shapes) > 1 or len(inputs) < 2:
            return call.protect_all("its attention scores are an output")
        for which in (inputs[0], inputs[2] if len(inputs) > 2 else inputs[1]):
            call.protect(call.labels(-1, which), "attention scores mix the channels")
        return [call.fixed_output(-1, call.labels(-1, inputs[1]))]

    def flops(self, op: Any, in_shapes: Shapes, out_shapes: Shapes) -> int:
        query, value = in_shapes[:2]
        pairs = math.prod(n or 1 for n in query[1:-1]) * math.prod(n or 1 for n in value[1:-1])
        return 2 * pairs * ((query[-1] or 1) + (value[-1] or 1))

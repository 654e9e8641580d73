"""Lengths of open axes: the smallest inputs on which a model runs, found by asking its layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import tree

from paoding.graph.flat import Flat, Node, TensorRef

Shape = tuple[int, ...]

SHORTEST = 16  # length at which the search begins: less shows little of what a sequence does
_PLACES = 4  # that each layer should see along an open axis: on one alone it is all border ...
_ROOMY = 256  # ... where inputs of this length reach that
_LONGEST = 1 << 17
_TRIED = 32  # lengths above each power of two: a network may take multiples, or odd ones, only
_RATIOS = (1, 2, 4)  # of lengths of several inputs


def sample_shapes(flat: Flat) -> tuple[tuple[Shape, ...], list[Shape]] | None:
    """Shapes of the smallest sample that a model takes, and of all tensors on it.

    Open axes are given lengths at which every layer says that it can run: what is cropped,
    pooled, skipped by strides or eaten by borders is counted so. All open axes are as long as
    each other where the model takes that, else inputs in simple ratios.

    Returns:
        One shape for each input, and one for each tensor, without the batch axis; None where no
        lengths were found.
    """
    shapes = [flat.shapes[t][1:] for t in flat.inputs]
    if not any(None in shape for shape in shapes):
        known = [tuple(int(n or 1) for n in shape[1:]) for shape in flat.shapes]
        return tuple(known[t] for t in flat.inputs), known
    for places, most in ((_PLACES, _ROOMY), (1, _LONGEST)):
        for lengths in _candidates(sum(None in shape for shape in shapes), most):
            found = _runs_at(flat, shapes, lengths, places)
            if found is not None:
                return _smaller(flat, shapes, lengths, places, found)
    return None


def _candidates(inputs: int, most: int) -> Iterator[Sequence[int]]:
    """Lengths of the inputs with open axes, short ones first."""
    ratios = [r for r in itertools.product(_RATIOS, repeat=inputs) if 1 in r] or [()]
    length = SHORTEST
    while length <= most:
        for more in range(min(_TRIED, length)):
            yield (length + more,) * inputs
        if inputs < 4:
            yield from (tuple(length * r for r in ratio) for ratio in ratios[1:])
        length *= 2


def _smaller(
    flat: Flat,
    shapes: Sequence[Sequence[int | None]],
    lengths: Sequence[int],
    places: int,
    found: tuple[tuple[Shape, ...], list[Shape]],
) -> tuple[tuple[Shape, ...], list[Shape]]:
    """The least common length between a power of two that failed and one at which it runs."""
    if lengths[0] <= _ROOMY or len(set(lengths)) != 1 or lengths[0] & (lengths[0] - 1):
        return found
    low, high = max(lengths[0] // 2 + _TRIED, SHORTEST), lengths[0]
    while low < high:
        middle = (low + high) // 2
        less = _runs_at(flat, shapes, (middle,) * len(lengths), places)
        if less is None:
            low = middle + 1
        else:
            high, found = middle, less
    return found


def _runs_at(
    flat: Flat, shapes: Sequence[Sequence[int | None]], lengths: Sequence[int], places: int
) -> tuple[tuple[Shape, ...], list[Shape]] | None:
    """Shapes of all tensors, where open axes have these lengths; None where a layer refuses."""
    given = iter(lengths)
    inputs: list[Shape] = []
    for shape in shapes:
        length = next(given) if None in shape else 0
        inputs.append(tuple(length if size is None else int(size) for size in shape))
    known: dict[int, Any] = {
        t: keras.KerasTensor((1, *shape), dtype=flat.dtypes[t])
        for t, shape in zip(flat.inputs, inputs, strict=True)
    }
    try:
        for node in flat.nodes:
            made = tree.flatten(_spec(node, known))
            for t, symbol in zip(node.outputs, made, strict=True):
                if not _fits(symbol.shape, flat.shapes[t], places):
                    return None
                known[t] = symbol
    except Exception:  # whatever a layer says of shapes that it does not take
        return None
    return tuple(inputs), [
        tuple(int(size or 1) for size in known[t].shape[1:]) if t in known else ()
        for t in range(len(flat.shapes))
    ]


def _spec(node: Node, known: dict[int, Any]) -> Any:
    def resolve(value: Any) -> Any:
        return known[value.tensor] if isinstance(value, TensorRef) else value

    read = [known[t].shape for t in node.inputs]
    if isinstance(node.op, keras.layers.Concatenate):  # Keras looks only at the first one
        axis = node.op.axis % len(read[0])
        if len({shape[:axis] + shape[axis + 1 :] for shape in read}) > 1:
            raise ValueError("shapes differ")
    args = tree.map_structure(resolve, node.args)
    kwargs = tree.map_structure(resolve, node.kwargs)
    return node.op.compute_output_spec(*args, **kwargs)


def _fits(found: Sequence[int | None], wanted: Sequence[int | None], places: int) -> bool:
    """Whether a tensor is what the model was built for, with something along each open axis."""
    if len(found) != len(wanted):
        return False
    pairs = list(zip(found, wanted, strict=True))[1:]
    return all(
        size is None or (size >= places if open_ is None else size == open_)
        for size, open_ in pairs
    )

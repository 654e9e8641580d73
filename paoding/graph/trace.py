"""From a model to its graph: walk its calls with the layers' rules and group what is tied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from paoding.errors import ModelError
from paoding.graph import keras_internals
from paoding.graph.cost import flops_of
from paoding.graph.coupling import Coupling, solve, spread
from paoding.graph.flat import Flat
from paoding.graph.graph import Graph
from paoding.graph.group import ROLE_REASONS, Group, Member, Part
from paoding.graph.hidden import why_unknown
from paoding.layers import FIXED, Binding, Call, Labels, Layout, Ties, rule_for

# Masks of concatenated sequences are made of zeros in the shape of the data: such tensors hold
# the same value in every unit, and a logical reduction over them does not depend on a unit.
UNIFORM = frozenset({"ZerosLike", "OnesLike"})
KEEPS_UNIFORM = frozenset({"LogicalOr", "LogicalAnd", "LogicalNot", "Concatenate", "Cast"})


def trace(model: Any, *, inexact: bool = False) -> Graph:
    """Find the units of a model, what is coupled to each, and what must stay.

    Args:
        model: a built functional or Sequential ``keras.Model``.
        inexact: also offer units that a LayerNormalization or its kin mixes; removing one
            changes the others a little.

    Returns:
        The graph.

    Raises:
        ModelError: the model has no layer graph.
    """
    flat = keras_internals.flatten(model)
    if not flat.nodes:
        raise ModelError(f"Model '{model.name}' has no layers between its inputs and outputs.")
    for node in flat.nodes:
        keras_internals.require_plain(node)
    keras_internals.require_kept_ties(model, flat)
    keras_internals.require_free_batch(model, flat)
    ties = Ties()
    layouts: dict[int, Layout] = {t: (None,) * len(flat.shapes[t]) for t in flat.inputs}
    unknown: dict[str, str] = {}
    uniform: set[int] = set()
    for node in flat.nodes:
        call = Call(
            index=node.index,
            op=node.op,
            name=node.name,
            layouts=tuple(layouts[t] for t in node.inputs),
            in_shapes=node.in_shapes,
            out_shapes=node.out_shapes,
            args=node.args,
            kwargs=node.kwargs,
            ties=ties,
            inexact=inexact,
            inputs=node.inputs,
            uniform=all(t in uniform or not any_units(layouts[t]) for t in node.inputs),
        )
        out = _trace_call(call, unknown)
        if node.kind in UNIFORM or (call.uniform and node.kind in KEEPS_UNIFORM):
            uniform.update(node.outputs)
        layouts.update(zip(node.outputs, out, strict=True))
    for t in flat.outputs:
        for labels in layouts[t]:
            if labels is not None:
                ties.protected.insert(0, (labels, "it is an output of the model"))
    _protect_held(flat, ties)
    variables = tuple(keras_internals.all_weights(model))
    coupling = solve(ties, [node.name for node in flat.nodes])
    in_order = tuple(layouts[t] for t in range(len(flat.shapes)))
    groups = _groups(flat, ties, coupling, variables, in_order)
    return Graph(model, flat, variables, groups, in_order, coupling, unknown, inexact)


def _protect_held(flat: Flat, ties: Ties) -> None:
    """Units of a weight that is held too by a layer that is not understood stay."""
    held = {
        id(variable): node
        for node in flat.nodes
        if rule_for(node.op) is None or node.index in ties.silent
        for variable in getattr(node.op, "variables", ())
    }
    for binding in ties.bindings:
        other = held.get(id(binding.variable))
        if other is not None:
            why = f"'{other.name}' holds the same weight, and how it reads it is not known"
            ties.protected.append((binding.labels, why))


def any_units(layout: Layout) -> bool:
    """Whether any axis of a tensor carries units."""
    return any(labels is not None for labels in layout)


def _trace_call(call: Call, unknown: dict[str, str]) -> Sequence[Layout]:
    rule = rule_for(call.op)
    if rule is None:
        what = why_unknown(call.op)
        if any(map(any_units, call.layouts)):
            unknown[call.name] = f"{what}, so the units that it reads stay"
        elif getattr(call.op, "weights", None):
            unknown[call.name] = f"{what}, so it stays as it is"
        return call.protect_all("it is read by a layer whose meaning for channels is not known")
    out = rule.trace(call)
    if call.index in call.ties.silent and getattr(call.op, "weights", None):
        unknown[call.name] = f"{call.ties.silent[call.index]}, so it stays as it is"
    is_layout = isinstance(out, tuple) and (not out or not isinstance(out[0], (tuple, list)))
    found: Sequence[Layout] = [out] if is_layout else out  # type: ignore[assignment,list-item]
    for layout, shape in zip(found, call.out_shapes, strict=True):
        for labels, size in zip(layout, shape, strict=True):
            if labels is not None and len(labels) != size:
                raise ModelError(
                    f"Layer '{call.name}' ({call.kind}): {len(labels)} labels for an axis of "
                    f"{size}; this is a fault in its rule."
                )
    return [tuple(map(_units_only, layout)) for layout in found]


def _units_only(labels: Labels) -> Labels:
    """Labels, or None where nothing on the axis is a unit."""
    return None if labels is not None and (labels == FIXED).all() else labels


def _groups(
    flat: Flat,
    ties: Ties,
    coupling: Coupling,
    variables: tuple[Any, ...],
    layouts: tuple[Layout, ...],
) -> tuple[Group, ...]:
    numbers = {id(v): i for i, v in enumerate(variables)}
    by_group: dict[int, list[Binding]] = {}
    made_by: dict[int, Binding] = {}
    for binding in ties.bindings:
        units = np.unique(coupling.unit[binding.labels[binding.labels != FIXED]])
        for number in np.unique(coupling.group[units]):
            by_group.setdefault(int(number), []).append(binding)
            if binding.role == "produce":
                made_by.setdefault(int(number), binding)
    passes = _passes(flat, ties, coupling, layouts)
    flops = _flops(flat, by_group, passes, made_by)
    members_of = {}
    for number in made_by:
        ids = np.flatnonzero(coupling.group == number)
        local = np.full(len(coupling.group), FIXED, dtype=np.int64)
        local[ids] = np.arange(len(ids))
        members_of[number] = (ids, local)
    groups: list[Group] = []
    taken: set[str] = set()
    for number in sorted(made_by, key=lambda n: made_by[n].node):
        root = made_by[number]
        name = flat.nodes[root.node].name + (f":{root.part}" if root.part else "")
        while name in taken:
            name += "'"
        taken.add(name)
        ids, local = members_of[number]
        members = tuple(
            Member(
                b,
                numbers[id(b.variable)],
                b.axis % len(b.variable.shape),
                spread(b, local, coupling),
            )
            for b in by_group[number]
        )
        groups.append(
            _group(name, members, ids, coupling, flat, passes.get(number, []), flops[number])
        )
    return tuple(groups)


def _flops(
    flat: Flat,
    by_group: dict[int, list[Binding]],
    passes: dict[int, list[int]],
    made_by: dict[int, Binding],
) -> dict[int, int]:
    """Group number -> its share of the operations of the calls that its units touch."""
    touched: dict[int, set[int]] = {}
    for number in made_by:
        for index in (*(b.node for b in by_group[number]), *passes.get(number, [])):
            touched.setdefault(index, set()).add(number)
    found = dict.fromkeys(made_by, 0)
    for index, numbers in touched.items():
        for number in numbers:
            found[number] += flops_of(flat.nodes[index]) // len(numbers)
    return found


def _passes(
    flat: Flat, ties: Ties, coupling: Coupling, layouts: tuple[Layout, ...]
) -> dict[int, list[int]]:
    """Group number -> calls that its units pass without a weight of the layer being bound."""
    bound = {b.node for b in ties.bindings}
    found: dict[int, list[int]] = {}
    for node in flat.nodes:
        if node.index in bound:
            continue
        groups: set[int] = set()
        for t in node.inputs:
            for labels in layouts[t]:
                if labels is not None and (labels != FIXED).any():
                    units = coupling.unit[labels[labels != FIXED]]
                    groups.update(np.unique(coupling.group[units]).tolist())
        for number in groups:
            found.setdefault(number, []).append(node.index)
    return found


def _group(
    name: str,
    members: tuple[Member, ...],
    ids: np.ndarray,
    coupling: Coupling,
    flat: Flat,
    passes: list[int],
    flops: int,
) -> Group:
    removable = np.array([int(u) not in coupling.reason for u in ids], dtype=bool)
    reasons = [coupling.reason[int(u)] for u in ids if int(u) in coupling.reason]
    distinct = [coupling.distinct[int(u)] for u in ids if int(u) in coupling.distinct]
    consumed = np.zeros(len(ids), dtype=bool)
    parameters, seen = 0, set()
    for m in members:
        if m.role == "consume":
            consumed[m.unit[m.unit >= 0]] = True
        if (m.variable, m.axis) not in seen:
            seen.add((m.variable, m.axis))
            each = int(np.prod(m.binding.variable.shape)) // max(len(m.unit), 1)
            parameters += each * int((m.unit >= 0).sum())
    if not consumed.all():
        removable &= consumed
        reasons.append("no layer reads it through weights")
    return Group(
        name=name,
        members=members,
        units=len(ids),
        ids=ids,
        removable=removable,
        reason=reasons[0] if reasons else None,
        mergeable=not distinct,
        distinct=distinct[0] if distinct else None,
        parts=_parts(members, passes, flat),
        parameters=parameters,
        flops=flops,
    )


def _parts(members: tuple[Member, ...], passes: list[int], flat: Flat) -> tuple[Part, ...]:
    entries: dict[tuple[int, str], list[str]] = {}
    for m in members:
        entries.setdefault((m.binding.node, m.role), []).append(
            f"{m.binding.variable.name} axis {m.axis}"
        )
    for node in passes:
        entries.setdefault((node, "pass"), [])
    root = min((node, role) for node, role in entries if role == "produce")
    order = sorted(entries, key=lambda e: (e != root, e[0], e[1]))
    parts = []
    for node, role in order:
        where = ", ".join(dict.fromkeys(entries[node, role]))
        reason = ROLE_REASONS[role] + (f" ({where})" if where else "")
        parts.append(Part(flat.nodes[node].name, flat.nodes[node].kind, role, reason))
    return tuple(parts)


def inspect(model: Any) -> Graph:
    """What can be pruned in a model, and why the rest cannot.

    Args:
        model: a built functional or Sequential ``keras.Model``.

    Returns:
        A ``Graph``; ``print`` it, or read ``.groups``, ``.prunable`` and ``.protected``.

    Raises:
        ModelError: the model has no layer graph (a subclassed model, or one not yet built).

    Source: ``docs/method.md``, section 1; after the dependency groups of Torch-Pruning (Fang et
    al. 2023).

    >>> import keras, paoding
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu", name="hidden"),
    ...                           keras.layers.Dense(2, name="scores")])
    >>> [(g.name, g.units, g.prunable) for g in paoding.inspect(model).groups]
    [('hidden', 3, True), ('scores', 2, False)]
    """
    return trace(model)

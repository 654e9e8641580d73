"""A model as calls, weights and coupled groups of units: what every other room works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from paoding.errors import ModelError
from paoding.graph import keras_internals, sizes
from paoding.graph.coupling import Coupling, solve, spread
from paoding.graph.keras_internals import Flat, Node
from paoding.layers import FIXED, Binding, Call, Labels, Layout, Ties, rule_for
from paoding.layers.hidden import why_unknown

ROLE_REASONS = {
    "produce": "makes the units",
    "through": "has parameters of its own for each unit",
    "consume": "reads the units",
    "pass": "passes the units on",
}
# Masks of concatenated sequences are made of zeros in the shape of the data: such tensors hold
# the same value in every unit, and a logical reduction over them does not depend on a unit.
UNIFORM = frozenset({"ZerosLike", "OnesLike"})
KEEPS_UNIFORM = frozenset({"LogicalOr", "LogicalAnd", "LogicalNot", "Concatenate", "Cast"})


@dataclass(frozen=True, eq=False)
class Member:
    """One weight axis along which a group's units lie.

    Args:
        binding: the tie that the layer's rule made.
        variable: number of the weight in ``Graph.variables``.
        axis: the axis, counted from the front.
        unit: for each index of the axis, the unit inside the group, or ``FIXED``.
    """

    binding: Binding
    variable: int
    axis: int
    unit: np.ndarray

    @property
    def role(self) -> str:
        """``produce``, ``through`` or ``consume``."""
        return self.binding.role

    @cached_property
    def order(self) -> np.ndarray:
        """Indices that hold units, by unit and, inside a unit, in order."""
        order = np.argsort(self.unit, kind="stable")
        return order[np.searchsorted(self.unit[order], 0) :]

    @cached_property
    def indices(self) -> np.ndarray | None:
        """Indices of each unit along the axis, (units, k) in order; None where k differs."""
        counts = np.bincount(self.unit[self.order])
        if not len(counts) or (counts != counts[0]).any():
            return None
        return self.order.reshape(len(counts), -1)

    def rows(self, value: np.ndarray, units: int) -> np.ndarray:
        """The weight's slices, one flat row per unit: (units, features); absent units are 0.

        A unit that holds several indices of the axis has their slices side by side, in order.
        """
        front = np.moveaxis(value, self.axis, 0).reshape(len(self.unit), -1)
        held = self.indices
        if held is not None and len(held) == units:
            return np.ascontiguousarray(front[held].reshape(units, -1))
        counts = np.bincount(self.unit[self.unit >= 0], minlength=units)
        width = int(counts.max(initial=0))
        out = np.zeros((units, width, front.shape[1]), dtype=front.dtype)
        order = self.order
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        out[self.unit[order], place] = front[order]
        return out.reshape(units, -1)


@dataclass(frozen=True)
class Part:
    """A layer that a group's units touch, and why it is tied to them."""

    layer: str
    kind: str
    role: str
    reason: str


@dataclass(frozen=True, eq=False)
class Group:
    """Units that can be removed one by one, with everything that must follow each of them.

    Args:
        name: the layer that makes the units first.
        members: weight axes along which the units lie.
        units: how many there are.
        ids: number of each unit in the whole graph.
        removable: which of them may go.
        reason: why the others may not (one sentence; None where all may).
        mergeable: whether a unit may be merged into another (else plain removal).
        distinct: why not, where it may not.
        parts: the layers, root first, each with the reason that ties it.
        parameters: how many parameters the group's units hold.
        flops: floating-point operations at stake, on one sample: those of every call that
            makes, passes or reads the units. A call on which several groups meet is dealt out
            to them in equal parts, so that the groups' sums never exceed the model's.
    """

    name: str
    members: tuple[Member, ...]
    units: int
    ids: np.ndarray
    removable: np.ndarray
    reason: str | None
    mergeable: bool
    distinct: str | None
    parts: tuple[Part, ...]
    parameters: int
    flops: int = 0

    @property
    def prunable(self) -> bool:
        """Whether any unit may go."""
        return bool(self.removable.any())

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that the units touch, root first."""
        return tuple(dict.fromkeys(part.layer for part in self.parts))

    def with_role(self, role: str) -> tuple[Member, ...]:
        """Members of one role, each weight axis once."""
        return self._by_role.get(role, ())

    @cached_property
    def _by_role(self) -> dict[str, tuple[Member, ...]]:
        found: dict[tuple[str, int, int], Member] = {}
        for member in self.members:
            found.setdefault((member.role, member.variable, member.axis), member)
        return {
            role: tuple(m for key, m in found.items() if key[0] == role) for role in ROLE_REASONS
        }

    def to_dict(self) -> dict[str, Any]:
        """The group as plain values, for JSON."""
        return {
            "name": self.name,
            "units": self.units,
            "removable": int(self.removable.sum()),
            "prunable": self.prunable,
            "reason": self.reason,
            "mergeable": self.mergeable,
            "parameters": self.parameters,
            "flops": self.flops,
            "layers": [vars(part).copy() for part in self.parts],
        }

    def __str__(self) -> str:
        head = (
            f"{self.name}: {self.units} units, {self.parameters:,} parameters, {self.flops:,} FLOPs"
        )
        if self.reason is not None:
            kept = self.units - int(self.removable.sum())
            head += f"; {kept} stay: {self.reason}"
        lines = [
            f"  {'└' if p is self.parts[-1] else '├'} {p.layer}: {p.reason}" for p in self.parts
        ]
        return "\n".join([head, *lines])


@dataclass(frozen=True, eq=False)
class State:
    """Weights at their original shapes, and which units are still there.

    A step makes a new state; arrays that it does not touch are shared with the old one.
    """

    values: tuple[np.ndarray, ...]
    alive: np.ndarray

    def replace(self, changed: dict[int, np.ndarray], alive: np.ndarray | None = None) -> State:
        """A state with some weights (and masks) exchanged."""
        values = list(self.values)
        for number, value in changed.items():
            value.flags.writeable = False
            values[number] = value
        return State(tuple(values), self.alive if alive is None else alive)


@dataclass(frozen=True, eq=False)
class Graph:
    """Calls, weights and coupled groups of a model; printing it tells what can be pruned.

    Args:
        model: the user's model; it is only read.
        flat: its calls, nested models opened up.
        variables: its weights, each once.
        groups: coupled groups, in the order in which data meets them.
        layouts: labels of each tensor.
        coupling: how labels became units.
        unknown: layers without a rule -> what that protects.
        inexact: whether units that a LayerNormalization mixes are offered too.
    """

    model: Any
    flat: Flat
    variables: tuple[Any, ...]
    groups: tuple[Group, ...]
    layouts: tuple[Layout, ...]
    coupling: Coupling
    unknown: dict[str, str] = field(default_factory=dict)
    inexact: bool = False

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The calls, in topological order."""
        return self.flat.nodes

    @property
    def prunable(self) -> tuple[Group, ...]:
        """Groups of which at least one unit may go."""
        return tuple(group for group in self.groups if group.prunable)

    @property
    def protected(self) -> list[tuple[str, str]]:
        """Layers that keep all their units, each with the reason."""
        return [(g.name, g.reason or "") for g in self.groups if not g.prunable] + [
            (name, why) for name, why in self.unknown.items()
        ]

    @cached_property
    def numbers(self) -> dict[int, int]:
        """``id(variable)`` -> its number."""
        return {id(v): i for i, v in enumerate(self.variables)}

    @cached_property
    def by_name(self) -> dict[str, Group]:
        """Groups by name."""
        return {group.name: group for group in self.groups}

    @cached_property
    def axes(self) -> dict[tuple[int, int], np.ndarray]:
        """(variable number, axis) -> unit number of the whole graph for each index, or FIXED."""
        found: dict[tuple[int, int], np.ndarray] = {}
        for group in self.groups:
            for m in group.members:
                ids = np.where(m.unit == FIXED, FIXED, group.ids[np.maximum(m.unit, 0)])
                known = found.get((m.variable, m.axis))
                found[(m.variable, m.axis)] = ids if known is None else np.maximum(known, ids)
        return found

    @cached_property
    def original(self) -> State:
        """The model's own weights, every unit alive."""
        values = []
        for variable in self.variables:
            value = np.array(variable.numpy())
            value.flags.writeable = False
            values.append(value)
        return State(tuple(values), np.ones(int(self.coupling.unit.max(initial=-1)) + 1, bool))

    def number(self, variable: Any) -> int:
        """The number of a weight."""
        return self.numbers[id(variable)]

    def weights(self, state: State) -> Any:
        """``weights(variable) -> array`` for rules, under a state."""
        return lambda variable: state.values[self.number(variable)]

    def keep(self, labels: np.ndarray, alive: np.ndarray) -> np.ndarray:
        """Mask of the indices of a labelled axis that stay."""
        units = self.coupling.units_of(labels)
        return (units == FIXED) | alive[np.maximum(units, 0)]

    def shape_after(self, tensor: int, alive: np.ndarray) -> tuple[int | None, ...]:
        """A tensor's shape once the units that are not alive have gone."""
        return tuple(
            size if labels is None else int(self.keep(labels, alive).sum())
            for size, labels in zip(self.flat.shapes[tensor], self.layouts[tensor], strict=True)
        )

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """Shape of one sample of each input; open axes count as 1 (bounds hold per value)."""
        shapes = [self.flat.shapes[t][1:] for t in self.flat.inputs]
        return [tuple(1 if size is None else int(size) for size in shape) for shape in shapes]

    @cached_property
    def _sizes(self) -> tuple[tuple[sizes.Shape, ...], list[sizes.Shape]] | None:
        return sizes.sample_shapes(self.flat)

    @property
    def sized(self) -> bool:
        """Whether lengths of all open axes were found, if there are any."""
        return self._sizes is not None

    @cached_property
    def sample_shapes(self) -> list[tuple[int, ...]]:
        """Shape of one synthetic sample of each input: open axes are as short as will run."""
        if self._sizes is not None:
            return list(self._sizes[0])
        shapes = [self.flat.shapes[t][1:] for t in self.flat.inputs]
        return [tuple(sizes.SHORTEST if n is None else int(n) for n in s) for s in shapes]

    @cached_property
    def sample_nodes(self) -> tuple[Node, ...]:
        """The calls with their shapes on one such sample: for what a pass costs."""
        found = self._sizes
        if found is None or not any(None in s[1:] for s in self.flat.shapes):
            return self.nodes
        shapes = [(1, *shape) for shape in found[1]]
        return tuple(
            replace(
                node,
                in_shapes=tuple(shapes[t] for t in node.inputs),
                out_shapes=tuple(shapes[t] for t in node.outputs),
            )
            for node in self.nodes
        )

    def run(self, state: State, inputs: Sequence[Any], wanted: Sequence[int]) -> list[np.ndarray]:
        """Tensors of the graph for a batch of inputs, under a state's weights.

        Args:
            state: weights at original shapes.
            inputs: one array per model input, batch first.
            wanted: tensor numbers.
        """
        changed = {
            i: value for i, value in enumerate(state.values) if value is not self.original.values[i]
        }
        return keras_internals.run(
            self.flat, list(inputs), changed, list(self.variables), list(wanted)
        )

    def to_dict(self) -> dict[str, Any]:
        """What can be pruned and why the rest cannot, as plain values for JSON."""
        return {
            "model": self.model.name,
            "parameters": int(sum(int(np.prod(v.shape)) for v in self.variables)),
            "groups": [group.to_dict() for group in self.groups],
            "protected": [{"layer": n, "reason": why} for n, why in self.protected],
        }

    def __str__(self) -> str:
        units = sum(int(g.removable.sum()) for g in self.prunable)
        head = (
            f"{self.model.name}: {len(self.prunable)} of {len(self.groups)} groups can be "
            f"pruned, {units} units in all"
        )
        body = [str(group) for group in self.groups]
        body += [f"{name}: {why}" for name, why in self.unknown.items()]
        return "\n".join([head, *body])


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
    keras_internals.require_untied(flat)
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
    variables = tuple(keras_internals.all_weights(model))
    coupling = solve(ties, [node.name for node in flat.nodes])
    in_order = tuple(layouts[t] for t in range(len(flat.shapes)))
    groups = _groups(flat, ties, coupling, variables, in_order)
    return Graph(model, flat, variables, groups, in_order, coupling, unknown, inexact)


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
        node = flat.nodes[index]
        rule = rule_for(node.op)
        cost = 0 if rule is None else rule.flops(node.op, node.in_shapes, node.out_shapes)
        for number in numbers:
            found[number] += cost // len(numbers)
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

    Source: method §8; after the dependency groups of Torch-Pruning (Fang et al. 2023).

    >>> import keras, paoding
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu", name="hidden"),
    ...                           keras.layers.Dense(2, name="scores")])
    >>> [(g.name, g.units, g.prunable) for g in paoding.inspect(model).groups]
    [('hidden', 3, True), ('scores', 2, False)]
    """
    return trace(model)

"""How much a pruned network may differ, layer by layer: the arithmetic behind ``certificate``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from paoding.bounds.forward import checked
from paoding.bounds.intervals import UNIT, Floats, Interval, Twin
from paoding.bounds.maps import Ints, Map, MatMul
from paoding.bounds.pairs import Couple, Paired
from paoding.bounds.primitives import Affine, Correction, Program, affine
from paoding.bounds.windows import Convolution
from paoding.graph import Graph
from paoding.plan import last_survivors

NO_UNIT = -1


class Gone(Protocol):
    """A removal, as a plan holds it."""

    @property
    def group(self) -> str:
        """The group's name."""
        ...

    @property
    def unit(self) -> int:
        """The unit that went."""
        ...

    @property
    def into(self) -> int | None:
        """The unit that it was merged into."""
        ...


Merges = Mapping[str, tuple[Ints, Ints]]


def resolved(removals: Iterable[Gone]) -> Merges:
    """Each group's removed units and the last survivors that they ended up in.

    A unit merged into one that was merged itself later ends in the last of the chain; -1 where
    the chain ends in a plain removal.

    >>> from types import SimpleNamespace as R
    >>> resolved([R(group="a", unit=3, into=2), R(group="a", unit=2, into=0)])
    {'a': (array([2, 3]), array([0, 0]))}
    """
    groups: dict[str, dict[int, int | None]] = {}
    for removal in removals:
        into = None if removal.into is None else int(removal.into)
        groups.setdefault(removal.group, {})[int(removal.unit)] = into
    result = {}
    for name, went in groups.items():
        ends = last_survivors(went)
        gone = sorted(went)
        held = [NO_UNIT if (end := ends[unit]) is None else end for unit in gone]
        result[name] = (np.array(gone, dtype=np.int64), np.array(held, dtype=np.int64))
    return result


@dataclass(frozen=True, eq=False)
class Readers:
    """Where the units of a group are read: the rows of a step's kernel.

    Args:
        step: number of the affine step.
        rows: (units, k) rows of its kernel that read each unit.
    """

    step: int
    rows: Ints


def readers(graph: Graph, program: Program) -> dict[str, list[Readers]]:
    """For each group, the affine steps that read its units through rows of a plain kernel."""
    by_variable: dict[int, list[int]] = {}
    for (number, _), variable in program.kernels.items():
        by_variable.setdefault(variable, []).append(number)
    found: dict[str, list[Readers]] = {}
    for group in graph.groups:
        for member in group.with_role("consume"):
            indices = member.indices
            for number in by_variable.get(member.variable, []):
                kernel = kernel_of(program, number)
                if indices is None or kernel is None or member.axis != kernel.ndim - 2:
                    continue
                if len(indices) == group.units:
                    found.setdefault(group.name, []).append(Readers(number, indices))
    return found


def kernel_of(program: Program, number: int) -> Any:
    """The kernel of an affine step with a single plain matrix or convolution, else None."""
    primitive = program.steps[number].primitive
    if not isinstance(primitive, Affine) or len(primitive.maps) != 1:
        return None
    linear = primitive.maps[0]
    if isinstance(linear, MatMul) or (isinstance(linear, Convolution) and linear.groups == 1):
        return linear.kernel
    return None


def with_kernel(linear: Map, kernel: np.ndarray) -> MatMul | Convolution:
    """The same layer with another kernel (other rows, columns or values)."""
    assert isinstance(linear, MatMul | Convolution)
    return MatMul(kernel) if isinstance(linear, MatMul) else Convolution(kernel, linear.windows)


@dataclass(frozen=True, eq=False)
class Swap:
    """The units of one group that a step reads through other rows than before.

    Args:
        gone, into: rows of the kernel, (k,) each: what row ``gone`` read is now read at
            ``into`` (the same unit's rows in the same order).
    """

    gone: Ints
    into: Ints


def swaps(graph: Graph, program: Program, merges: Merges) -> dict[int, Swap]:
    """Step -> the rows that merges have moved."""
    found: dict[int, tuple[list[Ints], list[Ints]]] = {}
    where = readers(graph, program)
    for name, (gone, into) in merges.items():
        merged = into >= 0
        for reader in where.get(name, []):
            parts = found.setdefault(reader.step, ([], []))
            parts[0].append(reader.rows[gone[merged]].ravel())
            parts[1].append(reader.rows[into[merged]].ravel())
    return {
        number: Swap(np.concatenate(a), np.concatenate(b))
        for number, (a, b) in found.items()
        if sum(map(len, a))
    }


def scales(old: Floats, new: Floats, swap: Swap) -> Floats:
    """The factor with which each survivor's row took over the rows that went: a best fit."""
    rows = np.moveaxis(old, -2, 0).reshape(old.shape[-2], -1)
    grown = np.moveaxis(new, -2, 0).reshape(old.shape[-2], -1) - rows
    found = np.ones(len(swap.gone))
    shared = np.bincount(swap.into, minlength=len(rows))
    for k, (gone, into) in enumerate(zip(swap.gone, swap.into, strict=True)):
        size = float(rows[gone] @ rows[gone])
        if shared[into] > 1 or not size:  # several: which took what is not told by one row
            continue
        fit = float(grown[into] @ rows[gone]) / size
        if abs(fit - 1) > 1e-4 and 0.01 < abs(fit) < 100:
            found[k] = fit if abs(abs(fit) - 1) > 1e-4 else float(np.sign(fit))
    return found


def correction(
    before: Program, after: Program, number: int, swap: Swap, paired: Paired
) -> Correction:
    """What is known of ``y @ (V' - V)`` when some rows were merged into others.

    ``y @ (V' - V) = (s y_into - y_gone) @ V_gone + y @ R``, an identity for any pairs and any
    s; R is what the merges leave unexplained (rounding of the stored weights, or other
    compensation).
    """
    step = before.steps[number]
    assert isinstance(step.primitive, Affine)
    linear = step.primitive.maps[0]
    old, new = kernel_of(before, number), kernel_of(after, number)
    old, new = old.astype(np.float64), new.astype(np.float64)
    scale = scales(old, new, swap)
    gone_rows = old[..., swap.gone, :]
    couple = Couple(swap.into, swap.gone, scale, np.ones(len(scale)))
    moved = paired.bound(step.inputs[0], couple)
    known = affine([moved], [with_kernel(linear, gone_rows)])
    rest, size = new - old, np.zeros_like(old)
    # Rows that went: R = (V' - V) + V = V', without any rounding.
    rest[..., swap.gone, :] = new[..., swap.gone, :]
    by_row, sizes = np.moveaxis(rest, -2, 0), np.moveaxis(size, -2, 0)  # views
    rows = np.moveaxis(gone_rows, -2, 0)
    rows = rows * scale.reshape(-1, *(1,) * (rows.ndim - 1))
    np.subtract.at(by_row, swap.into, rows)
    np.add.at(sizes, swap.into, np.abs(rows))
    touched = np.unique(swap.into)
    size[..., touched, :] += np.abs(old[..., touched, :]) + np.abs(new[..., touched, :])
    size *= (len(swap.gone) + 4) * UNIT
    return Correction(
        known, with_kernel(linear, rest) if rest.any() else None, with_kernel(linear, size)
    )


class Refiner(Protocol):
    """Something that tightens a value's bounds before a step bends it."""

    def refine(self, value: int, twins: list[Twin | None]) -> Twin:
        """Tighter bounds of a value, from those of all values before it."""
        ...


def differences(
    graph: Graph,
    before: Program,
    after: Program,
    inputs: Sequence[Interval],
    merges: Merges | None = None,
    refiner: Refiner | None = None,
) -> list[Twin]:
    """Sound bounds of every value in both networks and of its change.

    Args:
        graph: the traced model.
        before, after: the two networks, lowered from the same graph.
        inputs: one interval per model input, (B, *shape).
        merges: which units were merged into which (``resolved``); only tightens the bounds.
        refiner: tightens values on the way (``bounds.linear``).

    Raises:
        BoundsError: a layer has no finite bounds.
    """
    moved = swaps(graph, before, merges or {})
    twins: list[Twin | None] = [None] * len(before.shapes)
    old: list[Interval | None] = [None] * len(before.shapes)
    new: list[Interval | None] = [None] * len(before.shapes)

    def keep(value: int, twin: Twin) -> None:
        twins[value], old[value], new[value] = twin, twin.before, twin.after

    for value, box in zip(before.inputs, inputs, strict=True):
        keep(value, Twin.same(box))
    for number, (step, changed) in enumerate(zip(before.steps, after.steps, strict=True)):
        if refiner is not None and not isinstance(step.primitive, Affine):
            for value in step.inputs:
                keep(value, refiner.refine(value, twins))
        known = [twin for i in step.inputs if (twin := twins[i]) is not None]
        one = checked(before, step, step.primitive.interval([t.before for t in known]))
        two = checked(before, step, changed.primitive.interval([t.after for t in known]))
        if isinstance(step.primitive, Affine) and number in moved:
            pairs = (Paired(before, old), Paired(after, new))
            both = [[correction(before, after, number, moved[number], p)] for p in pairs]
            change = step.primitive.difference(changed.primitive, known, (both[0], both[1]))
        else:
            change = step.primitive.difference(changed.primitive, known)
        change = checked(before, step, change.meet(two - one))
        keep(step.output, Twin(one, two, change).tightened())
    if refiner is not None:
        for value in before.outputs:
            keep(value, refiner.refine(value, twins))
    return [twin for twin in twins if twin is not None]

"""Coupled groups of units: weight axes, parts and reasons; a group prints itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from paoding.layers import Binding

ROLE_REASONS = {
    "produce": "makes the units",
    "through": "has parameters of its own for each unit",
    "consume": "reads the units",
    "pass": "passes the units on",
}


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

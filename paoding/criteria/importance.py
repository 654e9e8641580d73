"""How much each unit matters: distances, outgoing norms and magnitude, as arrays over a group."""

from __future__ import annotations

from typing import Any

import numpy as np

from paoding.graph import Group, State

_AT_ONCE = 256  # units up to which estimates are renewed after every single removal
WIDE = 1024  # units from which they are renewed rarely
_EXACT_LIMIT = 2e10  # multiply-adds up to which distances are worked out in double precision


def producers(group: Group, state: State) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weights that make each unit: kernels as (units, features), biases as (units, k)."""
    kernels: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    for member in group.with_role("produce"):
        value = state.values[member.variable]
        (biases if value.ndim == 1 else kernels).append(member.rows(value, group.units))
    return kernels, biases


def products(group: Group) -> float:
    """Multiply-adds of all distances between a group's units."""
    made = sum(int(np.prod(m.binding.variable.shape)) for m in group.with_role("produce"))
    return float(group.units * made)


def outgoing_norms(group: Group, state: State) -> np.ndarray:
    """``‖V_j‖`` over every layer that reads unit j: (units,)."""
    squares = np.zeros(group.units)
    for member in group.with_role("consume"):
        rows = member.rows(state.values[member.variable], group.units)
        squares += np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return np.sqrt(squares)


def distances(group: Group, state: State) -> np.ndarray:
    """``‖w_i − w_j‖ + |b_i − b_j| / (|b_i| + |b_j|)`` for all pairs: (units, units).

    The bias term is 0 where both are 0. All distances come out of one matrix product a kernel.

    Source: arXiv 2204.00783, section IV-A.
    """
    kernels, biases = producers(group, state)
    total = np.zeros((group.units, group.units))
    for kernel in kernels:
        exact = group.units**2 * kernel.shape[1] <= _EXACT_LIMIT
        rows: Any = kernel.astype(np.float64 if exact else np.float32)
        rows -= rows.mean(axis=0)  # the same differences, with less cancellation
        squares = np.einsum("ij,ij->i", rows, rows)
        square = rows @ rows.T
        square *= -2.0
        square += squares[:, None]
        square += squares[None, :]
        np.maximum(square, 0.0, out=square)
        total += np.sqrt(square, out=square)
    for bias in biases:
        for b in bias.T.astype(np.float64):
            gap = np.abs(b[:, None] - b[None, :])
            size = np.abs(b)[:, None] + np.abs(b)[None, :]
            total += np.divide(gap, size, out=np.zeros_like(gap), where=size > 0)
    return total


def lengths(group: Group, state: State) -> np.ndarray:
    """The distance of each unit from one without weights, in the units of ``distances``."""
    kernels, biases = producers(group, state)
    total = np.zeros(group.units)
    for kernel in kernels:
        total += np.sqrt(np.einsum("ij,ij->i", kernel, kernel, dtype=np.float64))
    for bias in biases:
        total += (bias != 0).sum(axis=1)
    return total


def magnitude(group: Group, state: State) -> np.ndarray:
    """Mean absolute weight of each unit, summed over the layers that make it: (units,).

    Source: arXiv 2204.00783, section IV-B (filters ranked by scale).
    """
    kernels, _ = producers(group, state)
    return np.sum([np.abs(k).mean(axis=1, dtype=np.float64) for k in kernels], axis=0)


def renewal(units: int) -> int:
    """After how many removals estimates of a group are renewed: each time touches all pairs."""
    return 1 if units <= _AT_ONCE else units // 64 if units <= WIDE else units // 16


class DistanceCache:
    """Distances of each group, worked out again only when its weights changed.

    A state shares the arrays that a step did not touch, so the arrays themselves tell.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[list[np.ndarray], np.ndarray]] = {}

    def get(self, group: Group, state: State) -> np.ndarray:
        """``distances(group, state)``, remembered."""
        made_from = [state.values[m.variable] for m in group.with_role("produce")]
        known = self._known.get(group.name)
        if known is not None and all(a is b for a, b in zip(known[0], made_from, strict=True)):
            return known[1]
        value = distances(group, state)
        self._known[group.name] = (made_from, value)
        return value


def is_dense(group: Group) -> bool:
    """Whether every layer that makes the units is a matrix (Dense), not a convolution."""
    return all(len(m.binding.variable.shape) <= 2 for m in group.with_role("produce"))

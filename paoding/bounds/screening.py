"""Every pair of a layer at once: a sound upper bound of what each merge may change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paoding.bounds.compare import absolute
from paoding.bounds.difference import Readers
from paoding.bounds.intervals import Floats, Interval, gamma, up
from paoding.bounds.maps import Map, MatMul
from paoding.bounds.primitives import Affine, Apply, MaxPool, Program, Step


@dataclass(frozen=True, eq=False)
class Screen:
    """What is known of a network before any candidate.

    Args:
        program: the network.
        values: bounds of each of its values.
        targets: the values in which a change counts.
    """

    program: Program
    values: Sequence[Interval]
    targets: tuple[int, ...]

    def pairs(self, reading: Sequence[Readers], units: int) -> NDArray[np.float32] | None:
        """A sound upper bound of every pair's amount, from one matrix product.

        ``|y_i - y_j| <= |c (w_i - w_j) + b_i - b_j| + r |w_i - w_j|``, the second term by
        Cauchy-Schwarz from the Gram matrix of the columns weighted with the radii, times what
        unit j can do to the outputs at most (absolute weights and largest slopes).

        Args:
            reading: the steps that read a group.
            units: how many it has.

        Returns:
            (units, units) float32, entry [j, i] for removing j into i; None where the group's
            units are not made by one matrix and passed on by functions of each value alone.

        Source: ``docs/method.md``, section 3 (all pairs at once).
        """
        reach = self.reach(reading, units)
        pairs = None if reach is None else self._distance(reading[0])
        if pairs is None or reach is None:
            return None
        pairs *= reach.astype(np.float32)[:, None] * np.float32(2.0 * (1 + 1e-5))
        return pairs

    def reach(self, reading: Sequence[Readers], units: int) -> Floats | None:
        """(units,) what a change of 1 in a unit may change at the scores, in sum, at most."""
        reach: Floats = np.zeros(units)
        for reader in reading:
            step = self.program.steps[reader.step]
            later = self._reach_of(step.output)
            if later is None:
                return None
            assert isinstance(step.primitive, Affine)
            weight = _abs_adjoint(step.primitive.maps[0], later)
            axes = tuple(range(weight.ndim - 1))
            reach = reach + weight.sum(axis=axes)[reader.rows].sum(axis=1)
        return reach

    def _reach_of(self, value: int) -> Floats | None:
        """What a change of 1 in each entry of a value may change at the scores, in sum."""
        reach: dict[int, Floats] = {v: np.ones((1, *self.program.shapes[v])) for v in self.targets}
        for step in reversed(self.program.steps):
            if step.output == value:
                break
            out = reach.get(step.output)
            if out is None:
                continue
            parts = _reach_back(step, out)
            if parts is None:
                return None
            for i, part in zip(step.inputs, parts, strict=True):
                reach[i] = part if i not in reach else reach[i] + part
        found = reach.get(value)
        return np.zeros(self.program.shapes[value]) if found is None else found[0] * (1 + 1e-9)

    def _distance(self, reader: Readers) -> NDArray[np.float32] | None:
        """(units, units) a bound of ``|y_i - y_j|`` at the group's reader."""
        made_by = {step.output: step for step in self.program.steps}
        value, slope = self.program.steps[reader.step].inputs[0], 1.0
        step = made_by.get(value)
        while step is not None and isinstance(step.primitive, Apply):
            if not np.isfinite(step.primitive.kind.slope):
                return None
            slope *= step.primitive.kind.slope
            step = made_by.get(step.inputs[0])
        if step is None or not isinstance(step.primitive, Affine):
            return None
        linear = step.primitive.maps[0]
        if len(step.primitive.maps) > 1 or not isinstance(linear, MatMul):
            return None
        if len(self.program.shapes[step.inputs[0]]) > 1 or reader.rows.shape[1] > 1:
            return None
        bias = step.primitive.bias
        offset = np.zeros(linear.kernel.shape[1]) if bias is None else bias.lower
        order = reader.rows[:, 0]
        distance = pair_distance(linear.kernel, offset, self.values[step.inputs[0]])
        distance *= np.float32(slope)
        same = (order == np.arange(len(order))).all()
        return distance if same else distance[np.ix_(order, order)]


def pair_distance(kernel: NDArray[np.floating], bias: Floats, x: Interval) -> NDArray[np.float32]:
    """A sound bound of ``|z_i - z_j|`` for all pairs of a matrix's columns, by one product.

    Args:
        kernel: (n, units).
        bias: (units,).
        x: (1, n) the box of what enters.

    Returns:
        (units, units) float32: ``|c (w_i - w_j) + b_i - b_j| + sqrt(sum r) sqrt(sum r (w_i -
        w_j)^2)``, widened by the rounding of the float32 product.
    """
    center, radius = (v.reshape(-1) for v in x.center_radius())
    n, units = kernel.shape
    columns = np.empty((n, units), dtype=np.float32)
    np.multiply(kernel, np.sqrt(radius).astype(np.float32)[:, None], out=columns)
    gram = columns.T @ columns
    del columns
    middle = MatMul(kernel).forward(center[None])[0] + bias
    lost = gamma(n + 1) * (MatMul(kernel).forward_abs(np.abs(center)[None])[0] + np.abs(bias))
    square = np.diagonal(gram).astype(np.float64)
    # float32: n roundings in each product, 4 in each scaled column (relative to the squares).
    slack = (n + 16) * 2.0**-24 / (1 - (n + 16) * 2.0**-24)
    row = (square * (1 + slack) / (1 - slack) * (1 + 1e-6) + 1e-37).astype(np.float32)
    gram *= np.float32(-2.0)
    gram += row[:, None]
    gram += row[None, :]
    # The computed squares and product each err by slack relative to |w_i|, |w_j| in norm.
    room = (2 * slack * square * (1 + slack) / (1 - slack)).astype(np.float32)
    gram += room[:, None]
    gram += room[None, :]
    np.maximum(gram, 0.0, out=gram)
    np.sqrt(gram, out=gram)
    gram *= np.float32(up(math.sqrt(float(radius.sum()))) * (1 + 1e-6))
    middle32 = middle.astype(np.float32)
    rounding = np.abs(middle) * 2.0**-23 + lost + 1e-37
    block = max(1, 2**24 // max(units, 1))
    for start in range(0, units, block):
        part = slice(start, start + block)
        gram[part] += np.abs(middle32[part, None] - middle32[None, :])
    gram *= np.float32(1 + 1e-6)
    wide = up(rounding).astype(np.float32) * np.float32(1 + 1e-6)
    gram += wide[:, None]
    gram += wide[None, :]
    np.fill_diagonal(gram, 0.0)
    return gram


def _abs_adjoint(linear: Map, later: Floats) -> Floats:
    """What a change of 1 in each input entry may change behind ``|linear|``."""
    out: Floats = absolute(linear).adjoint(later[None])[0]
    return out


def _reach_back(step: Step, out: Floats) -> list[Floats] | None:
    """The reach of a step's inputs from its output's; None for a step without a slope."""
    primitive = step.primitive
    if isinstance(primitive, Affine):
        return [_abs_adjoint(linear, out[0])[None] for linear in primitive.maps]
    if isinstance(primitive, Apply) and np.isfinite(primitive.kind.slope):
        return [out * primitive.kind.slope]
    if isinstance(primitive, MaxPool):
        windows = primitive.windows
        outer: Any = (slice(None), *(slice(None),) * len(windows.spatial))
        spread = out[(*outer, *(None,) * len(windows.kernel))]
        shape = (1, *windows.out, *windows.kernel, out.shape[-1])
        return [windows.scatter(np.broadcast_to(spread, shape))]
    return None

"""Linear bounds by back-substitution: tighter than intervals, because the input is kept.

Any linear form in a value and in its change is followed back to the input box, layer by layer:
exactly through linear layers, through two lines at each activation. Both networks see the same
input, so what they have in common cancels. Source: CROWN (Zhang et al. 2018) and DeepPoly
(Singh et al. 2019), here for a network and its pruned version together.
"""

from __future__ import annotations

import math

import numpy as np

from paoding.bounds.compare import difference
from paoding.bounds.difference import (
    Merges,
    Swap,
    correction,
    kernel_of,
    scales,
    swaps,
    with_kernel,
)
from paoding.bounds.forms import Form, Network
from paoding.bounds.intervals import UNIT, Floats, Interval, Twin, gamma
from paoding.bounds.lines import Lines, change_lines, value_lines
from paoding.bounds.maps import Ints, Map
from paoding.bounds.pairs import Couple, Paired
from paoding.bounds.primitives import Affine, Apply, Correction, Program, Step, score_values
from paoding.graph import Graph

# Multiply-adds that the refinement of one value may take; beyond, its interval is kept.
REFINE_BUDGET = 2e10
_CHUNK_BYTES = 256 * 2**20
_SLACK = 64 * UNIT  # roundings of sums of coefficients, and of slopes times coefficients


class Linear:
    """Refines the bounds of two networks and of their difference (``differences``).

    Args:
        graph: the traced model.
        before, after: the two networks.
        merges: which units were merged into which.
        budget: multiply-adds that the refinement of one value may take; values that would
            take more keep their intervals. Outputs and scores are always refined.

    Cost: per value of n entries about ``6 n`` rows through all layers before it, so for a chain
    of layers it grows with the square of the depth; on a 784-128-128-64-10 network tens of
    milliseconds.
    """

    def __init__(
        self,
        graph: Graph,
        before: Program,
        after: Program,
        merges: Merges | None = None,
        budget: float = REFINE_BUDGET,
    ) -> None:
        self.before, self.after, self.budget = before, after, budget
        self._swaps: dict[int, Swap] = swaps(graph, before, merges or {})
        self._made_by = {step.output: k for k, step in enumerate(before.steps)}
        self._certified = {*before.outputs, *score_values(before)}
        self._refined: set[int] = set()
        self._corrections: dict[int, list[Correction]] = {}
        self._offsets: dict[int, Interval | None] = {}
        self._lines: dict[tuple[int, str], Lines] = {}
        self._pair_lines: dict[int, tuple[Couple, int, Lines] | None] = {}

    def refine(self, value: int, twins: list[Twin | None]) -> Twin:
        """The value's bounds met with linear ones."""
        twin = twins[value]
        assert twin is not None
        step = self._made_by.get(value)
        if value in self._refined or step is None:
            return twin
        self._refined.add(value)
        bends = not isinstance(self.before.steps[step].primitive, Affine)
        if bends or twin.before.shape[0] != 1 or self._work(value) > self._allowed(value):
            return twin
        old = Network(self.before, [None if t is None else t.before for t in twins])
        if self.after is self.before:  # one network alone: nothing changes
            here = twin.before.meet(self._both_sides(value, old, "old"))
            return Twin(here, here, twin.change)
        new = Network(self.after, [None if t is None else t.after for t in twins])
        changes = [None if t is None else t.change for t in twins]
        return Twin(
            twin.before.meet(self._both_sides(value, old, "old")),
            twin.after.meet(self._both_sides(value, new, "new")),
            twin.change.meet(self._both_sides(value, old, "change", new, changes)),
        ).tightened()

    def _allowed(self, value: int) -> float:
        return math.inf if value in self._certified else self.budget

    def _work(self, value: int) -> float:
        rows = 6 * math.prod(self.before.shapes[value])
        needed, work = {value}, 0.0
        for step in reversed(self.before.steps[: self._made_by[value] + 1]):
            if step.output not in needed:
                continue
            needed.update(step.inputs)
            if isinstance(step.primitive, Affine):
                size = math.prod(self.before.shapes[step.output])
                work += size * sum(max(m.terms, 1) for m in step.primitive.maps)
        return rows * work

    def _both_sides(
        self,
        value: int,
        network: Network,
        what: str,
        new: Network | None = None,
        changes: list[Interval | None] | None = None,
    ) -> Interval:
        """Bounds of every entry of a value (or of its change), from rows +1 and -1."""
        shape = self.before.shapes[value]
        size = math.prod(shape)
        largest = max(math.prod(s) for s in self.before.shapes)
        chunk = max(1, _CHUNK_BYTES // (8 * 8 * largest))
        lower, upper = np.empty(size), np.empty(size)
        for start in range(0, size, chunk):
            here = np.arange(start, min(start + chunk, size))
            unit = np.zeros((len(here), size))
            unit[np.arange(len(here)), here] = 1.0
            rows = np.concatenate([unit, -unit]).reshape(2 * len(here), *shape)
            form = Form(len(rows))
            if what == "change":
                form.add_r(value, rows)
            else:
                form.add_y(value, rows)
            least = self.substitute(form, value, network, what, new, changes)
            lower[here], upper[here] = least[: len(here)], -least[len(here) :]
        return Interval(lower.reshape(1, *shape), upper.reshape(1, *shape))

    # -- back through the steps

    def substitute(
        self,
        form: Form,
        value: int,
        network: Network,
        what: str,
        new: Network | None = None,
        changes: list[Interval | None] | None = None,
    ) -> Floats:
        """The least of each row of a form in one value, over the inputs.

        Args:
            form: rows with coefficients on the value (``y``) or its change (``r``); used up.
            value: the value that the form is in.
            network: the network whose values ``y`` means, with bounds of all values before.
            what: "old" or "new" for a form in y, "change" for one in r.
            new: the new network, for "change".
            changes: bounds of every change, for "change".

        Returns:
            (rows,) lower bounds.
        """
        last = self._made_by[value]
        for number in range(last, -1, -1):
            step = network.program.steps[number]
            a, b = form.y.pop(step.output, None), form.r.pop(step.output, None)
            if a is not None:
                self._value_back(form, a, number, step, network, what)
            if b is not None:
                assert new is not None and changes is not None
                self._change_back(form, b, number, step, network, new, changes)
        for number in network.program.inputs:
            a = form.y.pop(number, None)
            form.r.pop(number, None)  # the input does not change
            if a is not None:
                form.lose(a, network.bounds(number).magnitude, _SLACK)
                form.add_least(a, network.bounds(number))
        return form.least()

    def _value_back(
        self, form: Form, a: Floats, number: int, step: Step, network: Network, what: str
    ) -> None:
        primitive = step.primitive
        form.lose(a, network.bounds(step.output).magnitude, _SLACK)
        if isinstance(primitive, Affine):
            _linear_back(form, a, primitive.maps, step.inputs, network, form.add_y)
            if primitive.bias is not None:
                form.add_least(a, primitive.bias)
        elif isinstance(primitive, Apply):
            z = step.inputs[0]
            # The old network's lines serve its own bounds and those of the change.
            key = (number, "new" if what == "new" else "old")
            if key not in self._lines:
                self._lines[key] = value_lines(
                    primitive.kind, network.bounds(z), network.bounds(step.output)
                )
            _lines_back(form, a, self._lines[key], network.bounds(z), None, z, None)
        else:
            form.add_least(a, network.bounds(step.output))

    def _change_back(
        self,
        form: Form,
        b: Floats,
        number: int,
        step: Step,
        old: Network,
        new: Network,
        changes: list[Interval | None],
    ) -> None:
        change = changes[step.output]
        assert change is not None
        form.lose(b, change.magnitude, _SLACK)
        primitive, changed = step.primitive, self.after.steps[number].primitive
        if isinstance(primitive, Affine):
            assert isinstance(changed, Affine)
            known = self._correction(number, step, old)
            if known is None:
                form.add_least(b, change)
                return
            moved = Network(self.after, changes)
            _linear_back(form, b, changed.maps, step.inputs, moved, form.add_r)
            offset = primitive._offset(changed)
            if offset is not None:
                form.add_least(b, offset)
            for x, part in zip(step.inputs, known, strict=True):
                self._correction_back(form, b, number, x, part, old)
        elif isinstance(primitive, Apply) and primitive == changed:
            z = step.inputs[0]
            d = changes[z]
            assert d is not None
            if (number, "change") not in self._lines:
                twin = Twin(old.bounds(z), new.bounds(z), d)
                self._lines[number, "change"] = change_lines(primitive.kind, twin, change)
            lines = self._lines[number, "change"]
            _lines_back(form, b, lines, old.bounds(z), d, z, z)
        else:
            form.add_least(b, change)

    def _correction(self, number: int, step: Step, old: Network) -> list[Correction] | None:
        """What is known of ``V' - V``, per input; None where only the interval is."""
        if number not in self._corrections:
            primitive, changed = step.primitive, self.after.steps[number].primitive
            assert isinstance(primitive, Affine) and isinstance(changed, Affine)
            if number in self._swaps:
                paired = Paired(self.before, old.values)
                swap = self._swaps[number]
                found = [correction(self.before, self.after, number, swap, paired)]
            else:
                try:
                    pairs = zip(primitive.maps, changed.maps, strict=True)
                    found = [Correction(None, difference(b, a)) for a, b in pairs]
                except NotImplementedError:
                    return None
            self._corrections[number] = found
        return self._corrections[number]

    def _correction_back(
        self, form: Form, b: Floats, number: int, x: int, part: Correction, old: Network
    ) -> None:
        if part.rest is not None:
            _linear_back(form, b, [part.rest], (x,), old, form.add_y)
        size = old.bounds(x).magnitude
        if part.slack is not None:
            form.lose(b, part.slack.forward_abs(size), 1.0)
        if part.known is None:
            return
        swap = self._swaps[number]
        linear = self.before.steps[number].primitive
        assert isinstance(linear, Affine)
        kernel = kernel_of(self.before, number).astype(np.float64)
        rows = with_kernel(linear.maps[0], kernel[..., swap.gone, :])
        entering = rows.adjoint(b)
        couple = self._couple(number, swap)
        pair_size = couple.sizes(size)
        form.lose(b, rows.forward_abs(pair_size), gamma(rows.terms + 4))
        lines = self._lines_of_pairs(number, x, couple, old) if couple.plain else None
        if lines is None:  # no function to bend: the two channels' own values
            shape = old.program.shapes[x]
            _scatter(form, x, entering * couple.scale_first, couple.first, 1, shape)
            _scatter(form, x, entering, couple.second, -1, shape)
            return
        z, line = lines
        scaled = Form(form.rows)
        _lines_back(scaled, entering, line, old.bounds(z)[..., couple.second], None, 0, 1)
        form.constant = form.constant + scaled.constant
        form.size, form.error = form.size + scaled.size, form.error + scaled.error
        form.adds += scaled.adds
        form.lose(entering, couple.sizes(old.bounds(z).magnitude), _SLACK)
        on_z, on_d = scaled.y[0], scaled.r[1]
        shape = old.program.shapes[z]
        _scatter(form, z, on_d, couple.first, 1, shape)
        _scatter(form, z, on_d, couple.second, -1, shape)
        _scatter(form, z, on_z, couple.second, 1, shape)

    def _couple(self, number: int, swap: Swap) -> Couple:
        old, new = (kernel_of(p, number).astype(np.float64) for p in (self.before, self.after))
        scale = scales(old, new, swap)
        return Couple(swap.into, swap.gone, scale, np.ones(len(scale)))

    def _lines_of_pairs(
        self, number: int, x: int, couple: Couple, old: Network
    ) -> tuple[int, Lines] | None:
        """Lines for ``y_into - y_gone`` in the arguments of the function that made them."""
        if number not in self._pair_lines:
            made = self._made_by.get(x)
            primitive = None if made is None else self.before.steps[made].primitive
            if not isinstance(primitive, Apply) or primitive.kind.name == "prelu":
                self._pair_lines[number] = None
            else:
                assert made is not None
                z = self.before.steps[made].inputs[0]
                paired = Paired(self.before, old.values)
                twin = Twin(
                    old.bounds(z)[..., couple.second],
                    old.bounds(z)[..., couple.first],
                    paired.bound(z, couple),
                )
                lines = change_lines(primitive.kind, twin, paired.bound(x, couple))
                self._pair_lines[number] = (couple, z, lines)
        found = self._pair_lines[number]
        return None if found is None else (found[1], found[2])


def _linear_back(
    form: Form,
    coefficients: Floats,
    maps: list[Map] | tuple[Map, ...],
    inputs: tuple[int, ...],
    network: Network,
    add: object,
) -> None:
    """Coefficients behind a linear step become coefficients before it."""
    for linear, x in zip(maps, inputs, strict=True):
        moved = linear.adjoint(coefficients)
        shape = network.program.shapes[x]
        add(x, moved.reshape(len(coefficients), *shape))  # type: ignore[operator]
        if linear.terms:
            size = linear.forward_abs(network.bounds(x).magnitude + np.zeros((1, *shape)))
            outputs = math.prod(coefficients.shape[1:])
            form.lose(coefficients, size, gamma(max(linear.terms, outputs) + 4))


def _lines_back(
    form: Form,
    coefficients: Floats,
    lines: Lines,
    z_bounds: Interval,
    d_bounds: Interval | None,
    z: int,
    d: int | None,
) -> None:
    """Coefficients behind a bend take the lower line where positive, the upper where negative."""
    positive, negative = np.maximum(coefficients, 0.0), np.minimum(coefficients, 0.0)
    form.add_y(z, positive * lines.low_z + negative * lines.high_z)
    steep = np.maximum(np.abs(lines.low_z), np.abs(lines.high_z))
    form.lose(coefficients, steep * z_bounds.magnitude, _SLACK)
    if d is not None:
        form.add_r(d, positive * lines.low_d + negative * lines.high_d)
        if d_bounds is not None:
            steep = np.maximum(np.abs(lines.low_d), np.abs(lines.high_d))
            form.lose(coefficients, steep * d_bounds.magnitude, _SLACK)
    form.add_constant(positive, lines.low)
    form.add_constant(negative, lines.high)


def _scatter(
    form: Form, value: int, coefficients: Floats, channels: Ints, sign: int, shape: tuple[int, ...]
) -> None:
    """Coefficients on chosen channels become coefficients on the whole value."""
    out = np.zeros((*coefficients.shape[:-1], shape[-1]))
    add = np.add if sign > 0 else np.subtract
    add.at(np.moveaxis(out, -1, 0), channels, np.moveaxis(coefficients, -1, 0))
    form.add_y(value, out)

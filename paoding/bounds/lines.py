"""Straight lines below and above an activation, and below and above its change.

Linear bounds replace each activation by two lines. Each pair of lines is chosen entry by entry
as the one that leaves the least room at its widest, and moved outward by its own rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paoding.bounds.activations import RELU, Activation
from paoding.bounds.intervals import UNIT, Floats, Interval, Twin

_ROUNDING = 32 * UNIT


@dataclass(frozen=True, eq=False)
class Lines:
    """``low_z z + low_d d + low <= value <= high_z z + high_d d + high``, entry by entry."""

    low_z: Floats
    low_d: Floats
    low: Floats
    high_z: Floats
    high_d: Floats
    high: Floats

    def where(self, choose: Floats, other: Lines) -> Lines:
        """These lines where ``choose`` holds, the others elsewhere."""
        return Lines(
            *(
                np.where(choose, mine, theirs)
                for mine, theirs in zip(self._all, other._all, strict=True)
            )
        )

    @property
    def _all(self) -> tuple[Floats, ...]:
        return (self.low_z, self.low_d, self.low, self.high_z, self.high_d, self.high)


def _constant(bounds: Interval) -> Lines:
    zero = np.zeros(bounds.shape)
    return Lines(zero, zero, bounds.lower + zero, zero, zero, bounds.upper + zero)


def value_lines(kind: Activation, z: Interval, values: Interval) -> Lines:
    """Lines in z around the activation of z.

    Args:
        kind: the activation.
        z: bounds of its argument.
        values: bounds of its value (``kind.interval(z)`` or tighter).
    """
    if kind is RELU or kind.name == "relu":
        return _relu_lines(z)
    zero = np.zeros(z.shape)
    slopes = kind.slopes(z)
    known = np.isfinite(slopes.lower) & np.isfinite(slopes.upper)
    least = np.where(known, slopes.lower, 0.0)
    most = np.where(known, slopes.upper, 0.0)
    constant = _constant(values)
    # Through the ends with the least slope: tight for functions that never decrease.
    room = _room(z, least, values)
    ends = Lines(
        least,
        zero,
        kind.below(z.lower) - least * z.lower - room,
        least,
        zero,
        kind.above(z.upper) - least * z.upper + room,
    )
    # Through the middle with the mean slope, half the spread of the slopes to either side.
    middle = 0.5 * (z.lower + z.upper)
    mean, half = 0.5 * (least + most), 0.5 * (most - least)
    reach = half * np.maximum(z.upper - middle, middle - z.lower)
    at = mean * middle
    room = _room(z, most, values) + _ROUNDING * np.abs(reach)
    center = Lines(
        mean,
        zero,
        kind.below(middle) - at - reach - room,
        mean,
        zero,
        kind.above(middle) - at + reach + room,
    )
    width = z.upper - z.lower
    gap_constant = values.upper - values.lower
    rises = slopes.lower >= 0
    gap_ends = np.where(known & rises, gap_constant - least * width, np.inf)
    gap_center = np.where(known, 2 * reach, np.inf)
    best = np.minimum(gap_ends, gap_center)
    lines = ends.where(gap_ends <= gap_center, center)
    return lines.where(best <= gap_constant, constant)


def _room(z: Interval, slope: Floats, values: Interval) -> Floats:
    """Rounding of a line's intercept and of its slope over the interval."""
    size = z.magnitude
    return _ROUNDING * (np.abs(slope) * size + size + values.magnitude) + 1e-300


def _relu_lines(z: Interval) -> Lines:
    """The usual triangle; below it, the side that leaves less room."""
    low, high = z.lower, z.upper
    zero = np.zeros(z.shape)
    split = (low < 0) & (high > 0)
    width = np.where(split, high - low, 1.0)
    chord = np.where(split, high / width, np.where(low >= 0, 1.0, 0.0))
    # chord * (z - low) is above relu on [low, high] for this slope or any above it.
    chord = np.where(split, np.minimum(chord * (1 + _ROUNDING), 1.0), chord)
    offset = np.where(split, -chord * low * (1 + _ROUNDING) + 1e-300, 0.0)
    floor = np.where(split, np.where(high > -low, 1.0, 0.0), chord)
    return Lines(floor, zero, zero, chord, zero, offset)


def change_lines(kind: Activation, twin: Twin, change: Interval) -> Lines:
    """Lines in z and d around ``f(z + d) - f(z)``.

    Args:
        kind: the activation.
        twin: bounds of z, z + d and d.
        change: bounds of the result (``kind.difference(twin)`` or tighter).

    Two ways, whichever leaves less room: lines in d alone, from the range of the slope between
    the two arguments; or the lines of both values subtracted, which is tight where the
    activations are nearly linear but the change is large.
    """
    twin = twin.tightened()
    d = twin.change
    slopes = kind.slopes(twin.before.hull(twin.after))
    known = np.isfinite(slopes.lower) & np.isfinite(slopes.upper)
    wedge = _wedge(d, np.where(known, slopes.lower, 0.0), np.where(known, slopes.upper, 0.0))
    gap_wedge = np.where(known, _gap_wedge(wedge, d), np.inf)
    two = _subtracted(kind, twin)
    gap_two = (
        (two.high_d - two.low_d) * 0.5 * (d.lower + d.upper)
        + (two.high_z - two.low_z) * 0.5 * (twin.before.lower + twin.before.upper)
        + two.high
        - two.low
    ) + 0.5 * (
        np.abs(two.high_d - two.low_d) * (d.upper - d.lower)
        + np.abs(two.high_z - two.low_z) * (twin.before.upper - twin.before.lower)
    )
    lines = wedge.where(gap_wedge <= gap_two, two)
    gap = np.minimum(gap_wedge, gap_two)
    return lines.where(gap <= change.upper - change.lower, _constant(change))


def _wedge(d: Interval, least: Floats, most: Floats) -> Lines:
    """``s d`` for an unknown slope s between ``least`` and ``most``: chords of the wedge."""
    low, high = d.lower + np.zeros(least.shape), d.upper + np.zeros(least.shape)
    zero = np.zeros(least.shape)
    split = (low < 0) & (high > 0)
    width = np.where(split, high - low, 1.0)
    # Above: from (low, least * low) to (high, most * high); below: the other two corners.
    rise = np.where(split, (most * high - least * low) / width, np.where(low >= 0, most, least))
    fall = np.where(split, (least * high - most * low) / width, np.where(low >= 0, least, most))
    # No lines' difference to a corner may be lost to rounding: check both corners, move out.
    size = np.maximum(np.abs(low), np.abs(high))
    steep = np.maximum(np.abs(least), np.abs(most))
    room = np.where(split, _ROUNDING * steep * size + 1e-300, 0.0)
    over = np.where(split, np.maximum(least * low - rise * low, most * high - rise * high), 0.0)
    under = np.where(split, np.minimum(most * low - fall * low, least * high - fall * high), 0.0)
    return Lines(zero, fall, under - room, zero, rise, over + room)


def _gap_wedge(lines: Lines, d: Interval) -> Floats:
    slope = lines.high_d - lines.low_d
    ends = np.maximum(slope * d.lower, slope * d.upper)
    return ends + lines.high - lines.low


def _subtracted(kind: Activation, twin: Twin) -> Lines:
    """Lines of the new value in z + d minus lines of the old value in z."""
    old = value_lines(kind, twin.before, kind.interval(twin.before))
    new = value_lines(kind, twin.after, kind.interval(twin.after))
    size = twin.before.magnitude + twin.after.magnitude
    room = _ROUNDING * (
        np.abs(new.low_z) + np.abs(old.high_z) + np.abs(new.high_z) + np.abs(old.low_z)
    ) * size + _ROUNDING * (np.abs(new.low) + np.abs(old.high) + np.abs(new.high) + np.abs(old.low))
    return Lines(
        new.low_z - old.high_z,
        new.low_z,
        new.low - old.high - room,
        new.high_z - old.low_z,
        new.high_z,
        new.high - old.low + room,
    )

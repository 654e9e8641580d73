"""Straight lines below and above an activation, and below and above its change.

Linear bounds replace each activation by two lines. Each side's line is chosen entry by entry as
the one that leaves the least room on average over the box of its arguments, and moved outward by
its own rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paoding.bounds.activations import RELU
from paoding.bounds.curves import Activation
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
        return self._mixed(choose, choose, other)

    def met(self, other: Lines, z: Floats, d: Floats | float = 0.0) -> Lines:
        """Below and above, whichever line is the tighter one at ``z`` and ``d``.

        Either may serve. At the middle of the box of arguments, a line's distance from the
        function is less by as much as it is on average over the box.
        """
        lower = self.low_z * z + self.low_d * d + self.low
        upper = self.high_z * z + self.high_d * d + self.high
        return self._mixed(
            lower >= other.low_z * z + other.low_d * d + other.low,
            upper <= other.high_z * z + other.high_d * d + other.high,
            other,
        )

    def _mixed(self, below: Floats, above: Floats, other: Lines) -> Lines:
        return Lines(
            np.where(below, self.low_z, other.low_z),
            np.where(below, self.low_d, other.low_d),
            np.where(below, self.low, other.low),
            np.where(above, self.high_z, other.high_z),
            np.where(above, self.high_d, other.high_d),
            np.where(above, self.high, other.high),
        )


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
    lines = center.where(known, constant)
    rises = known & (slopes.lower >= 0)
    return constant.met(lines, middle).met(ends.where(rises, constant), middle)


def _room(z: Interval, slope: Floats, values: Interval) -> Floats:
    """Rounding of a line's intercept and of its slope over the interval."""
    size = z.magnitude
    return _ROUNDING * (np.abs(slope) * size + size + values.magnitude) + 1e-300


def _relu_lines(z: Interval) -> Lines:
    """The usual triangle; below it, the side that leaves less room.

    Where neither side clearly does, a slope between the two: over the many units of wide boxes
    that was measured to be tighter, and over small boxes no looser.
    """
    low, high = z.lower, z.upper
    zero = np.zeros(z.shape)
    split = (low < 0) & (high > 0)
    width = np.where(split, high - low, 1.0)
    chord = np.where(split, high / width, np.where(low >= 0, 1.0, 0.0))
    # chord * (z - low) is above relu on [low, high] for this slope or any above it.
    chord = np.where(split, np.minimum(chord * (1 + _ROUNDING), 1.0), chord)
    offset = np.where(split, -chord * low * (1 + _ROUNDING) + 1e-300, 0.0)
    floor = np.where(split, np.clip(4.0 * chord - 1.5, 0.0, 1.0), chord)
    return Lines(floor, zero, zero, chord, zero, offset)


def change_lines(kind: Activation, twin: Twin, change: Interval) -> Lines:
    """Lines in z and d around ``f(z + d) - f(z)``.

    Args:
        kind: the activation.
        twin: bounds of z, z + d and d.
        change: bounds of the result (``kind.difference(twin)`` or tighter).

    Two ways, whichever leaves less room on each side: lines in d alone, from the range of the
    slope between the two arguments; or the lines of both values subtracted, which is tight
    where the activations are nearly linear but the change is large.
    """
    twin = twin.tightened()
    d = twin.change
    slopes = kind.slopes(twin.before.hull(twin.after))
    known = np.isfinite(slopes.lower) & np.isfinite(slopes.upper)
    wedge = _wedge(d, np.where(known, slopes.lower, 0.0), np.where(known, slopes.upper, 0.0))
    constant = _constant(change)
    z, middle = 0.5 * (twin.before.lower + twin.before.upper), 0.5 * (d.lower + d.upper)
    lines = constant.met(wedge.where(known, constant), z, middle)
    return lines.met(_subtracted(kind, twin), z, middle)


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

"""Two maps of one kind beside each other: their difference, and a map's absolute weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from paoding.bounds.maps import Map, MatMul, Scale, Transposed
from paoding.bounds.windows import Convolution, Depthwise


def difference(after: Map, before: Map) -> Map | None:
    """The map ``after - before`` of two maps of one kind, None where they are equal.

    The weights are subtracted in float64: exact or off by one rounding, which
    ``intervals.gamma`` allows for.

    Raises:
        NotImplementedError: the difference is not known to full relative accuracy.
    """
    if after is before:
        return None
    if isinstance(after, MatMul | Convolution | Depthwise) and isinstance(before, type(after)):
        if after.kernel is before.kernel or np.array_equal(after.kernel, before.kernel):
            return None
        return replace(after, kernel=np.subtract(after.kernel, before.kernel, dtype=np.float64))
    if isinstance(after, Transposed) and isinstance(before, Transposed):
        inner = difference(after.inner, before.inner)
        if inner is None:
            return None
        return Transposed(inner, absolute(inner), after.terms)
    if isinstance(after, Scale) and isinstance(before, Scale):
        if np.array_equal(after.factor, before.factor):
            return None
        # Each factor is itself rounded, so their difference has no small relative error.
        raise NotImplementedError("two different scales are bounded by subtraction")
    return None  # what has no weights is the same in both networks


def absolute(inner: Map) -> Map:
    """The same map with the absolute values of its weights."""
    if isinstance(inner, MatMul | Convolution | Depthwise):
        return replace(inner, kernel=np.abs(inner.kernel))
    if isinstance(inner, Scale):
        return Scale(np.abs(inner.factor), inner.terms)
    return inner

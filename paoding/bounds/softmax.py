"""Bounds of a softmax and of its change, from those of each entry's margin."""

from __future__ import annotations

import numpy as np

from paoding.bounds.activations import SIGMOID
from paoding.bounds.intervals import Floats, Interval, Twin, down, up


def softmax(z: Interval) -> Interval:
    """Bounds of a softmax over the last axis."""
    if z.shape[-1] == 1:
        return Interval.point(np.ones(z.shape))
    return SIGMOID.interval(_margins(z))


def softmax_difference(twin: Twin) -> Interval:
    """The change of a softmax over the last axis.

    Each entry is a sigmoid of its margin ``z_k - LSE(z_j, j != k)``, and the change of the
    margin lies between the change of z_k and the extreme changes of the others.
    """
    twin = twin.tightened()
    change = twin.change
    if change.shape[-1] == 1:
        return Interval.point(np.zeros(change.shape))
    margin = Interval(
        down(change.lower - _others(np.maximum, change.upper)),
        up(change.upper - _others(np.minimum, change.lower)),
    )
    return SIGMOID.difference(Twin(_margins(twin.before), _margins(twin.after), margin))


def _margins(z: Interval) -> Interval:
    """Bounds of ``z_k - LSE(z_j, j != k)`` for each k on the last axis."""
    return Interval(
        down(z.lower - _lse_others(z.upper, 1.0)), up(z.upper - _lse_others(z.lower, -1.0))
    )


def _lse_others(z: Floats, side: float) -> Floats:
    """Log-sum-exp of all other entries of the last axis, moved up or down by its error."""
    peak = _others(np.maximum, z)
    total = z.max(axis=-1, keepdims=True)
    weights = np.exp(z - total)
    everything = weights.sum(axis=-1, keepdims=True)
    # Where z_k is not the peak, the rest still holds the peak's weight of 1: no cancellation.
    first = np.argmax(z, axis=-1)[..., None]
    at_peak = np.arange(z.shape[-1]) == first
    rest = np.where(at_peak, 1.0, everything - weights)
    result = total + np.log(np.maximum(rest, 1.0))
    without = np.where(at_peak, -np.inf, z)
    second = peak[at_peak].reshape(first.shape)
    own = second + np.log(np.exp(without - second).sum(axis=-1, keepdims=True))
    result = np.where(at_peak, own, result)
    error = (z.shape[-1] + 16) * 2.0**-52 * (1.0 + np.abs(total) + np.abs(second))
    return result + side * error


def _others(extreme: np.ufunc, z: Floats) -> Floats:
    """The largest (or least) of all other entries of the last axis."""
    order = z if extreme is np.maximum else -z
    first = np.argmax(order, axis=-1)[..., None]
    at_first = np.arange(z.shape[-1]) == first
    best = order.max(axis=-1, keepdims=True)
    second = np.where(at_first, -np.inf, order).max(axis=-1, keepdims=True)
    result = np.where(at_first, second, best)
    return result if extreme is np.maximum else -result

"""The activation functions by name: each with its shape, its slope and its rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import erf

from paoding.bounds.curves import (
    Activation,
    Concave,
    Convex,
    Exact,
    Function,
    HardSiLU,
    SShaped,
    Valley,
)
from paoding.bounds.intervals import Floats


def _sigmoid(z: Floats) -> Floats:
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def _softplus(z: Floats) -> Floats:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _elu(z: Floats, alpha: float = 1.0) -> Floats:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0.0)))


def _squareplus(z: Floats) -> Floats:
    root = np.hypot(z, 2.0)  # on the left, x + root cancels: the other form does not
    return np.where(z >= 0, 0.5 * (z + root), 2.0 / (root - np.minimum(z, 0.0)))


def _silu_slope(z: Floats) -> Floats:
    s = _sigmoid(z)
    return s * (1.0 + z * (1.0 - s))


def _gelu(z: Floats) -> Floats:
    return 0.5 * z * (1.0 + erf(z * np.sqrt(0.5)))


def _gelu_slope(z: Floats) -> Floats:
    return 0.5 * (1.0 + erf(z * np.sqrt(0.5))) + z * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def _tanh_gelu_parts(z: Floats) -> tuple[Floats, Floats]:
    z = np.clip(z, -1e6, 1e6)  # beyond, tanh is 1 and the derivative's terms would overflow
    inner = np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)
    return np.tanh(inner), np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)


def _tanh_gelu(z: Floats) -> Floats:
    return 0.5 * z * (1.0 + _tanh_gelu_parts(z)[0])


def _tanh_gelu_slope(z: Floats) -> Floats:
    tanh, inner_slope = _tanh_gelu_parts(z)
    return 0.5 * (1.0 + tanh) + 0.5 * np.clip(z, -1e6, 1e6) * (1 - tanh * tanh) * inner_slope


def _hard_silu(z: Floats) -> Floats:
    return z * np.clip(z / 6.0 + 0.5, 0.0, 1.0)


def _at_least(least: float, slope: float = 0.0) -> Function:
    """A step function: ``slope`` below ``least``, 1 from there on."""
    return lambda z: np.where(z >= least, 1.0, slope)


def _between(low: float, high: float, slope: float = 1.0) -> Function:
    """``slope`` between two ends (included), 0 outside."""
    return lambda z: np.where((z >= low) & (z <= high), slope, 0.0)


LINEAR = Exact("linear", lambda z: z, derivative=np.ones_like, straight=True)
RELU = Convex(
    "relu",
    lambda z: np.maximum(z, 0.0),
    exact=True,
    derivative=_at_least(0.0),
    straight=True,
    homogeneous=True,
)
SIGMOID = SShaped("sigmoid", _sigmoid, slope=0.25, derivative=lambda z: _sigmoid(z) * _sigmoid(-z))
TANH = SShaped("tanh", np.tanh, derivative=lambda z: 1.0 - np.tanh(z) ** 2, odd=True)
SILU = Valley(
    "silu",
    lambda z: z * _sigmoid(z),
    slope=1.1,
    derivative=_silu_slope,
    minimum=-1.2784645427610738,
    turns=(-2.399357280520067, 2.399357280520067),
)
GELU = Valley(
    "gelu",
    _gelu,
    slope=1.13,
    noise=8 * 2.0**-53,  # 1 + erf cancels on the left
    derivative=_gelu_slope,
    minimum=-0.7517915246935645,
    turns=(-(2**0.5), 2**0.5),
)
TANH_GELU = Valley(
    "gelu_tanh",
    _tanh_gelu,
    slope=1.13,
    noise=8 * 2.0**-53,
    derivative=_tanh_gelu_slope,
    minimum=-0.7524614220710162,
    turns=(-1.4195234887675853, 1.4195234887675853),
)
HARD_SILU = HardSiLU("hard_silu", _hard_silu, slope=1.5, derivative=np.ones_like, minimum=-1.5)
# One function for the same numbers: what both networks apply is then known to be equal.
_same = lru_cache(maxsize=256)


@_same
def leaky_relu(slope: float) -> Activation | None:
    """ReLU with a slope of its own for negative values; None where that slope is negative."""
    if slope < 0:
        return None
    kind = Convex if slope <= 1 else Concave
    return kind(
        "leaky_relu",
        lambda z: np.where(z >= 0, z, slope * z),
        max(1.0, slope),
        derivative=_at_least(0.0, slope),
        straight=True,
        homogeneous=True,
    )


@_same
def elu(alpha: float) -> Activation | None:
    """ELU; convex while its slope does not jump down at zero."""
    if alpha < 0:
        return None
    kind = Convex if alpha <= 1 else Activation
    return kind("elu", lambda z: _elu(z, alpha), max(1.0, alpha), derivative=_elu_slope(alpha))


def _elu_slope(alpha: float) -> Function:
    return lambda z: np.where(z >= 0, 1.0, alpha * np.exp(np.minimum(z, 0.0)))


@_same
def clipped_relu(top: float) -> Activation:
    """ReLU up to a largest value, such as ReLU6; symmetric about half of it."""
    return SShaped(
        "relu6",
        lambda z: np.clip(z, 0.0, top),
        exact=True,
        derivative=_between(0.0, top),
        straight=True,
        center=0.5 * top,
    )


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_BY_NAME: dict[str, Activation] = {
    a.name: a
    for a in (
        LINEAR,
        RELU,
        SIGMOID,
        TANH,
        SILU,
        GELU,
        HARD_SILU,
        clipped_relu(6.0),
        Convex("softplus", _softplus, derivative=_sigmoid),
        Convex("squareplus", _squareplus, derivative=lambda z: 0.5 + 0.5 * z / np.hypot(z, 2.0)),
        Convex("exponential", np.exp, slope=np.inf, derivative=np.exp),
        Convex("celu", _elu, derivative=_elu_slope(1.0)),
        Convex("elu", _elu, derivative=_elu_slope(1.0)),
        Convex(
            "leaky_relu",
            lambda z: np.where(z >= 0, z, 0.2 * z),
            derivative=_at_least(0.0, 0.2),
            straight=True,
            homogeneous=True,
        ),
        Concave("log_sigmoid", lambda z: -_softplus(-z), derivative=lambda z: _sigmoid(-z)),
        SShaped(
            "hard_sigmoid",
            lambda z: np.clip(z / 6.0 + 0.5, 0.0, 1.0),
            slope=1 / 6 + 2**-54,
            derivative=_between(-3.0, 3.0, 1 / 6),
        ),
        SShaped(
            "hard_tanh",
            lambda z: np.clip(z, -1.0, 1.0),
            exact=True,
            derivative=_between(-1.0, 1.0),
            straight=True,
        ),
        SShaped(
            "softsign",
            lambda z: z / (1.0 + np.abs(z)),
            derivative=lambda z: 1.0 / (1.0 + np.abs(z)) ** 2,
        ),
        Activation(
            "selu", lambda z: _SELU_SCALE * _elu(z, _SELU_ALPHA), slope=_SELU_SCALE * _SELU_ALPHA
        ),
        Activation("soft_shrink", lambda z: np.sign(z) * np.maximum(np.abs(z) - 0.5, 0.0)),
        Activation("hard_shrink", lambda z: np.where(np.abs(z) > 0.5, z, 0.0), slope=np.inf),
        Activation("tanh_shrink", lambda z: z - np.tanh(z), noise=4 * 2.0**-53),
    )
}
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "relu_6": "relu6", "exp": "exponential"}


def by_name(name: str) -> Activation | None:
    """The activation that Keras calls ``name``, None where there is no rule for it.

    >>> from paoding.bounds.intervals import Interval
    >>> by_name("relu").interval(Interval.of(-1.0, 2.0)).upper >= 2.0
    np.True_
    """
    return _BY_NAME.get(_ALIASES.get(name, name))


@_same
def relu_layer(
    max_value: float | None, negative_slope: float, threshold: float
) -> Activation | None:
    """The ReLU layer with its options; None for a combination without a rule."""
    if threshold:
        return None
    if max_value is not None:
        return clipped_relu(float(max_value)) if not negative_slope else None
    if negative_slope:
        return leaky_relu(float(negative_slope))
    return replace(RELU)


class _Leaky:
    """A leaky ReLU with a slope for each entry; equal where all slopes are."""

    def __init__(self, slopes: np.ndarray) -> None:
        self.slopes = slopes

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return np.where(z >= 0, z, self.slopes * z)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Leaky) and np.array_equal(self.slopes, other.slopes)

    def __hash__(self) -> int:
        return hash(self.slopes.tobytes())


def prelu(slopes: Floats) -> Activation:
    """A leaky ReLU whose slopes, in [0, 1], broadcast to one sample."""
    return Convex("prelu", _Leaky(slopes))


def with_options(kind: str, options: Mapping[str, Any]) -> Activation | None:
    """``relu``, ``leaky_relu``, ``elu`` or ``gelu`` with the options of its layer."""
    if kind == "relu":
        top = options.get("max_value")
        return relu_layer(top, options.get("negative_slope", 0.0), options.get("threshold", 0.0))
    if kind == "leaky_relu":
        return leaky_relu(options["negative_slope"])
    if kind == "elu":
        return elu(options["alpha"])
    if kind == "gelu":
        return TANH_GELU if options["approximate"] else GELU
    return None

"""One small class per Keras layer type: units, coupling, linear form, bounds and cost."""

from __future__ import annotations

from paoding.layers import (  # noqa: F401  (importing a module registers its rules)
    attention,
    convolution,
    dense,
    indexing,
    merging,
    normalization,
    operations,
    passing,
    recurrent,
    shape,
    wrapper,
)
from paoding.layers.algebra import Algebra, Value
from paoding.layers.base import (
    FIXED,
    Binding,
    Call,
    Cut,
    InputStatistics,
    Labels,
    Layout,
    Linear,
    Rule,
    Shapes,
    Slides,
    Ties,
    linear_of,
    register,
    rule_for,
    statistics_of,
)

__all__ = [
    "FIXED",
    "Algebra",
    "Binding",
    "Call",
    "Cut",
    "InputStatistics",
    "Labels",
    "Layout",
    "Linear",
    "Rule",
    "Shapes",
    "Slides",
    "Ties",
    "Value",
    "linear_of",
    "register",
    "rule_for",
    "statistics_of",
]

"""One small class per Keras layer type: units, coupling, intervals and cost of the layer."""

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
from paoding.layers.base import (
    FIXED,
    Binding,
    Call,
    Cut,
    Labels,
    Layout,
    Rule,
    Ties,
    register,
    rule_for,
)

__all__ = [
    "FIXED",
    "Binding",
    "Call",
    "Cut",
    "Labels",
    "Layout",
    "Rule",
    "Ties",
    "register",
    "rule_for",
]

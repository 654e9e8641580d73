"""What a unit's removal costs: importance of units and pairs, rankings of candidates, energies."""

from __future__ import annotations

from paoding.criteria.importance import (
    WIDE,
    DistanceCache,
    distances,
    is_dense,
    lengths,
    magnitude,
    outgoing_norms,
    producers,
    products,
    renewal,
)
from paoding.criteria.ranking import PLAIN, Ranking, pair_ranking

__all__ = [
    "PLAIN",
    "WIDE",
    "DistanceCache",
    "Ranking",
    "distances",
    "is_dense",
    "lengths",
    "magnitude",
    "outgoing_norms",
    "pair_ranking",
    "producers",
    "products",
    "renewal",
]

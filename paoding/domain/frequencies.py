"""How often each token came, as far as a normalization after its embedding remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paoding.domain.box import Floats
from paoding.layers import statistics_of

if TYPE_CHECKING:
    from paoding.graph import Graph
    from paoding.graph.flat import Node

_MOST = 1024  # tokens whose shares are worked out: their fit is cubic in them
_EVEN = 0.01  # how strongly shares that the moments leave open are drawn towards even ones
_WHOLE = 10.0  # how strongly they sum up to 1
_PASSES = ("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout")


def remembered_shares(graph: Graph, node: Node, size: int) -> Floats | None:
    """The share of each token by the moments that a batch normalization keeps of its embedding.

    Mean and variance of every column are sums over tokens, weighted by their shares: a least
    squares problem with shares of 0 or more. It is open for more tokens than moments, and then
    drawn towards even shares.

    Args:
        graph: the traced model.
        node: the call that looks tokens up.
        size: of the vocabulary.

    Returns:
        Shares that sum up to 1; None where nothing follows that remembers, or never saw data.
    """
    table = getattr(node.op, "embeddings", None)
    kept = _statistics(graph, node.outputs[0])
    if table is None or kept is None or size > _MOST:
        return None
    rows = np.asarray(graph.original.values[graph.number(table)], np.float64)[:size]
    mean, variance = np.asarray(kept[0], np.float64), np.asarray(kept[1], np.float64)
    if mean.shape != rows.shape[1:] or not mean.any():
        return None
    from scipy.optimize import nnls

    spread = np.sqrt(np.maximum(variance, 1e-12))
    apart = (rows - mean) / spread
    ones = np.full((1, size), _WHOLE)
    left = np.concatenate([apart.T, (apart**2).T, ones, _EVEN * np.eye(size)])
    right = np.concatenate(
        [np.zeros(len(mean)), np.ones(len(mean)), [_WHOLE], np.full(size, _EVEN / size)]
    )
    shares, _ = nnls(left, right)
    return shares / shares.sum()


def _statistics(graph: Graph, tensor: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and variance of a tensor's last axis, where its only reader normalizes batches."""
    while True:
        readers = [node for node in graph.nodes if tensor in node.inputs]
        if len(readers) != 1:
            return None
        kept = statistics_of(readers[0].op)
        if kept is not None and kept.axis is not None:
            return np.asarray(kept.mean), np.asarray(kept.variance)
        if readers[0].kind not in _PASSES:
            return None
        tensor = readers[0].outputs[0]

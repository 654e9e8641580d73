"""What our own work costs: operations and bytes of a pass, and batches that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from paoding.graph.flat import Node
from paoding.graph.graph import Graph
from paoding.layers import rule_for

_PER_BYTE = 16  # operations in the time that a byte takes to be read or written, about
_CHUNK_BYTES = 1 << 27  # activations of one chunk


def flops_of(node: Node) -> int:
    """Floating-point operations of one call on one sample; 0 where a layer has no rule."""
    rule = rule_for(node.op)
    return 0 if rule is None else rule.flops(node.op, node.in_shapes, node.out_shapes)


def pass_cost(graph: Graph) -> int:
    """What a pass of one sample costs, in operations: many small layers cost what they move."""
    return max(
        sum(map(flops_of, graph.sample_nodes)), _PER_BYTE * sum(map(bytes_of, graph.sample_nodes))
    )


def bytes_of(node: Node) -> int:
    """Bytes that one call reads and writes on one sample."""
    shapes = (*node.in_shapes, *node.out_shapes)
    return 4 * sum(int(np.prod([s or 1 for s in shape[1:]])) for shape in shapes)


def chunks(n: int, each: int) -> Iterator[slice]:
    """Slices of ``n`` samples of ``each`` bytes that fit in memory one by one."""
    size = max(1, min(n, _CHUNK_BYTES // max(each, 1)))
    return (slice(i, min(i + size, n)) for i in range(0, n, size))

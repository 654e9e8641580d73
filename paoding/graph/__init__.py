"""A model as calls, weights and coupled groups of units."""

from paoding.graph.flat import Flat, Node, TensorRef
from paoding.graph.graph import Graph, State
from paoding.graph.group import Group, Member, Part
from paoding.graph.trace import inspect, trace

__all__ = [
    "Flat",
    "Graph",
    "Group",
    "Member",
    "Node",
    "Part",
    "State",
    "TensorRef",
    "inspect",
    "trace",
]

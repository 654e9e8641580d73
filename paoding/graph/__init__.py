"""A model as calls, weights and coupled groups of units."""

from paoding.graph.keras_internals import Flat, Node, TensorRef
from paoding.graph.model_graph import Graph, Group, Member, Part, State, inspect, trace

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

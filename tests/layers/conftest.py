"""Layers are proved as graphs are."""

from ..graph.conftest import prove

__all__ = ["prove"]

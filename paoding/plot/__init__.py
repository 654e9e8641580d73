"""Figures for papers and slides: one function a figure, each returns matplotlib's axes."""

from __future__ import annotations

from paoding.plot.figures import certificate, curves, decisions, front, importance, structure
from paoding.plot.style import STYLE, paper

__all__ = [
    "STYLE",
    "certificate",
    "curves",
    "decisions",
    "front",
    "importance",
    "paper",
    "structure",
]

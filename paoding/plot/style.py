"""A style that prints in grey: series differ by marker, dash and brightness, not by hue alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

STYLE: Any = MappingProxyType(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.labelsize": 9,
        "axes.titlesize": 10,
        "figure.constrained_layout.use": True,
        "figure.dpi": 110,
        "font.size": 9,
        "grid.alpha": 0.3,
        "grid.linestyle": ":",
        "savefig.bbox": "tight",
        "svg.fonttype": "none",  # text stays text
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
    }
)


@dataclass(frozen=True)
class Series:
    """How one series is drawn: its brightness, marker and dash differ from the others'."""

    color: str
    marker: str
    dash: str


# From dark to light, so that they stay apart on a printer without colours.
SERIES = (
    Series("#12504a", "o", "-"),
    Series("#c2571a", "^", "--"),
    Series("#5b95cc", "s", "-."),
    Series("#d9b44a", "D", ":"),
    Series("#cfd6dd", "v", "-"),
)
REFERENCE = "#6b7280"  # the original, and what was refused


def series(number: int) -> Series:
    """The look of a series; after the last one they begin anew."""
    return SERIES[number % len(SERIES)]


@contextmanager
def paper() -> Iterator[None]:
    """Draw in this style: ``with paoding.plot.paper(): ...``.

    >>> import matplotlib
    >>> with paper():
    ...     matplotlib.rcParams["axes.grid"]
    True
    """
    import matplotlib

    with matplotlib.rc_context(dict(STYLE)):
        yield


def new_axes(axes: Any, size: tuple[float, float]) -> Any:
    """The axes that were passed, or new ones in this style, of a size in inches."""
    if axes is not None:
        return axes
    import matplotlib.pyplot as plt

    with paper():
        return plt.subplots(figsize=size)[1]

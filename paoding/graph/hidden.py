"""Why units in and before a layer without a rule stay, and what would have to be so."""

from __future__ import annotations

from typing import Any

from paoding.graph.keras_internals import inner_layers


def why_unknown(op: Any) -> str:
    """What to say of an operation whose meaning for channels is not known."""
    kind = type(op).__name__
    text = f"its meaning for channels is not known ({kind})"
    if type(op).__module__.startswith("keras."):
        return text
    inside = [layer for layer in inner_layers(op) if layer.weights]
    if not inside:
        return text
    names = ", ".join(f"'{layer.name}'" for layer in inside[:4])
    more = f" and {len(inside) - 4} more" if len(inside) > 4 else ""
    return (
        f"{text}: it hides {names}{more}, whose units are seen only where a functional model takes "
        "its place"
    )

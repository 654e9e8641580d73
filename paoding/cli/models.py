"""The models, data and attacks that a command line names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import paoding

if TYPE_CHECKING:
    from paoding.evaluation import Attack

ZOO = "zoo:"


# Files that other runtimes read; what they answer is measured, and nothing in them is Keras's.
EXPORTED = (".tflite", ".onnx")


def load(reference: str, exported: bool = False) -> Any:
    """Return the model that a file or ``zoo:NAME`` names; an exported file is its path."""
    if exported and reference.lower().endswith(EXPORTED):
        return Path(reference)

    if reference.startswith(ZOO):
        return paoding.zoo.load(reference.removeprefix(ZOO))[0]
    return paoding.load_model(reference)


def load_with_data(
    reference: str, data: str | None, exported: bool = False
) -> tuple[Any, tuple[Any, Any] | None]:
    """Return the model, and the data if it is given or if the model of the zoo brings it."""
    from paoding.files.data import labelled, load_arrays

    # Data first: reading it is quick, and shows at once when it is not there.
    source = data or (reference if reference.startswith(ZOO) else None)
    if source is None:
        return load(reference, exported), None
    if source.startswith(ZOO):
        split = paoding.zoo.data(source.removeprefix(ZOO))
        return load(reference, exported), (split.x, split.y)
    path = Path(source)
    if path.is_dir():
        return load(reference, exported), (path, None)  # images, read in the model's size
    held = load_arrays(path)
    if "x" not in held and "y" not in held:
        return load(reference, exported), (path, None)  # arrays by the names of inputs and outputs
    xy = labelled(path, held)
    return load(reference, exported), xy


def parse_attacks(texts: list[str] | None) -> list[Attack]:
    """Return the attacks that ``--attack`` names."""
    from paoding.evaluation import parse

    return [parse(text) for text in texts or ()]

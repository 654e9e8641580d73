"""``paoding zoo``: the pretrained models that come with Paoding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paoding.cli.models import ZOO
from paoding.cli.options import JsonOption
from paoding.cli.output import console, print_json, table, working
from paoding.files.atomic import refuse_unwritable

if TYPE_CHECKING:
    import keras


def zoo(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of them.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Copy the model to a .keras file.", show_default=False),
    ] = None,
    data_out: Annotated[
        Path | None,
        typer.Option(metavar="XY.npz", help="Copy its evaluation data.", show_default=False),
    ] = None,
    json_only: JsonOption = False,
) -> None:
    """List the pretrained models that come with Paoding, or copy one."""
    from paoding import zoo as shelf

    if name is None:
        if out or data_out:
            raise typer.BadParameter("say which model: paoding zoo NAME --out FILE")
        print_zoo(json_only)
        return
    for path in (out, data_out):
        if path:
            refuse_unwritable(path)
    with working():
        copied, split = shelf.load(name)
        entry = {
            "name": name,
            "parameters": copied.count_params(),
            "input": list(copied.input_shape[1:]),
            "samples": len(split.x),
            **_copied(copied, split, out, data_out),
        }
    if json_only:
        print_json(entry)
    else:
        print(*(f"{key}: {value}" for key, value in entry.items()), sep="\n")


def _copied(
    model: keras.Model, data: Any, out: Path | None, data_out: Path | None
) -> dict[str, str]:
    import numpy as np

    from paoding.files.atomic import output_file
    from paoding.files.models import save_model

    done = {}
    if out:
        done["out"] = str(save_model(model, out))
    if data_out:
        with output_file(data_out) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, x=data.x, y=data.y)
        done["data"] = str(data_out)
    return done


def print_zoo(json_only: bool) -> None:
    """List the models of the zoo, which needs none of them to be loaded."""
    from paoding import zoo as shelf

    entries = shelf.describe()
    if json_only:
        print_json(entries)
        return
    rows = table("model", "")
    rows.columns[1].justify = "left"
    for name, description in entries.items():
        rows.add_row(f"{ZOO}{name}", description)
    console().print(rows)

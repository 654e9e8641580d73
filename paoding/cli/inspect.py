"""``paoding inspect``: which units can be pruned together, and why the rest cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from paoding.cli.models import load
from paoding.cli.options import JsonOption, ModelArgument
from paoding.cli.output import console, print_json, table, working

if TYPE_CHECKING:
    from paoding.graph import Graph


def inspect(
    model: ModelArgument,
    groups: Annotated[
        bool, typer.Option("--groups", help="Show what is tied to each group, and why.")
    ] = False,
    json_only: JsonOption = False,
) -> None:
    """Show which units of a model can be pruned together, and why the rest cannot."""
    import paoding

    with working():
        loaded = load(model)  # first, since reading ``paoding.inspect`` already loads TensorFlow
        graph = paoding.inspect(loaded)
    if json_only:
        print_json(graph.to_dict())
    elif groups:
        print(graph)
    else:
        print_graph(graph)


def print_graph(graph: Graph) -> None:
    """Print one line for each group, then what cannot be pruned and why."""
    rows = table("group", "units", "may go", "parameters", "FLOPs", "layers")
    for group in graph.groups:
        rows.add_row(
            group.name,
            f"{group.units:,}",
            f"{int(group.removable.sum()):,}",
            f"{group.parameters:,}",
            f"{group.flops:,}",
            f"{len(group.layers):,}",
        )
    terminal = console()
    terminal.print(rows)
    kept = [
        f"  {group.name}: {group.units - int(group.removable.sum()):,} units stay: {group.reason}"
        for group in graph.groups
        if not group.removable.all()
    ]
    kept += [f"  {name}: {reason}" for name, reason in graph.unknown.items()]
    if kept:
        print("What stays, and why:", *kept, sep="\n")
    units = sum(int(group.removable.sum()) for group in graph.prunable)
    print(f"{len(graph.prunable)} of {len(graph.groups)} groups can be pruned, {units:,} units.")

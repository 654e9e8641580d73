"""What arguments and options mean that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or zoo:NAME.", show_default=False),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="XY.npz",
        help="Arrays x and y, or by the names of inputs and outputs; a folder with one folder of "
        "images for each class; or zoo:NAME. A model of the zoo brings its own.",
        show_default=False,
    ),
]
AttackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--attack",
        metavar="NAME:EPS",
        help="fgsm:EPS or pgd:EPS[:STEPS[:RESTARTS]]. May be repeated.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
SelfCheckOption = Annotated[
    bool | None,
    typer.Option(
        "--self-check/--no-self-check",
        help="Estimate without data how often the result still answers like the original; by "
        "default where that takes seconds.",
        show_default=False,
    ),
]
DomainOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LO HI",
        help="Least and greatest legal input; by default what the first layers tell, else 0 1.",
        show_default=False,
    ),
]
InputSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="HxW",
        help="Lengths of the axes that the model leaves open, such as 224x224.",
        show_default=False,
    ),
]

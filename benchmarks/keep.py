"""What ``keep=`` promises against what real inputs say: where runs end, and what they cost there.

    python benchmarks/keep.py

For each model of the zoo and each ``keep``: the share of units that went, the agreement with the
original that was estimated without data, that on data which nothing saw, and accuracy.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

import paoding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["mnist-mlp", "mnist-cnn", "breast-cancer"])
    parser.add_argument("--keep", nargs="+", type=float, default=[0.99, 0.98, 0.95, 0.9])
    parser.add_argument("--compensation", default="least-squares")
    parser.add_argument("--step", type=float, default=1 / 16)
    args = parser.parse_args()
    table = Table("model", "keep", "units gone", "agreement", "accuracy", "was", "seconds")
    for name in args.models:
        model, data = paoding.zoo.load(name)
        for keep in args.keep:
            pruner = paoding.Pruner(
                model, keep=keep, step=args.step, compensation=args.compensation
            )
            seconds = sum(step.seconds for step in pruner)
            result = pruner.result()
            report = paoding.evaluate(result.model, data.x, data.y, reference=model)
            before = paoding.evaluate(model, data.x, data.y)
            units = sum(pruner.graph.by_name[name].units for name in pruner.n_remove)
            gone = len(result.plan.removals) / units
            table.add_row(
                name,
                f"{keep:.2f}",
                f"{gone:.1%}",
                f"{report.agreement:.3f}",
                f"{report.accuracy:.3f}",
                f"{before.accuracy:.3f}",
                f"{seconds:.1f}",
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()

"""The runs of a sweep as a table, the best of them, and each as the folder that it was saved in."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.errors import ArgumentError, ModelError
from paoding.files.atomic import output_file, output_folder

if TYPE_CHECKING:
    import pandas as pd

FRONT, RUNS, ORIGINAL = "front.json", "runs", "original.keras"
# What less is better of, in the order in which one is taken for the cost.
COSTS = ("latency", "flops", "bytes", "parameters")
# What more is better of, in the order in which one is taken for the quality.
QUALITIES = ("accuracy", "agreement", "estimated_agreement", "robust_accuracy", "retention")


@dataclass(frozen=True)
class Point:
    """One row of a front.

    Attributes:
        values: The row: target, seed, allocation, quantize, and what was measured.
        folder: The run's folder, for ``PruningStudio.load`` and ``PruningResult.load``.
    """

    values: dict[str, Any]
    folder: Path

    @property
    def file(self) -> Path:
        """The model of this row: ``model.keras``, or an exported file."""
        return self.folder / str(self.values["file"])

    def model(self) -> Any:
        """Return the run's Keras model."""
        from paoding.files.models import load_model

        return load_model(self.folder / "model.keras")

    def __str__(self) -> str:
        shown = {k: v for k, v in self.values.items() if v is not None and k not in ("run", "file")}
        return ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                         for k, v in shown.items())  # fmt: skip


class Front:
    """Runs of one model by what they cost and what they are worth.

    Attributes:
        table: A ``DataFrame`` with a row for each run and quantization ("float32": none).
            Latencies are seconds on the machine that ``machine`` names.
        folder: Where the runs are.
        failed: Run -> why it came to nothing.
        machine: What latencies were measured on; empty where none were.
        runtime: What they were measured in.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        folder: Path,
        failed: dict[str, str] | None = None,
        machine: str = "",
        runtime: str = "",
        keep: Any = None,
    ) -> None:
        self.table, self.folder, self.failed = table, Path(folder), dict(failed or {})
        self.machine, self.runtime = machine, runtime
        self._keep = keep  # a temporary folder lives as long as what shows it

    @property
    def cost(self) -> str:
        """The column that costs are compared by, unless another is named."""
        return self._first(COSTS, None)

    @property
    def quality(self) -> str:
        """The column that quality is compared by, unless another is named."""
        return self._first(QUALITIES, None)

    def front(self, cost: str | None = None, quality: str | None = None) -> pd.DataFrame:
        """Return the rows that no other row beats in both, from the cheapest on.

        Raises:
            ArgumentError: No such column, or nothing was measured in it.
        """
        x, y = self._first(COSTS, cost), self._first(QUALITIES, quality)
        rows = self.table.dropna(subset=[x, y]).sort_values([x, y], ascending=[True, False])
        best = rows[y].cummax()
        return rows[rows[y] > best.shift(fill_value=-np.inf)]

    def knee(self, cost: str | None = None, quality: str | None = None) -> Point:
        """Return the point of the front from which going either way costs most.

        It is the one furthest above the line between the cheapest and the best.
        """
        x, y = self._first(COSTS, cost), self._first(QUALITIES, quality)
        rows = self.front(x, y)
        a, b = _unit(rows[x].to_numpy(float)), _unit(rows[y].to_numpy(float))
        return self.point(rows.index[int(np.argmax(b - a))])

    def pick(self, quality: str | None = None, **limits: float) -> Point:
        """Return the best row within limits, such as ``latency=4e-3`` or ``bytes=100_000``.

        Raises:
            ArgumentError: No row keeps to them; the sentence says the least there is.
        """
        y = self._first(QUALITIES, quality)
        rows = self.table.dropna(subset=[y])
        for name, most in limits.items():
            x = self._first(COSTS, name)
            kept = rows[rows[x] <= most]
            if kept.empty:
                raise ArgumentError(
                    f"No run has {x} of at most {most:g}; the least is {rows[x].min():g}."
                )
            rows = kept
        return self.point(rows.sort_values(y, ascending=False, kind="stable").index[0])

    def point(self, index: Any) -> Point:
        """Return one row of the table, by its index."""
        row = self.table.loc[index]
        values = {str(k): None if _missing(v) else _plain(v) for k, v in row.items()}
        return Point(values, self.folder / RUNS / str(values["run"]))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the table and every run to a new folder, whole or not at all.

        Raises:
            OutputExistsError: The folder exists.
        """
        with output_folder(path) as folder:
            for name in (RUNS, ORIGINAL):
                source = self.folder / name
                if source.is_dir():
                    shutil.copytree(source, folder / name)
                elif source.is_file():
                    shutil.copy2(source, folder / name)
            self.write(folder)
        return Path(path)

    def write(self, folder: Path) -> None:
        """Write the table alone."""
        plain = {
            "rows": [self.point(k).values for k in self.table.index],
            "failed": self.failed,
            "machine": self.machine,
            "runtime": self.runtime,
        }
        with output_file(folder / FRONT, overwrite=True) as temporary:
            temporary.write_text(json.dumps(plain, indent=1), "utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Front:
        """Read what :meth:`save`, or a sweep with ``out=``, wrote.

        Raises:
            ModelError: The folder holds no finished sweep.
        """
        import pandas as pd

        folder = Path(path)
        try:
            plain = json.loads((folder / FRONT).read_text("utf-8"))
            table = pd.DataFrame(plain["rows"])
            names = {str(name) for name in table["run"]}
            rest = (dict(plain["failed"]), str(plain["machine"]), str(plain["runtime"]))
        except FileNotFoundError:
            raise ModelError(f"'{folder}' holds no finished sweep: {FRONT} is missing.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"The sweep in '{folder}' cannot be read: {error}.") from None
        if any("/" in name or "\\" in name or name.startswith(".") for name in names):
            raise ModelError(f"The sweep in '{folder}' names runs outside of its folder.")
        return cls(typed(table), folder, *rest)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        lost = f", {len(self.failed)} failed" if self.failed else ""
        return f"Front({len(self.table)} points{lost}, in '{self.folder}')"

    def _first(self, names: tuple[str, ...], wanted: str | None) -> str:
        """Return the wanted column, or the first of those that something was measured in."""
        if wanted is None:
            has = (n for n in names if n in self.table and self.table[n].notna().any())
            found = next(has, None)
            if found is None:
                raise ArgumentError(f"Nothing was measured: the table has none of {names}.")
            return found
        if wanted not in names:
            raise ArgumentError(f"{wanted!r} is not one of {', '.join(map(repr, names))}.")
        if wanted not in self.table or not self.table[wanted].notna().any():
            raise ArgumentError(f"{wanted} was not measured in this sweep.")
        return wanted


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose numbers are numbers, also where some are missing."""
    for name in (*COSTS, *QUALITIES, "latency_low", "latency_high"):
        if name in table:
            table[name] = table[name].astype(float)
    return table


def _unit(values: np.ndarray) -> np.ndarray:
    """Return values from 0 to 1."""
    return (values - values.min()) / max(float(np.ptp(values)), 1e-300)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

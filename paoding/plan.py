"""What was removed, step by step: immutable values that JSON holds both ways."""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.errors import PlanError
from paoding.files.atomic import output_file

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1


@dataclass(frozen=True)
class Removal:
    """One unit that went.

    Args:
        group: name of the group, which is that of the layer that makes its units.
        unit: the unit's number in the original group, from 0.
        into: the survivor that it was merged into, or None for a plain removal.
        method: what the survivors took over: "merge", "least-squares", "none", ...
    """

    group: str
    unit: int
    into: int | None = None
    method: str = "none"

    def __post_init__(self) -> None:
        """NumPy's whole numbers, in which one counts units, become plain ones for JSON."""
        for name in ("unit", "into"):
            value = getattr(self, name)
            if type(value) is int or (value is None and name == "into"):
                continue
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise PlanError(f"{name}={value!r} of group {self.group!r} is not a whole number.")
            object.__setattr__(self, name, int(value))


def last_survivors(into: Mapping[int, int | None]) -> dict[int, int | None]:
    """Each unit that went and, where merges make a chain, who holds its rows in the end.

    Args:
        into: unit -> the one that it was merged into, None for a plain removal; in order.

    Returns:
        Unit -> the last of its chain; None where the chain ends in a plain removal.

    >>> last_survivors({3: 2, 2: 0, 5: 4, 4: None})
    {3: 0, 2: 0, 5: None, 4: None}
    """
    ends: dict[int, int | None] = {}
    for unit, end in into.items():
        while end is not None and end in into:
            end = into[end]
        ends[unit] = end
    return ends


COLUMNS: dict[str, Any] = {
    "step": np.int64,
    "group": object,
    "unit": np.int64,
    "into": np.int64,
    "importance": np.float64,
    "amount": np.float64,
    "evenness": np.float64,
    "energy": np.float64,
    "temperature": np.float64,
    "probability": np.float64,
    "verdict": object,
    "reason": object,
}

BLANKS: dict[Any, Any] = {np.int64: 0, np.float64: np.nan, object: ""}


@dataclass(frozen=True, eq=False)
class Decisions:
    """Every candidate that was considered, in columns; ``into`` is -1 for a plain removal."""

    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["unit"])

    def frame(self) -> pd.DataFrame:
        """The decisions as a table, one row per candidate."""
        import pandas as pd

        return pd.DataFrame({name: self.columns[name] for name in COLUMNS})

    @classmethod
    def of(cls, parts: Sequence[Mapping[str, Any]]) -> Decisions:
        """Put blocks of rows together; what a block leaves out is NaN (or empty, for text)."""
        counts = [len(part["unit"]) for part in parts]
        columns: dict[str, np.ndarray] = {}
        for name, kind in COLUMNS.items():
            column = np.full(sum(counts), BLANKS[kind], dtype=kind)
            start = 0
            for part, count in zip(parts, counts, strict=True):
                if name in part:
                    column[start : start + count] = part[name]
                start += count
            column.flags.writeable = False
            columns[name] = column
        return cls(columns)


@dataclass(frozen=True, eq=False)
class Step:
    """One progressive step: what went, into whom and why.

    Args:
        index: the step's number, from 1.
        removals: the units that went.
        decisions: every candidate that was considered.
        remaining: group name -> units left after this step.
        progress: share of the whole target that is done, 0 to 1.
        energy: mean energy of the removed candidates (None where the strategy has none).
        seconds: how long the step took.
    """

    index: int
    removals: tuple[Removal, ...]
    decisions: Decisions
    remaining: Mapping[str, int]
    progress: float
    energy: float | None
    seconds: float
    _bound: Callable[[], Any] | None = field(default=None, repr=False)

    @cached_property
    def certificate(self) -> Any:
        """Sound bound on each output's change so far over the domain, computed when asked for.

        An object with ``.lower`` and ``.upper``, or with both None and a ``.reason`` where a
        layer has no rule.
        """
        return None if self._bound is None else self._bound()

    def __str__(self) -> str:
        by_group: dict[str, list[Removal]] = {}
        for removal in self.removals:
            by_group.setdefault(removal.group, []).append(removal)
        lines = [f"step {self.index}: {len(self.removals)} units removed, {self.progress:.0%} done"]
        for name, gone in by_group.items():
            shown = ", ".join(
                f"{r.unit}" if r.into is None else f"{r.unit} into {r.into}" for r in gone[:6]
            )
            more = f" and {len(gone) - 6} more" if len(gone) > 6 else ""
            lines.append(f"  {name}: {shown}{more}; {self.remaining[name]} left")
        if self.energy is not None:
            lines.append(f"  mean energy {self.energy:.4g}")
        bound = self.certificate
        if bound is not None and bound.lower is not None:
            lines.append(f"  certified: each output changes by {bound.within}")
        elif bound is not None:
            lines.append(f"  no certificate: {bound.reason}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Plan:
    """All removals of a run with the settings that made them; enough to do it again.

    Args:
        steps: the removals of each step.
        settings: plain values: target, step, strategy, compensation, domain, seed, ...
        fingerprint: of the model that the plan belongs to.

    >>> plan = Plan(((Removal("hidden", 3, 1, "merge"),),), {"target": 0.5}, "00")
    >>> Plan.from_json(plan.to_json()) == plan
    True
    """

    steps: tuple[tuple[Removal, ...], ...]
    settings: Mapping[str, Any]
    fingerprint: str

    @property
    def removals(self) -> tuple[Removal, ...]:
        """Every removal, in order."""
        return tuple(removal for step in self.steps for removal in step)

    def to_json(self) -> str:
        """The plan as text."""
        return json.dumps(
            {
                "format": FORMAT,
                "fingerprint": self.fingerprint,
                "settings": dict(self.settings),
                "steps": [[asdict(removal) for removal in step] for step in self.steps],
            },
            indent=1,
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan from text.

        Raises:
            PlanError: the text is no plan, with what is wrong and where.
        """
        try:
            data = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise PlanError(f"The plan is not JSON ({error}); save it again.") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise PlanError(f"The plan is not of format {FORMAT}; save it again with Plan.save.")
        try:
            kept = data["steps"]
            if not isinstance(kept, list) or not all(isinstance(step, list) for step in kept):
                raise PlanError("The plan's steps are not lists of removals; save it again.")
            steps = tuple(
                tuple(_removal(entry, number) for entry in step)
                for number, step in enumerate(kept, 1)
            )
            settings, fingerprint = data["settings"], data["fingerprint"]
        except (KeyError, TypeError) as error:
            raise PlanError(f"The plan lacks a part ({error}); save it again.") from None
        if not isinstance(settings, dict) or not isinstance(fingerprint, str):
            raise PlanError(
                "The plan's settings or fingerprint have the wrong type; save it again."
            )
        return cls(steps, settings, fingerprint)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as JSON, whole or not at all."""
        with output_file(path, overwrite=True) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan from a file.

        Raises:
            PlanError: the file is missing or holds no plan.
        """
        try:
            # An editor may have put a byte-order mark before it.
            return cls.from_json(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise PlanError(f"The plan '{path}' cannot be read: {why}.") from None


def _removal(entry: Mapping[str, Any], step: int) -> Removal:
    if not isinstance(entry, Mapping):
        raise PlanError(f"Step {step} of the plan holds {entry!r:.40}, which is no removal.")
    group, unit = entry["group"], entry["unit"]
    into, method = entry.get("into"), entry.get("method", "none")
    numbers = [unit] if into is None else [unit, into]
    if not isinstance(group, str) or not isinstance(method, str):
        raise PlanError(f"Step {step} of the plan has a group or method that is not text.")
    if any(isinstance(n, bool) or not isinstance(n, int) for n in numbers):
        raise PlanError(f"Step {step} of the plan, group '{group}': a unit is not a whole number.")
    return Removal(group, unit, into, method)

"""Which fit a layer's survivors get: candidates, judged on inputs that they were not made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from paoding.compensation.regression import DUAL, RIDGE, Moments, ridge
from paoding.synthetic.judges import verdict

STRENGTHS = (RIDGE, 1e-2, 1e-1, 1.0)  # of ridges that are tried
_PARTS = (1.0, 0.75, 0.5, 0.25, 0.0)  # of a fit that are tried
_FLOOR = 1e-3  # of what is missing on its own kind that is missing on every kind, at the least
_CLEARLY = 0.02  # how much better a candidate's verdict must be than one before it

Change = tuple[np.ndarray, np.ndarray]  # of weights (k, m), and a constant (m,)
Judge = tuple[np.ndarray, np.ndarray]  # rows (n, k), and what is missing there (n, m)


@dataclass(frozen=True)
class Fitted:
    """How one layer's survivors were fitted, for the report.

    Args:
        layer: the layer that reads them; empty where all were tuned together in the end.
        fit: what was chosen, such as "ridge 0.001", "50% of merge" or "plain".
        why: what it and its rivals left of what was missing, on which kinds of inputs.
    """

    layer: str
    fit: str
    why: str


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit with its name and the evidence for it.

    Args:
        change: of the weights of survivors (k, m).
        constant: (m,).
        left: for each candidate, the share of what was missing that its best part leaves on each
            kind of inputs; empty where nothing was compared.
    """

    name: str
    change: np.ndarray
    constant: np.ndarray
    left: Mapping[str, tuple[float, ...]]

    def why(self, kinds: Sequence[str]) -> str:
        """The evidence in a sentence.

        Args:
            kinds: names of the kinds of inputs that judged.
        """
        if not self.left:
            return "nothing was held back to compare it on"
        told = [f"{name} {_on(shares, kinds)}" for name, shares in self.left.items()]
        return "left of what was missing: " + "; ".join(told)


def _on(shares: Sequence[float], kinds: Sequence[str]) -> str:
    return ", ".join(f"{s:.0%} ({k})" for s, k in zip(shares, kinds, strict=False))


def mean_folding(rows: np.ndarray, residual: np.ndarray, centred: bool) -> Change:
    """No change of weights, and the mean of what is missing as the constant."""
    change = np.zeros((rows.shape[1], residual.shape[1]))
    constant = residual.mean(axis=0) if centred else np.zeros(residual.shape[1])
    return change, constant


def chosen_fit(
    rows: np.ndarray,
    residual: np.ndarray,
    centred: bool,
    kinds: np.ndarray,
    simple: Mapping[str, Callable[[], Change]] | None = None,
) -> Fit:
    """The fit that leaves least on inputs that it was not made from, of several kinds.

    Candidates are ridges of several strengths, mean folding, the simpler ways that are passed,
    and each of them in part, down to plain removal: where kinds of inputs disagree, the part that
    pays is small. What wins is made anew from all inputs of its own kind. The plain ridge keeps
    its place unless another is clearly better.

    Args:
        rows: what survivors put out (n, k).
        residual: what is missing (n, m).
        centred: whether a constant may be used.
        kinds: (n,) 0 for rows to fit on, 1 for rows held back, and 2 or more for other kinds.
        simple: name -> how else to make a change and a constant, see ``simple_ways``.
    """
    fitted, own = kinds == 0, kinds <= 1
    judging = [kinds == kind for kind in range(1, int(kinds.max(initial=0)) + 1)]
    if not judging or not fitted.any() or len(rows) < rows.shape[1] > DUAL:
        return Fit(f"ridge {RIDGE:g}", *ridge(rows[own], residual[own], centred), {})
    known = Moments.of(rows[fitted], residual[fitted])
    ways: dict[str, Callable[[Moments], Change]] = {
        f"ridge {strength:g}": partial(_ridge, centred, strength) for strength in STRENGTHS
    }
    ways["mean"] = partial(_mean, centred)
    ways |= {name: partial(_as_it_is, way()) for name, way in (simple or {}).items()}
    judges = [(rows[mask], residual[mask].astype(np.float64)) for mask in judging]
    best, least, share = "", np.inf, 1.0
    left = {}
    for name, way in ways.items():
        part, found, shares = _best_part(*way(known), judges)
        left[name if part in (0, 1) else f"{part:.0%} of {name}"] = shares
        if found < least - (0.0 if not best else _CLEARLY):
            best, least, share = name, found, part
    if share == 0:
        return Fit("plain", np.zeros_like(known.cross), np.zeros_like(known.offset), left)
    held = own & ~fitted
    change, constant = ways[best](known.with_more(rows[held], residual[held]))
    chosen = best if share == 1 else f"{share:.0%} of {best}"
    return Fit(chosen, share * change, share * constant, left)


def _ridge(centred: bool, strength: float, known: Moments) -> Change:
    return known.ridge(centred, strength)


def _mean(centred: bool, known: Moments) -> Change:
    return known.mean(centred)


def _as_it_is(made: Change, known: Moments) -> Change:
    return made


def _best_part(
    change: np.ndarray, constant: np.ndarray, judges: Sequence[Judge]
) -> tuple[float, float, tuple[float, ...]]:
    """Which part of a fit leaves least, the verdict on it, and what it leaves on each kind."""
    sums = []
    floor = 0.0
    for rows, missing_ in judges:
        found = rows @ change.astype(rows.dtype) + constant
        power = float(np.square(missing_).sum()) / len(missing_)
        # A kind on which hardly anything is missing says little.
        floor = floor or _FLOOR * power + 1e-30
        cross, own = float((missing_ * found).sum()), float(np.square(found).sum())
        sums.append((power + floor, cross / len(missing_), own / len(missing_)))
    left = {
        part: tuple((p - 2 * part * cross + part**2 * own) / p for p, cross, own in sums)
        for part in _PARTS
    }
    part = min(left, key=lambda part: verdict(left[part]))
    return part, verdict(left[part]), left[part]

"""How much work a run may do: every limit in one place, for three levels of effort."""

from __future__ import annotations

from dataclasses import dataclass, replace

STEP = 1 / 32  # share of each group's units that goes in one step, where nobody says another


@dataclass(frozen=True)
class Effort:
    """Limits of a run. Small networks reach the counts, larger ones the work.

    Work is counted in floating-point operations (and bytes moved, see ``graph.cost``), not in
    measured seconds: with the clock in it, one seed would not give one result.

    Args:
        samples, least_samples: synthetic inputs at the most (a covariance of a thousand units
            changes no more), and at least (with fewer there is nothing to hold back).
        study_work: that all walks over these inputs may take.
        held_bytes: of activations of all inputs that are held at once, about.
        target_bytes: of the original's pre-activations that are kept to fit on.
        rows: from which a layer is fitted, if its columns are fewer; more change little.
        judges: inputs of each kind that choose the fits without being fitted on.
        slopes, least_slopes: inputs on which it is measured what the outputs feel.
        slope_work: that measuring it may take.
        probes, least_probes: random directions of the outputs an input, cheap and dear.
        slope_rows: rows of values and gradients, of all places, that are summed for each layer.
        looking_work: that looking at what is drawn may take (classes, moments).
        painting_work: that painting inputs over, or shading them, may take.
        painting_steps: of Adam; fewer leave the moments unmatched, more find oddities.
        distil_steps, most_distil_steps: with whole batches, and with smaller ones.
        enough_steps: of distillation, below which more is lost than gained.
        batch_work: of distillation, beyond which batches get smaller ...
        distil_work: ... and steps fewer, until there are just enough ...
        most_distil_work: ... and there are none.
        judging_work: that telling the scale of inputs by batch normalization may take.
    """

    samples: int = 4096
    least_samples: int = 64
    study_work: float = 3e12
    held_bytes: int = 1 << 30
    target_bytes: int = 1 << 28
    rows: int = 16384
    judges: int = 128
    slopes: int = 1024
    least_slopes: int = 32
    slope_work: float = 3e11
    probes: int = 4
    least_probes: int = 2
    slope_rows: int = 1 << 15
    looking_work: float = 3e11
    painting_work: float = 4e12
    painting_steps: int = 30
    distil_steps: int = 300
    most_distil_steps: int = 700
    enough_steps: int = 300
    batch_work: float = 1e12
    distil_work: float = 3e12
    most_distil_work: float = 3e13
    judging_work: float = 1e11


NORMAL = Effort()
LEVELS = {
    "fast": replace(
        NORMAL,
        samples=1024,
        study_work=NORMAL.study_work / 4,
        rows=8192,
        slopes=256,
        slope_work=NORMAL.slope_work / 4,
        looking_work=NORMAL.looking_work / 4,
        painting_work=NORMAL.painting_work / 4,
        distil_work=0.0,
        most_distil_work=0.0,
    ),
    "normal": NORMAL,
    "best": replace(
        NORMAL,
        samples=8192,
        least_samples=256,
        study_work=NORMAL.study_work * 8,
        held_bytes=NORMAL.held_bytes * 2,
        target_bytes=NORMAL.target_bytes * 4,
        rows=32768,
        least_slopes=128,
        slope_work=NORMAL.slope_work * 8,
        least_probes=4,
        looking_work=NORMAL.looking_work * 8,
        painting_work=NORMAL.painting_work * 8,
        distil_steps=700,
        most_distil_steps=2000,
        distil_work=NORMAL.distil_work * 8,
        most_distil_work=NORMAL.most_distil_work * 8,
    ),
}

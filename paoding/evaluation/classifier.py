"""A classifier of one input under attack, beside its reference: what each gets right."""

from __future__ import annotations

import time
from dataclasses import replace

import keras
import numpy as np

from paoding.domain import Box
from paoding.errors import ArgumentError
from paoding.evaluation.attacks import Attack
from paoding.evaluation.cost import cost
from paoding.evaluation.network import Network, network_of
from paoding.evaluation.report import AttackResult, Report


class Side:
    """One of the two models while it is attacked: what it gets right, and what survives."""

    def __init__(
        self, network: Network, x: np.ndarray, y: np.ndarray, clip: Box | None, batch_size: int
    ) -> None:
        self.network, self.x, self.y, self.clip, self.batch_size = network, x, y, clip, batch_size
        z = network.predict(x, batch_size)
        self.guess = z.argmax(1)
        self.correct = self.guess == y
        self.loss = _cross_entropy(z, y)
        self.robust = self.correct.copy()

    def attack(self, attack: Attack) -> tuple[np.ndarray, np.ndarray]:
        """Return the adversarial inputs, and which samples are right clean and attacked."""
        assert self.clip is not None
        inputs = attack.adversarial(self.network, self.x, self.y, self.clip, self.batch_size)
        return inputs, self.withstands(inputs)

    def withstands(self, inputs: np.ndarray) -> np.ndarray:
        """Return which samples are right clean and as ``inputs``, and remember it."""
        withstood = self.correct & self.right(inputs)
        self.robust &= withstood
        return withstood

    def right(self, inputs: np.ndarray) -> np.ndarray:
        """Return which of the inputs are given their true class."""
        return self.network.predict(inputs, self.batch_size).argmax(1) == self.y


def attacked(
    attack: Attack, ours: Side, theirs: Side | None, transferred: bool = False
) -> AttackResult:
    """Attack both models; one that has no gradients is given what was made for the reference."""
    start = time.perf_counter()
    before = retention = transfer = None
    if theirs is None or not transferred:
        _, robust = ours.attack(attack)
        seconds = time.perf_counter() - start
    if theirs is not None:
        inputs, withstood = theirs.attack(attack)
        if transferred:
            robust = ours.withstands(inputs)
            seconds = time.perf_counter() - start
        before, retention = mean(withstood), _share(robust, withstood)
        # Samples that both get right clean, and that the attack takes from the reference.
        fell = theirs.correct & ~withstood & ours.correct
        transfer = _share(~ours.right(inputs), fell)
    name, settings = attack.name, attack.settings()
    if transferred and theirs is not None:
        name += ", made for the reference"
        settings = {**settings, "made_for": theirs.network.model.name}
    return AttackResult(name, settings, mean(robust), before, retention, transfer, seconds)


def compared(
    report: Report,
    reference: keras.Model,
    ours: Side,
    theirs: Side,
    certified: float | None,
    latency: bool,
) -> Report:
    """Return the report with what the reference got right, and what of it the model kept."""
    return replace(
        report,
        reference=reference.name,
        reference_accuracy=mean(theirs.correct),
        reference_loss=theirs.loss,
        reference_cost=cost(reference, latency=latency, sample=ours.x[:1]),
        agreement=mean(ours.guess == theirs.guess),
        reference_robust_accuracy=mean(theirs.robust) if report.attacks else None,
        retention=_share(ours.robust, theirs.robust) if report.attacks else None,
        certified=certified,
    )


def mean(mask: np.ndarray) -> float:
    """Return the share of True."""
    return float(np.mean(mask))


def _share(part: np.ndarray, whole: np.ndarray) -> float | None:
    """Return |part and whole| / |whole|, or None where the whole is empty."""
    return float(np.mean(part[whole])) if whole.any() else None


def _cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    z = z.astype("float64")
    z -= z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), y]))


def matching(mine: Network, reference: keras.Model) -> Network:
    """Return the reference as a classifier of the same inputs and classes.

    Raises:
        ArgumentError: Its inputs or its classes are others.
    """
    other = network_of(reference)
    if other.classes != mine.classes or other.shape != mine.shape:
        raise ArgumentError(
            f"The reference '{reference.name}' maps {other.shape} to {other.classes} classes, but "
            f"'{mine.model.name}' maps {mine.shape} to {mine.classes}; they cannot be compared."
        )
    return other

"""Attacks on a network: inputs close to the given ones on which it errs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from paoding.checks import check_choice
from paoding.domain import Box
from paoding.errors import ArgumentError
from paoding.evaluation.network import LOSSES, NORMS, Network

Loss = Literal["cross-entropy", "log-odds"]

__all__ = ["FGSM", "PGD", "Attack", "Foolbox", "parse"]


@runtime_checkable
class Attack(Protocol):
    """What an attack must offer; anything that does can be passed to ``evaluate``."""

    @property
    def name(self) -> str:
        """The attack with its settings, as a report prints it."""

    def settings(self) -> dict[str, Any]:
        """Everything that the outcome depends on, as plain values (norm, eps, steps, seed...)."""

    def adversarial(
        self, network: Network, x: np.ndarray, y: np.ndarray, clip: Box, batch_size: int
    ) -> np.ndarray:
        """Return one adversarial input for each sample, in the shape and type of ``x``."""


@dataclass(frozen=True)
class FGSM:
    """The fast gradient sign method: one step of size ``eps`` along the sign of the gradient.

    Args:
        eps: The largest change of each input value, in input units.
        loss: What the step climbs. "cross-entropy" is what every library does. "log-odds" has
            the same direction in exact arithmetic, but it is not lost to rounding where the
            model is sure, so that it fools more: prefer it to judge one model by itself.

    Raises:
        ArgumentError: ``eps`` is negative or not finite, or there is no such loss.

    Source: Goodfellow, Shlens, Szegedy (2015), "Explaining and harnessing adversarial
    examples", section 4.

    Example:
        >>> FGSM(0.05).name
        'FGSM(eps=0.05)'
    """

    eps: float
    loss: Loss = "cross-entropy"

    def __post_init__(self) -> None:
        _check_eps(self.eps)
        check_choice("loss", self.loss, LOSSES)

    @property
    def name(self) -> str:
        return f"FGSM(eps={self.eps:g}{_unusual_loss(self.loss)})"

    def settings(self) -> dict[str, Any]:
        return {"attack": "FGSM", "norm": "linf", **asdict(self), "steps": 1, "restarts": 1}

    def adversarial(
        self, network: Network, x: np.ndarray, y: np.ndarray, clip: Box, batch_size: int
    ) -> np.ndarray:
        return network.ascend(
            x, x, y, eps=self.eps, step_size=self.eps, steps=1, norm="linf", loss=self.loss,
            lo=clip.lo, hi=clip.hi, batch_size=batch_size,
        )  # fmt: skip


@dataclass(frozen=True)
class PGD:
    """Projected gradient descent: small steps up the loss, projected back into the ball.

    Args:
        eps: The radius of the ball around each input, in input units.
        steps: How many steps.
        step_size: The length of a step; by default ``2.5 * eps / steps``.
        restarts: How many runs. The first starts at the input itself, so that one run is
            deterministic; each further one starts at a random point of the ball, for the
            samples that have withstood so far.
        seed: The seed of the random starts.
        norm: "linf" (sign steps) or "l2" (normalized steps).
        loss: What the steps climb; see :class:`FGSM`.

    Raises:
        ArgumentError: A setting lies outside of what it may be.

    Source: Madry et al. (2018), "Towards deep learning models resistant to adversarial
    attacks", section 2.1.

    Example:
        >>> PGD(0.05, steps=20).name
        'PGD(eps=0.05, steps=20)'
    """

    eps: float
    steps: int = 20
    step_size: float | None = None
    restarts: int = 1
    seed: int = 0
    norm: Literal["linf", "l2"] = "linf"
    loss: Loss = "cross-entropy"

    def __post_init__(self) -> None:
        _check_eps(self.eps)
        if self.step_size is not None:
            _check_eps(self.step_size, "step_size")
        for key in ("steps", "restarts"):
            value = getattr(self, key)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ArgumentError(f"{key} must be a whole number from 1 on, not {value!r}.")
        if not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise ArgumentError(f"seed must be a whole number from 0 on, not {self.seed!r}.")
        check_choice("norm", self.norm, NORMS)
        check_choice("loss", self.loss, LOSSES)

    @property
    def name(self) -> str:
        parts = [f"eps={self.eps:g}", f"steps={self.steps}"]
        if self.step_size is not None:
            parts.append(f"step_size={self.step_size:g}")
        if self.restarts > 1:
            parts.append(f"restarts={self.restarts}, seed={self.seed}")
        if self.norm != "linf":
            parts.append(f"norm={self.norm}")
        return f"PGD({', '.join(parts)}{_unusual_loss(self.loss)})"

    def settings(self) -> dict[str, Any]:
        return {"attack": "PGD", **asdict(self), "step_size": self._step()}

    def _step(self) -> float:
        return 2.5 * self.eps / self.steps if self.step_size is None else self.step_size

    def adversarial(
        self, network: Network, x: np.ndarray, y: np.ndarray, clip: Box, batch_size: int
    ) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        found = np.array(x)
        worst = np.full(len(x), -np.inf)
        left = np.arange(len(x))  # samples that may be led further astray
        for run in range(self.restarts):
            # Drawn for every sample, so that a sample's start does not depend on the others.
            start = x if run == 0 else clip.clip(x + self._noise(rng, x))
            ends = network.ascend(
                x[left], start[left], y[left], eps=self.eps, step_size=self._step(),
                steps=self.steps, norm=self.norm, loss=self.loss, lo=clip.lo, hi=clip.hi,
                batch_size=batch_size,
            )  # fmt: skip
            harm = network.harm(ends, y[left], batch_size)
            more = harm > worst[left]
            found[left[more]], worst[left[more]] = ends[more], harm[more]
            left = left[worst[left] < network.most_harm]
            if not len(left):
                break
        return found

    def _noise(self, rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
        """Draw points uniformly from the ball of radius eps."""
        if self.norm == "linf":
            return rng.uniform(-self.eps, self.eps, x.shape).astype(x.dtype)
        flat = rng.standard_normal((len(x), x[0].size))
        radius = self.eps * rng.uniform(size=(len(x), 1)) ** (1 / flat.shape[1])
        flat *= radius / np.linalg.norm(flat, axis=1, keepdims=True)
        return flat.reshape(x.shape).astype(x.dtype)


@dataclass(frozen=True)
class Foolbox:
    """Any attack of the Foolbox library, behind the same interface as ours.

    Args:
        attack: A Foolbox attack, for example ``foolbox.attacks.L2CarliniWagnerAttack()``.
        eps: Its budget, in the norm of the attack and in input units.
        seed: The seed for TensorFlow's and NumPy's global generators, which Foolbox draws from.

    Raises:
        ArgumentError: ``eps`` is negative, or ``attack`` is none of Foolbox's.

    Source: Rauber et al. (2020), "Foolbox Native", Journal of Open Source Software 5(53).
    """

    attack: Any
    eps: float
    seed: int = 0

    def __post_init__(self) -> None:
        _check_eps(self.eps)
        if not callable(self.attack) or not hasattr(self.attack, "distance"):
            raise ArgumentError(
                f"A Foolbox attack is needed, such as foolbox.attacks.LinfPGD(), not "
                f"{type(self.attack).__name__}."
            )

    @property
    def name(self) -> str:
        return f"{type(self.attack).__name__}(eps={self.eps:g})"

    def settings(self) -> dict[str, Any]:
        return {
            "attack": f"foolbox.{type(self.attack).__name__}",
            "norm": str(self.attack.distance),
            "eps": self.eps,
            "seed": self.seed,
            "options": repr(self.attack),
        }

    def adversarial(
        self, network: Network, x: np.ndarray, y: np.ndarray, clip: Box, batch_size: int
    ) -> np.ndarray:
        import foolbox
        import tensorflow as tf

        lo, hi = np.unique(clip.lo), np.unique(clip.hi)
        if len(lo) > 1 or len(hi) > 1:
            raise ArgumentError("Foolbox knows one clip range for all inputs; give two numbers.")
        tf.random.set_seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002 (the only generator that Foolbox draws from)
        target = foolbox.TensorFlowModel(
            network.logits, bounds=(float(lo[0]), float(hi[0])), device="/CPU:0"
        )
        parts = []
        for batch in network.batches(len(x), batch_size):
            inputs, labels = tf.constant(x[batch]), tf.constant(y[batch])
            _, clipped, _ = self.attack(target, inputs, labels, epsilons=self.eps)
            parts.append(clipped.numpy())
        return np.concatenate(parts)


def _check_eps(value: Any, key: str = "eps") -> None:
    if not isinstance(value, int | float | np.number) or not 0 <= value < math.inf:
        raise ArgumentError(f"{key} must be a finite number from 0 on, not {value!r}.")


def _unusual_loss(loss: str) -> str:
    return "" if loss == LOSSES[0] else f", loss={loss}"


def parse(text: str) -> FGSM | PGD:
    """Read an attack as the command line writes it.

    Args:
        text: ``fgsm:EPS`` or ``pgd:EPS[:STEPS[:RESTARTS]]``.

    Raises:
        ArgumentError: It is neither.

    Example:
        >>> parse("fgsm:0.05").name, parse("pgd:0.1:40").name
        ('FGSM(eps=0.05)', 'PGD(eps=0.1, steps=40)')
    """
    kind, *numbers = text.lower().split(":")
    try:
        if kind == "fgsm" and len(numbers) == 1:
            return FGSM(float(numbers[0]))
        if kind == "pgd" and 1 <= len(numbers) <= 3:
            steps, restarts = (*map(int, numbers[1:]), *(20, 1)[len(numbers) - 1 :])
            return PGD(float(numbers[0]), steps=steps, restarts=restarts)
    except ArgumentError:
        raise
    except ValueError:
        pass
    raise ArgumentError(f"{text!r} is no attack; write fgsm:EPS or pgd:EPS[:STEPS[:RESTARTS]].")

"""The legal inputs of a network, as one interval for every number that enters it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paoding.errors import DomainError

_SLACK = 1e-6  # of a box's width: what single precision may put beside it
Shape = tuple[int, ...]
Canvas = tuple[int, int, int]  # height, width, channels of an image
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Box:
    """All inputs between `lo` and `hi`, both included.

    Args:
        lo: least legal value, one number for all inputs or an array that broadcasts to the
            shape of one input (no batch axis), in the units of the input.
        hi: greatest legal value, likewise.
        assumed: whether nobody said so, and nothing in the model tells it.

    Raises:
        DomainError: a bound is not finite, `lo` exceeds `hi`, or the two do not fit together.

    Example:
        >>> box = Box(0, 1)
        >>> box
        Box(0.0, 1.0)
        >>> box.contains([[0.2, 0.9], [0.5, 1.5]])
        array([ True, False])
    """

    lo: Any
    hi: Any
    assumed: bool = False

    def __post_init__(self) -> None:
        lo, hi = _bound(self.lo, "lo"), _bound(self.hi, "hi")
        try:
            np.broadcast_shapes(lo.shape, hi.shape)
        except ValueError:
            raise DomainError(
                f"The domain's lo has shape {lo.shape} and its hi has shape {hi.shape}: "
                "give both the shape of one input, or single numbers."
            ) from None
        wrong = np.argwhere(np.atleast_1d(lo > hi))
        if len(wrong):
            where = "" if lo.ndim == hi.ndim == 0 else f" at index {tuple(map(int, wrong[0]))}"
            low, high = (np.broadcast_to(a, np.broadcast(lo, hi).shape) for a in (lo, hi))
            spot = tuple(wrong[0]) if low.ndim else ()
            raise DomainError(
                f"The domain's lo exceeds its hi{where} ({low[spot]:g} > {high[spot]:g}): "
                "swap them, or correct the bound."
            )
        object.__setattr__(self, "lo", lo)
        object.__setattr__(self, "hi", hi)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Box):
            return NotImplemented
        return np.array_equal(self.lo, other.lo) and np.array_equal(self.hi, other.hi)

    def __hash__(self) -> int:
        return hash((self.lo.tobytes(), self.hi.tobytes()))

    def __repr__(self) -> str:
        return f"Box({_show(self.lo)}, {_show(self.hi)})"

    def fit(self, shape: Shape) -> Box:
        """Return the same box with both bounds at the full `shape` of one input.

        Raises:
            DomainError: the bounds do not broadcast to `shape`.

        Example:
            >>> Box(0, 1).fit((3,)).hi
            array([1., 1., 1.])
        """
        return Box(self._at(self.lo, shape), self._at(self.hi, shape), self.assumed)

    def center(self, shape: Shape) -> Floats:
        """Return the middle of the box at the `shape` of one input."""
        lo, hi = self._at(self.lo, shape), self._at(self.hi, shape)
        return lo / 2 + hi / 2

    def radius(self, shape: Shape) -> Floats:
        """Return the least radius about `center` that is sure to cover the box.

        It is rounded up where half the width is no floating-point number, so that sound bounds
        may start from it.
        """
        center = self.center(shape)
        above = _difference_up(self._at(self.hi, shape), center)
        below = _difference_up(center, self._at(self.lo, shape))
        return np.maximum(above, below)

    def width(self, shape: Shape) -> Floats:
        """Return `hi - lo` at the `shape` of one input."""
        return self._at(self.hi, shape) - self._at(self.lo, shape)

    def contains(self, x: ArrayLike) -> NDArray[np.bool_]:
        """Tell of each input in the batch `x` (n, *input_shape) whether it is legal."""
        values = np.asarray(x)
        inside = (values >= self._at(self.lo, values.shape[1:])) & (values <= self.hi)
        return np.asarray(inside.reshape(len(values), -1).all(axis=1))

    def clip(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` (n, *input_shape) moved into the box, in its own floating-point type."""
        values = np.asarray(x)
        dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        clipped = np.clip(values, self.lo.astype(dtype), self.hi.astype(dtype))
        return np.asarray(clipped, dtype=dtype)

    def sample(self, rng: np.random.Generator, n: int, shape: Shape) -> Floats:
        """Return `n` inputs (n, *shape) drawn uniformly and independently from the box."""
        lo, width = self._at(self.lo, shape), self.width(shape)
        return np.asarray(self.clip(lo + width * rng.random((n, *shape))))

    def to_dict(self) -> dict[str, Any]:
        """Return the box as numbers and lists that JSON can hold; `from_dict` reads them."""
        plain = {"lo": self.lo.tolist(), "hi": self.hi.tolist()}
        return {**plain, "assumed": True} if self.assumed else plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Box:
        """Return the box that `to_dict` wrote."""
        return cls(data["lo"], data["hi"], bool(data.get("assumed", False)))

    def _at(self, bound: Floats, shape: Shape) -> Floats:
        try:
            return np.broadcast_to(bound, shape)
        except ValueError:
            raise DomainError(
                f"The domain has shape {bound.shape} but one input of the model has shape "
                f"{tuple(shape)}: give bounds that broadcast to it, or single numbers."
            ) from None


Domain = Box | Sequence[Box] | Mapping[str, Box]


def resolve(
    domain: Domain | None, shapes: Sequence[Shape], names: Sequence[str] | None = None
) -> tuple[Box, ...]:
    """Return one box per input of a model, each at the full shape of its input.

    Args:
        domain: one box for all inputs, a sequence with one per input, or a mapping from the
            names of the inputs; None stands for `Box(0, 1)`.
        shapes: shape of one sample of each input, without the batch axis.
        names: names of the inputs, in the same order; needed only for a mapping.

    Raises:
        DomainError: there are too few or too many boxes, a name is unknown, or a shape differs.

    Example:
        >>> [box.lo.shape for box in resolve(Box(0, 1), [(2,), (4, 4, 1)])]
        [(2,), (4, 4, 1)]
    """
    if domain is None:
        domain = Box(0.0, 1.0)
    if isinstance(domain, Box):
        boxes: Sequence[Box] = [domain] * len(shapes)
    elif isinstance(domain, Mapping):
        wanted = list(names or ())
        if set(domain) != set(wanted):
            raise DomainError(
                f"The domain names the inputs {sorted(domain)} but the model's are "
                f"{sorted(wanted)}: give one box for each of them."
            )
        boxes = [domain[name] for name in wanted]
    else:
        boxes = _from_sequence(domain, len(shapes))
    return tuple(box.fit(tuple(shape)) for box, shape in zip(boxes, shapes, strict=True))


def compact(boxes: Sequence[Box]) -> list[Box]:
    """Boxes in few numbers: each axis along which bounds are the same is written once.

    One box stands for all where they are alike.

    >>> compact([Box(0, [1, 2]).fit((4, 2)), Box(0, 1).fit((3,))])
    [Box(0.0, <1..2 at (1, 2)>), Box(0.0, 1.0)]
    """
    few = [Box(_once(box.lo), _once(box.hi), box.assumed) for box in boxes]
    alike = all(box == few[0] and box.assumed == few[0].assumed for box in few)
    return few[:1] if alike else few


def _once(bound: Floats) -> Floats:
    for axis in range(bound.ndim):
        first = bound.take([0], axis) if bound.shape[axis] else bound
        bound = first if (bound == first).all() else bound
    return bound.reshape(()) if bound.size == 1 else bound


def outside(box: Box, x: ArrayLike) -> str:
    """What of some data is farthest from a box, in words; an empty string where nothing is.

    Args:
        box: legal inputs, at the full shape of one.
        x: data (n, *shape).

    >>> outside(Box(0, 1).fit((2,)), [[0.5, 0.5], [9.0, 0.0]])
    'holds 9 (at index 0 of an input) where 0 to 1 is legal'
    """
    values = np.asarray(x)
    if values.dtype.kind not in "fiu" or values.shape[1:] != box.lo.shape or not values.size:
        return ""
    beyond = np.maximum(box.lo - values, values - box.hi) - _SLACK * (box.hi - box.lo)
    if not (beyond > 0).any():
        return ""
    sample, *place = np.unravel_index(int(np.nanargmax(beyond)), values.shape)
    at = tuple(place)
    where = ", ".join(str(int(index)) for index in at)
    found, low, high = (f"{float(v):.4g}" for v in (values[(sample, *at)], box.lo[at], box.hi[at]))
    return f"holds {found} (at index {where} of an input) where {low} to {high} is legal"


def _from_sequence(domain: Sequence[Any], inputs: int) -> list[Box]:
    """Read a sequence of boxes; two plain numbers are taken as `lo, hi` of one box."""
    try:
        items = list(domain)
    except TypeError:
        items = []
    if len(items) == 2 and not any(isinstance(item, Box | Mapping) for item in items):
        return [Box(*items)] * inputs
    if len(items) != inputs or not all(isinstance(item, Box) for item in items):
        raise DomainError(
            f"The domain must be one Box, or one Box for each of the model's {inputs} inputs; "
            f"got {domain!r}."
        )
    return items


def _bound(value: Any, name: str) -> Floats:
    try:
        bound = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DomainError(
            f"The domain's {name} is {value!r}: give a number or an array of numbers."
        ) from None
    if not np.isfinite(bound).all():
        raise DomainError(
            f"The domain's {name} holds a value that is NaN or infinite: give finite bounds."
        )
    bound.flags.writeable = False
    return bound


def _difference_up(a: Floats, b: Floats) -> Floats:
    """Return a - b, rounded up where it is not exact (Knuth's two-sum gives the error)."""
    total = a - b
    back = total - a
    error = (a - (total - back)) - (b + back)
    return np.where(error > 0, np.nextafter(total, np.inf), total)


def _show(bound: Floats) -> str:
    if bound.ndim == 0:
        return repr(float(bound))
    if bound.size and (bound == bound.flat[0]).all():
        return f"<{float(bound.flat[0])!r} at {bound.shape}>"
    return f"<{bound.min():g}..{bound.max():g} at {bound.shape}>"

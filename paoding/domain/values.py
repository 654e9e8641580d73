"""Inputs that are no measurements: numbers of tokens, categories, words. Their readers tell which.

A layer that looks its input up knows what it can find: an Embedding, a StringLookup, the bins of
a Discretization. Every branch that reads the input is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from paoding.domain.box import Floats, Shape
from paoding.domain.frequencies import remembered_shares

if TYPE_CHECKING:
    from paoding.graph import Graph

_HASHED = 8  # different values for each bin of a hash
_WORDS = 16  # in a text of open length
# Layers and operations that leave each value what it is.
_PASSES = (
    *("Flatten", "Reshape", "Dropout", "RepeatVector", "Permute", "Identity", "Activation"),
    *("Cast", "GetItem", "ExpandDims", "Squeeze", "Transpose", "Split", "Concatenate", "Stack"),
)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token numbers, uniform, with Zipf's law (the k-th most frequent has weight 1/k), or known.

    Args:
        shape: of one input.
        size: of the vocabulary.
        zipf: whether frequent tokens are drawn more often.
        often: the share of each token, where the model tells it.

    >>> Tokens((4,), 9)(np.random.default_rng(0), 2).shape
    (2, 4)
    """

    shape: Shape
    size: int
    zipf: bool = False
    often: Floats | None = None

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        if self.often is not None:
            return rng.choice(self.size, (n, *self.shape), p=self.often)
        if not self.zipf:
            return rng.integers(0, self.size, (n, *self.shape))
        return _by_zipf(rng, self.size, (n, *self.shape))

    def __str__(self) -> str:
        if self.often is not None:
            return f"token numbers below {self.size}, as often as batch normalization remembers"
        return f"{'Zipf' if self.zipf else 'uniform'} token numbers below {self.size}"


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries of a vocabulary, words or numbers, drawn alike or with Zipf's law.

    Args:
        shape: of one input.
        known: the vocabulary, frequent entries first.
        zipf: whether frequent entries are drawn more often.

    >>> Entries((2,), np.array(["yes", "no"]))(np.random.default_rng(0), 1).tolist()
    [['no', 'no']]
    """

    shape: Shape
    known: np.ndarray
    zipf: bool = False

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return self.known[Tokens(self.shape, len(self.known), self.zipf)(rng, n)]

    def __str__(self) -> str:
        return f"{'Zipf' if self.zipf else 'uniform'} entries of a vocabulary of {len(self.known)}"


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts of a vocabulary's words, which follow Zipf's law.

    Args:
        shape: of one input.
        words: the vocabulary, frequent words first.
        length: of a text, in words.

    >>> Texts((1,), np.array(["a", "b"]), 3)(np.random.default_rng(0), 1).tolist()
    [['a a a']]
    """

    shape: Shape
    words: np.ndarray
    length: int

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        count = n * int(np.prod(self.shape))
        drawn = self.words[_by_zipf(rng, len(self.words), (count, self.length))]
        return np.array([" ".join(text) for text in drawn]).reshape(n, *self.shape)

    def __str__(self) -> str:
        return f"texts of {self.length} words from a vocabulary of {len(self.words)}"


@dataclass(frozen=True, eq=False)
class Binned:
    """Numbers that fall into each of some bins alike.

    Args:
        shape: of one input.
        edges: between the bins, rising; the outer bins are as wide as their neighbours.
        whole: whether only whole numbers are drawn.

    >>> Binned((1,), np.array([0.0, 1.0]))(np.random.default_rng(0), 2).round(1).tolist()
    [[0.9], [-0.2]]
    """

    shape: Shape
    edges: Floats
    whole: bool = False

    @property
    def ends(self) -> Floats:
        """Where each bin ends, the least value first."""
        wide = np.diff(self.edges) if len(self.edges) > 1 else np.ones(1)
        least, most = self.edges[0] - wide[0], self.edges[-1] + wide[-1]
        return np.concatenate([[least], self.edges, [most]])

    def __call__(self, rng: np.random.Generator, n: int) -> np.ndarray:
        ends = self.ends
        found = np.interp(
            rng.random((n, *self.shape)) * (len(ends) - 1), np.arange(len(ends)), ends
        )
        return np.rint(found).astype(np.int64) if self.whole else found.astype(np.float32)

    def __str__(self) -> str:
        return f"numbers in all of {len(self.edges) + 1} bins"


Drawn = Tokens | Entries | Texts | Binned


def values_of(graph: Graph, tensor: int, shape: Shape) -> tuple[Drawn, str] | None:
    """How an input is drawn that is looked up, and by which reader; None where none looks it up.

    Args:
        graph: the traced model.
        tensor: one of its inputs.
        shape: of one sample of it.
    """
    dtype = graph.flat.dtypes[tensor]
    found: list[tuple[Drawn, str]] = []
    waiting, seen = [tensor], {tensor}
    while waiting:
        read = waiting.pop(0)
        for node in graph.nodes:
            if read not in node.inputs:
                continue
            if node.kind in _PASSES:
                fresh = [t for t in node.outputs if t not in seen]
                seen.update(fresh)
                waiting += fresh
            kinds = [kind.__name__ for kind in type(node.op).__mro__]
            reader = next((_READERS[kind] for kind in kinds if kind in _READERS), None)
            if reader is not None:
                drawn = reader(node.op, shape, dtype)
                if isinstance(drawn, Tokens):
                    drawn = replace(drawn, often=remembered_shares(graph, node, drawn.size))
                found.append((drawn, _article(node.kind)))
    if not found and dtype == "bool":
        return Entries(shape, np.array([False, True])), "it is true or false"
    if not found:
        return None
    drawn, why = found[0]
    for other, _ in found[1:]:
        drawn = _both(drawn, other)
    return drawn, f"{why} reads them"


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"


def _both(one: Drawn, other: Drawn) -> Drawn:
    """What two readers of the same input both know; the first one's where that is nothing."""
    if isinstance(one, Tokens) and isinstance(other, Tokens):
        return one if one.size <= other.size else other
    if isinstance(one, Tokens) and isinstance(other, Entries):
        one, other = other, one
    if not isinstance(one, Entries):
        return one
    known = one.known
    if isinstance(other, Tokens) and known.dtype.kind in "iu":
        kept = known[known < other.size]
    elif isinstance(other, Entries):
        kept = known[np.isin(known, other.known)]
    else:
        kept = known
    return Entries(one.shape, kept) if len(kept) else one


def _by_zipf(rng: np.random.Generator, size: int, shape: Shape) -> np.ndarray:
    weight = 1.0 / np.arange(1, size + 1)
    return rng.choice(size, shape, p=weight / weight.sum())


def _embedded(op: Any, shape: Shape, dtype: str) -> Drawn:
    return Tokens(shape, int(op.embeddings.shape[0]))


def _encoded(op: Any, shape: Shape, dtype: str) -> Drawn:
    return Tokens(shape, int(op.num_classes if hasattr(op, "num_classes") else op.num_tokens))


def _looked_up(op: Any, shape: Shape, dtype: str) -> Drawn:
    known = np.array(op.get_vocabulary(include_special_tokens=False))
    return Entries(shape, known if len(known) else np.zeros(1, int))


def _hashed(op: Any, shape: Shape, dtype: str) -> Drawn:
    numbers = Tokens(shape, _HASHED * int(op.num_bins))
    return Entries(shape, np.arange(numbers.size).astype(str)) if dtype == "string" else numbers


def _binned(op: Any, shape: Shape, dtype: str) -> Drawn:
    return Binned(shape, np.asarray(op.bin_boundaries, np.float64), whole="int" in dtype)


def _read_as_text(op: Any, shape: Shape, dtype: str) -> Drawn:
    words = np.array(op.get_vocabulary(include_special_tokens=False) or [""])
    return Texts(shape, words, int(op.get_config()["output_sequence_length"] or _WORDS))


_READERS: dict[str, Callable[[Any, Shape, str], Drawn]] = {
    "Embedding": _embedded,
    "CategoryEncoding": _encoded,
    "OneHot": _encoded,
    "StringLookup": _looked_up,
    "IntegerLookup": _looked_up,
    "Hashing": _hashed,
    "HashedCrossing": _hashed,
    "Discretization": _binned,
    "TextVectorization": _read_as_text,
}

"""A model as the evaluation sees it: logits with their gradients, as compiled functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from paoding.errors import ModelError
from paoding.graph.flat import Node, TensorRef
from paoding.graph.heads import activation_at
from paoding.graph.keras_internals import config_of, flatten, require_tensorflow, revive

# Compiled networks kept alive: a studio compares a few models again and again.
_KEPT = 8
NORMS = ("linf", "l2")
# The cross-entropy is softplus(m), m = logsumexp of the other logits - z_y ("log-odds"), and its
# gradient a positive multiple of that of m. Where a model is sure, floating point loses part or
# all of the former, but not the latter.
LOSSES = ("cross-entropy", "log-odds")
# Gradients shorter than this make shorter steps, as in Foolbox, instead of steps of pure noise.
_LEAST_NORM = 1e-12


@lru_cache(maxsize=_KEPT)
def network_of(model: keras.Model) -> Network:
    """Return the one :class:`Network` of ``model``; it is compiled once and reads live weights.

    Raises:
        ModelError: The model does not map one input to one row of scores.
    """
    return Network(model)


class Network:
    """Logits of a model, without its final softmax or sigmoid, and what attacks need of them.

    A single output ``z`` (a binary classifier) becomes the two logits ``(0, z)``, so that
    class 1 wins where ``z > 0`` and nothing further has to know of the special case. Of a single
    tanh, whose classes are -1 and 1, it is twice the number before it: (1 + tanh z) / 2 is the
    sigmoid of 2 z.

    Attributes:
        model: The model.
        head: The final activation that was left out, "softmax", "sigmoid", "tanh" or "none".
        classes: The number of classes, at least 2.
        binary: Whether the model has a single output.
    """

    label_shape: tuple[None, ...] | None = (None,)
    label_type: Any = tf.int64
    most_harm = 1.0

    def __init__(self, model: keras.Model) -> None:
        require_tensorflow("A gradient")
        self.model = model
        self._flat = flatten(model)
        self._check()
        self._dtype = model.inputs[0].dtype
        outputs = int(model.outputs[0].shape[-1])
        self.binary = outputs == 1
        self.classes = max(outputs, 2)
        self.head, self._nodes, self._last = self._without_head()
        self._compile()

    def _check(self) -> None:
        name, inputs, outputs = self.model.name, self.model.inputs, self.model.outputs
        if len(inputs) != 1:
            raise ModelError(
                f"Model '{name}' has {len(inputs)} inputs; evaluation needs a model of one input."
            )
        if len(outputs) != 1:
            raise ModelError(
                f"Model '{name}' has {len(outputs)} outputs; evaluation needs one: pass "
                "keras.Model(model.inputs, model.outputs[k])."
            )
        if len(outputs[0].shape) != 2 or outputs[0].shape[-1] is None:
            raise ModelError(
                f"Model '{name}' has an output of shape {tuple(outputs[0].shape)}; evaluation "
                "needs one row of scores for each sample."
            )

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of one input; None where any length goes."""
        return tuple(self.model.inputs[0].shape[1:])

    def inputs_of(self, x: Any) -> list[Any]:
        """The model's inputs, out of what is attacked."""
        return [x]

    @property
    def differentiable(self) -> bool:
        """Whether inputs are real numbers, so that a gradient with respect to them exists."""
        return bool(tf.as_dtype(self._dtype).is_floating)

    def _without_head(self) -> tuple[str, tuple[Callable[..., Any] | None, ...], int]:
        """Return the head's name, what to call for each node (None: skip), the logits' tensor."""
        nodes = self._flat.nodes
        output = self._flat.outputs[0]
        last = next((node for node in nodes if output in node.outputs), None)
        calls: list[Callable[..., Any] | None] = [node.op for node in nodes]
        if last is None:
            return "none", tuple(calls), output
        head = activation_at(last.op, last.kind)
        if head == "unit" or (head == "tanh" and not self.binary):
            head = "none"
        if head == "none":
            return head, tuple(calls), output
        if hasattr(last.op, "activation"):
            calls[last.index] = _linear(last)
            return head, tuple(calls), output
        calls[last.index] = None
        return head, tuple(calls), last.inputs[0]

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """Return float32 logits, (n, classes), of a batch of inputs."""
        known = dict(zip(self._flat.inputs, self.inputs_of(x), strict=True))

        def resolve(value: Any) -> Any:
            return known[value.tensor] if isinstance(value, TensorRef) else value

        for node, call in zip(self._flat.nodes, self._nodes, strict=True):
            if call is None:
                continue
            args = tree.map_structure(resolve, node.args)
            kwargs = tree.map_structure(resolve, node.kwargs)
            if _takes_training(node.op):
                kwargs["training"] = False
            with keras.name_scope("paoding"):  # inside of one, names may begin with an underscore
                made = tree.flatten(call(*args, **kwargs))
            known.update(zip(node.outputs, made, strict=True))
        z = tf.cast(known[self._last], tf.float32)
        if self.head == "tanh":
            z = 2 * z
        return tf.concat([tf.zeros_like(z), z], axis=1) if self.binary else z

    def _compile(self) -> None:
        """Make the compiled functions; batch, eps and steps are tensors: nothing is retraced."""
        x = tf.TensorSpec([None, *self.shape], self._dtype)
        y = tf.TensorSpec(self.label_shape, self.label_type)
        number = tf.TensorSpec([], self._dtype)
        count = tf.TensorSpec([], tf.int32)
        bound = tf.TensorSpec(None, self._dtype)

        @tf.function(input_signature=[x])
        def logits(x: tf.Tensor) -> tf.Tensor:
            return self.logits(x)

        self._logits = logits
        if not self.differentiable:
            return

        def attack(norm: str, loss: str) -> Callable[..., tf.Tensor]:
            @tf.function(input_signature=[x, x, y, number, number, count, bound, bound])
            def ascend(x, start, y, eps, step_size, steps, lo, hi):  # type: ignore[no-untyped-def]
                here = start
                for _ in tf.range(steps):
                    here = here + step_size * _direction(self._gradient(here, y, loss), norm)
                    here = tf.clip_by_value(_project(here, x, eps, norm), lo, hi)
                    here = tf.ensure_shape(here, x.shape)  # bounds of any rank hide it
                return here

            return ascend

        self._ascend = {(norm, loss): attack(norm, loss) for norm in NORMS for loss in LOSSES}

    def _gradient(self, x: tf.Tensor, y: tf.Tensor, loss: str) -> tf.Tensor:
        """Return the gradient of the loss with respect to each input."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            value = self.loss(self.logits(x), y, loss)
        gradient = tape.gradient(value, x)
        return tf.zeros_like(x) if gradient is None else gradient

    def loss(self, z: tf.Tensor, y: tf.Tensor, loss: str) -> tf.Tensor:
        """Return what an attack climbs, (n,)."""
        if loss == "cross-entropy":
            return tf.nn.sparse_softmax_cross_entropy_with_logits(y, z)
        mine = tf.one_hot(y, self.classes, on_value=True, off_value=False, dtype=tf.bool)
        others = tf.reduce_logsumexp(tf.where(mine, z.dtype.min, z), axis=1)
        return others - tf.gather(z, y, batch_dims=1)

    def harm(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> np.ndarray:
        """Return how far astray each input leads: 1, the most, where its class is wrong."""
        return (self.predict(x, batch_size).argmax(1) != y).astype("float64")

    # -- whole arrays ----------------------------------------------------------------------------

    def batches(self, count: int, size: int) -> Iterator[slice]:
        """Yield slices that cover ``count`` samples, at most ``size`` each."""
        for first in range(0, count, size):
            yield slice(first, min(first + size, count))

    def predict(self, x: np.ndarray, batch_size: int) -> np.ndarray:
        """Return the logits of all of ``x``, float32 (n, classes).

        Raises:
            ModelError: A logit is NaN.
        """
        parts = [self._logits(self._tensor(x[b])).numpy() for b in self.batches(len(x), batch_size)]
        z = np.concatenate(parts)
        wrong = np.flatnonzero(np.isnan(z).any(axis=1))
        if len(wrong):
            raise ModelError(
                f"Model '{self.model.name}' answers NaN for {len(wrong)} of {len(z)} samples, "
                f"the first at index {wrong[0]}."
            )
        return z

    def ascend(
        self,
        x: np.ndarray,
        start: np.ndarray,
        y: np.ndarray,
        *,
        eps: float,
        step_size: float,
        steps: int,
        norm: str,
        loss: str,
        lo: np.ndarray,
        hi: np.ndarray,
        batch_size: int,
    ) -> np.ndarray:
        """Return ``x`` after steps up the loss from ``start``, within ``eps`` and [lo, hi]."""
        if not self.differentiable:
            raise ModelError(
                f"Model '{self.model.name}' takes {self._dtype} inputs; gradient attacks need "
                "inputs of real numbers."
            )
        low, high = self._tensor(lo), self._tensor(hi)
        settings = (self._tensor(eps), self._tensor(step_size), tf.constant(steps, tf.int32))
        parts = []
        for b in self.batches(len(x), batch_size):
            inputs = self._tensor(x[b]), self._tensor(start[b]), tf.constant(y[b], self.label_type)
            parts.append(self._ascend[norm, loss](*inputs, *settings, low, high).numpy())
        return np.concatenate(parts)

    def _tensor(self, value: Any) -> tf.Tensor:
        return tf.constant(np.asarray(value), self._dtype)


def _linear(node: Node) -> Callable[..., Any]:
    """Return the node's layer without its activation, reading the original's live weights."""
    layer = node.op
    plain = revive(layer, {**config_of(layer), "activation": "linear"})
    plain.build(node.in_shapes[0])

    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("training", None)
        live = [variable.value for variable in layer.trainable_variables]
        rest = [variable.value for variable in layer.non_trainable_variables]
        return plain.stateless_call(live, rest, *args, **kwargs)[0]

    plain.trainable = layer.trainable
    return call


def _takes_training(op: Any) -> bool:
    return (
        isinstance(op, keras.layers.Layer) and "training" in inspect.signature(op.call).parameters
    )


def _norms(x: tf.Tensor) -> tf.Tensor:
    """Return the Euclidean norm of each sample, shaped to divide the batch by."""
    flat = tf.norm(tf.reshape(x, [tf.shape(x)[0], -1]), axis=1)
    return tf.reshape(tf.maximum(flat, _LEAST_NORM), [-1] + [1] * (len(x.shape) - 1))


def _direction(gradient: tf.Tensor, norm: str) -> tf.Tensor:
    return tf.sign(gradient) if norm == "linf" else gradient / _norms(gradient)


def _project(x: tf.Tensor, center: tf.Tensor, eps: tf.Tensor, norm: str) -> tf.Tensor:
    offset = x - center
    if norm == "linf":
        return center + tf.clip_by_value(offset, -eps, eps)
    return center + offset * tf.minimum(tf.cast(1, x.dtype), eps / _norms(offset))

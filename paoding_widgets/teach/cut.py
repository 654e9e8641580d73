"""``CutTogether``: cut a channel out of a residual network, wrongly and rightly (lesson 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import numpy as np

from paoding.errors import ArgumentError
from paoding_widgets.teach.parts import Exercise

if TYPE_CHECKING:
    import keras

    from paoding.graph import Group

_ROLES = {  # parts with weights to cut; an Add or a pooling only passes channels on
    "produce": "makes the channel",
    "consume": "reads it",
    "through": "has weights of its own for it",
}


class CutTogether(Exercise):
    """Tick the layers that lose a channel, press Cut, and see what the network says.

    Args:
        model: a functional or Sequential model.
        group: name of a group of :func:`paoding.inspect`; the one with the most parts by default.
        unit: the channel that goes.

    >>> import keras
    >>> from keras import layers
    >>> x = keras.Input((8, 8, 3))
    >>> y = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    >>> z = layers.Conv2D(4, 3, padding="same", name="branch")(y)
    >>> y = layers.GlobalAveragePooling2D()(layers.Add(name="add")([y, z]))
    >>> cut = CutTogether(keras.Model(x, layers.Dense(2, name="scores")(y)))
    >>> cut.tick("stem")
    >>> cut.cut()
    False
    >>> cut.tick(*cut.names)
    >>> cut.cut()
    True
    """

    def __init__(self, model: keras.Model, group: str | None = None, unit: int = 0) -> None:
        import paoding

        self.model, self.unit = model, unit
        graph = paoding.inspect(model)
        if group is not None and group not in graph.by_name:
            raise ArgumentError(
                f"group={group!r} must be one of {', '.join(map(repr, graph.by_name))}."
            )
        most = max(graph.prunable, key=lambda one: len({part.layer for part in one.parts}))
        self.group: Group = graph.by_name[group] if group else most
        self._roles = self._who_does_what()
        self.boxes = {
            name: ipywidgets.Checkbox(False, description=f"{name} ({role})", indent=False,
                                      layout=ipywidgets.Layout(width="auto"))
            for name, role in self._roles.items()
        }  # fmt: skip
        self.button = ipywidgets.Button(description=f"Cut channel {unit}", icon="scissors")
        self.button.on_click(lambda _: self.cut())
        super().__init__(
            "Which layers have to lose the channel together?",
            f"Tick every layer that has to lose channel {unit} of '{self.group.name}', then cut.",
            [ipywidgets.VBox(list(self.boxes.values())), self.button],
        )
        self.say("Nothing is cut yet. Try one layer alone first.")

    def _who_does_what(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in self.group.parts:
            if part.role in _ROLES:
                found.setdefault(part.layer, _ROLES[part.role])
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The layers to choose from."""
        return tuple(self.boxes)

    def tick(self, *names: str) -> None:
        """Tick some layers, and no others."""
        for name, box in self.boxes.items():
            box.value = name in names

    def cut(self) -> bool:
        """Cut the ticked layers; returns whether the network still holds together."""
        ticked = {name for name, box in self.boxes.items() if box.value}
        if not ticked:
            self.say("Tick at least one layer.")
            return False
        if ticked != set(self.names):
            self.say(self._why_not(ticked))
            return False
        import paoding

        pruner = paoding.Pruner(self.model, compensation="none")
        pruner.apply([paoding.Removal(self.group.name, self.unit)])
        small, masked = pruner.model(), pruner.masked()
        shape = [s or 1 for s in self.model.inputs[0].shape[1:]]
        x = np.random.default_rng(0).random((4, *shape)).astype("float32")
        apart = float(np.abs(np.asarray(small(x)) - np.asarray(masked(x))).max())
        self.say(
            f"It holds: {self.model.count_params():,} parameters became "
            f"{small.count_params():,}, and the answers equal those of the network with channel "
            f"{self.unit} silenced, up to {apart:.0e}."
        )
        return True

    def _why_not(self, ticked: set[str]) -> str:
        """What Keras says of the first layer whose inputs no longer fit together."""
        makers = [name for name, role in self._roles.items() if role == _ROLES["produce"]]
        after = {name: self.group.units - (name in ticked) for name in self.names}
        widths = {after[name] for name in makers}
        if len(widths) > 1:
            return "It does not hold. " + _refusal_of_add([after[name] for name in makers])
        made = widths.pop() if widths else self.group.units
        for name in self.names:
            if name not in makers and after[name] != made:
                return (
                    f"It does not hold: '{name}' has weights for {after[name]} channels and is "
                    f"given {made}."
                )
        return "It does not hold: not every layer that has the channel was cut."


def _refusal_of_add(widths: list[int]) -> str:
    """The sentence with which Keras refuses to add tensors of different widths."""
    import keras

    try:
        keras.layers.Add()([keras.Input((8, 8, width)) for width in widths])
    except ValueError as error:
        return f"Keras says of the addition: {str(error).splitlines()[0]}"
    return ""

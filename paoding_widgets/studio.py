"""The studio: one widget that prunes a model step by step and shows what happens and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets

from paoding.effort import STEP
from paoding.errors import ArgumentError
from paoding.plan import Step
from paoding_widgets import folder
from paoding_widgets.arguments import as_data, calibrated, checked, legal_domain, read
from paoding_widgets.conductor import PACES, Conductor
from paoding_widgets.dashboard import Dashboard, file_name
from paoding_widgets.mainloop import MainLoop
from paoding_widgets.messages import Message
from paoding_widgets.settings import Settings, from_arguments
from paoding_widgets.standing import Controls, sentence
from paoding_widgets.stills import Stills

if TYPE_CHECKING:
    import keras

    from paoding.pruning.result import PruningResult


class PruningStudio(ipywidgets.VBox):
    """Prune a model in a notebook: controls, structure, inspector, charts, and the reasons.

    The cell returns at once; the run goes on in a thread of its own, and the kernel stays free.

    Args:
        model: a built functional or Sequential ``keras.Model``; it is never changed.
        data: evaluation inputs and labels ``(x, y)``, or a split of the zoo; they only measure
            accuracy and robustness, nothing is fitted to them. None: nothing is measured.
        target: share to remove of each layer's units, or of what ``budget`` counts.
        step: share removed in one step.
        strategy: a name ("annealing", "impact", "saliency", "magnitude") or an object.
        compensation: what the survivors take over.
        domain: the box of legal inputs, or ``(lo, hi)``.
        seed: of everything random.
        eps: size of the attack (FGSM) that robust accuracy is measured with, in input units.
        targets: layer name -> its own target.
        locked: layer names, types or patterns that keep their units.
        calibration: some real inputs without labels, in the place of synthetic ones.
        speed: ``"slow"``, ``"normal"``, or ``"full"``: how long a step is shown at least.
        autosave: keep the run as it goes, from the first step on: in a folder of that name, or
            beside the notebook in ``runs/`` once the studio is displayed. False: never.
        options: further arguments of ``paoding.Pruner``.

    A mistake in the arguments is told in the studio; what is wrong with the model is told there
    too, and raised by :attr:`result`.

    >>> import paoding
    >>> from paoding_widgets import PruningStudio
    >>> model, data = paoding.zoo.load("breast-cancer")
    >>> studio = PruningStudio(model, data=data, target=0.25, step=0.125, strategy="saliency",
    ...                        compensation="merge")
    >>> studio.start()
    >>> studio.wait()
    'finished'
    >>> len(studio.result.steps)
    2
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any = None,
        target: float = 0.5,
        step: float = STEP,
        strategy: Any = None,
        compensation: Any = "least-squares",
        domain: Any = None,
        seed: int = 0,
        *,
        eps: float = 0.05,
        targets: dict[str, float] | None = None,
        locked: str | Sequence[str] = (),
        calibration: Any = None,
        speed: str = "normal",
        autosave: bool | str | os.PathLike[str] = True,
        **options: Any,
    ) -> None:
        pair, own_domain = as_data(data)
        given = from_arguments(
            strategy,
            own_domain if domain is None else domain,
            options,
            target=target,
            step=step,
            compensation=compensation,
            seed=seed,
            targets=dict(targets or {}),
            locked=(locked,) if isinstance(locked, str) else tuple(locked),
        )
        self._main = MainLoop(self._turn, self._call_failed)
        graph, scene, faults = read(model, pair)
        self._conductor = Conductor(model, graph, pair, self._controls, self._main.wake)
        complain = self._conductor.standing.complain
        for fault in faults:
            complain(fault)
        given, eps = checked(given, eps, complain)
        given = replace(given, domain=legal_domain(graph, given.domain))
        given = calibrated(given, graph, calibration, complain)
        if speed not in PACES:
            known = ", ".join(PACES)
            complain(ArgumentError(f"speed={speed!r} is not known; choose {known}."))
            speed = "normal"
        self._conductor.standing.made = Controls(given, eps)
        self._dashboard = Dashboard(
            scene, graph, given, eps, changed=self._main.wake, press=self._press, speed=speed
        )
        super().__init__(self._dashboard.parts)
        self.add_class("paoding-studio")
        self._stills = Stills(self._dashboard.still)
        self._listen()
        self._may_keep = bool(autosave)
        if not isinstance(autosave, bool):
            self._conductor.keep_in(autosave)
        if self._conductor.standing.fault is None:
            self._conductor.make()
        self._show()

    def _controls(self) -> Controls:
        return Controls(self._dashboard.settings(), self._dashboard.form.eps.value)

    def _listen(self) -> None:
        view, buttons, post = self._dashboard.view, self._dashboard.buttons, self._main.post
        look = self._conductor.timeline.look_at
        view.observe(lambda change: self._seen(look, change.new), names="moment")
        view.observe(
            lambda _: self._seen(), names=["selected", "page_visible", "locked", "targets"]
        )
        view.on_msg(lambda _, content, __: post(lambda: self._message_from_view(content)))
        for button in (buttons.code, buttons.explain):
            button.observe(lambda _: post(self._dashboard.toggle_panels), names="value")
        buttons.speed.observe(lambda _: self._set_pace(), names="value")
        self._set_pace()
        buttons.more.observe(lambda _: post(self._dashboard.toggle_more), names="value")
        buttons.tables.observe(lambda _: post(self._dashboard.toggle_tables), names="value")

    # -- what a button does, a method does ------------------------------------------------------

    def start(self) -> None:
        """Prune until the target is reached; goes on after a pause."""
        self._conductor.start()
        self._show()

    def pause(self) -> None:
        """Pause after the step that is running."""
        self._conductor.pause()
        self._show()

    def step(self) -> None:
        """Take one step."""
        self._conductor.step()
        self._show()

    def stop(self) -> None:
        """End the run, giving up a step in the making; :meth:`start` goes on all the same."""
        self._conductor.stop()
        self._show()

    def check(self) -> None:
        """Estimate without data how often the network still answers like the original."""
        self._conductor.check()
        self._show()

    def undo(self) -> None:
        """Take the last step back."""
        self._conductor.turn_back("undo")

    def redo(self) -> None:
        """Take the step again that was taken back."""
        self._conductor.turn_back("redo")

    def branch(self, moment: int) -> None:
        """Go back to after so many steps, to go on from there; the run so far stays overlaid."""
        applied = self._conductor.timeline.applied
        if not 0 <= moment <= applied:
            raise ArgumentError(f"moment={moment} must be from 0 to {applied}.")
        self._conductor.go_to(moment)

    def reset(self) -> None:
        """Go back to the original model; the run so far stays overlaid."""
        self._conductor.reset()
        self._show()

    def remove(self, group: str, unit: int, into: int | None = None) -> None:
        """Remove one unit as a step of its own; the plan holds it like any other.

        Args:
            group: the layer that makes the unit.
            unit: its number in the original.
            into: the survivor that takes it over; None: as the run's compensation does.
        """
        self._conductor.remove(group, unit, into)

    def take_back(self, group: str, unit: int, later: str = "kept") -> None:
        """Bring one unit back that went in any step.

        Args:
            group: the layer that makes the unit.
            unit: its number in the original.
            later: what becomes of the steps after it: ``"kept"``: they are applied again as they
                were; ``"anew"``: they are given up, and decided anew when the run goes on.

        Raises:
            ArgumentError: the unit has not been removed.
        """
        self._conductor.take_back(group, unit, later)

    def keep(self, group: str, unit: int, later: str = "kept") -> None:
        """Keep one unit for good; one that went is taken back first.

        Args:
            group: the layer that makes the unit.
            unit: its number in the original.
            later: as for :meth:`take_back`.
        """
        view = self._dashboard.view
        lock = f"{group}:{unit}"
        if lock not in view.locked:
            view.locked = [*view.locked, lock]
        if self._conductor.gone(group, unit):
            self._conductor.take_back(group, unit, later)
        self._show()

    def release(self, group: str, unit: int) -> None:
        """Let a unit go again that :meth:`keep` held."""
        view = self._dashboard.view
        view.locked = [one for one in view.locked if one != f"{group}:{unit}"]
        self._show()

    @property
    def state(self) -> str:
        """``ready``, ``running``, ``paused``, ``finished``, ``stopped`` or ``failed``."""
        return self._conductor.standing.state

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are applied now."""
        return self._conductor.timeline.steps

    @property
    def settings(self) -> Settings:
        """What the controls say."""
        return self._dashboard.settings()

    @property
    def result(self) -> PruningResult:
        """The pruned model with its plan, decisions and certificate, as far as the run is.

        Raises:
            BusyError: a run is going; pause it, or wait for its end.
            PaodingError: the run has failed, with the reason.
        """
        return self._conductor.result()

    def wait(self, timeout: float | None = None) -> str:
        """Wait until nothing moves (the run has ended or pauses); returns the state.

        The buttons work meanwhile, other cells do not.

        Args:
            timeout: seconds after which to return all the same.
        """
        session = self._conductor.session
        session.pace = 0.0  # whoever waits for the end does not want to watch
        try:
            self._main.wait(lambda: session.busy, timeout)
        finally:
            self._set_pace()
        return self.state

    def _set_pace(self) -> None:
        self._conductor.session.pace = PACES[self._dashboard.buttons.speed.value]

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the run into a new folder, from which :meth:`load` goes on.

        Args:
            path: a folder that does not exist yet.

        Returns:
            The folder.

        Raises:
            OutputExistsError: the folder exists.
            BusyError: a run is going.
        """
        saved = self._conductor.save(path)
        self._show()
        return saved

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        data: Any = None,
        model: keras.Model | None = None,
    ) -> PruningStudio:
        """Open a run that was saved, ready to go on.

        Args:
            path: the folder.
            data: evaluation data, where it is not to be what was saved with the run.
            model: the original model, where it was not saved with the run.

        Raises:
            PlanError, ModelError, DataError: the folder holds no run, a broken one, or the run
                of another model.
        """
        saved = folder.load(path, model)
        given = saved.arguments()
        studio = cls(saved.model, **(given if data is None else given | {"data": data}))
        conductor = studio._conductor
        if conductor.graph is not None:
            saved.require(conductor.graph, path)
        conductor.timeline.runs = saved.runs
        conductor.standing.saved = os.fspath(path)
        conductor.make(resume=saved.path)
        studio._show()
        return studio

    # -- from the reader ------------------------------------------------------------------------

    def _press(self, name: str) -> None:
        self._main.post(self._save_pressed if name == "save" else getattr(self, name))

    def _save_pressed(self) -> None:
        buttons = self._dashboard.buttons
        self._conductor.save_to(buttons.folder.value.strip(), buttons.suggest_next)

    def _seen(self, act: Callable[..., None] | None = None, *values: Any) -> None:
        """A trait changed in the browser; what we set ourselves is not news."""
        if self._dashboard.showing:
            return
        if act is None:
            self._main.wake()
        else:
            self._main.post(lambda: act(*values))

    def _message_from_view(self, content: Any) -> None:
        """Do what the view asks for; whatever is not understood is left alone."""
        message = Message.of(content)
        if message is not None:
            message.answer(self, self._conductor.timeline)

    # -- to the browser -------------------------------------------------------------------------

    def _turn(self) -> None:
        """The one writer: take in what happened, and show it."""
        self._conductor.take_in()
        self._conductor.ask_about(self._dashboard.chosen())
        self._show()
        self._stills.follow(self._conductor.now(), self._conductor.session.busy)

    def _call_failed(self, error: BaseException) -> None:
        self._conductor.standing.error = sentence(error)

    def _show(self) -> None:
        self._dashboard.show(self._conductor.now())

    def __repr__(self) -> str:
        # Cheap on purpose: the inherited one writes out every trait of every part.
        name, steps = self._dashboard.name, self._conductor.timeline.applied
        return f"PruningStudio({name!r}, {self.state}, {steps} steps)"

    def _ipython_display_(self) -> None:
        """Display the studio, and after it a picture for a page without a kernel.

        The picture is an output of its own, so that it can follow the run while the studio stays;
        where the studio lives, its style hides the picture.
        """
        from IPython.display import display

        conductor = self._conductor
        if self._may_keep and conductor.autosave is None:
            path = f"runs/{file_name(self._dashboard.name)}-autosave"
            conductor.keep_in(path)
            earlier = folder.latest(path)
            standing = conductor.standing
            if earlier is not None and not standing.saved and not conductor.timeline.applied:
                line = f"PruningStudio.load({os.fspath(earlier)!r})"
                standing.message = f"an earlier run is kept: {line} opens it"
                self._show()
        live = super()._repr_mimebundle_() | {
            "text/plain": f"Pruning studio: {self._dashboard.name}"
        }
        display(live, raw=True)
        self._stills.show(conductor.now())

"""Every mistake that a user can make, each with its own class and one clear sentence."""

from __future__ import annotations


class PaodingError(Exception):
    """Base of every error that a user of Paoding can cause."""


class ModelError(PaodingError):
    """The model cannot be used: missing, truncated, not Keras, or without a layer graph."""


class WeightsError(ModelError):
    """The model holds weights that are NaN or infinite."""


class NothingToPruneError(ModelError):
    """No unit of the model may be removed."""


class ArgumentError(PaodingError, ValueError):
    """An argument lies outside of what it may be."""


class DomainError(ArgumentError):
    """The box of legal inputs is empty, not finite, or does not fit the model."""


class DataError(PaodingError, ValueError):
    """Evaluation data does not fit the model, or cannot be read."""


class PlanError(PaodingError):
    """A plan belongs to another model, or names a unit that cannot be removed."""


class OutputExistsError(PaodingError, FileExistsError):
    """The folder or file to write already exists."""


class ExportError(PaodingError):
    """The model cannot be written in the wanted format."""


class BoundsError(PaodingError):
    """No certificate can be given, with the layer at which bounding stops."""


class BusyError(PaodingError):
    """A studio is still at work on what is asked for."""


class RuntimeMissingError(PaodingError):
    """A runtime or an engine that is asked for is not installed, with the extra that brings it."""


class ClusterError(PaodingError):
    """A cluster does not answer, its workers die, or they have other versions."""


class SweepError(PaodingError):
    """Nothing came of a sweep, its folder holds another one, or the disk is full."""

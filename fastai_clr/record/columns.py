"""How fastai's Recorder names and orders what it keeps of an epoch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EpochColumns:
    """The losses and metrics that fastai's `Recorder` keeps of an epoch, without the epoch's number and its time.

    trained, validated: their names, as in fastai's table: those of the training come first.
    """

    trained: list[str]
    validated: list[str]

    @classmethod
    def of(cls, recorder: Any, metrics: Iterable[Any]) -> "EpochColumns":
        """The columns in a fit with these metrics, also before it begins."""
        names = [getattr(o, "name", None) for o in metrics]  # a function that is an object may have none
        if recorder.train_metrics and recorder.valid_metrics:
            return cls([f"train_{o}" for o in ["loss", *names]], [f"valid_{o}" for o in ["loss", *names]])
        if recorder.valid_metrics:
            return cls(["train_loss"], ["valid_loss", *map(str, names)])
        return cls(["train_loss", *(map(str, names) if recorder.train_metrics else [])], [])

    @property
    def names(self) -> list[str]:
        """All names."""
        return [*self.trained, *self.validated]

    def row(self, values: Sequence[Any]) -> list[Any]:
        """One value for each name, from what the Recorder kept of an epoch; None where it kept none.

        It leaves out the part of an epoch that a callback cancelled: the validation, or the training.
        """
        if len(values) == len(self.names):
            return list(values)
        if len(values) == len(self.trained) != len(self.validated):
            return [*values, *[None] * len(self.validated)]
        return [None] * len(self.names)  # the training was cancelled, or nobody knows which part

"""Names and order of the values that fastai's Recorder keeps for each epoch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EpochColumns:
    """The losses and metrics that fastai's `Recorder` keeps for each epoch, without the epoch's number and time.

    Parameters
    ----------
    trained
        Names of the values of the training, as in fastai's table.
    validated
        Names of the values of the validation; in a row they follow those of the training.
    """

    trained: list[str]
    validated: list[str]

    @classmethod
    def of(cls, recorder: Any, metrics: Iterable[Any]) -> "EpochColumns":
        """The columns in a fit with these metrics, also before it begins."""
        names = [getattr(o, "name", None) for o in metrics]  # a callable object may have no name
        if recorder.train_metrics and recorder.valid_metrics:
            return cls([f"train_{o}" for o in ["loss", *names]], [f"valid_{o}" for o in ["loss", *names]])
        if recorder.valid_metrics:
            return cls(["train_loss"], ["valid_loss", *map(str, names)])
        return cls(["train_loss", *(map(str, names) if recorder.train_metrics else [])], [])

    @property
    def names(self) -> list[str]:
        """The names of all values, in the Recorder's order."""
        return [*self.trained, *self.validated]

    def row(self, values: Sequence[Any]) -> list[Any]:
        """One value per name, from the values that the Recorder kept of an epoch; None where it kept none.

        The Recorder keeps no values of a training or validation that a callback cancelled.
        """
        if len(values) == len(self.names):
            return list(values)
        if len(values) == len(self.trained) != len(self.validated):
            return [*values, *[None] * len(self.validated)]
        return [None] * len(self.names)  # the training was cancelled, or it is unknown which of the two

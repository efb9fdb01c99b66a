"""A callback that skips the events that it does not define, to save time."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from fastai.callback.core import Callback, event


class Stage(Enum):
    """What a callback of ours is doing."""

    WAITING = "for a fit to begin"
    TRAINING = "a fit that it takes part in runs"
    VALIDATING = "a validation in the middle of that fit fires the fit's events"
    PAUSED = "another fit runs inside the fit that it takes part in"
    ENDED = "it was for one fit, which is over"


class SelectiveCallback(Callback):
    """A callback that is called only for the events that it defines, and for none while it is paused or has ended."""

    learn: Any

    _stateattrs = ("_stage", "_called_for")  # fastai leaves these out of a copy or pickle
    _stage = Stage.WAITING
    _called_for = frozenset(vars(event))

    @property
    def training(self) -> bool:
        """The Learner's `training`. fastai reads it twice per event, each in 0.1 µs; without this property in 1.9."""
        return self.learn.training

    def __call__(self, event_name: str) -> Any:
        if event_name in self._called_for:  # fastai takes 7 µs for an event that is not defined, 6 times per batch
            return super().__call__(event_name)

    def enter(self, stage: Stage) -> None:
        """Change to `stage`."""
        defined = {*dir(type(self)), *self.__dict__}  # a subclass or the user may have added some
        is_called = stage not in (Stage.PAUSED, Stage.ENDED)
        self._stage = stage
        self._called_for = frozenset(o for o in vars(event) if o in defined and is_called)

    def before_fit(self) -> None:
        self.enter(self._stage)  # events may have been added since the last fit

    @property
    def is_paused(self) -> bool:
        """Whether another fit runs inside the one that it takes part in."""
        return self._stage is Stage.PAUSED

    @property
    def has_ended(self) -> bool:
        """Whether it was for one fit, which is over."""
        return self._stage is Stage.ENDED

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause while another fit runs inside the one that this callback takes part in."""
        before = self._stage
        if before is not Stage.ENDED:
            self.enter(Stage.PAUSED)
        try:
            yield
        finally:
            self.enter(before)

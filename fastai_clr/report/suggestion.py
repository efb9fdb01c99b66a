"""The result of `learn.suggest_clr`: the numbers, the reasons for them, and the picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from textwrap import fill
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import plot
from .peaks import highest_rate, peak_in_words
from .run import Peak

if TYPE_CHECKING:
    from ..plot.axes import Axes, GivenAxes


@dataclass(frozen=True)
class Trial:
    """A short whole cycle at one peak rate.

    peak: peak rate, as `fit` takes it. seed: of the random numbers.
    batches: number trained; a cycle that diverges stops early. valid_loss: None without a validation.
    train_loss: smoothed. diverged: whether the loss did.
    """

    peak: Peak
    seed: int
    batches: int
    valid_loss: float | None
    train_loss: float
    diverged: bool


@dataclass(frozen=True)
class Suggestion:
    """Numbers for `learn.fit_clr`, and the reasons for them; a tuple of `lr, div, cut_div, why`.

    It stands for its rate where `fit`, `fit_clr`, `plot_schedule`, `compare_schedules` and `CLRScheduler` take one; in
    `fit_clr` for its div and cut_div, too: `learn.fit_clr(5, suggestion)`.

    lr: peak learning rate. div, cut_div: as in `CircularLR`. why: the reason for each, in sentences.
    call: what to type.
    trials: a pandas table with a row for each short cycle of the race: peak, seed, batches, valid_loss, train_loss,
    diverged. Empty without a race.
    finders: for each run of `lr_find` the rates and the losses, one per batch.
    """

    lr: Peak
    div: float
    cut_div: float
    why: str
    call: str
    trials: pd.DataFrame = field(compare=False)
    finders: Sequence[tuple[Sequence[float], Sequence[float]]] = field(default=(), compare=False)

    def __iter__(self) -> Iterator[Peak | str]:
        yield from (self.lr, self.div, self.cut_div, self.why)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: Any) -> Any:
        return tuple(self)[i]

    @property
    def _stands_for_lr(self) -> Peak:
        """The rate that it stands for: `schedules.checks.rate_of` reads it without knowing this class."""
        return self.lr

    def __repr__(self) -> str:
        return f"{self.call}\n{fill(self.why, 79)}"

    def plot(self, ax: "GivenAxes" = None) -> "Axes":
        """Draw the measurements that chose the peak, and mark it; returns the axes.

        After a race: the losses of its cycles against their peaks, else the loss of `lr_find` against the rate.
        ax: axes to draw on; None makes a figure. Raises ValueError if nothing was measured, because the peak was given.
        """
        chosen = highest_rate(self.lr)
        if len(self.trials):
            column = "train_loss" if self.trials["valid_loss"].isna().all() else "valid_loss"
            losses = self.trials[column].where(~self.trials["diverged"])
            label = {"valid_loss": "validation loss", "train_loss": "training loss (smoothed)"}[column]
            return plot.race(self.trials["peak"].map(highest_rate), losses, chosen, label, ax)
        if not self.finders:
            raise ValueError("a suggestion with lr= and without a budget has nothing to plot: try budget=1")
        return plot.finders(self.finders, chosen, ax)

    def _repr_html_(self) -> str:
        words = f"<p><code>{escape(self.call)}</code></p><p>{escape(self.why)}</p>"
        if len(self.trials):
            table = self.trials.assign(peak=self.trials["peak"].map(peak_in_words))
            words += table.to_html(index=False, float_format="{:.4g}".format)
        return words + (plot.cell(self.plot) if len(self.trials) or self.finders else "")

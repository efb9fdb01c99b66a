"""The result of `learn.suggest_clr`: the numbers, the reasons for them, and the picture."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from textwrap import fill
from typing import Any

import pandas as pd

from .. import plot
from ..plot.axes import Axes, GivenAxes
from .peaks import highest_rate, peak_in_words
from .run import Peak


@dataclass(frozen=True)
class Trial:
    """A short whole cycle at one peak rate.

    Parameters
    ----------
    peak
        Peak rate, as `fit` takes it.
    seed
        Of the random numbers.
    batches
        Number trained; a cycle that diverges stops early.
    valid_loss
        None without a validation.
    train_loss
        Smoothed.
    diverged
        Whether the loss was no longer finite.
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
    `fit_clr` for its div and cut_div, too: `learn.fit_clr(5, suggestion)`. Other methods of fastai need the rate
    itself: `learn.fit_one_cycle(5, suggestion.lr)`.

    Parameters
    ----------
    lr
        Peak learning rate.
    div, cut_div
        As in `CircularLR`.
    why
        The reasons, and how sure they are, in sentences.
    call
        What to type.
    trials
        A pandas table with a row for each short cycle of the race: peak, seed, batches, valid_loss, train_loss,
        diverged.
    n_epoch
        Epochs of the fit that it is for; None in a pickle of 1.0.0.
    seconds
        What that fit takes on this machine; None in a pickle of 1.0.0.
    """

    lr: Peak
    div: float
    cut_div: float
    why: str = field(compare=False)
    call: str
    trials: pd.DataFrame = field(compare=False)
    n_epoch: float | None = None
    seconds: float | None = field(default=None, compare=False)

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
        """Draw the losses of the race's longest cycles against their peaks, and mark the choice.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a figure.

        Returns
        -------
        The axes.

        Raises
        ------
        ValueError
            If there was no race: a pickle of 1.0.0 may hold a guess.
        """
        if not len(self.trials):
            raise ValueError("a suggestion of 1.0.0 that was no race has nothing to plot")
        longest = self.trials["batches"] == self.trials["batches"].max()
        trials = self.trials.loc[longest | self.trials["diverged"]]
        column = "train_loss" if trials["valid_loss"].isna().all() else "valid_loss"
        losses = trials[column].where(~trials["diverged"])
        label = {"valid_loss": "validation loss", "train_loss": "training loss (smoothed)"}[column]
        return plot.race(trials["peak"].map(highest_rate), losses, highest_rate(self.lr), label, ax)

    def _repr_html_(self) -> str:
        words = f"<p><code>{escape(self.call)}</code></p><p>{escape(self.why)}</p>"
        if len(self.trials):
            table = self.trials.assign(peak=self.trials["peak"].map(peak_in_words))
            words += table.to_html(index=False, float_format="{:.4g}".format)
        return words + (plot.cell(self.plot) if len(self.trials) else "")

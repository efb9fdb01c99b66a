"""Numbers to begin with: `learn.suggest_clr`, from a race of short cycles."""

from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from math import inf, isfinite
from time import perf_counter
from typing import Any

import pandas as pd
from fastai.learner import Learner

from ...report.peaks import peak_in_words
from ...report.suggestion import Suggestion, Trial
from ...schedules.checks import check_number
from ...schedules.cycles import Cycles
from ..calls.arguments import Rates, check_lr, optimizer_for_fit
from ..calls.short_errors import plan_then_run
from ..loop.loaders import batches_per_epoch
from .interruption import run_experiment
from .progress import ExperimentBar
from .race import FEWEST, Race
from .sandbox import Sandbox
from .watch import Watch

DIV = CUT_DIV = 10
START = 0.01  # where a race begins that is not told
N_BATCHES, N_FITS = 300, 6  # the default budget: the smaller of the two
N_CYCLES = 3  # the smallest budget
OF_THE_MINUTES = 1 / 3  # is the most that a race takes


@plan_then_run
def suggest_clr(
    self: Learner,
    n_epoch: int | None = None,
    lr: "Rates | None" = None,
    n_cycles: int = 1,
    budget: float | None = None,
    *,
    minutes: float | None = None,
    seed: int = 0,
) -> Callable[[], Suggestion]:
    """Suggest a peak rate, `div` and `cut_div` to begin with, and say why.

    A race finds the peak: it trains short whole cycles on copies of the Learner, first at peaks a decade apart, then
    longer ones half a decade apart, and takes the lowest peak whose validation loss is within 2 % of the best. Each
    cycle ends at a low rate, as the whole fit will, so the loss of a cycle predicts the loss of the fit.

    Parameters
    ----------
    n_epoch
        Epochs in all. If you do not know how many, give `minutes`, or let the cycles grow and end with
        `StopAtCycleEnd`.
    lr
        The peak at which the race starts, as `fit` takes it; several rates keep their ratio. None is 0.01.
    n_cycles
        Cycles that share the epochs.
    budget
        How much to train for it, in fits of `n_epoch`. None is 300 batches, or six fits where that is less, but at
        least three cycles of 10 batches. Of races with fewer than 150 batches one in ten picks a peak that fails.
    minutes
        Instead of `n_epoch`: the time for the race and the fit together. The suggestion has as many epochs as fit in.
    seed
        Of all random numbers. On a CPU, without `minutes`, the same seed gives the same peak.

    Returns
    -------
    A `Suggestion`; `learn.fit_clr(n_epoch, suggestion)` trains with it.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range; if both or neither of `n_epoch` and `minutes` are given; in
        several processes; if the loss is not finite at any peak; if the minutes are too few.

    Notes
    -----
    The copies train with an optimizer like `learn.opt` if there is one. The Learner's callbacks of fastai's classes
    that show, log or save do not take part, nor do callbacks with `take_part = False`, on the instance or its class;
    give that to one of yours that writes a file. A bar says what is trained. An interruption keeps the suggestion of
    what has finished in `learn.interrupted`.

    Each cycle of the race depends on those before, so they run one after the other. Each validates on the whole set,
    some eight times in all: with a large validation set this takes longer than the training.

    Examples
    --------
    >>> suggestion = learn.suggest_clr(3)
    >>> learn.fit_clr(3, suggestion)
    """
    if (n_epoch is None) == (minutes is None):
        raise TypeError(
            f"suggest_clr should be given n_epoch or minutes, but given {'neither' if minutes is None else 'both'}"
        )
    if n_epoch is not None:
        n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    seconds = inf if minutes is None else 60 * check_number("minutes", minutes, above=0)
    lr = check_lr("lr", lr, len(optimizer_for_fit(self, False).hypers))
    n_cycles = check_number("n_cycles", n_cycles, least=1, integer=True)
    seed = check_number("seed", seed, least=0, integer=True)
    n_iter = batches_per_epoch(self.dls)
    of_cycle = inf if n_epoch is None else int(Cycles.of_epochs(n_epoch, n_cycles, 1, n_iter).ends[0])
    n_budget = _budget(budget, inf if n_epoch is None else n_epoch * n_iter)
    box, bar, watch = Sandbox(self), ExperimentBar(self, n_budget), Watch(n_iter)
    began = perf_counter()

    def train_cycle(peak: Any, seed: int, n_batches: int) -> Trial:
        bar.begin(f"peak {peak_in_words(peak)}", race.n_done)
        with box.copy(seed) as (twin, _):
            twin.fit(peak, 1, cycle_len=n_batches / n_iter, use_clr=(10, 10), cbs=[watch, bar])
            losses, valid_losses = list(twin.sched.losses), list(twin.sched.val_losses)
        valid_loss = float(valid_losses[-1]) if valid_losses else None
        diverged = watch.is_lost or not isfinite(losses[-1] if valid_loss is None else valid_loss)
        return Trial(peak, seed, len(losses), valid_loss, losses[-1], diverged)

    def has_time(n_batches: int) -> bool:
        return not race.trials or perf_counter() + watch.seconds(n_batches / n_iter) <= began + seconds * OF_THE_MINUTES

    race = Race(START if lr is None else lr, seed, train_cycle, has_time)

    def train() -> None:
        with bar, box, box:
            race.run(n_budget, of_cycle)

    def suggestion(stop: KeyboardInterrupt | None) -> Suggestion:
        peak = race.best
        if peak is None:
            raise stop or ValueError(
                f"the loss diverged at every peak, the lowest was {peak_in_words(race.peak(min(race.losses)))}: "
                "give a lower lr="
            )
        epochs = n_epoch or _epochs_in(seconds, perf_counter() - began, watch, n_iter)
        words = [
            race.why(round(epochs * n_iter / n_cycles), is_whole=stop is None),
            f"A fit of {_counted(epochs)} takes about {_in_words(watch.seconds(epochs))} here.",
            f"(div, cut_div) = ({DIV}, {CUT_DIV}) suits most fits; other pairs differ little.",
        ]
        call = _call(epochs, peak_in_words(peak), n_cycles)
        # dtype: an older pandas cannot read the strings of pandas 3
        names = pd.Index([o.name for o in fields(Trial)], dtype=object)
        table = pd.DataFrame([asdict(o) for o in race.trials], columns=names)
        return Suggestion(peak, DIV, CUT_DIV, " ".join(words), call, table, epochs, watch.seconds(epochs))

    return partial(run_experiment, self, train, suggestion)


def _budget(budget: float | None, n_batches: float) -> int:
    """The batches of a race for a fit of `n_batches`; inf if the fit will be as long as the minutes allow."""
    least = N_CYCLES * FEWEST
    if budget is None:
        return max(least, int(min(N_BATCHES, N_FITS * n_batches)))
    if n_batches == inf:
        raise TypeError(f"budget counts fits of n_epoch, so it should be left out with minutes, but given {budget!r}")
    if check_number("budget", budget) == 0:
        raise ValueError(
            "budget should be greater than 0, but given 0: the guess that it meant in 1.0.0 is gone; leave it out, and "
            "a race costs about as much"
        )
    n_budget = int(check_number("budget", budget, above=0) * n_batches)
    if n_budget < least:
        raise ValueError(
            f"budget should be at least {least / n_batches:.2g} here, which is {N_CYCLES} cycles of {FEWEST} batches, "
            f"but given {budget!r}"
        )
    return n_budget


def _epochs_in(seconds: float, spent: float, watch: Watch, n_iter: int) -> float:
    """How many epochs fit into what is left of the seconds. Raises ValueError if it is less than a short cycle."""
    n_epoch = watch.epochs(seconds - spent)
    if n_epoch * n_iter < FEWEST:
        least = spent + watch.seconds(FEWEST / n_iter)
        raise ValueError(
            f"minutes should be at least {1.1 * least / 60:.2g} here, but given {seconds / 60:g}: choosing the peak "
            f"took {_in_words(spent)}, and a fit of {FEWEST} batches would take {_in_words(least - spent)}"
        )
    return n_epoch


def _call(n_epoch: float, peak: str, n_cycles: int) -> str:
    """What to type for a fit."""
    if n_epoch == int(n_epoch):
        several = f", n_cycles={n_cycles}" if n_cycles > 1 else ""
        return f"learn.fit_clr({int(n_epoch)}, {peak}, div={DIV}, cut_div={CUT_DIV}{several})"
    return f"learn.fit({peak}, {n_cycles}, cycle_len={n_epoch / n_cycles:g}, use_clr=({DIV}, {CUT_DIV}))"


def _counted(n_epoch: float) -> str:
    return f"{n_epoch:g} epoch{'s' * (n_epoch != 1)}"


def _in_words(seconds: float) -> str:
    """A duration to two digits, as people say it."""
    for unit, n in (("h", 3600), ("min", 60)):
        if seconds >= 2 * n:
            return f"{float(f'{seconds / n:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} s"

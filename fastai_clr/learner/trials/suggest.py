"""Numbers to begin with: `learn.suggest_clr`, from `lr_find` alone or from a race of short cycles."""

from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from fastai.learner import Learner
from fastai.torch_core import num_distrib

from ...report.peaks import peak_in_words
from ...report.suggestion import Suggestion, Trial
from ...schedules.checks import check_number
from ...schedules.cycles import Cycles
from ..calls.arguments import check_lr, optimizer_for_fit
from ..calls.short_errors import plan_then_run
from ..loop.loaders import batches_per_epoch
from .finder import DIVISOR, FINDER_BATCHES, Curve, find_curve, peak_of
from .interruption import run_experiment
from .progress import ExperimentBar
from .race import FEWEST, Race, best_step, cycle_length, half_decade, two_digits
from .sandbox import Sandbox

DIV = CUT_DIV = 10
N_FINDERS = 3  # where lr_find decides alone; where it only says where a race starts, one
WITHOUT_FINDER = 0.01  # where a race starts that has no batches to spare for lr_find


@plan_then_run
def suggest_clr(
    self: Learner, n_epoch: int, lr: Any = None, n_cycles: int = 1, budget: float = 0, *, seed: int = 0
) -> Callable[[], Suggestion]:
    """Suggest a peak rate, `div` and `cut_div` to begin with, and say why.

    n_epoch: epochs in all; if you do not know how many, let the cycles grow and end with `StopAtCycleEnd`.
    n_cycles: cycles that share them.
    lr: the peak rate if you know it, as `fit` takes it. With a budget the race starts there, and the rates of several
    parameter groups keep their ratio.
    budget: how much to train for it, in fits of `n_epoch`. 0 runs fastai's `lr_find` three times, about 300 batches.
    With 1 or more a race measures: short whole cycles at peaks half a decade apart, and the lowest validation loss
    wins. A cycle ends with a low rate, so its loss foretells that of the fit.
    seed: of all random numbers; the same seed gives the same suggestion.

    Everything trains on copies of the Learner, which is left alone, with an optimizer like `learn.opt` if there is one.
    The Learner's callbacks of fastai's classes that show, log or save do not take part, nor do callbacks with
    `take_part = False`, on the instance or its class; give that to one of yours that writes a file. A bar says what is
    trained. An interruption keeps the suggestion of what has finished in `learn.interrupted`.

    Raises TypeError or ValueError for an argument of the wrong kind or out of range, in several processes unless `lr`
    is given without a budget, and if no peak is found: `lr_find`'s loss does not fall, or every cycle diverges.
    Source: `lr_find` is the range test of Smith 2015.

    >>> lr, div, cut_div, why = learn.suggest_clr(3, budget=1)
    >>> learn.fit_clr(3, lr, div, cut_div)
    """
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    lr = check_lr("lr", lr, len(optimizer_for_fit(self, False).hypers))
    budget = check_number("budget", budget, least=0)
    seed = check_number("seed", seed, least=0, integer=True)
    if (lr is None or budget) and num_distrib() > 1:
        raise ValueError(f"in several processes suggest_clr needs lr and no budget, but given lr={lr!r}, {budget=}")
    n_iter = batches_per_epoch(self.dls)
    first_cycle = int(Cycles.of_epochs(n_epoch, n_cycles, 1, n_iter).ends[0])
    n_budget = int(budget * n_epoch * n_iter)
    n_find, length = _lengths(lr, n_budget, n_epoch * n_iter, first_cycle) if budget else (0, 0)

    box = Sandbox(self) if lr is None or budget else None
    race = Race(WITHOUT_FINDER if lr is None else lr, length, n_iter, seed)
    curves: list[Curve] = []

    def train() -> None:
        if box is None:  # the peak is given
            return
        with ExperimentBar(self, n_budget or N_FINDERS * FINDER_BATCHES) as bar, box, box:
            if n_find:
                bar.begin("lr_find", 0)
                race.center = half_decade(peak_of([find_curve(box, seed, bar)]) or WITHOUT_FINDER)
            if budget:
                race.run(box, bar, n_budget - n_find, n_find)
            else:
                for k in range(N_FINDERS):
                    bar.begin(f"lr_find {k + 1} of {N_FINDERS}", k * FINDER_BATCHES)
                    curves.append(find_curve(box, seed + k, bar))

    def suggestion(stop: KeyboardInterrupt | None) -> Suggestion:
        if budget:
            peak, why = _of_race(race, stop)
        elif lr is None:
            peak, why = _of_finders(curves, stop)
        else:
            peak, why = lr, "The peak is the one you gave."
        why = f"{why} (div, cut_div) = ({DIV}, {CUT_DIV}) suits most fits; other pairs differ little."
        of_cycles = f", n_cycles={n_cycles}" if n_cycles > 1 else ""
        call = f"learn.fit_clr({n_epoch}, {peak_in_words(peak)}, div={DIV}, cut_div={CUT_DIV}{of_cycles})"
        # dtype: an older pandas cannot read the strings of pandas 3
        names = pd.Index([o.name for o in fields(Trial)], dtype=object)
        table = pd.DataFrame([asdict(o) for o in race.trials], columns=names)
        return Suggestion(peak, DIV, CUT_DIV, why, call, table, curves)

    return partial(run_experiment, self, train, suggestion)


def _lengths(lr: Any, n_budget: int, n_batches: int, first_cycle: int) -> tuple[int, int]:
    """The batches for `lr_find` before a race, and those in each of its cycles; ValueError if they are too few."""
    n_find = FINDER_BATCHES if lr is None and n_budget >= 5 * FINDER_BATCHES else 0
    if first_cycle < FEWEST:
        raise ValueError(
            f"a race needs cycles of at least {FEWEST} batches, but the first cycle of this fit has {first_cycle}: "
            "leave budget out"
        )
    length = cycle_length(n_budget - n_find, n_batches, first_cycle)
    if length < FEWEST:
        raise ValueError(
            f"budget should be at least {3 * FEWEST / n_batches:.2g} here, which is 3 cycles of {FEWEST} batches, but "
            f"given {n_budget / n_batches:.2g}"
        )
    return n_find, length


def _of_finders(curves: list[Curve], stop: KeyboardInterrupt | None) -> tuple[float, str]:
    """The peak that `lr_find` alone suggests, and why. Raises `stop`, or else ValueError, if there is none."""
    peak = peak_of(curves) if curves else None
    if peak is None:
        raise stop or ValueError(
            "lr_find's loss does not fall at any rate (is the model trained already?): give lr=, or budget=1"
        )
    alone = [o for curve in curves if (o := peak_of([curve]))]
    between = f", single runs say {min(alone):.2g} to {max(alone):.2g}" if len(alone) > 1 else ""
    why = f"The loss of lr_find has done nine tenths of its fall at {DIVISOR * peak:.2g}; the peak is a quarter of that"
    return two_digits(peak), f"{why}{between}. budget=1 measures the peak."


def _of_race(race: Race, stop: KeyboardInterrupt | None) -> tuple[Any, str]:
    """The peak that wins the race, and why. Raises `stop`, or else ValueError, if every cycle diverged."""
    if not any(isfinite(np.mean(o)) for o in race.losses.values()):
        raise stop or ValueError(
            f"the loss diverged at every peak, the lowest was {peak_in_words(race.peak(min(race.losses)))}: "
            "give a lower lr="
        )
    return race.peak(best_step(race.losses)), race.why(is_whole=stop is None)

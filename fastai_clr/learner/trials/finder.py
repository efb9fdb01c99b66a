"""A quick guess at the peak rate from a few runs of fastai's `lr_find`."""

from collections.abc import Sequence

import numpy as np
from fastai.callback.core import Callback

from .sandbox import Sandbox

Curve = tuple[list[float], list[float]]  # rates and losses, one per batch

FINDER_BATCHES = 100  # as lr_find's own
LOWEST_RATE = 1e-5  # lr_find's own is 1e-7: the loss does not change there, and its average would lag further behind
LARGER_THAN_NOISE = 4.5  # sd; of 4,000 smoothed curves of nothing but noise 1 % fall by more than 4.2
FALLEN, DIVISOR = 0.9, 4  # measured by tests/benchmarks/advice.py


def find_curve(box: Sandbox, seed: int, *cbs: Callback) -> Curve:
    """The rates and smoothed losses of a run of `lr_find` on a copy of the Learner, with more callbacks."""
    import fastai.callback.schedule  # noqa: F401  (it gives the Learner lr_find; not before: see `is_callback`)

    with box.copy(seed) as (twin, _):
        twin.add_cbs(cbs)
        twin.lr_find(start_lr=LOWEST_RATE, num_it=FINDER_BATCHES, show_plot=False, suggest_funcs=None)
        return list(map(float, twin.recorder.lrs)), list(map(float, twin.recorder.losses))


def peak_of(curves: Sequence[Curve]) -> float | None:
    """A quarter of the rate at which the mean loss of the curves has done nine tenths of its fall.

    None if it does not fall by more than its noise at rates too low to change anything.
    """
    n = min(len(losses) for _, losses in curves)
    losses = np.mean([losses[:n] for _, losses in curves], axis=0) if n else np.array([])
    losses = losses[np.isfinite(losses)]
    n_first = len(losses) // 5
    if n_first < 2:
        return None
    first, noise, lowest = losses[:n_first].mean(), losses[:n_first].std(), losses.min()
    if first - lowest <= LARGER_THAN_NOISE * noise:
        return None
    fallen = int(np.argmax(losses <= first - FALLEN * (first - lowest)))
    return curves[0][0][fallen] / DIVISOR

"""Which way a metric is better, and the best of several epochs."""

import re
from collections.abc import Iterable
from math import isnan
from numbers import Real
from typing import Any

__all__ = ["BestEpoch", "best_value", "is_lower_better"]

_LOWER_IS_BETTER = re.compile(r"loss|error|mse|mae|perplexity|(^|_)l[12](_|$)", re.IGNORECASE)


def is_lower_better(name: str) -> bool:
    """Whether smaller values of the metric or loss of that name are better.

    >>> is_lower_better("error_rate"), is_lower_better("accuracy")
    (True, False)
    """
    return bool(_LOWER_IS_BETTER.search(name))


def best_value(name: str, values: Iterable[float]) -> float:
    """The best of the `values` of the metric `name`."""
    return min(values) if is_lower_better(name) else max(values)


class BestEpoch:
    """Tells which epochs of a fit are the best so far: by the first metric, without one by the loss.

    Ties go to the lower loss. An epoch whose metric or loss is nan is never the best.

    >>> best = BestEpoch()
    >>> [best.is_last(loss, "accuracy", metric) for loss, metric in [(0.9, 0.5), (0.8, 0.7), (0.7, 0.6)]]
    [True, True, False]
    """

    def __init__(self) -> None:
        self._score: list[float] | None = None

    def is_last(self, loss: float, name: str | None = None, metric: Any = None) -> bool:
        """Whether the last epoch is better than all before it; call it once per epoch.

        name, metric: of the first metric; one that is not a number does not count.
        """
        score = [-float(loss)]  # in numbers to compare, larger is better
        if name is not None and isinstance(metric, Real):
            score.insert(0, float(-metric if is_lower_better(name) else metric))
        if any(map(isnan, score)) or (self._score is not None and score <= self._score):
            return False
        self._score = score
        return True

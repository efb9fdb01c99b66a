"""Which way a metric is better, and the best of several epochs."""

import re
from collections.abc import Iterable
from math import isnan
from numbers import Real
from typing import Any

__all__ = ["BestEpoch", "best_value", "is_lower_better"]

_LOWER = set(
    "loss losses error errors err mse rmse msle rmsle mae mape smape rmspe l1 l2 perplexity entropy crossentropy nll "
    "kl divergence deviance brier bpc bpb wer cer ter eer ece fid kid lpips distance hausdorff davies regret cost "
    "false fpr fnr".split()
)
_HIGHER = set(
    "acc accuracy precision recall improvement gain skill similarity correlation dice jaccard iou auc r2 psnr ssim "
    "bleu".split()
)
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+\d*|[A-Z]+\d*")


def is_lower_better(name: str, metric: Any = None) -> bool:
    """Whether smaller values of a metric or loss are better.

    name: its name, as in fastai's table. The last word that says something decides: 'error_rate' and 'l2' are better if
    lower, 'l2_accuracy' if higher. A name without such a word is better if higher.
    metric: the metric itself. Its attribute `lower_is_better`, or its function's, goes before the name:
    `brier.lower_is_better = True`.

    >>> is_lower_better("error_rate"), is_lower_better("l2_accuracy"), is_lower_better("BrierScore")
    (True, False, True)
    """
    for o in (metric, getattr(metric, "func", None)):
        if isinstance(said := getattr(o, "lower_is_better", None), bool):
            return said
    if "negative_log_likelihood" in name or "negative_likelihood_ratio" in name:
        return not name.startswith("neg_")
    words = [word.lower() for word in _WORD.findall(name)]
    if words[:1] in (["neg"], ["d2"]):  # scikit-learn's 'neg_mean_squared_error', 'd2_log_loss_score'
        return False
    return next((word in _LOWER for word in reversed(words) if word in _LOWER | _HIGHER), False)


def best_value(values: Iterable[float], lower_is_better: bool) -> float:
    """The best of the values of a metric."""
    return min(values) if lower_is_better else max(values)


class BestEpoch:
    """Tells which epochs of a fit are the best so far: by the first metric, without one by the loss.

    Ties go to the lower loss. An epoch whose metric or loss is nan is never the best.

    >>> best = BestEpoch()
    >>> [best.is_last(loss, accuracy) for loss, accuracy in [(0.9, 0.5), (0.8, 0.7), (0.7, 0.6)]]
    [True, True, False]
    """

    def __init__(self) -> None:
        self._score: list[float] | None = None

    def is_last(self, loss: float, metric: Any = None, lower_is_better: bool = False) -> bool:
        """Whether the last epoch is better than all before it; call it once per epoch.

        metric: the first metric of the epoch; one that is not a number does not count.
        """
        score = [-float(loss)]  # in numbers to compare, larger is better
        if isinstance(metric, Real):
            score.insert(0, float(-metric if lower_is_better else metric))
        if any(map(isnan, score)) or (self._score is not None and score <= self._score):
            return False
        self._score = score
        return True

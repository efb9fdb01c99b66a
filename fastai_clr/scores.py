"""Which way a metric is better, and the best of several epochs."""

import re
from collections.abc import Iterable, Sequence
from math import inf, isnan, nan
from numbers import Real
from typing import Any

_LOWER = set(
    "loss losses error errors err mse rmse nrmse rmsse msle rmsle mae logmae medae mape wmape smape "
    "rmspe mase rae rrse l1 l2 perplexity ppl entropy crossentropy ce bce nll kl kld divergence deviance brier crps "
    "pinball huber hinge bpc bpb bpd bits wer cer ter der eer far frr ece fid kid lpips distance chamfer emd "
    "wasserstein levenshtein hausdorff hd assd davies epe mpjpe nme ade fde miss misclassification regret cost false "
    "fpr fnr".split()
)
_HIGHER = set(
    "acc accuracy precision recall improvement gain skill similarity correlation dice jaccard iou auc r2 psnr ssim "
    "bleu".split()
)
_COMPOUND = re.compile(r"((?i:loss(?:es)?|errors?)\d*)(?![a-z])")  # 'bceloss' and 'abserror2' have two words
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+\d*|[A-Z]+\d*")
_NEGATING = {"neg", "negative", "minus", "inverse"}  # scikit-learn's 'neg_mean_squared_error' is better if higher
_LOWER_COMPOUND = re.compile("neg(ative)?_log_likelihood|negative_likelihood_ratio")  # better if lower


def is_lower_better(name: str, metric: Any = None) -> bool:
    """Whether smaller values of a metric or loss are better.

    Parameters
    ----------
    name
        Its name, as in fastai's table. The last known word in it decides: 'error_rate' and 'l2' are better if lower,
        'l2_accuracy' if higher. A compound ends in a word: 'bceloss' is a loss, 'abserror' an error. A name without a
        known word is better if higher.
    metric
        The metric itself. Its attribute `lower_is_better`, or its function's, overrides the name:
        `brier.lower_is_better = True`.

    Examples
    --------
    >>> is_lower_better("error_rate"), is_lower_better("l2_accuracy"), is_lower_better("BrierScore")
    (True, False, True)
    """
    for o in (metric, getattr(metric, "func", None)):
        if isinstance(said := getattr(o, "lower_is_better", None), bool):
            return said
    if _LOWER_COMPOUND.search(name):
        return not name.startswith("neg_negative")
    words = [word.lower() for word in _WORD.findall(_COMPOUND.sub(r"_\1", name))]
    if words[:1] == ["d2"]:  # scikit-learn's 'd2_log_loss_score': the share of the loss that the model avoids
        return False
    known = (o for word in reversed(words) for o in (word, word.rstrip("0123456789")) if o in _LOWER | _HIGHER)
    return next(known, None) in _LOWER and not _NEGATING & set(words[:1])


def best_value(values: Iterable[float], lower_is_better: bool) -> float:
    """The best of the values of a metric."""
    return min(values) if lower_is_better else max(values)


def gains(values: Iterable[Any], lower_is_better: bool) -> list[float]:
    """Improvement of each value over the value before; positive is better.

    nan for the first value, and where one of the two is not a number.

    Examples
    --------
    >>> gains([4.0, 3.0, 3.5], lower_is_better=True)
    [nan, 1.0, -0.5]
    """
    numbers = [float(o) if isinstance(o, Real) else nan for o in values]
    return [a - b if lower_is_better else b - a for a, b in zip([nan, *numbers], numbers)]


def recent_gain(values: Sequence[float], lower_is_better: bool, n_recent: int = 1) -> tuple[float, float]:
    """Improvement of the best of the last `n_recent` values over the best before them, and that earlier best.

    Positive is better. nan is never the best: after values that are all nan, a number improves by inf.

    Examples
    --------
    >>> recent_gain([0.5, 0.75, 0.625], lower_is_better=False)
    (-0.125, 0.75)
    """
    sign = -1 if lower_is_better else 1
    before, recent = (
        max((sign * o for o in part if not isnan(o)), default=-inf) for part in (values[:-n_recent], values[-n_recent:])
    )
    return recent - before, sign * before


class BestEpoch:
    """Find the epochs of a fit that are the best so far: by the first metric; without metrics, by the loss.

    Ties go to the lower loss. An epoch whose metric or loss is nan is never the best. A validated epoch is better than
    one that was not validated, and an epoch whose metric is a number better than one without.

    Examples
    --------
    >>> best = BestEpoch()
    >>> [best.improves(loss, accuracy) for loss, accuracy in [(0.9, 0.5), (0.8, 0.7), (0.7, 0.6)]]
    [True, True, False]
    """

    def __init__(self) -> None:
        self._score: list[float] | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is a best epoch."""
        return self._score is not None

    def improves(
        self, loss: float, metric: Any = None, lower_is_better: bool = False, is_validated: bool = True
    ) -> bool:
        """Record an epoch; True if it is better than all before it.

        Parameters
        ----------
        loss
            The loss of the epoch.
        metric
            The first metric of the epoch; ignored if it is not a number.
        lower_is_better
            Whether smaller values of the metric are better.
        is_validated
            Whether `loss` is the validation loss, not the training loss.
        """
        number = float(-metric if lower_is_better else metric) if isinstance(metric, Real) else None
        score = [is_validated, number is not None, number or 0.0, -float(loss)]  # larger is better
        if any(map(isnan, score)) or (self._score is not None and score <= self._score):
            return False
        self._score = score
        return True

"""Which way a metric is better, and which epochs of a fit are the best so far."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import get_scorer_names

from fastai_clr.scores import BestEpoch, best_value, gains, is_lower_better, recent_gain

NAN = float("nan")
# Of scikit-learn's scorers larger is better; an error that is turned round for that is called 'neg_mean_squared_error'.
SCORERS = [o for o in get_scorer_names() if o != "max_error"]  # 'neg_max_error' since 1.6
TURNED = [o.removeprefix("neg_") for o in SCORERS if o.startswith("neg_")]


@pytest.mark.parametrize(
    "name",
    [
        # what fastai calls its losses and metrics
        "train_loss", "valid_loss", "error_rate", "mse", "_rmse", "mae", "msle", "_exp_rmspe", "perplexity", "hamming_loss",
        "brier_score_loss",
        # scikit-learn that is no scorer
        "mean_pinball_loss", "zero_one_loss", "hinge_loss", "coverage_error", "max_error", "davies_bouldin_score",
        *TURNED,
        # what people write
        "RMSE", "MaskedLoss", "word_error_rate", "wer", "mape", "l1", "mean_l1", "l2_norm", "BrierScore", "cross_entropy",
        "kl_divergence", "accuracy_loss", "FID", "negative_log_likelihood", "bpc", "nll", "ece", "smape",
        "logloss", "nrmse", "mase", "rmse2", "err5", "bce", "ppl", "bits_per_dim", "crps", "hinge", "neg_log_likelihood", "hd95",
        "Hausdorff95", "miss_rate", "misclassification_rate",
        # a compound that ends in loss or error, as a single word
        "bceloss", "mseloss", "totalloss", "celoss2", "abserror", "valloss", "BCEloss", "TOTALLOSS", "tripletLOSS2",
        "celoss_valid", "val_bceloss", "sumlosses", "relerrors", "abserror1", "bcelossTotal", "gloss", "terrors",
        "ptloss3d", "accuracyloss", "f1loss",
    ],
)  # fmt: skip
def test_of_a_loss_or_an_error_smaller_is_better(name):
    assert is_lower_better(name)


@pytest.mark.parametrize(
    "name",
    [
        "accuracy_multi", "top_k_accuracy", "foreground_acc", "dice", "dice_multi", "jaccard_coeff", "corpus_bleu",
        "precision_score", "recall_score", "f1_score", "fbeta_score", "roc_auc_score", "average_precision_score",
        "balanced_accuracy_score", "cohen_kappa_score", "matthews_corrcoef", "r2_score", "explained_variance_score",
        "pearsonr", "spearmanr", "jaccard_score", "d2_log_loss_score",
        *SCORERS,
        "F1Score", "IoU", "PSNR", "mean_iou", "l2_accuracy", "error_recall", "my_metric", "",
        "negative_mse", "minus_mse", "inverse_mse", "precision5", "lossless_acc", "mse_improvement", "perceived",
        "recall1",  # its l1 is no L1 norm
        "himself", "maestro", "lossless_rate", "losslessness", "errorless", "blossom",  # nor do these end in one
        "negloss", "minuserror", "negative_bceloss", "d2logloss", "abserror_skill",
    ],
)  # fmt: skip
def test_of_a_score_larger_is_better(name):
    assert not is_lower_better(name)


@pytest.mark.parametrize("name", ["accuracy", "error_rate", "my_metric"])
@pytest.mark.parametrize("said", [True, False])
def test_what_the_metric_says_of_itself_goes_before_its_name(name, said):
    def function(outputs, targets):
        return 1.0

    function.lower_is_better = said
    assert is_lower_better(name, function) is said
    assert is_lower_better(name, SimpleNamespace(lower_is_better=said)) is said
    assert is_lower_better(name, SimpleNamespace(func=function)) is said  # as fastai wraps it


@pytest.mark.parametrize(
    "metric", [None, len, partial(max, 1), SimpleNamespace(lower_is_better=None), SimpleNamespace(func=len)]
)
def test_of_a_metric_that_says_nothing_the_name_decides(metric):
    assert is_lower_better("error_rate", metric) and not is_lower_better("accuracy", metric)


@pytest.mark.parametrize(
    "values, lower_is_better, best",
    [
        ([0.5, 0.7, 0.6], False, 0.7),
        ([0.5, 0.3, 0.4], True, 0.3),
        ([2.0], True, 2.0),
        ([-3, -2], False, -2),
        ((o / 10 for o in (5, 7, 6)), False, 0.7),
        (pd.Series([0.5, 0.3, 0.4]), True, 0.3),
    ],
)
def test_the_best_value(values, lower_is_better, best):
    assert best_value(values, lower_is_better) == best


@pytest.mark.parametrize(
    "lower_is_better, metrics, losses, best_in",
    [
        (False, [0.5, 0.6, 0.4, 0.7], [1, 2, 3, 4], [0, 1, 3]),
        (True, [0.5, 0.6, 0.4, 0.3], [4, 3, 2, 1], [0, 2, 3]),
        (False, [None] * 4, [3, 2, 4, 1], [0, 1, 3]),  # without a metric the loss counts
        (False, [0.5] * 4, [3, 2, 4, 1], [0, 1, 3]),  # ties go to the lower loss
        (True, [0.5] * 4, [3, 2, 4, 1], [0, 1, 3]),
        (False, [0.5] * 3, [1, 1, 1], [0]),  # and then to the earlier epoch
        (False, [0.0, 0.0], [1e6, 1e7], [0]),  # the first epoch is the best, however bad
        (True, [1e6], [1e6], [0]),
        (False, [None], [float("inf")], [0]),
        (False, [0.5, NAN, 0.6], [1, 1, 1], [0, 2]),
        (False, [NAN, 0.5, 0.6], [1, 1, 1], [1, 2]),
        (False, [0.5, 0.6, 0.7], [1, NAN, 1], [0, 2]),  # a loss that is nan
        (False, [None] * 3, [NAN, 2, 1], [1, 2]),
        (False, [NAN, NAN], [1, 0.5], []),
        (False, [None, "good", [0.9], (0.95,)], [3, 2, 4, 1], [0, 1, 3]),  # a metric that is not a number does not count
        (False, [np.float32(0.5), np.float64(0.6), 1, 0.9], [1, 1, 1, 1], [0, 1, 2]),
    ],
)  # fmt: skip
def test_the_best_epochs_so_far(lower_is_better, metrics, losses, best_in):
    best = BestEpoch()
    said = [best.improves(loss, metric, lower_is_better) for loss, metric in zip(losses, metrics)]
    assert [epoch for epoch, is_best in enumerate(said) if is_best] == best_in


def test_the_epochs_of_another_fit_do_not_count():
    assert BestEpoch().improves(1.0, 0.9) and BestEpoch().improves(2.0, 0.1)


@pytest.mark.parametrize(
    "values, lower_is_better, expected",
    [
        ([], False, []),
        ([0.5], False, [NAN]),
        ([0.5, 0.75, 0.25], False, [NAN, 0.25, -0.5]),
        ([0.5, 0.75, 0.25], True, [NAN, -0.25, 0.5]),
        ([0.5, None, 0.25, 0.5], False, [NAN, NAN, NAN, 0.25]),
        (["a", NAN, 1, np.float32(3)], False, [NAN, NAN, NAN, 2]),
    ],
)
def test_what_each_value_gained_over_the_one_before(values, lower_is_better, expected):
    np.testing.assert_array_equal(gains(values, lower_is_better), expected)


@pytest.mark.parametrize(
    "values, lower_is_better, n_recent, gain, before",
    [
        ([0.5, 0.75], False, 1, 0.25, 0.5),
        ([0.5, 0.75], True, 1, -0.25, 0.5),
        ([0.75, 0.5, 0.25], False, 1, -0.5, 0.75),  # against the best before, not the last
        ([0.5, 0.75, 0.25], False, 2, 0.25, 0.5),  # the best of the last ones
        ([0.5, 0.25, 0.75], True, 2, 0.25, 0.5),
        ([0.5, NAN], False, 1, -np.inf, 0.5),
        ([NAN, 0.5], False, 1, np.inf, -np.inf),
        ([NAN, 0.5], True, 1, np.inf, np.inf),
        ([0.5, NAN, 0.25, NAN], False, 2, -0.25, 0.5),
        ([NAN, NAN], False, 1, NAN, -np.inf),
    ],
)
def test_what_the_last_values_gained_on_the_best_before_them(values, lower_is_better, n_recent, gain, before):
    np.testing.assert_array_equal(recent_gain(values, lower_is_better, n_recent), [gain, before])

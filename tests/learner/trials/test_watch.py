"""The seconds that a race measures, and what follows from them."""

import pytest

from fastai_clr.learner.trials.watch import Watch


def watch(per_batch=0.1, first=0.3, validation=2.0, n_iter=100):
    """A watch after a first fit that was ten times as slow, and a second one."""
    o = Watch(n_iter)
    for slow in (10, 1):
        o.before_fit()
        o._fits[-1].update({"first batch": [slow * first], "batch": [slow * per_batch] * 9})
        o._fits[-1]["validation"] = [slow * validation] if validation else []
    return o


def test_what_a_fit_takes():
    assert (watch().per_batch, watch().per_epoch) == pytest.approx((0.1, 2.2))
    assert watch().seconds(3) == pytest.approx(3 * (10 + 2.2))
    assert watch().seconds(2.5) == pytest.approx(25 + 3 * 2.2)  # the part of an epoch is validated, too
    assert watch(validation=None).seconds(3) == pytest.approx(3 * (10 + 0.2))


def test_the_first_fit_counts_where_there_is_no_other():
    o = watch()
    del o._fits[1]
    assert o.per_batch == pytest.approx(1)
    o.before_fit()  # interrupted at once
    assert o.per_batch == pytest.approx(1)


@pytest.mark.parametrize(
    "seconds, n_epoch",
    [
        (12.2, 1),
        (3 * 12.2 + 0.1, 3),
        (3 * 12.2 - 0.1, 2.9),  # 2 whole ones, and 99 batches of a third
        (3 * 12.2 + 2.2 + 2.9, 3),  # 29 batches more would be less than a tenth
        (3 * 12.2 + 2.2 + 3.1, 3.3),
        (30 * 12.2 + 2.2 + 9.9, 30),
        (2.2 + 5, 0.5),
        (2.2 + 0.123, 0.012),
        (2.2, 0),
        (1, 0),
        (-1, 0),
    ],
)
def test_how_many_epochs_fit_in(seconds, n_epoch):
    found = watch().epochs(seconds)
    assert found == pytest.approx(n_epoch) and watch().seconds(found) <= max(seconds, 0) + 1e-9

"""What users pickled with 1.0.0 and 2.0.0, this release reads. tests/data/make_pickle.py made the samples."""

import pickle

import numpy as np
import pytest

from fastai_clr.all import CircularLR, CircularLRBeta, CLRCallback, Constant, CosAnneal, Cycles, StopAtCycleEnd
from helpers import DATA, assert_same_rates, modules_loaded_by

RELEASES = ["1.0.0", "2.0.0"]
COSINE = [1, 0.9045084971874737, 0.6545084971874737, 0.34549150281252633, 0.09549150281252627]


def load(release):
    return pickle.loads((DATA / f"{release}.pickle").read_bytes())


@pytest.fixture(params=RELEASES)
def sample(request):
    return load(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_it_loads_neither_fastai_nor_torch(release):
    assert modules_loaded_by(f"import pickle; pickle.load(open({str(DATA / release)!r} + '.pickle', 'rb'))") == []


def test_schedules(sample):
    assert sample["schedules"] == [
        CircularLR(32, 5),
        CircularLR(4, 2, 0.95, 0.85, cosine=True, div_final=100, gamma=0.99, cycle_gamma=0.5),
        CircularLRBeta(10, 10, 0.95, 0.85),
        CosAnneal(slow_start=False),
        Constant(),
    ]
    clr, _, _, cosine, constant = sample["schedules"]
    factors = [o.at(np.arange(5), Cycles.of_batches(5))[0] for o in (clr, cosine, constant)]
    falling = [1 - k / 4 * 31 / 32 for k in range(4)]
    np.testing.assert_allclose(factors, [[1 / 32, *falling], COSINE, [1] * 5], rtol=1e-12)


def test_cycles(sample):
    assert sample["cycles"] == Cycles(3, 1, 2, 10)
    assert sample["cycles"].ends.tolist() == [10, 30, 70]


def test_the_batches_of_a_record(sample):
    record = sample["sched"]  # two cycles of 20 and 40 batches, two parameter groups with peaks of 0.001 and 0.01
    assert len(record.iterations) == 60 and record.cycle_ends == [20, 60]
    last = 0.01 * (1 - 31 / 32 * 31 / 32)
    assert_same_rates([record.lrs[o] for o in (0, 4, 20, 28, 59)], [0.01 / 32, 0.01, 0.01 / 32, 0.01, last], 0.01)
    assert_same_rates(record.all_lrs, np.outer(record.lrs, [0.1, 1]), 0.01)
    assert (record.momentums[0], record.momentums[4], record.momentums[28]) == (0.95, 0.85, 0.85)
    np.testing.assert_allclose([record.losses[0], record.losses[-1]], [2.2840, 1.4622], atol=1e-4)
    table = record.to_frame()
    assert list(table) == ["batch", "epoch", "lr_0", "lr_1", "momentum", "loss"]
    assert table.iloc[39, :2].tolist() == [40, 1] and table.lr_1.tolist() == list(record.lrs)


def test_the_epochs_and_cycles_of_a_record(sample):
    record = sample["sched"]
    np.testing.assert_allclose(record.val_losses, [2.0173, 1.3765, 1.0801], atol=1e-4)
    np.testing.assert_allclose(record.rec_metrics, [0.6549, 0.7733, 0.8010], atol=1e-4)
    assert record.cycles.epochs.tolist() == [1, 3] and record.cycles.batches.tolist() == [20, 60]
    assert record.cycles.gain[2] == pytest.approx(0.1461, abs=1e-4)


def test_the_plots_of_a_record(sample):
    record = sample["sched"]
    assert record.plot_lr().lines[1].get_ydata().tolist() == list(record.lrs)
    assert record.plot_metrics().lines[0].get_ydata().tolist() == record.rec_metrics
    assert record.plot_loss().lines[0].get_ydata().tolist() == list(record.losses)[10:-5]
    assert "rises for 4 batches" in record._repr_html_()


def test_a_comparison(sample):
    comparison = sample["comparison"]
    assert str(comparison).splitlines() == [
        "Final accuracy, 3 seeds, difference to clr(10,10) (0.7926) ± standard error:",
        "  constant  +0.034 ± 0.014  within noise",
    ]
    assert comparison.table["final accuracy", "mean"].round(4).to_dict() == {"clr(10,10)": 0.7926, "constant": 0.8270}
    assert [len(line.get_ydata()) for line in comparison.plot()[0].lines] == [40, 40]
    assert "within noise" in comparison._repr_html_()


def test_suggestions_of_1_0_0():
    from_finders, from_race = load("1.0.0")["suggestions"]
    assert tuple(from_finders)[:3] == (0.03, 10, 10) and tuple(from_race)[:3] == (0.1, 10, 10)
    assert from_race.call == "learn.fit_clr(2, 0.1, div=10, cut_div=10)" and "13 batches" in from_race.why
    assert from_race.trials.peak.tolist() == [0.01, 0.032, 0.1]
    np.testing.assert_allclose(from_race.trials.valid_loss, [1.7282, 0.9663, 0.8777], atol=1e-4)
    assert from_finders.n_epoch is None and "lr_find" in from_finders._repr_html_()  # a guess, which has no picture now
    assert "<td>0.032</td>" in from_race._repr_html_()


def test_suggestions_of_2_0_0():
    by_default, cheap = load("2.0.0")["suggestions"]
    assert tuple(by_default)[:3] == (0.032, 10, 10) and by_default.call == "learn.fit_clr(2, 0.032, div=10, cut_div=10)"
    assert by_default.n_epoch == 2 and by_default.seconds == pytest.approx(1.16, abs=0.01)
    assert by_default.trials.batches.tolist() == [10] * 3 + [35] * 6
    np.testing.assert_allclose(cheap.trials.valid_loss, [1.8918, 1.1450, 2.8818, 0.9798], atol=1e-4)
    assert by_default.plot().lines and "<td>0.032</td>" in by_default._repr_html_()


@pytest.mark.parametrize("release", RELEASES)
def test_a_scheduler_of_plain_torch_goes_on(release):
    scheduler = pickle.loads((DATA / f"{release}_scheduler.pickle").read_bytes())  # after 7 batches of two cycles of 10
    factors, momentums = CircularLR(10, 5, 0.95, 0.85).at(np.arange(20), Cycles(2, 10))
    held = []
    for _ in range(7, 20):
        group = scheduler.optimizer.param_groups[0]
        held.append((group["lr"], group["momentum"]))
        scheduler.optimizer.step()
        scheduler.step()
    np.testing.assert_array_equal(held, np.stack([factors * 0.1, momentums], axis=1)[7:])
    assert (
        repr(scheduler) == "CLRScheduler(CircularLR(div=10, cut_div=5, mom_a=0.95, mom_b=0.85), 20 batches in 2 cycles)"
    )


@pytest.mark.parametrize("name", ["callback", "stopping"])
def test_a_callback_is_found_where_1_0_0_had_it(name):
    callback = {"callback": CLRCallback(CircularLR(32, 5), 2), "stopping": StopAtCycleEnd("accuracy")}[name]
    moved = f"fastai_clr.learner.loop.{name}".encode()
    pickled = pickle.dumps(callback, protocol=0)
    assert moved in pickled
    twin = pickle.loads(pickled.replace(moved, f"fastai_clr.learner.{name}".encode()))
    assert repr(twin) == repr(callback) and type(twin) is type(callback)

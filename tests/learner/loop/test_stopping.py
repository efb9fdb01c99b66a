"""A fit ends at the end of a cycle, when the last cycles gained too little, and as a cancelled fit ends."""

import copy
import gc
import pickle
import re
import weakref
from itertools import cycle
from math import inf, nan

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import SaveModelCallback
from fastai.metrics import accuracy

from fastai_clr.all import CircularLR, CLRCallback, Constant, StopAtCycleEnd
from forked import run_forked
from helpers import DEVICE, WITHOUT_THE_PLUGIN, Probe, make_tabular, once, scripted, state_of

STOPS = {  # value of the metric in each cycle, its name and what it says of itself; arguments; cycles that are trained
    "each cycle gains": ([0.1, 0.2, 0.3, 0.4], "accuracy", None, {}, 4),
    "one does not": ([0.1, 0.2, 0.2, 0.9], "accuracy", None, {}, 3),
    "the second is worse": ([0.3, 0.2, 0.9, 0.9], "accuracy", None, {}, 2),
    "lower is better": ([0.5, 0.4, 0.4, 0.1], "error_rate", None, {}, 3),
    "lower is better, higher is not": ([0.4, 0.5, 0.1], "error_rate", None, {}, 2),
    "the metric says that lower is better": ([0.5, 0.4, 0.3], "accuracy", True, {}, 3),
    "the metric says that higher is better": ([0.5, 0.4, 0.3], "error_rate", False, {}, 2),
    "a gain of min_gain counts": ([0.50, 0.51, 0.52, 0.53], "accuracy", None, dict(min_gain=0.01), 4),
    "also in float32": ([float(np.float32(o)) for o in (0.80, 0.81, 0.82, 0.83)], "accuracy", None, dict(min_gain=0.01), 4),
    "less than min_gain does not": ([0.50, 0.52, 0.529, 0.9], "accuracy", None, dict(min_gain=0.01), 3),
    "less than min_gain, lower is better": ([0.5, 0.4, 0.395, 0.1], "error_rate", None, dict(min_gain=0.01), 3),
    "patience": ([0.5, 0.4, 0.4, 0.9], "accuracy", None, dict(patience=2), 3),
    "patience that pays": ([0.5, 0.4, 0.6, 0.5, 0.5, 0.9], "accuracy", None, dict(patience=2), 5),
    "patience, against the best before": ([0.5, 0.3, 0.4, 0.9], "accuracy", None, dict(patience=2), 3),
    "patience, two small gains together": ([0.5, 0.55, 0.61, 0.66], "accuracy", None, dict(patience=2, min_gain=0.1), 4),
    "no patience for two small gains": ([0.5, 0.55, 0.61], "accuracy", None, dict(min_gain=0.1), 2),
    "nan gains nothing": ([0.5, nan, 0.9], "accuracy", None, {}, 2),
    "nan and nan": ([nan, nan, 0.9], "accuracy", None, {}, 2),
    "a number gains on nan": ([nan, 0.1, 0.2, 0.2, 0.9], "accuracy", None, {}, 4),
    "inf is no loss": ([inf, inf, 0.5], "valid_cost", None, {}, 2),
    "a gain too small for float32": ([0.5, 0.5 + 1e-15, 0.5, 0.9], "accuracy", None, {}, 3),
}  # fmt: skip


@pytest.mark.parametrize("case", STOPS)
def test_it_stops_if_the_last_cycles_gained_too_little(learner, case):
    values, name, says, arguments, n_trained = STOPS[case]
    learn = learner(2)
    learn.metrics = [scripted(learn, values, name, says)]
    learn.fit(1e-2, len(values), cycle_len=1, use_clr=(4, 2), cbs=StopAtCycleEnd(**arguments))
    assert len(learn.sched.cycles) == len(learn.sched.val_losses) == n_trained


FORMS = {  # a fit of cycles that end after 1, 3, 7 and 15 epochs, or as given
    "0.7": (lambda o, **k: o.fit(1e-2, 4, cycle_len=1, cycle_mult=2, use_clr=(10, 5, 0.95, 0.85), wds=0.3, **k), [1, 3, 7, 15]),
    "restarts": (lambda o, **k: o.fit(1e-2, 4, cycle_len=1, cycle_mult=2, **k), [1, 3, 7, 15]),
    "use_clr_beta": (lambda o, **k: o.fit(1e-2, 4, cycle_len=2, use_clr_beta=(10, 10), **k), [2, 4, 6, 8]),
    "fit_clr": (lambda o, **k: o.fit_clr(8, 1e-2, n_cycles=4, moms=(0.95, 0.85), wd=0.3, **k), [2, 4, 6, 8]),
    "native": (lambda o, cbs: o.fit(8, 1e-2, cbs=[CLRCallback(CircularLR(10, 5, 0.95, 0.85), 4), cbs]), [2, 4, 6, 8]),
    "native, the other way round": (lambda o, cbs: o.fit(8, 1e-2, cbs=[cbs, CLRCallback(CircularLR(10, 5), 4)]), [2, 4, 6, 8]),
    "native, cycle_len": (lambda o, cbs: o.fit(9, 1e-2, cbs=[cbs, CLRCallback(CircularLR(10, 5), 4, cycle_len=2)]), [2, 4, 6, 8]),
}  # fmt: skip


def never_better(learn):
    return [scripted(learn, [0.5] * 20)]


@pytest.mark.parametrize("form, how", list(zip(FORMS, cycle(["cbs", "the class", "permanent"]))))
def test_beside_every_schedule_of_ours(learner, form, how):
    fit, ends = FORMS[form]
    learn, probe = learner(4), Probe()
    learn.metrics = never_better(learn)
    learn.create_opt()
    before = [dict(h) for h in learn.opt.hypers]
    learn.add_cb(probe)
    if how == "permanent":
        learn.add_cb(StopAtCycleEnd())
    cbs, attributes = list(learn.cbs), set(vars(learn))
    fit(learn, cbs={"cbs": StopAtCycleEnd(), "the class": StopAtCycleEnd, "permanent": Callback()}[how])
    assert learn.sched.cycles.epochs.tolist() == ends[:2] and learn.sched.cycle_ends == [o * 4 for o in ends[:2]]
    assert len(learn.sched.lrs) == len(learn.sched.losses) == ends[1] * 4 and learn.sched.plot_metrics()
    np.testing.assert_array_equal(learn.sched.lrs, [o[-1] for o in probe.probed_lrs])
    assert [(h["mom"], h["wd"]) for h in learn.opt.hypers] == [(h["mom"], h["wd"]) for h in before]
    assert list(learn.cbs) == cbs
    assert not [name for name in set(vars(learn)) - attributes if isinstance(vars(learn)[name], Callback)]


def weights(learn):
    return [p.detach().clone() for p in learn.model.parameters()]


def test_the_weights_are_those_of_the_cycles_end_and_it_ends_as_a_cancelled_fit(learner, tmp_path):
    class Tell(Callback):
        order = 90
        told = []

        def after_epoch(self):
            self.told.append(f"epoch {self.learn.epoch}")

        def after_cancel_fit(self):
            self.told.append("cancelled")

        def after_fit(self):
            self.told.append("after")

    learn = learner(4, shuffle=False)
    learn.metrics = never_better(learn)
    cbs = [StopAtCycleEnd(), Tell(), CSVLogger(), SaveModelCallback(every_epoch=True)]
    first = weights(learn)
    learn.fit(1e-2, 4, cycle_len=1, use_clr=(10, 4), cycle_save_name="x", best_save_name="best", cbs=cbs)
    assert Tell.told == ["epoch 0", "epoch 1", "cancelled", "after"]
    files = {p.stem for p in (tmp_path / "models").iterdir()}
    assert files == {"x_cyc_0", "x_cyc_1", "best", "model_0", "model_1"}
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3
    end = weights(learn)
    assert all(torch.equal(a, b) for a, b in zip(end, weights(learn.load_cycle("x", 1))))
    whole = learner(4, shuffle=False)
    assert all(torch.equal(a, b) for a, b in zip(first, weights(whole)))
    whole.fit(1e-2, 4, cycle_len=1, use_clr=(10, 4), cycle_save_name="whole")
    assert all(torch.equal(a, b) for a, b in zip(end, weights(whole.load_cycle("whole", 1))))


def test_the_best_is_saved_before(learner, tmp_path):
    learn = learner(4)
    learn.metrics = [scripted(learn, [0.5, 0.501, 0.9])]
    fit = dict(cycle_len=1, use_clr=(10, 4), best_save_name="best")
    learn.fit(1e-2, 3, **fit, cbs=StopAtCycleEnd(min_gain=0.01))
    end = weights(learn)
    assert all(torch.equal(a, b) for a, b in zip(end, weights(learn.load("best"))))


LINES = {
    "the same": ([0.5, 0.6, 0.5], {}, "Stopped at the end of cycle 2, after 3 epochs: accuracy stayed at 0.5 in the last cycle."),
    "worse": ([0.5, 0.6, 0.25], {}, "Stopped at the end of cycle 2, after 3 epochs: accuracy fell by 0.25 to 0.25 (worse) in the last cycle."),
    "min_gain": ([0.5, 0.5, 0.501], dict(min_gain=0.002), "Stopped at the end of cycle 2, after 3 epochs: accuracy rose by 0.001 to 0.501 (better) in the last cycle, less than min_gain=0.002."),
    "patience": ([0.5, 0.5, 0.25, 0.5, 0.5, 0.5, 0.375], dict(patience=2), "Stopped at the end of cycle 3, after 7 epochs: accuracy fell by 0.125 to 0.375 (worse) in the last 2 cycles."),
    "lower is better, worse": ("mae", [42.05, 0, 48.11], {}, "Stopped at the end of cycle 2, after 3 epochs: mae rose by 6.06 to 48.11 (worse) in the last cycle."),
    "lower is better, too little": ("error_rate", [0.5, 0, 0.36], dict(min_gain=0.2), "Stopped at the end of cycle 2, after 3 epochs: error_rate fell by 0.14 to 0.36 (better) in the last cycle, less than min_gain=0.2."),
    "lower is better, the same": ("error_rate", [0.5, 0, 0.5], {}, "Stopped at the end of cycle 2, after 3 epochs: error_rate stayed at 0.5 in the last cycle."),
    "nan": ([0.5, 0.5, nan], {}, "Stopped at the end of cycle 2, after 3 epochs: accuracy was not a finite number in the last cycle."),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
@pytest.mark.parametrize("quiet", [False, True])
def test_one_line_says_why_unless_the_learner_is_silent(learner, capsys, case, quiet):
    *name, values, arguments, line = LINES[case]
    learn = learner(2)
    learn.metrics = [scripted(learn, values + [1.0] * 10, *name)]
    if not quiet:
        learn.logger = lambda row: None  # in these tests it is fastai's `noop`
    learn.fit(1e-2, 4, cycle_len=1, cycle_mult=2, use_clr=(4, 2), cbs=StopAtCycleEnd(**arguments))
    assert capsys.readouterr().out == ("" if quiet else line + "\n")


def test_no_logging_silences_it(learner, capsys):
    learn = learner(2)
    learn.metrics, learn.logger = never_better(learn), print
    with learn.no_logging():
        learn.fit(1e-2, 4, cycle_len=1, cbs=StopAtCycleEnd())
    assert capsys.readouterr().out == "" and len(learn.sched.cycles) == 2


@pytest.mark.parametrize("values", [[0.1, 0.2, 0.3], [0.1, 0.2, 0.2]])
def test_a_fit_that_ends_by_itself_says_nothing(learner, capsys, values):
    learn = learner(2)
    learn.metrics, learn.logger = [scripted(learn, values)], lambda row: None
    learn.fit(1e-2, 3, cycle_len=1, cbs=StopAtCycleEnd())
    assert capsys.readouterr().out == "" and len(learn.sched.cycles) == 3


# -- what is monitored ---------------------------------------------------------------------------------------------------


BETTER, WORSE = [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]
MONITORS = {  # the metrics in their order, train_metrics, monitor, cycles that are trained
    "the first metric": ([("accuracy", WORSE), ("f1", BETTER)], False, None, 2),
    "another metric": ([("accuracy", WORSE), ("f1", BETTER)], False, "f1", 4),
    "another one, lower is better": ([("accuracy", BETTER), ("mse", BETTER)], False, "mse", 2),
    "of the validation": ([("accuracy", WORSE)], True, None, 2),
    "of the validation, by name": ([("accuracy", WORSE)], True, "valid_accuracy", 2),
    "of the training, lower is better": ([("mse", BETTER)], True, "train_mse", 2),
    "of the training": ([("accuracy", BETTER)], True, "train_accuracy", 4),
    "the training loss": ([("accuracy", WORSE)], False, "train_loss", 4),
    "the validation loss": ([("accuracy", WORSE)], False, "valid_loss", 4),
    "the loss, without metrics": ([], False, None, 4),
    "the loss, if the metric is not a number": ([("words", "abcd")], False, None, 4),
}  # fmt: skip


@pytest.mark.parametrize("case", MONITORS)
def test_what_it_monitors(learner, case):
    metrics, train_metrics, monitor, n_trained = MONITORS[case]
    learn = learner(20)
    learn.recorder.train_metrics = train_metrics
    learn.metrics = [scripted(learn, values, name) for name, values in metrics]
    learn.fit(1e-3, 4, cycle_len=1, use_clr=(4, 2), cbs=StopAtCycleEnd(monitor))
    assert len(learn.sched.cycles) == n_trained


def test_the_metrics_of_the_call_count(learner):
    learn = learner(4, metrics=[accuracy])
    fit = dict(cycle_len=1, cbs=StopAtCycleEnd())
    learn.fit(1e-2, 4, metrics=never_better(learn), **fit)
    assert len(learn.sched.cycles) == 2
    learn.fit(1e-2, 4, metrics=[scripted(learn, [0.5] * 4, "f1")], cycle_len=1, cbs=StopAtCycleEnd("f1"))
    assert len(learn.sched.cycles) == 2
    learn.fit(1e-2, 2, metrics=[], cycle_len=1, cbs=StopAtCycleEnd("valid_loss"))
    with pytest.raises(
        ValueError, match=r"monitor should be one of \['train_loss', 'valid_loss'\], but given 'accuracy'"
    ):
        learn.fit(1e-2, 2, metrics=[], cycle_len=1, cbs=StopAtCycleEnd("accuracy"))


def test_the_training_can_be_monitored_without_a_validation(learner):
    for changes in (dict(train_metrics=True, valid_metrics=False), dict(valid_metrics=False)):
        learn = learner(4)
        learn.metrics = [scripted(learn, BETTER, "mse")]
        vars(learn.recorder).update(changes)
        monitor = "mse" if "train_metrics" in changes else "train_loss"
        learn.fit(1e-3, 4, cycle_len=1, cbs=StopAtCycleEnd(monitor, min_gain=100))
        assert len(learn.sched.cycle_ends) == 2
    learn = learner(4, n_valid=0)
    learn.fit(1e-3, 4, cycle_len=1, cbs=StopAtCycleEnd("train_loss", min_gain=100))
    assert len(learn.sched.cycle_ends) == 2


def test_a_monitored_metric_that_is_not_a_number_is_an_error_at_the_first_cycles_end(learner):
    learn = learner(2)
    learn.metrics = [scripted(learn, "abcd", "words")]
    with pytest.raises(TypeError, match="monitor should be a metric that is a number, but words was 'a'"):
        learn.fit(1e-2, 4, cycle_len=1, cbs=StopAtCycleEnd("words"))


# -- errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (dict(monitor=3), TypeError, "monitor should be the name of a loss or metric such as 'accuracy', but given 3"),
        (dict(monitor=accuracy), TypeError, "monitor should be the name of a loss or metric"),
        (dict(min_gain=-0.1), ValueError, "min_gain should be at least 0, but given -0.1"),
        (dict(min_gain=nan), ValueError, "min_gain should be finite, but given nan"),
        (dict(min_gain=inf), ValueError, "min_gain should be finite, but given inf"),
        (dict(min_gain="1"), TypeError, "min_gain should be a number, but given '1'"),
        (dict(patience=0), ValueError, "patience should be at least 1, but given 0"),
        (dict(patience=1.5), TypeError, "patience should be an integer, but given 1.5"),
        (dict(patience=True), TypeError, "patience should be an integer, but given True"),
    ],
)  # fmt: skip
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        StopAtCycleEnd(**arguments)


NO_CYCLES = r"StopAtCycleEnd needs a fit with cycles, but this one has none: try learn.fit\(lr, 4, cycle_len=1"
INSIDE = "StopAtCycleEnd needs cycles of whole epochs, since fastai validates after an epoch, but cycle {} of this fit ends after {} epochs"
REFUSED = {
    "fastai's own": (lambda o, cb: o.fit(3, 1e-2, cbs=cb), NO_CYCLES),
    "fastai's own, the class": (lambda o, cb: o.fit(3, 1e-2, cbs=type(cb)), NO_CYCLES),
    "fit_one_cycle": (lambda o, cb: o.fit_one_cycle(3, 1e-2, cbs=cb), NO_CYCLES),
    "fit_sgdr": (lambda o, cb: o.fit_sgdr(2, 1, 1e-2, cbs=cb), NO_CYCLES),
    "0.7's constant": (lambda o, cb: o.fit(1e-2, 3, cbs=cb), NO_CYCLES),
    "our Constant": (lambda o, cb: o.fit(3, 1e-2, cbs=[CLRCallback(Constant(), 3), cb]), NO_CYCLES),
    "permanent": (lambda o, cb: o.add_cb(cb) and o.fit_flat_cos(3, 1e-2), NO_CYCLES),
    "one cycle": (lambda o, cb: o.fit(1e-2, 1, cycle_len=3, cbs=cb), "StopAtCycleEnd needs several cycles, but this fit has 1"),
    "one cycle, fit_clr": (lambda o, cb: o.fit_clr(3, 1e-2, cbs=cb), "StopAtCycleEnd needs several cycles, but this fit has 1"),
    "one cycle, native": (lambda o, cb: o.fit(3, 1e-2, cbs=[CLRCallback(CircularLR()), cb]), "StopAtCycleEnd needs several cycles"),
    "inside epochs": (lambda o, cb: o.fit(1e-2, 4, cycle_len=0.5, cbs=cb), INSIDE.format(1, 0.5)),
    "inside an epoch": (lambda o, cb: o.fit(1e-2, 3, cycle_len=1, cycle_mult=1.5, cbs=cb), INSIDE.format(2, 2.5)),
    "inside an epoch, fit_clr": (lambda o, cb: o.fit_clr(3, 1e-2, n_cycles=2, cbs=cb), INSIDE.format(1, 1.5)),
    "inside an epoch, native": (lambda o, cb: o.fit(3, 1e-2, cbs=[cb, CLRCallback(CircularLR(), 2)]), INSIDE.format(1, 1.5)),
    "no such metric": (lambda o, cb: o.fit(1e-2, 3, cycle_len=1, cbs=StopAtCycleEnd("f1")), r"monitor should be one of \['train_loss', 'valid_loss', 'accuracy'\], but given 'f1'"),
    "patience": (lambda o, cb: o.fit(1e-2, 3, cycle_len=1, cbs=StopAtCycleEnd(patience=3)), "patience should be less than the 3 cycles of this fit, but given 3: it would never stop"),
    "the second of two": (lambda o, cb: o.fit(1e-2, 3, cycle_len=1, cbs=[cb, StopAtCycleEnd("f1")]), "monitor should be one of"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_fit_in_which_it_could_do_nothing_is_refused_before_anything_changes(learner, case):
    call, message = REFUSED[case]
    learn, cb = learner(10, metrics=[accuracy]), StopAtCycleEnd()
    learn.fit(1e-2, 1, cycle_len=1)
    before = state_of(learn)
    with pytest.raises(ValueError, match=message):
        call(learn, cb)
    if case == "permanent":
        learn.remove_cb(StopAtCycleEnd)
    elif not case.startswith(("fit_one_cycle", "fit_sgdr")):  # these make an optimizer of their own first
        assert state_of(learn) == before
    learn.fit(1e-2, 2, cycle_len=1, cbs=cb)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda o: o.remove_cb(o.recorder), "StopAtCycleEnd reads fastai's Recorder, but this Learner has none"),
        (lambda o: vars(o.recorder).update(valid_metrics=False), "StopAtCycleEnd needs validation data, but this Learner has none or its Recorder leaves them out"),
        (lambda o: vars(o.recorder).update(valid_metrics=False, train_metrics=True), r"one of monitor=\['train_loss', 'accuracy'\]"),
        (lambda o: vars(o.recorder).update(train_metrics=True) or o.add_cb(StopAtCycleEnd("accuracy")), r"monitor should be one of \['train_loss', 'train_accuracy', 'valid_loss', 'valid_accuracy'\]"),
        (lambda o: vars(o.dls).update(loaders=[o.dls.train]), "StopAtCycleEnd needs validation data"),
        (lambda o: vars(o.dls).update(loaders=[o.dls.train, o.dls.valid.new([])]), "StopAtCycleEnd needs validation data"),
    ],
)  # fmt: skip
def test_nothing_to_judge_by(learner, change, message):
    learn = learner(10, metrics=[accuracy])
    change(learn)
    before = weights(learn)
    for fit in (
        lambda: learn.fit(1e-2, 3, cycle_len=1, cbs=StopAtCycleEnd()),
        lambda: learn.fit_clr(3, 1e-2, n_cycles=3, cbs=StopAtCycleEnd(min_gain=0.1)),
        lambda: learn.fit(3, 1e-2, cbs=[StopAtCycleEnd(), CLRCallback(CircularLR(), 3)]),
    ):
        with pytest.raises(ValueError, match=message):
            fit()
    assert learn.opt is None and all(torch.equal(a, b) for a, b in zip(before, weights(learn)))


def test_a_picture_of_the_fit_is_refused_as_the_fit_is(learner):
    learn = learner(10)
    with pytest.raises(ValueError, match="StopAtCycleEnd needs several cycles"):
        learn.plot_schedule(1e-2, 1, cycle_len=3, cbs=StopAtCycleEnd())
    assert learn.plot_schedule(1e-2, 3, cycle_len=1, cbs=StopAtCycleEnd())


def test_the_last_cycle_may_end_inside_an_epoch(learner):
    learn = learner(10)
    learn.metrics = never_better(learn)
    learn.fit(1e-2, 3, cycle_len=2, cycle_mult=0.5, cbs=StopAtCycleEnd(patience=2))
    assert learn.sched.cycles.epochs.tolist() == [2, 3, 3.5]


def test_loaders_that_another_callback_replaces_are_checked_when_the_fit_begins(learner):
    class Replace(Callback):
        def before_fit(self):
            self.learn.dls.loaders[0] = self.learn.dls.train.new(bs=2)

    learn = learner(10)
    learn.dls.loaders[0] = learn.dls.train.new(bs=40)  # 1 batch per epoch, and no cycle is shorter than a batch
    before = weights(learn)
    with pytest.raises(ValueError, match=INSIDE.format(1, 0.5)):
        learn.fit(4, 1e-2, cbs=[CLRCallback(CircularLR(), 4, cycle_len=0.5), Replace(), StopAtCycleEnd()])
    assert all(torch.equal(a, b) for a, b in zip(before, weights(learn)))


# -- around and beside ---------------------------------------------------------------------------------------------------


def test_a_resumed_fit_compares_the_cycles_that_it_trains(learner):
    values = [0.1, 0.9, 0.9, *[0.3] * 4, *[0.4] * 8, *[0.4] * 16]  # cycles end in epochs 1, 3, 7, 15 and 31
    for start_epoch, ends in ((0, [1, 3, 7]), (3, [7, 15, 31]), (5, [7, 15, 31]), (7, [15, 31])):
        learn = learner(2)
        learn.metrics = [scripted(learn, values)]
        learn.fit(1e-2, 6, cycle_len=1, cycle_mult=2, start_epoch=start_epoch, cbs=StopAtCycleEnd())
        assert learn.sched.cycles.epochs.tolist() == ends


def test_a_second_fit_starts_anew(learner):
    learn, cb = learner(2), StopAtCycleEnd()
    learn.metrics = [scripted(learn, [0.5, 0.6, 0.6, 0.7])]
    for _ in range(2):
        learn.fit(1e-2, 4, cycle_len=1, cbs=cb)
        assert len(learn.sched.cycles) == 3


def stops_after_three(learn):
    learn.fit_clr(4, 1e-5, n_cycles=4, cbs=StopAtCycleEnd())
    assert len(learn.sched.cycles) == 3


INSIDE_FITS = {
    "a fit of fastai's own": lambda o: o.fit(1, 1e-5),
    "fit_one_cycle": lambda o: o.fit_one_cycle(1, 1e-5),
    "one cycle": lambda o: o.fit(1e-5, 1, cycle_len=1, use_clr=(5, 5)),
    "a fit that stops, too": lambda o: stops_after_three(o),
    "lr_find": lambda o: o.lr_find(num_it=10, show_plot=False, suggest_funcs=None),
    "validate": lambda o: o.validate(),
    "get_preds": lambda o: o.get_preds(),
}


VALIDATIONS = [(inside, event) for inside in ("validate", "get_preds") for event in ("before_train", "after_train")]


EVENTS = [*((o, "after_epoch") for o in INSIDE_FITS), *VALIDATIONS]


@pytest.mark.parametrize("inside, event, how", [(*o, how) for o, how in zip(EVENTS, cycle(["cbs", "permanent"]))])
def test_what_happens_inside_the_fit_does_not_disturb(learner, inside, event, how):
    learn, cb = learner(4), StopAtCycleEnd()
    learn.metrics = [scripted(learn, [0.1, 0.2, 0.2, 0.9])]
    if how == "permanent":
        learn.add_cb(cb)
    act = once(INSIDE_FITS[inside], event)
    learn.fit(1e-2, 4, cycle_len=1, use_clr=(4, 2), cbs=[act, *([cb] if how == "cbs" else [])])
    assert act.done and len(learn.sched.cycles) == 3


def test_a_validation_of_another_callbacks_is_no_end_of_an_epoch(learner):
    class Again(Callback):
        order, n_done, is_inside = 80, 0, False

        def after_epoch(self):
            if self.is_inside:
                return
            self.is_inside = True
            learn.validate()
            self.is_inside, self.n_done = False, self.n_done + 1

    learn, again = learner(4), Again()
    learn.metrics = [scripted(learn, [0.1, 0.2, 0.2, 0.9])]
    learn.fit(1e-2, 4, cycle_len=1, cbs=[again, StopAtCycleEnd("accuracy")])
    assert again.n_done == len(learn.sched.cycles) == 3


@pytest.mark.parametrize("action", ["validate", "get_preds", "lr_find", "summary"])
def test_a_permanent_one_leaves_all_but_fits_alone(learner, action):
    learn = learner(4, metrics=[accuracy], cbs=StopAtCycleEnd())
    learn.fit(1e-2, 2, cycle_len=1)
    getattr(learn, action)(**(dict(show_plot=False) if action == "lr_find" else {}))


def test_nothing_of_a_fit_outlives_it(learner):
    learn, cb = learner(4), StopAtCycleEnd()
    learn.metrics = never_better(learn)
    before = len(pickle.dumps(cb))
    learn.fit(1e-2, 4, cycle_len=1, cbs=cb)
    assert {name: o for name, o in vars(cb).items() if name not in ("learn", "_stage", "_called_for")} == dict(
        monitor=None, min_gain=0.0, patience=1
    )
    assert len(pickle.dumps(cb)) <= before + 30
    gone = weakref.ref(learn)
    del learn
    gc.collect()
    assert gone() is None


def test_after_an_exception_too(learner):
    learn, cb = learner(4, metrics=[accuracy]), StopAtCycleEnd()
    learn.metrics = never_better(learn)
    boom = once(lambda learn: 1 / 0, "after_train")
    with pytest.raises(ZeroDivisionError):
        learn.fit(1e-2, 4, cycle_len=1, cbs=[cb, boom])
    learn.fit(1e-2, 4, cycle_len=1, cbs=cb)
    assert len(learn.sched.cycles) == 2


def test_it_copies_and_pickles(learner):
    cb = StopAtCycleEnd("accuracy", 0.25, 2)
    for twin in (copy.copy(cb), copy.deepcopy(cb), pickle.loads(pickle.dumps(cb))):
        assert (twin.monitor, twin.min_gain, twin.patience) == ("accuracy", 0.25, 2)
        learn = learner(2)
        learn.metrics = never_better(learn)
        learn.fit(1e-2, 5, cycle_len=1, cbs=twin)
        assert len(learn.sched.cycles) == 3


@pytest.mark.slow
def test_a_learner_with_it_exports_to_where_the_plugin_is_not_installed(tmp_path):
    learn, _ = make_tabular(tmp_path, metrics=accuracy)
    learn.add_cb(StopAtCycleEnd())
    learn.fit(1e-2, 3, cycle_len=1)
    learn.export("x.pkl")
    assert any(isinstance(cb, StopAtCycleEnd) for cb in learn.cbs) and learn.stop_at_cycle_end in learn.cbs
    code = f"{WITHOUT_THE_PLUGIN}\nfrom fastai.learner import load_learner\nprint(load_learner(sys.argv[1]).model.__class__.__name__)"
    assert run_forked(code, tmp_path / "x.pkl").strip() == "TabularModel"


def test_a_comparison_of_schedules_stops_its_runs(learner):
    learn = learner(4, metrics=[accuracy])
    schedules = {"a": CLRCallback(CircularLR(), n_cycles=4), "b": CLRCallback(CircularLR(32, 5), n_cycles=4)}
    comparison = learn.compare_schedules(4, 1e-2, schedules, seeds=2, cbs=StopAtCycleEnd(min_gain=2))
    assert [len(run.epochs) for run in comparison.runs] == [2, 2, 2, 2]
    before = state_of(learn)
    with pytest.raises(ValueError, match=NO_CYCLES):
        learn.compare_schedules(4, 1e-2, seeds=1, cbs=StopAtCycleEnd())
    assert state_of(learn) == before


@pytest.mark.parametrize("to", ["to_fp16", "to_bf16"])
def test_mixed_precision(learner, monkeypatch, to):
    monkeypatch.setattr("fastai.callback.fp16.autocast", lambda *device, **kwargs: torch.autocast(DEVICE, **kwargs))
    monkeypatch.setattr("fastai.callback.fp16.GradScaler", lambda *device, **kw: torch.amp.GradScaler(DEVICE, **kw))
    learn = getattr(learner(4, metrics=[accuracy]), to)()
    learn.fit(1e-2, 4, cycle_len=1, use_clr=(4, 2), cbs=StopAtCycleEnd(min_gain=1))
    assert len(learn.sched.cycles) == 2 and all(p.dtype == torch.float32 for p in learn.model.parameters())


def test_a_batch_costs_nothing(learner):
    heard = []

    class Spy(StopAtCycleEnd):
        def __getattribute__(self, name):
            if re.match("(before|after)_", name):
                heard.append(name)
            return super().__getattribute__(name)

    learn = learner(4)
    learn.fit(1e-2, 2, cycle_len=1, cbs=[Spy()])
    assert set(heard) <= {"before_fit", "after_epoch", "after_create"} and heard.count("after_epoch") == 2


def test_a_subclass_may_have_events_of_its_own(learner):
    class Own(StopAtCycleEnd):
        n = 0

        def after_step(self):
            Own.n += 1

    learner(4).fit(1e-2, 2, cycle_len=1, cbs=Own())
    assert Own.n == 8

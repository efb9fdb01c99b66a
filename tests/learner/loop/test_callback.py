import json
from functools import partial
from itertools import cycle

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.schedule import ParamScheduler, SchedLin
from fastai.callback.tracker import ReduceLROnPlateau, SaveModelCallback
from fastai.data.load import DataLoader
from fastai.learner import Learner, Metric
from fastai.metrics import accuracy
from fastai.optimizer import SGD, OptimWrapper, RMSProp, ranger
from fastcore.basics import store_attr

from fastai_clr.all import CircularLR, CLRCallback, CosAnneal, Cycles, Schedule
from fastai_clr.learner.fastai2 import NATIVE
from fastai_clr.learner.loop.running import is_in_a_fit
from fastai_clr.schedules.timetable import BLOCK
from helpers import OPTIMIZERS, TRACES, Probe, assert_same_rates, make_learner, once

GROUPS, MOMENTUM = next(c for c in TRACES if np.ndim(c["lrs"])), next(c for c in TRACES if c["mom"])
ON_OPTIMIZERS = [(c, "fastai Adam") for c in TRACES]  # test_shapes has the traces without an optimizer
ON_OPTIMIZERS += [(c, o) for c in (GROUPS, MOMENTUM) for o in OPTIMIZERS if o != "fastai Adam"]


def id_of(case):
    return case if isinstance(case, str) else str({k: v for k, v in case.items() if k not in ("lr", "mom")})


@pytest.mark.parametrize("case, optimizer", ON_OPTIMIZERS, ids=id_of)
def test_the_optimizer_holds_what_fastai_0_7_set(learner, case, optimizer):
    arguments = {k: v for k, v in case.items() if k in ("cycle_len", "cycle_mult", "use_clr", "use_clr_beta")}
    learn, probe = (
        learner(case["n_batches"], len(np.atleast_1d(case["lrs"])), OPTIMIZERS[optimizer], n_valid=8),
        Probe(),
    )
    learn.fit(case["lrs"], case["n_cycle"], cbs=probe, **arguments)
    assert_same_rates(probe.probed_lrs, case["lr"], case["lrs"])
    np.testing.assert_array_equal(learn.sched.all_lrs, probe.probed_lrs)
    np.testing.assert_array_equal(learn.sched.momentums, np.array(probe.probed_moms)[:, -1])
    if case["mom"] is not None:
        assert_same_rates(
            np.array(probe.probed_moms), np.tile(np.array(case["mom"])[:, None], len(probe.probed_moms[0])), 1
        )


@pytest.mark.parametrize("opt_func", [*OPTIMIZERS.values(), ranger, partial(RMSProp, mom=0.9)])
def test_by_itself_it_schedules_a_fit_of_fastais_own(learner, opt_func):
    learn, probe, schedule = learner(10, 2, opt_func), Probe(), CircularLR(32, 5, 0.95, 0.85)
    learn.fit(3, [1e-3, 1e-2], cbs=[CLRCallback(schedule, n_cycles=2), probe])
    factors, momentums = schedule.at(np.arange(30), Cycles(2, 1.5, n_iter=10))
    np.testing.assert_array_equal(probe.probed_lrs, factors[:, None] * [1e-3, 1e-2])
    np.testing.assert_array_equal(probe.probed_moms, np.stack([momentums, momentums], axis=1))
    assert learn.sched.cycle_ends == [15, 30] and learn.sched.schedule == schedule


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_without_our_fit_and_save_momentum_is_kept_all_the_same(learner, monkeypatch, optimizer):
    for name in ("fit", "save"):
        monkeypatch.setattr(Learner, name, NATIVE[name])  # as another plugin may do that comes later
    learn = learner(10, 2, OPTIMIZERS[optimizer])
    learn.fit(2, 1e-2, cbs=CLRCallback(CircularLR(32, 5, 0.95, 0.85), cycle_save_name="x"))
    assert [h["mom"] for h in learn.opt.hypers] == [0.9, 0.9]
    learn.load("x_cyc_0")
    assert [h["mom"] for h in learn.opt.hypers] == [0.9, 0.9]


def test_without_our_fit_an_error_leaves_the_next_fit_the_optimizers_own_momentum(learner, monkeypatch):
    monkeypatch.setattr(Learner, "fit", NATIVE["fit"])
    learn = learner(10, cbs=CLRCallback(CircularLR(32, 5, 0.95, 0.85)))
    with pytest.raises(ZeroDivisionError):
        learn.fit(1, 1e-2, cbs=once(lambda _: 1 / 0, "after_batch"))
    assert learn.opt.hypers[0]["mom"] == 0.95  # fastai tells no callback of it
    learn.fit(1, 1e-2)
    assert learn.opt.hypers[0]["mom"] == 0.9 and len(learn.sched.lrs) == 10


def test_an_optimizer_with_neither_momentum_nor_weight_decay(learner):
    learn = learner(5, opt_func=partial(OptimWrapper, opt=torch.optim.Rprop))
    learn.fit(1e-3, 1, cycle_len=2, use_clr=(10, 5))
    assert len(learn.sched.lrs) == 10 and len(learn.sched.momentums) == 0
    with pytest.raises(ValueError, match=r"^wds=0\.1 needs an optimizer with weight decay"):
        learn.fit(1e-3, 1, cycle_len=2, use_clr=(10, 5), wds=0.1)
    with pytest.raises(ValueError, match=r"^wd=0\.1 needs an optimizer with weight decay"):
        learn.fit_clr(2, 1e-3, wd=0.1)
    learn.wd = 0.2
    with pytest.raises(ValueError, match=r"^learn\.wd=0\.2 needs an optimizer with weight decay"):
        learn.fit_clr(2, 1e-3)


def test_without_our_fit_it_ends_where_its_cycles_end(learner, monkeypatch):
    monkeypatch.setattr(Learner, "fit", NATIVE["fit"])
    learn = learner(10)
    learn.fit(3, 1e-2, cbs=CLRCallback(CosAnneal(), cycle_len=2), start_epoch=1)
    assert len(learn.sched.lrs) == 10 and learn.sched.cycle_ends == [10]
    learn.fit(3, 1e-2, cbs=CLRCallback(CosAnneal(), cycle_len=1), start_epoch=2)
    assert not learn.sched.lrs


@pytest.mark.parametrize("start_epoch", [1, 2])
def test_without_our_do_fit_a_resumed_fit_leaves_its_first_epochs_out(learner, monkeypatch, start_epoch):
    monkeypatch.setattr(Learner, "_do_fit", NATIVE["_do_fit"])
    learn = learner(10)
    learn.fit(1e-2, 1, cycle_len=3, use_clr=(10, 5), start_epoch=start_epoch)
    factors = CircularLR(10, 5).at(np.arange(10 * start_epoch, 30), Cycles.of_batches(30))[0]
    assert learn.sched.lrs.tolist() == learn.recorder.lrs == (factors * 1e-2).tolist()
    assert len(learn.sched.val_losses) == 3 - start_epoch


def test_without_our_fit_lr_find_leaves_no_fit_behind(learner, monkeypatch):
    monkeypatch.setattr(Learner, "fit", NATIVE["fit"])
    learn = learner(10, cbs=CLRCallback(CircularLR(32, 5, 0.95, 0.85)))
    learn.lr_find(show_plot=False)
    assert not is_in_a_fit(learn)
    learn.opt.set_hypers(mom=0)
    with pytest.raises(ValueError, match="cycles momentum, but the optimizer has none"):
        learn.fit(1, 1e-2)
    assert not is_in_a_fit(learn)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_optimizer_holds_python_floats(learner, optimizer, tmp_path):
    learn = learner(5, 1, OPTIMIZERS[optimizer])
    learn.fit(np.array([1e-2]), 1, cycle_len=np.float64(1), use_clr=np.array([32, 5, 0.95, 0.85]), wds=np.float32(0.1))
    assert {type(h[name]) for h in learn.opt.hypers for name in ("lr", "mom", "wd")} <= {float, int}
    if isinstance(learn.opt, OptimWrapper):
        torch.load(learn.save("model"), weights_only=True)


@pytest.mark.parametrize(
    "opt_func",
    [SGD, partial(OptimWrapper, opt=torch.optim.SGD), RMSProp, partial(OptimWrapper, opt=torch.optim.Adagrad)],
)
@pytest.mark.parametrize("n_groups", [1, 3])
def test_no_momentum_to_cycle_is_an_error(learner, opt_func, n_groups):
    learn = learner(5, n_groups, opt_func)
    with pytest.raises(ValueError, match="cycles momentum, but the optimizer has none to cycle.*mom=0.9"):
        learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5, 0.95, 0.85))
    with pytest.raises(ValueError, match="cycles momentum, but the optimizer has none"):
        learn.fit(1, 1e-2, cbs=CLRCallback(CircularLR(32, 5, 0.95, 0.85)))
    assert not learn.sched.lrs
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(32, 5))
    assert len(learn.sched.lrs) == 5


@pytest.mark.parametrize(
    "other",
    [
        lambda: ParamScheduler({"lr": SchedLin(1e-3, 1e-2)}),
        lambda: ParamScheduler({"mom": SchedLin(0.9, 0.8)}),
        lambda: CLRCallback(CosAnneal()),
        lambda: ReduceLROnPlateau(),
    ],
)
def test_two_callbacks_that_set_the_rate_are_an_error(learner, other):
    learn, schedule = learner(5), CircularLR(32, 5, 0.95, 0.85)
    for fit in (
        lambda: learn.fit(1e-2, 1, cycle_len=1, use_clr=schedule, cbs=other()),
        lambda: learn.fit_clr(1, 1e-2, moms=(0.95, 0.85), cbs=[other()]),
        lambda: learn.fit(1, 1e-2, cbs=[other(), CLRCallback(schedule)]),
    ):
        with pytest.raises(ValueError, match="would both set the optimizer's hyper-parameters: use one of them"):
            fit()
    learn.fit(
        1e-2, 1, cycle_len=1, use_clr=(32, 5), cbs=ParamScheduler({"mom": SchedLin(0.9, 0.8), "wd": SchedLin(0, 1)})
    )


@pytest.mark.parametrize(
    "cycle_len, n_cycle, ends, lengths",
    [
        (0.5, 1, [5], [5]),
        (0.5, 3, [5, 10, 15], [10, 5]),
        (0.25, 3, [3, 5, 8], [8]),
        (1.1, 1, [11], [10, 1]),
        (0.005, 2, [1, 2], [2]),
        (2, 1, [20], [10, 10]),
    ],
)
def test_training_ends_with_the_last_cycle_then_validates(learner, cycle_len, n_cycle, ends, lengths):
    class Count(Callback):
        order = 100

        def before_fit(self):
            self.trained, self.announced, self.validated = [], [], 0

        def before_train(self):
            self.trained.append(0)
            self.announced.append(len(self.learn.dl))

        def after_batch(self):
            self.trained[-1] += self.training

        def after_validate(self):
            self.validated += 1

    learn, count = learner(10, metrics=[accuracy]), Count()
    learn.fit(1e-2, n_cycle, cycle_len=cycle_len, use_clr=(10, 4), callbacks=[count])
    assert learn.sched.cycle_ends == ends
    assert count.trained == count.announced == lengths and count.validated == len(lengths)
    assert [len(row) for row in learn.recorder.values] == [3] * len(lengths)
    assert len(learn.sched.val_losses) == len(learn.sched.rec_metrics) == len(lengths)


def test_a_fit_shorter_or_longer_than_the_cycles(learner):
    learn = learner(5)
    message = "n_epoch should be at least 3 for n_cycles=1, cycle_len=3 and cycle_mult=1, but given 2"
    with pytest.raises(ValueError, match=message):
        learn.fit(2, 1e-2, cbs=CLRCallback(CircularLR(), cycle_len=3))
    assert not learn.sched.lrs
    learn.fit(4, 1e-2, cbs=CLRCallback(CircularLR(), cycle_len=1.5, n_cycles=2))
    assert len(learn.sched.lrs) == 15 and learn.sched.cycle_ends == [8, 15] and len(learn.recorder.values) == 3


def test_a_cycle_is_saved_after_its_last_batch(learner, tmp_path):
    learn, weights = learner(4, metrics=[accuracy]), []

    class Weights(Callback):
        run_valid = False

        def after_step(self):
            weights.append(self.learn.model[0].weight.detach().clone())

    learn.fit(1e-2, 3, cycle_len=0.5, use_clr=(10, 4, 0.95, 0.85), cycle_save_name="x", cbs=Weights)
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == [f"x_cyc_{k}.pth" for k in range(3)]
    for k, last_batch in enumerate((1, 3, 5)):
        learn.load(f"x_cyc_{k}")
        assert torch.equal(learn.model[0].weight, weights[last_batch])
        assert learn.opt.hypers[0]["mom"] == 0.9  # not that of the middle of a cycle


class Scripted(Metric):
    """A metric whose values are given, for to see which of them counts as best."""

    def __init__(self, name, values):
        self._name, self.values, self.epoch = name, values, -1

    def reset(self):
        self.epoch += 1

    value = property(lambda self: self.values[self.epoch])
    name = property(lambda self: self._name)


@pytest.mark.parametrize(
    "name, values, losses, saved_in",
    [
        ("accuracy", [0.5, 0.6, 0.4, 0.7], [1, 1, 1, 1], [0, 1, 3]),
        ("error_rate", [0.5, 0.6, 0.4, 0.4], [1, 1, 1, 1], [0, 2]),
        ("rmse", [0.5, 0.6, 0.4, 0.3], [1, 1, 1, 1], [0, 2, 3]),
        ("mean_l1", [0.5, 0.6, 0.4, 0.3], [1, 1, 1, 1], [0, 2, 3]),
        ("RMSE", [0.5, 0.6, 0.4, 0.3], [1, 1, 1, 1], [0, 2, 3]),
        ("perplexity", [5, 6, 4, 3], [1, 1, 1, 1], [0, 2, 3]),
        ("recall1", [0.5, 0.6, 0.4, 0.3], [1, 1, 1, 1], [0, 1]),  # its l1 is no L1 norm
        ("accuracy", [0.5, 0.5, 0.5, 0.5], [3, 2, 4, 1], [0, 1, 3]),  # ties go to the lower loss
        ("accuracy", [0.5, float("nan"), 0.6, 0.4], [1, 1, 1, 1], [0, 2]),
        ("accuracy", [float("nan"), 0.5, 0.6, 0.4], [1, 1, 1, 1], [1, 2]),
        (None, [], [3, 2, 4, 1], [0, 1, 3]),
    ],
)
def test_the_best_epochs_are_saved_and_the_last_weights_stay(
    learner, tmp_path, monkeypatch, name, values, losses, saved_in
):
    learn, saved = learner(2), []
    learn.recorder.loss = Scripted("loss", losses)
    monkeypatch.setattr(type(learn), "save", lambda self, file, **_: saved.append((file, self.epoch)))
    learn.fit(1e-2, 4, metrics=[] if name is None else [Scripted(name, values)], best_save_name="best")
    assert saved == [("best", epoch) for epoch in saved_in]


@pytest.mark.parametrize(
    "name, values, losses, line",
    [
        (
            "accuracy",
            [float("nan")] * 3,
            [1, 1, 1],
            "Nothing was saved as 'best': in every epoch accuracy or valid_loss was nan.\n",
        ),
        (
            "accuracy",
            [0.5] * 3,
            [float("nan")] * 3,
            "Nothing was saved as 'best': in every epoch accuracy or valid_loss was nan.\n",
        ),
        (None, [], [float("nan")] * 3, "Nothing was saved as 'best': in every epoch valid_loss was nan.\n"),
        ("accuracy", [float("nan"), float("nan"), 0.1], [1, 1, 1], ""),
    ],
)
def test_a_score_that_is_never_a_number_is_said_once(learner, capsys, tmp_path, name, values, losses, line):
    learn = learner(2)
    learn.recorder.loss, learn.logger = Scripted("loss", losses), lambda row: None
    learn.fit(1e-2, 3, metrics=[] if name is None else [Scripted(name, values)], best_save_name="best")
    assert capsys.readouterr().out == line and (tmp_path / "models" / "best.pth").exists() == (not line)


def test_best_save_leaves_the_last_weights_and_starts_anew_in_each_fit(learner, tmp_path):
    learn = learner(3, metrics=[accuracy])
    learn.fit(1e-3, 2, cycle_len=1, best_save_name="best")
    last = learn.model[0].weight.detach().clone()
    file = tmp_path / "models" / "best.pth"
    assert file.exists()
    learn.fit(1e-9, 1, metrics=[Scripted("accuracy", [0.0])], best_save_name="best2")
    assert torch.allclose(learn.model[0].weight, last, atol=1e-6) and (tmp_path / "models" / "best2.pth").exists()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_a_fit_saves_has_the_optimizers_own_hyper_parameters(learner, optimizer):
    learn = learner(5, opt_func=OPTIMIZERS[optimizer])
    learn.create_opt()
    own, probe = {name: learn.opt.hypers[0][name] for name in ("mom", "wd")}, Probe()
    learn.fit(
        1e-2,
        2,
        cycle_len=1,
        wds=0.7,
        use_clr=(10, 4, 0.95, 0.85),
        cycle_save_name="x",
        best_save_name="best",
        cbs=probe,
    )
    assert probe.probed_wds == [[0.7]] * 10
    for name in ("x_cyc_0", "x_cyc_1", "best"):
        learn.load(name)
        assert {name: learn.opt.hypers[0][name] for name in own} == own


def test_momentum_is_put_back_after_a_callback_loads_the_best_model(learner):
    learn = learner(5)
    learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 5, 0.95, 0.85), cbs=SaveModelCallback(with_opt=True))
    assert learn.opt.hypers[0]["mom"] == 0.9


def test_validating_in_the_middle_of_a_fit_leaves_the_schedule_alone(learner):
    class Score(Callback):
        order, done = 80, False

        def after_epoch(self):
            if not Score.done:
                Score.done = True
                self.learn.validate()

    learn, schedule, probe = learner(10), CircularLR(10, 2, 0.95, 0.85), Probe()
    learn.create_opt()
    learn.fit(1e-2, 1, cycle_len=3, use_clr=schedule, wds=0.7, cbs=[Score(), probe])
    assert probe.probed_wds == [[0.7]] * 20  # of the epochs after that; the probe begins anew in `validate`
    factors, momentums = schedule.at(np.arange(30), Cycles(1, 30))
    np.testing.assert_array_equal(learn.sched.lrs, factors * 1e-2)
    np.testing.assert_array_equal(learn.sched.momentums, momentums)
    assert learn.opt.hypers[0]["mom"] == 0.9


def test_an_optimizer_with_names_of_its_own(learner):
    class Renamed(torch.optim.SGD):
        def step(self, closure=None):
            used.append(self.param_groups[0]["rate"])

    used, learn = [], learner(10)
    opt = Renamed(learn.model.parameters(), lr=0.1)
    for group in opt.param_groups:
        group["rate"] = group.pop("lr")
    learn.opt_func = OptimWrapper(opt=opt, hp_map={"rate": "lr", "momentum": "mom", "weight_decay": "wd"})
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5))
    np.testing.assert_array_equal(used, CircularLR(10, 5).at(np.arange(10), Cycles(1, 10))[0] * 1e-2)
    assert list(learn.sched.lrs) == used


def test_a_model_with_names_of_ours(learner):
    learn = learner(5)
    learn.model.gather_preds = learn.model.lr_finder = learn.model.sched = learn.model.clip = learn.model.reg_fn = (
        "the model's"
    )
    learn.fit(1e-2, 1, cycle_len=1, use_clr=(10, 5))
    assert max(learn.sched.lrs) == 1e-2


def test_validating_before_the_first_fit(learner):
    learn = learner(5, cbs=CLRCallback(CircularLR()))
    learn.validate()
    learn.get_preds()
    learn.fit(1, 1e-2)
    assert max(learn.sched.lrs) == 1e-2


def test_a_permanent_callback_leaves_validation_and_lr_find_alone(learner):
    learn = learner(10, cbs=CLRCallback(CircularLR(20, 10, 0.95, 0.85), best_save_name="best"))
    learn.fit(2, 1e-2)
    done = learn.sched
    assert len(done.lrs) == 20 and done.lrs[2] == 1e-2
    learn.validate()
    learn.get_preds()
    assert learn.sched is done and len(done.val_losses) == 2
    learn.lr_find(show_plot=False)
    assert learn.sched.schedule is None and learn.sched.lrs[0] == pytest.approx(1e-7)
    learn.fit(1, 1e-2)
    assert learn.sched.schedule == CircularLR(20, 10, 0.95, 0.85) and len(learn.sched.lrs) == 10


@pytest.mark.parametrize(
    "build, error, match",
    [
        (lambda: CLRCallback((32, 5)), TypeError, r"schedule should be a schedule such as CircularLR\(32, 5\), but given \(32"),
        (lambda: CLRCallback(CircularLR), TypeError, r"schedule should be a schedule"),
        (lambda: CLRCallback(CircularLR(), 0), ValueError, r"n_cycles should be at least 1, but given 0"),
        (lambda: CLRCallback(CircularLR(), cycle_len=-1), ValueError, r"cycle_len should be greater than 0"),
        (lambda: CLRCallback(CircularLR(), cycle_mult="2"), TypeError, r"cycle_mult should be a number"),
        (lambda: CLRCallback(CircularLR(), cycle_save_name=3), TypeError, r"cycle_save_name should be the name of a file"),
        (lambda: CLRCallback(CircularLR(), best_save_name=""), TypeError, r"best_save_name should be the name of a file"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_where_the_callback_is_built(build, error, match):
    with pytest.raises(error, match=match):
        build()


def test_a_bad_rate_of_a_fit_of_fastais_own_is_refused_before_a_batch(learner):
    learn = learner(5)
    with pytest.raises(ValueError, match="lr should be greater than 0, but given -0.1"):
        learn.fit(1, -0.1, cbs=CLRCallback(CircularLR()))
    with pytest.raises(ValueError, match="n_cycles should be at most the number of batches, 5, but given 6"):
        learn.fit(1, 0.1, cbs=CLRCallback(CircularLR(), n_cycles=6))
    assert not learn.sched.lrs


def test_a_long_fit_is_evaluated_in_blocks_without_a_seam(learner):
    learn, probe, epoch = learner(10), Probe(), BLOCK // 10 - 1
    learn.fit(1e-2, 1, cycle_len=epoch + 3, use_clr=(10, 3), start_epoch=epoch, cbs=probe)
    rows = np.arange(10 * epoch, 10 * epoch + 30)
    assert rows[0] < BLOCK < rows[-1]
    factors = CircularLR(10, 3).at(rows, Cycles.of_batches(10 * epoch + 30))[0]
    np.testing.assert_array_equal(np.array(probe.probed_lrs)[:, 0], factors * 1e-2)
    np.testing.assert_array_equal(learn.sched.lrs, factors * 1e-2)


def loaders_of(*lengths):
    """A callback that gives each epoch a data loader of its own length; in an epoch without one it stays."""

    class Swap(Callback):
        def before_epoch(self):
            if lengths[self.epoch] is not None:
                self.learn.dls.loaders[0] = make_learner(self.learn.path, lengths[self.epoch]).dls.train

    return Swap()


PLACES = {  # batches in each epoch, of which the fit begins with 10: the rows that they have, where each cycle ends
    "as announced": ([None] * 2, [*range(20)], [10, 20]),
    "longer": ([None, 15], [*range(10), 10, 10, 11, 12, 12, 13, 14, 14, 15, 16, 16, 17, 18, 18, 19], [10, 25]),
    "twice as long": ([None, 20], [*range(10), *np.repeat(range(10, 20), 2)], [10, 30]),
    "half as long": ([None, 5], [*range(10), 10, 12, 14, 16, 18], [10, 15]),
    "a batch shorter": ([None, 9], [*range(10), 10, 11, 12, 13, 14, 15, 16, 17, 18], [10, 19]),
    "one batch": ([None, 1], [*range(10), 10], [10, 11]),
    "longer and shorter": ([15, 5], [0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 12, 14, 16, 18], [15, 20]),
}


@pytest.mark.parametrize("case, style", list(zip(PLACES, cycle(["native", "0.7", "fit_clr"]))))
def test_a_loader_that_changes_in_mid_fit_keeps_the_schedules_shape(learner, tmp_path, case, style):
    lengths, rows, ends = PLACES[case]
    schedule, probe, cbs = CircularLR(10, 4, 0.95, 0.85), Probe(), loaders_of(*lengths)
    learn = learner(10)
    if style == "native":
        learn.fit(2, 1e-2, cbs=[CLRCallback(schedule, 2, cycle_save_name="x"), cbs, probe])
    elif style == "0.7":
        learn.fit(1e-2, 2, cycle_len=1, use_clr=schedule, cycle_save_name="x", cbs=[cbs, probe])
    else:
        learn.fit_clr(2, 1e-2, 10, 4, n_cycles=2, moms=(0.95, 0.85), cbs=[cbs, probe])
    factors, momentums = schedule.at(np.array(rows), Cycles(2, 10))
    np.testing.assert_array_equal(np.array(probe.probed_lrs)[:, 0], factors * 1e-2)
    np.testing.assert_array_equal(np.array(probe.probed_moms)[:, 0], momentums)
    np.testing.assert_array_equal(learn.sched.lrs, factors * 1e-2)
    assert learn.sched.cycle_ends == ends and len(learn.sched.val_losses) == 2
    assert style == "fit_clr" or sorted(o.name for o in (tmp_path / "models").iterdir()) == [
        "x_cyc_0.pth",
        "x_cyc_1.pth",
    ]


@pytest.mark.parametrize(
    "length, n, rows",
    [
        (10, 5, [10, 11, 12, 13, 14]),
        (15, 8, [10, 10, 11, 12, 12, 13, 14, 14]),  # 7.5 batches are the last half of the cycle
        (5, 3, [10, 12, 14]),
        (3, 2, [10, 13]),
        (20, 10, np.repeat([10, 11, 12, 13, 14], 2)),
        (1, 1, [10]),
    ],
)
def test_a_last_epoch_that_is_cut_short_is_cut_at_the_cycles_end(learner, length, n, rows):
    learn = learner(10)
    learn.fit(1e-2, 1, cycle_len=1.5, use_clr=(10, 4), cbs=loaders_of(None, length))
    expected = CircularLR(10, 4).at(np.array([*range(10), *rows]), Cycles(1, 15))[0] * 1e-2
    np.testing.assert_array_equal(learn.sched.lrs, expected)
    assert learn.sched.cycle_ends == [10 + n] and len(learn.sched.val_losses) == 2


class Yields(DataLoader):
    """Says one length and yields another."""

    says = 10

    def __len__(self):
        return self.says


@pytest.mark.parametrize("n_epoch, ends", [(1, [10]), (2, [10, 22])])
def test_a_loader_that_yields_more_than_its_length_stays_at_its_epochs_end(learner, n_epoch, ends):
    learn = learner(12)
    learn.dls.loaders[0] = Yields(learn.dls.train.dataset, bs=4)
    learn.fit(1e-2, n_epoch, cycle_len=1, use_clr=(10, 4))
    rows = np.concatenate([[*range(10), 9, 9] + np.array(10 * epoch) for epoch in range(n_epoch)])
    np.testing.assert_array_equal(learn.sched.lrs, CircularLR(10, 4).at(rows, Cycles(n_epoch, 10))[0] * 1e-2)
    assert learn.sched.cycle_ends == ends


def test_a_fit_that_is_cancelled_in_its_very_last_batch_has_ended_its_cycles(learner):
    class Cancel(Callback):
        order, run_valid = 70, False

        def after_batch(self):
            if (self.epoch, self.iter) == (1, 9):
                raise CancelFitException

    learn = learner(10)
    learn.fit(1e-2, 2, cycle_len=1, use_clr=(10, 4), cbs=Cancel())
    assert learn.sched.cycle_ends == [10, 20]


def test_cancelled_steps_and_short_epochs_do_not_shift_the_schedule(learner):
    from fastai.callback.training import GradientAccumulation, ShortEpochCallback

    learn, probe = learner(10), Probe()
    learn.fit(1e-2, 1, cycle_len=2, use_clr=(10, 4), cbs=[GradientAccumulation(12), ShortEpochCallback(0.5), probe])
    steps = np.r_[0:5, 10:15]  # ShortEpochCallback ends each epoch in its 6th batch, before anything records it
    expected = CircularLR(10, 4).at(steps, Cycles(1, 20))[0] * 1e-2
    np.testing.assert_array_equal(learn.sched.lrs, expected)


def test_it_says_its_schedule_and_what_differs_from_the_defaults():
    assert repr(CLRCallback(CircularLR(32, 5))) == "CLRCallback(CircularLR(div=32, cut_div=5))"
    callback = CLRCallback(CosAnneal(), 2, cycle_len=1.5, best_save_name="best")
    assert repr(callback) == "CLRCallback(CosAnneal(), n_cycles=2, cycle_len=1.5, best_save_name='best')"
    assert str(callback) == f"{callback}" == "CLRCallback"  # a key in fastai's log of an experiment


def test_an_experiment_log_gets_its_numbers_as_plain_values():
    values = CLRCallback(CircularLR(32, 5), 2).__stored_args__
    assert values == dict(
        schedule=CircularLR(32, 5).to_dict(), n_cycles=2, cycle_len=None, cycle_mult=1, cycle_save_name=None,
        best_save_name=None,
    )  # fmt: skip
    assert json.loads(json.dumps(values)) == values


def test_a_subclass_may_store_arguments_of_its_own():
    class Mine(CLRCallback):
        def __init__(self, schedule, mine=1):
            store_attr("mine")
            super().__init__(schedule)

    values = Mine(CircularLR(32, 5), 3).__stored_args__
    assert values["schedule"] == CircularLR(32, 5).to_dict() and values.get("mine", 3) == 3


def test_a_schedule_that_is_no_dataclass_can_be_shown():
    class Half(Schedule):
        def factor(self, i, cycle):
            return 0.5

    assert repr(CLRCallback(Half())) == "CLRCallback(Half())" and Half().to_dict() == {"schedule": "Half"}

"""`CLRScheduler` in a loop of plain PyTorch, against the fastai path and through everything torch does to schedulers."""

import copy
import io
import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    SequentialLR,
)

from fastai_clr import CircularLR, CircularLRBeta, Cooldown, CosAnneal, Cycles, Schedule
from fastai_clr.lr_scheduler import CLRScheduler
from helpers import DIGITS, OPTIMIZERS, PIXELS, Probe

SCHEDULE = CircularLR(20, 5, 0.95, 0.85)


@pytest.fixture(autouse=True)
def no_accelerator_of_another_test():
    yield
    AcceleratorState._reset_state()
    PartialState._reset_state()


def optimizer(opt_func=Adam, n_groups=2, **kwargs):
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(64, 64) for _ in range(n_groups - 1)], nn.Linear(64, 10))
    rates = [1e-2 / 10**k for k in range(n_groups)]
    if isinstance(opt_func, partial) and opt_func.keywords.get("tensor_lr"):
        opt_func, rates = partial(opt_func.func, foreach=False), list(map(torch.tensor, rates))
    groups = [{"params": layer.parameters(), "lr": lr} for layer, lr in zip(model, rates)]
    opt = opt_func(groups, lr=1e-2, **kwargs)
    opt.model = model
    return opt


def momentum_of(group):
    return group["betas"][0] if "betas" in group else group["momentum"]


def train(opt, scheduler, n):
    """Real batches of digits; what the optimizer held in each."""
    held = []
    for i in range(n):
        opt.zero_grad()
        nn.functional.cross_entropy(opt.model(PIXELS[i * 8 : i * 8 + 8]), DIGITS[i * 8 : i * 8 + 8]).backward()
        held.append([(float(group["lr"]), momentum_of(group)) for group in opt.param_groups])
        opt.step()
        scheduler.step()
    return np.array(held)


@pytest.mark.slow
@pytest.mark.parametrize("opt_func", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(
    "schedule, cycles",
    [
        (SCHEDULE, dict(n_cycles=1, cycle_len=3)),
        (CircularLRBeta(10, 10, 0.95, 0.85), dict(n_cycles=2, cycle_len=1, cycle_mult=2)),
        (CosAnneal(), dict(n_cycles=3, cycle_len=0.9)),
        (CircularLR(4, 2, 0.9, 0.8, cycle_gamma=0.5, gamma=0.99), dict(n_cycles=3, cycle_len=1)),
    ],
)
def test_the_same_values_as_in_fastai_batch_for_batch(learner, opt_func, schedule, cycles):
    from fastai_clr.all import CLRCallback

    learn, probe = learner(n_batches=20, n_groups=2, opt_func=opt_func), Probe()
    learn.fit(3, np.array([1e-2, 1e-3]), cbs=[CLRCallback(schedule, **cycles), probe])
    opt = optimizer(partial(SGD, momentum=0.9) if "SGD" in str(opt_func) else AdamW)
    fit = Cycles(**cycles, n_iter=20)
    held = train(opt, CLRScheduler(opt, schedule, fit), fit.n_batches)
    np.testing.assert_array_equal(held[:, :, 0], probe.probed_lrs)
    if schedule.mom_a is not None:
        np.testing.assert_array_equal(held[:, :, 1], probe.probed_moms)


def test_cycles_share_the_batches():
    opt = optimizer()
    held = train(opt, CLRScheduler(opt, SCHEDULE, Cycles.of_batches(30, 2, 2)), 30)
    np.testing.assert_array_equal(held[:, 0, 0], SCHEDULE.at(np.arange(30), Cycles.of_epochs(30, 2, 2))[0] * 1e-2)


def ours(opt):
    return CLRScheduler(opt, SCHEDULE, 20)


ARRANGEMENTS = {  # what steps the optimizer
    "alone": ours,
    "first in a sequence": lambda opt: SequentialLR(opt, [ours(opt), LinearLR(opt, 0.1, total_iters=9)], [20]),
    "last in a sequence": lambda opt: SequentialLR(opt, [LinearLR(opt, 0.1, total_iters=9), ours(opt)], [10]),
    "before a decay": lambda opt: SequentialLR(opt, [ours(opt), ExponentialLR(opt, 0.9)], [20]),
    "chained, first": lambda opt: ChainedScheduler([ours(opt), LinearLR(opt, 0.1, total_iters=9)]),
    "chained, last": lambda opt: ChainedScheduler([ExponentialLR(opt, 0.9), ours(opt)]),
}
SGD_OR_ADAM = {
    "SGD": partial(SGD, momentum=0.9), "Adam": Adam,
    "Adam, rates as tensors": partial(Adam, tensor_lr=True),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "done, order", [(4, "optimizer first"), (13, "scheduler first"), (24, "optimizer first"), (24, "scheduler first")]
)
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("opt_func", SGD_OR_ADAM)
def test_a_run_resumed_from_a_safe_load_is_the_uninterrupted_one(opt_func, arrangement, done, order):
    opt = optimizer(SGD_OR_ADAM[opt_func])
    scheduler = ARRANGEMENTS[arrangement](opt)
    if any(group["lr"] is group["initial_lr"] for group in opt.param_groups):
        pytest.skip("this torch's SequentialLR puts the tensor of the initial rate in the place of the rate")
    train(opt, scheduler, done)
    file = io.BytesIO()
    torch.save([scheduler.state_dict(), opt.state_dict(), opt.model.state_dict()], file)
    rest = train(opt, scheduler, 30 - done)
    file.seek(0)
    scheduler_state, opt_state, model_state = torch.load(file, weights_only=arrangement == "alone")
    resumed = optimizer(SGD_OR_ADAM[opt_func])
    again = ARRANGEMENTS[arrangement](resumed)
    resumed.model.load_state_dict(model_state)
    loads = [lambda: resumed.load_state_dict(opt_state), lambda: again.load_state_dict(scheduler_state)]
    for load in loads if order == "optimizer first" else loads[::-1]:
        load()
    np.testing.assert_array_equal(train(resumed, again, 30 - done), rest)
    for a, b in zip(opt.model.parameters(), resumed.model.parameters()):
        assert torch.equal(a, b)


def test_a_run_resumed_by_accelerate_is_the_uninterrupted_one(tmp_path):
    def start():
        accelerator = Accelerator(cpu=True)
        opt = optimizer()
        scheduler = SequentialLR(opt, [LinearLR(opt, 0.1, total_iters=9), ours(opt)], [10])
        model, prepared, scheduler = accelerator.prepare(opt.model, opt, scheduler)
        prepared.model = model
        return accelerator, prepared, scheduler

    accelerator, opt, scheduler = start()
    train(opt, scheduler, 4)
    accelerator.save_state(tmp_path)
    rest = train(opt, scheduler, 20)
    accelerator, opt, scheduler = start()
    accelerator.load_state(tmp_path)
    np.testing.assert_array_equal(train(opt, scheduler, 20), rest)


def test_loading_leaves_the_optimizer_alone():
    scheduler, opt = ours(optimizer()), optimizer(partial(Adam, tensor_lr=True))
    train(scheduler.optimizer, scheduler, 7)
    fresh = ours(opt)
    tensors, before = [g["lr"] for g in opt.param_groups], [(float(g["lr"]), g["betas"]) for g in opt.param_groups]
    fresh.load_state_dict(scheduler.state_dict())
    assert [g["lr"] is tensor for g, tensor in zip(opt.param_groups, tensors)] == [True, True]
    assert [(float(g["lr"]), g["betas"]) for g in opt.param_groups] == before


def test_the_state_holds_plain_values():
    state = ours(optimizer(partial(Adam, tensor_lr=True))).state_dict()
    assert state.pop("schedule") == SCHEDULE.to_dict()
    for value in state.values():
        assert {type(o) for o in (value if isinstance(value, list) else [value])} <= {int, float}


class Beta1(torch.optim.Optimizer):
    """Groups as torch-optimi's optimizers have them, with `beta1` and `beta2` of their own."""

    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr, beta1=0.9, beta2=0.99))

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data -= group["lr"] * p.grad


def test_beta1_is_momentum_too():
    opt = optimizer(Beta1)
    scheduler, held = ours(opt), []
    for _ in range(20):
        held.append([group["beta1"] for group in opt.param_groups])
        opt._opt_called = True
        scheduler.step()
    momentums = SCHEDULE.at(np.arange(20), Cycles.of_batches(20))[1]
    np.testing.assert_array_equal(held, np.stack([momentums] * 2, axis=1))


def test_the_state_of_other_parameter_groups_is_refused():
    scheduler, state = CLRScheduler(optimizer(), SCHEDULE, 30), CLRScheduler(optimizer(), SCHEDULE, 30).state_dict()
    state["base_lrs"] = state["base_lrs"][:1]
    with pytest.raises(ValueError, match="state_dict should be that of 2 parameter groups, but given one of 1"):
        scheduler.load_state_dict(state)


def test_past_the_end_it_keeps_the_last_rate():
    opt = optimizer()
    with pytest.warns(UserWarning, match="30 batches"):
        held = train(opt, CLRScheduler(opt, SCHEDULE, 30), 80)
    assert (held[29:] == held[29]).all() and held[29, 0, 0] < held[28, 0, 0]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_a_copy_goes_on_as_the_original_does(again):
    opt = optimizer()
    scheduler = CLRScheduler(opt, SCHEDULE, 30)
    train(opt, scheduler, 7)
    other = again(scheduler)
    other.optimizer.model = copy.deepcopy(opt.model)
    assert other.optimizer is not opt and other.state_dict() == scheduler.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch does not see the step of a copied optimizer
        np.testing.assert_array_equal(train(other.optimizer, other, 23), train(opt, scheduler, 23))


def test_after_a_warm_up_in_a_sequence():
    opt = optimizer()
    warm_up, ours = LinearLR(opt, 0.1, total_iters=5), CLRScheduler(opt, SCHEDULE, 30)
    held = train(opt, SequentialLR(opt, [warm_up, ours], milestones=[5]), 40)
    plain = optimizer()
    np.testing.assert_array_equal(held[5:35], train(plain, CLRScheduler(plain, SCHEDULE, 30), 30))
    np.testing.assert_allclose(held[:5, 0, 0], [0.001, 0.0028, 0.0046, 0.0064, 0.0082])


def test_before_another_one_in_a_sequence():
    opt = optimizer()
    ours, constant = CLRScheduler(opt, SCHEDULE, 30), ConstantLR(opt, 0.5, 100)
    held = train(opt, SequentialLR(opt, [ours, constant], milestones=[30]), 40)
    np.testing.assert_array_equal(held[:30, 0, 0], SCHEDULE.at(np.arange(30), Cycles(1, 30))[0] * 1e-2)
    np.testing.assert_array_equal(held[30:, 0, 0], 0.5e-2)


def test_chained_with_a_constant_one():
    opt = optimizer()
    held = train(opt, ChainedScheduler([CLRScheduler(opt, SCHEDULE, 30), ConstantLR(opt, 1, 1)]), 30)
    np.testing.assert_array_equal(held[:, 0, 0], SCHEDULE.at(np.arange(30), Cycles(1, 30))[0] * 1e-2)


def test_momentum_is_left_alone_where_the_schedule_does_not_cycle_it():
    opt = optimizer(betas=(0.8, 0.99))
    assert (train(opt, CLRScheduler(opt, CircularLR(20, 5), 30), 30)[:, :, 1] == 0.8).all()


@pytest.mark.parametrize(
    "opt_func, arguments, error, match",
    [
        (Adam, ("one_cycle", 30), TypeError, "schedule should be a schedule such as CircularLR"),
        (Adam, (SCHEDULE, 0), ValueError, "cycles should be at least 1, but given 0"),
        (Adam, (SCHEDULE, 30.5), TypeError, "cycles should be an integer"),
        (SGD, (SCHEDULE, 30), ValueError, "has none to cycle"),
        (partial(RMSprop, momentum=0), (SCHEDULE, 30), ValueError, "has none to cycle"),
    ],
)
def test_bad_arguments(opt_func, arguments, error, match):
    opt = optimizer(opt_func)
    before = [{k: v for k, v in group.items() if k != "params"} for group in opt.param_groups]
    with pytest.raises(error, match=match):
        CLRScheduler(opt, *arguments)
    assert [{k: v for k, v in group.items() if k != "params"} for group in opt.param_groups] == before


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(TypeError, match="optimizer should be a torch.optim.Optimizer, but given"):
        CLRScheduler(nn.Linear(1, 1), SCHEDULE, 30)


def test_momentum_of_0_is_left_alone_where_there_is_another_one():
    opt = optimizer(Beta1)
    for group in opt.param_groups:
        group["momentum"] = 0
    ours(opt)
    assert [(group["momentum"], group["beta1"]) for group in opt.param_groups] == [(0, 0.95)] * 2


def test_the_state_of_something_else_is_named():
    with pytest.raises(
        ValueError, match="state_dict should come from a CLRScheduler, but given one without 'last_epoch'"
    ):
        ours(optimizer()).load_state_dict({})


def test_the_state_of_a_schedule_that_there_is_not_is_shown():
    scheduler = ours(optimizer())
    state = scheduler.state_dict()
    state["schedule"] = {"name": "TwoLR", "div": 3}
    with pytest.raises(ValueError, match="TwoLR.* 3"):
        scheduler.load_state_dict(state)


# -- momentum that reaches 0 -----------------------------------------------------------------------------------------------

TO_ZERO = CircularLR(10, 5, 0.9, 0.0)


def sgd(**kwargs):
    return optimizer(partial(SGD, momentum=0.9), **kwargs)


@pytest.mark.parametrize("opt_func", [partial(SGD, momentum=0.9), Adam, Beta1, partial(RMSprop, momentum=0.9)])
def test_momentum_that_reaches_0_rises_again(opt_func):
    opt = optimizer(opt_func)
    key = next(o for o in ("betas", "momentum", "beta1") if opt.param_groups[0].get(o))
    keys, scheduler, held = set(opt.param_groups[0]), CLRScheduler(opt, TO_ZERO, 10), []
    for _ in range(10):
        held.append([np.ravel(group[key])[0] for group in opt.param_groups])
        opt._opt_called = True
        scheduler.step()
    np.testing.assert_array_equal(held, np.stack([TO_ZERO.at(np.arange(10), Cycles(1, 10))[1]] * 2, axis=1))
    assert set(opt.param_groups[0]) == keys | {"initial_lr"}


def test_a_run_resumed_where_momentum_is_0_goes_on():
    opt = sgd()
    scheduler = CLRScheduler(opt, TO_ZERO, 10)
    train(opt, scheduler, 2)
    assert opt.param_groups[0]["momentum"] == 0
    state, opt_state, model = (
        scheduler.state_dict(),
        copy.deepcopy(opt.state_dict()),
        copy.deepcopy(opt.model.state_dict()),
    )
    rest = train(opt, scheduler, 8)
    resumed = sgd()
    resumed.model.load_state_dict(model)
    resumed.load_state_dict(opt_state)
    again = CLRScheduler(resumed, TO_ZERO, 10)
    again.load_state_dict(state)
    resumed.load_state_dict(opt_state)
    np.testing.assert_array_equal(train(resumed, again, 8), rest)


# -- where the peaks come from ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lr, peaks", [(0.05, [0.05, 0.05]), ([0.05, 0.5], [0.05, 0.5]), (np.array([0.05, 0.5]), [0.05, 0.5])]
)
@pytest.mark.parametrize("opt_func", SGD_OR_ADAM)
def test_lr_sets_the_peaks_after_another_scheduler(opt_func, lr, peaks):
    opt = optimizer(SGD_OR_ADAM[opt_func])
    ExponentialLR(opt, 0.9)  # an earlier phase, which leaves `initial_lr` behind
    for group in opt.param_groups:
        group["lr"] = group["lr"] * 0 + 1e-7  # a range test, say
    held = train(opt, CLRScheduler(opt, SCHEDULE, 20, lr), 20)
    factors = SCHEDULE.at(np.arange(20), Cycles(1, 20))[0]
    np.testing.assert_allclose(held[:, :, 0], factors[:, None] * peaks, rtol=1e-6)  # a rate that is a tensor is float32
    assert [float(group["initial_lr"]) for group in opt.param_groups] == pytest.approx(peaks)


def test_a_cooldown_continues_the_rates_that_another_scheduler_has_left():
    opt = optimizer(SGD, momentum=0.9)
    train(opt, ExponentialLR(opt, 0.9), 3)
    rates = [group["lr"] for group in opt.param_groups]
    held = train(opt, CLRScheduler(opt, Cooldown(10), 4, lr=rates), 4)
    falling = np.linspace(1, 0.1, 5)[1:, None]  # one step below the rate held, to a tenth
    np.testing.assert_allclose(held[:, :, 0], falling * [0.729e-2, 0.729e-3], rtol=1e-12)


def test_without_lr_the_peaks_are_the_initial_rates_where_there_are_any():
    opt = optimizer()
    opt.param_groups[0]["initial_lr"] = 0.5
    assert CLRScheduler(opt, CircularLR(10, 1), 20).base_lrs == [0.5, 1e-3]


def test_with_lr_it_may_start_in_the_middle():
    opt = optimizer()
    CLRScheduler(opt, SCHEDULE, 20, lr=0.1, last_epoch=6)
    assert opt.param_groups[0]["lr"] == SCHEDULE.at(7, Cycles(1, 20))[0] * 0.1


def test_a_group_at_rate_0_stands_still():
    opt = optimizer()
    opt.param_groups[0]["lr"] = 0.0
    assert (train(opt, CLRScheduler(opt, SCHEDULE, 20), 20)[:, 0, 0] == 0).all()
    assert (train(opt := optimizer(), CLRScheduler(opt, SCHEDULE, 20, [0.1, 0]), 20)[:, 1, 0] == 0).all()


@pytest.mark.parametrize(
    "lr, error, match",
    [
        (-1, ValueError, "lr should be greater than 0, but given -1"),
        (0, ValueError, "lr should be greater than 0, but given 0"),
        ([0.1, -1], ValueError, "lr should be at least 0, but given -1"),
        ([0, 0], ValueError, r"lr should have at least 1 value that is greater than 0, but given \[0, 0\]"),
        (float("nan"), ValueError, "lr should be finite"),
        ("0.1", TypeError, "lr should be a number"),
        ([], ValueError, "lr should have at least 1 value"),
        ([0.1] * 3, ValueError, "lr should have 1 value or one for each of the 2 parameter groups, but given 3"),
    ],
)
def test_a_bad_lr_is_refused_before_the_optimizer_changes(lr, error, match):
    opt = optimizer()
    before = [{k: v for k, v in group.items() if k != "params"} for group in opt.param_groups]
    with pytest.raises(error, match=match):
        CLRScheduler(opt, SCHEDULE, 20, lr)
    assert [{k: v for k, v in group.items() if k != "params"} for group in opt.param_groups] == before


# -- states of other schedulers --------------------------------------------------------------------------------------------


def state_of_1_0_0(**changes):
    state = CLRScheduler(optimizer(), SCHEDULE, 30).state_dict() | changes
    return {name: state[name] for name in ("last_epoch", "_step_count", "base_lrs", "_last_lr")}


OTHERS = {
    "OneCycleLR": (
        lambda opt: OneCycleLR(opt, 0.1, 30).state_dict(),
        "should come from a CLRScheduler, but given one with",
    ),
    "CosineAnnealingLR": (lambda opt: CosineAnnealingLR(opt, 30).state_dict(), "should come from a CLRScheduler"),
    "ExponentialLR": (lambda opt: ExponentialLR(opt, 0.9).state_dict(), "should come from a CLRScheduler"),
    "LambdaLR": (lambda opt: LambdaLR(opt, float).state_dict(), "should come from a CLRScheduler"),
    "another shape": (
        lambda opt: CLRScheduler(opt, CosAnneal(), 30).state_dict(),
        r"should be that of CircularLR\(div=20.*, but given one of CosAnneal\(\)",
    ),
    "other settings": (
        lambda opt: CLRScheduler(opt, CircularLR(20, 4, 0.95, 0.85), 30).state_dict(),
        "but given one of CircularLR",
    ),
    "before the start": (lambda opt: state_of_1_0_0(last_epoch=-5), "last_epoch should be at least -1, but given -5"),
    "no number": (lambda opt: state_of_1_0_0(base_lrs=[float("nan"), 0.1]), "base_lrs.* should be finite"),
    "a negative rate": (lambda opt: state_of_1_0_0(base_lrs=[-1, 0.1]), "base_lrs.* should be at least 0"),
    "other rates": (
        lambda opt: state_of_1_0_0(_last_lr=[0.1]),
        "state_dict should be that of 2 parameter groups, but given one of 1",
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_the_state_of_another_scheduler_is_refused_and_nothing_changes(other):
    make, match = OTHERS[other]
    scheduler = CLRScheduler(optimizer(), SCHEDULE, 30)
    before = scheduler.state_dict()
    with pytest.raises((TypeError, ValueError), match=match):
        scheduler.load_state_dict(make(optimizer()))
    assert scheduler.state_dict() == before


def test_a_state_of_1_0_0_loads():
    scheduler = CLRScheduler(optimizer(), SCHEDULE, 30)
    scheduler.load_state_dict(state_of_1_0_0(last_epoch=7, _step_count=8))
    assert (scheduler.last_epoch, scheduler._step_count) == (7, 8)


def test_a_run_may_be_resumed_as_a_longer_one():
    longer = CLRScheduler(optimizer(), SCHEDULE, 60)
    longer.load_state_dict(CLRScheduler(optimizer(), SCHEDULE, 30).state_dict())
    assert longer.cycles.n_batches == 60


# -- misuse while it runs --------------------------------------------------------------------------------------------------


def test_a_group_added_later_is_an_error_at_the_next_step_before_anything_changes():
    opt = sgd()
    scheduler = CLRScheduler(opt, SCHEDULE, 30)
    train(opt, scheduler, 3)
    opt.add_param_group({"params": [nn.Parameter(torch.zeros(1))], "lr": 0.5})
    before, state = [(g["lr"], g["momentum"]) for g in opt.param_groups], scheduler.state_dict()
    with pytest.raises(ValueError, match="2 parameter groups.*3 now: make a new CLRScheduler.*last_epoch=3"):
        scheduler.step()
    assert [(g["lr"], g["momentum"]) for g in opt.param_groups] == before and scheduler.state_dict() == state


def test_it_warns_once_when_it_is_stepped_past_its_end():
    opt = optimizer()
    scheduler = CLRScheduler(opt, SCHEDULE, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(opt, scheduler, 30)  # a step after each batch, as it should be
    with pytest.warns(UserWarning, match=r"past its 30 batches.*n_epoch \* len\(loader\)") as caught:
        train(opt, scheduler, 5)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_under_accelerate_which_steps_once_per_process_it_does_not_warn():
    opt = optimizer()
    scheduler = CLRScheduler(opt, SCHEDULE, 30)
    Accelerator(cpu=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(opt, scheduler, 40)


def test_it_says_its_schedule():
    assert (
        repr(CLRScheduler(optimizer(), CircularLR(32, 5), 300))
        == "CLRScheduler(CircularLR(div=32, cut_div=5), 300 batches)"
    )
    several = CLRScheduler(optimizer(), CosAnneal(), Cycles.of_batches(300, n_cycles=3))
    assert repr(several) == "CLRScheduler(CosAnneal(), 300 batches in 3 cycles)"


def test_an_error_in_a_schedule_of_the_users_leaves_the_optimizer_alone():
    class Fails(Schedule):
        def factor(self, i, cycle):
            raise ValueError("in the schedule")

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    before = [dict(o) for o in optimizer.param_groups]
    for arguments in ({}, {"lr": 0.5}, {"lr": 0.5, "last_epoch": 3}):
        with pytest.raises(ValueError, match="in the schedule"):
            CLRScheduler(optimizer, Fails(), 10, **arguments)
    assert optimizer.param_groups == before


@pytest.mark.parametrize("name", ["base_lrs", "_last_lr"])
def test_a_state_whose_rates_are_no_list_is_refused(name):
    scheduler = CLRScheduler(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1), CircularLR(32, 5), 10)
    before = scheduler.state_dict()
    with pytest.raises(TypeError, match=rf"{name}\[0\] should be a number, but given 'x'"):
        scheduler.load_state_dict({**before, name: "x"})
    scheduler.load_state_dict({**before, name: 0.1})
    assert scheduler.state_dict()[name] == [0.1]

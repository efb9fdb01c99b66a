"""Every input: what is right trains as previewed, what is wrong is named."""

import tempfile
from fractions import Fraction
from functools import cache, partial
from math import cos, floor, pi

import numpy as np
import pytest
import torch
from fastai.metrics import accuracy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastai_clr.all import (
    CircularLR,
    CircularLRBeta,
    CLRCallback,
    Constant,
    Cooldown,
    CosAnneal,
    Cycles,
    plot_schedules,
)
from fastai_clr.learner.calls.plot_schedule import plan_of, preview
from fastai_clr.lr_scheduler import CLRScheduler
from fastai_clr.schedules import by_name
from helpers import OPTIMIZERS, Probe, make_learner, state_of

# -- what is right: long fits as arrays ----------------------------------------------------------------------------------

numbers = st.one_of(st.integers(1, 100), st.floats(1, 100))
moms = st.one_of(st.tuples(), st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)))
plain = st.one_of(
    st.builds(lambda div, cut_div, moms: CircularLR(div, cut_div, *moms), numbers, numbers, moms),
    st.builds(lambda div, pct, moms: CircularLRBeta(div, pct, *moms), numbers, st.floats(0, 99.9), moms),
    st.just(CosAnneal()),
    st.just(Constant()),
    st.builds(Cooldown, numbers),
)
shaped = st.builds(
    partial(CircularLR, mom_a=0.95, mom_b=0.85), numbers, numbers, cosine=st.booleans(),
    div_final=st.one_of(st.none(), st.floats(1, 1e6)), gamma=st.floats(0.5, 1), cycle_gamma=st.floats(0.1, 1),
)  # fmt: skip
lengths = st.builds(
    Cycles, st.integers(1, 8), st.one_of(st.integers(1, 9), st.floats(0.01, 9)), st.sampled_from([0.5, 1, 1.7, 2]),
    st.one_of(st.integers(1, 60), st.integers(1, 10**5)),
).filter(lambda o: o.n_batches <= 10**6)  # fmt: skip


def factor_of_the_contract(schedule, i, nb, before, first):
    """The table in the docs, one batch at a time in plain Python."""
    if isinstance(schedule, CircularLR):
        cut = nb // schedule.cut_div
        pct = i / cut if cut and i <= cut else 1 - (i - cut) / (nb - cut)
        return (1 + pct * (schedule.div - 1)) / schedule.div
    if isinstance(schedule, CircularLRBeta):
        h = int(nb * (1 - schedule.pct / 100) / 2)
        if i > 2 * h:
            return (1 - 0.99 * (i - 2 * h) / (nb - 2 * h)) / schedule.div
        return (1 + (1 - abs(i - h) / max(h, 1)) * (schedule.div - 1)) / schedule.div
    if isinstance(schedule, CosAnneal):
        return 0.01 if before + i < first / 20 else (cos(pi * i / nb) + 1) / 2
    if isinstance(schedule, Cooldown):
        return 1 - (1 - 1 / schedule.div) * (i + 1) / nb
    return 1


def in_the_table(schedule):
    if isinstance(schedule, CircularLR):
        return schedule == CircularLR(schedule.div, schedule.cut_div, schedule.mom_a, schedule.mom_b)
    return True


@settings(max_examples=60, deadline=None)
@given(st.one_of(plain, shaped), lengths, st.integers(0, 2**32))
def test_any_schedule_over_any_cycles(schedule, cycles, seed):
    lengths = [Fraction(cycles.cycle_len) * Fraction(cycles.cycle_mult) ** k for k in range(cycles.n_cycles)]
    exact = [float(sum(lengths[: k + 1]) * cycles.n_iter + Fraction(1, 2)) for k in range(cycles.n_cycles)]
    ends = []
    for o, end in zip(exact, cycles.ends.tolist()):
        near = abs(o - round(o)) < 1e-6 * max(1, o)  # a float may fall on the other side of a whole number
        ends.append(max((ends or [0])[-1] + 1, end if near and abs(end - o) <= 1 else floor(o)))
    assert cycles.ends.tolist() == ends and cycles.n_batches == ends[-1]

    factors, momentums = schedule.at(np.arange(cycles.n_batches), cycles)
    assert np.isfinite(factors).all() and (factors > 0).all() and (factors <= 1).all()
    if momentums is not None:
        low, high = sorted((schedule.mom_a, schedule.mom_b))
        assert (momentums >= low - 1e-15).all() and (momentums <= high + 1e-15).all()
    if isinstance(schedule, CircularLR) and schedule.cut_div > 1 and schedule.gamma == 1 == schedule.cycle_gamma:
        peaks = np.r_[0, ends[:-1]] + np.diff([0, *ends]) // schedule.cut_div
        assert (factors[peaks.astype(int)] == 1).all()
    if in_the_table(schedule):
        for step in np.random.default_rng(seed).integers(0, cycles.n_batches, 20).tolist():
            k = int(np.searchsorted(ends, step, side="right"))
            before = ends[k - 1] if k else 0
            expected = factor_of_the_contract(schedule, step - before, ends[k] - before, before, ends[0])
            assert factors[step] == pytest.approx(expected, abs=1e-12)


# -- what is right: previewed is trained ---------------------------------------------------------------------------------


@cache
def folder():
    return tempfile.mkdtemp()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    schedule=st.one_of(plain, shaped),
    optimizer=st.sampled_from(list(OPTIMIZERS)),
    n_batches=st.integers(1, 12),
    peaks=st.lists(st.floats(1e-6, 1), min_size=1, max_size=3),
    n_cycles=st.integers(1, 3),
    cycle_len=st.one_of(st.integers(1, 2), st.floats(0.05, 2)),
    cycle_mult=st.sampled_from([0.5, 1, 2]),
    form=st.sampled_from(["0.7", "0.7 by name", "native", "fit_clr"]),
    kind=st.sampled_from([list, tuple, np.array, torch.tensor]),
)
def test_what_is_previewed_is_trained(
    schedule, optimizer, n_batches, peaks, n_cycles, cycle_len, cycle_mult, form, kind
):
    if form == "fit_clr":
        schedule, cycle_mult = CircularLR(32, 5, 0.9, 0.8), 1
    learn, probe = make_learner(folder(), n_batches, len(peaks), OPTIMIZERS[optimizer], n_valid=4, bs=2), Probe()
    whole = max(1, int(cycle_len)) * n_cycles
    if form.startswith("0.7"):
        cycles = Cycles(n_cycles, cycle_len, cycle_mult, n_batches)
    elif n_cycles > whole * n_batches or form == "native" and cycle_mult != 1 and n_batches < 4:
        return  # cycles of less than a batch: refused
    else:
        cycles = Cycles.of_epochs(whole, n_cycles, cycle_mult, n_batches)
    lr = kind(peaks)
    if kind is torch.tensor:
        peaks = lr.tolist()  # in single precision
    lengths = dict(cycle_len=cycle_len, cycle_mult=cycle_mult)
    args, kwargs = {
        "0.7": ((lr, n_cycles), dict(use_clr=schedule, **lengths)),
        "0.7 by name": ((), dict(lrs=lr, n_cycle=n_cycles, use_clr=schedule, **lengths)),
        "native": ((whole, peaks), dict(cbs=[CLRCallback(schedule, n_cycles, cycle_mult=cycle_mult)])),
        "fit_clr": ((whole, lr), dict(div=32, cut_div=5, n_cycles=n_cycles, moms=(0.9, 0.8))),
    }[form]
    planned = preview(plan_of(learn, args, kwargs))
    (learn.fit_clr if form == "fit_clr" else learn.fit)(*args, **{**kwargs, "cbs": [*kwargs.get("cbs", []), probe]})

    factors, momentums = schedule.at(np.arange(cycles.n_batches), cycles)
    np.testing.assert_array_equal(probe.probed_lrs, factors[:, None] * peaks)
    np.testing.assert_array_equal(planned.all_lrs, probe.probed_lrs)
    np.testing.assert_array_equal(learn.sched.all_lrs, probe.probed_lrs)
    assert learn.sched.cycle_ends == planned.cycle_ends == cycles.ends.tolist()
    if momentums is not None:
        np.testing.assert_array_equal(np.array(probe.probed_moms), np.stack([momentums] * len(peaks), axis=1))
        assert list(planned.momentums) == list(learn.sched.momentums) == momentums.tolist()


# -- what is wrong: each argument meets every kind of wrong value --------------------------------------------------------


class Odd:
    """No number, no list, no callable."""

    def __repr__(self):
        return "Odd()"


WRONG = {
    "None": None, "True": True, "str": "3", "empty str": "", "bytes": b"3", "nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"),
    "negative": -1, "negative float": -0.5, "0": 0, "0.0": 0.0, "np.nan": np.float64("nan"), "np.negative": np.float32(-1), "np.int -1": np.int64(-1),
    "np.bool": np.bool_(True), "np.str": np.str_("3"), "complex": 1j, "huge int": 10**400, "list": [1, "a"], "empty list": [], "nested": [[1]],
    "tuple of nan": (float("nan"),) * 2, "dict": {"a": 1}, "set": {1}, "array": np.array(["a", "b", "c"]), "empty array": np.array([]),
    "tensor": torch.tensor([-1.0, -1.0, -1.0]), "nan tensor": torch.tensor(float("nan")), "bool tensor": torch.tensor(True), "object": Odd(),
    "slice": slice(None), "range": range(0), "function": len, "class": Odd,
}  # fmt: skip
ZEROS, OFF, ON = {"0", "0.0"}, {"None"}, {"True"}
NAMES = OFF | {"str", "np.str"}
EMPTY = OFF | {"empty list", "empty array", "range"}
BELOW = ZEROS | {"negative", "negative float", "np.negative", "np.int -1"}
CALLABLE = {"function", "class"}
NOTHING = set()


def resumable(model):
    return torch.optim.Adam([dict(params=model.parameters(), initial_lr=1e-2)])


TRIANGLE_07 = dict(lrs=1e-2, n_cycle=1, cycle_len=1, use_clr=(10, 5))
ARGUMENTS = {  # what is called, with what, and for each argument the values above that are right for it
    "CircularLR": (lambda o: CircularLR, dict(mom_a=0.9, mom_b=0.8), {
        "div": NOTHING, "cut_div": NOTHING, "mom_a": ZEROS, "mom_b": ZEROS, "cosine": ON, "div_final": OFF, "gamma": NOTHING,
        "cycle_gamma": NOTHING,
    }),
    "CircularLRBeta": (lambda o: CircularLRBeta, {}, {"div": NOTHING, "pct": ZEROS}),
    "CosAnneal": (lambda o: CosAnneal, {}, {"slow_start": ON}),
    "Cycles": (lambda o: Cycles, dict(n_cycles=2), {"n_cycles": NOTHING, "cycle_len": NOTHING, "cycle_mult": NOTHING, "n_iter": NOTHING}),
    "CLRCallback": (lambda o: CLRCallback, dict(schedule=CircularLR(), n_cycles=2), {
        "schedule": NOTHING, "n_cycles": NOTHING, "cycle_len": OFF, "cycle_mult": NOTHING, "cycle_save_name": NAMES, "best_save_name": NAMES,
    }),
    "CLRScheduler": (lambda o: partial(CLRScheduler, resumable(o.model)), dict(schedule=CircularLR(), cycles=30), {
        "schedule": NOTHING, "cycles": NOTHING, "lr": OFF, "last_epoch": {"negative", "np.int -1", "0"},
    }),
    "CLRScheduler()": (lambda o: CLRScheduler, dict(schedule=CircularLR(), cycles=30), {"optimizer": NOTHING}),
    "by_name": (lambda o: by_name, {}, {"name": NOTHING}),
    "plot": (lambda o: CircularLR().plot, dict(n_cycles=2), {"lr": NOTHING, "n_batches": NOTHING, "n_cycles": NOTHING, "cycle_mult": NOTHING, "ax": OFF}),
    "describe": (lambda o: CircularLR().describe, dict(n_cycles=2), {"lr": NOTHING, "n_batches": NOTHING, "n_cycles": NOTHING, "cycle_mult": NOTHING}),
    "plot_schedules": (lambda o: plot_schedules, dict(schedules=["constant"], n_cycles=2), {
        "schedules": NOTHING, "lr": NOTHING, "n_batches": NOTHING, "n_cycles": NOTHING, "cycle_mult": NOTHING, "ax": OFF,
    }),
    "fit": (lambda o: o.fit, TRIANGLE_07, {
        "lrs": NOTHING, "n_cycle": NOTHING, "cycle_mult": NOTHING, "use_clr": OFF, "wds": OFF | ZEROS, "clip": OFF | ZEROS,
        "metrics": EMPTY | CALLABLE, "callbacks": EMPTY, "cycle_save_name": NAMES, "best_save_name": NAMES, "use_wd_sched": OFF | ON,
        "reset_opt": ON, "start_epoch": {"0"},
    }),
    "fit, cosine": (lambda o: o.fit, dict(lrs=1e-2, n_cycle=1), {"cycle_len": OFF}),
    "fit, 1cycle": (lambda o: o.fit, dict(lrs=1e-2, n_cycle=1, cycle_len=1), {"use_clr_beta": OFF}),
    "fit_clr": (lambda o: o.fit_clr, dict(n_epoch=1, lr=1e-2), {
        "n_epoch": NOTHING, "lr": OFF, "div": OFF, "cut_div": OFF, "n_cycles": NOTHING, "moms": OFF, "wd": OFF | ZEROS, "cbs": EMPTY,
        "reset_opt": ON, "start_epoch": {"0"},
    }),
    "plot_schedule": (lambda o: o.plot_schedule, TRIANGLE_07, {"lrs": NOTHING, "n_cycle": NOTHING, "cycle_mult": NOTHING, "use_clr": OFF, "ax": OFF}),
    "suggest_clr": (lambda o: o.suggest_clr, dict(n_epoch=1, lr=1e-2), {
        "n_epoch": NOTHING, "lr": OFF, "n_cycles": NOTHING, "budget": OFF, "seed": {"0"},
    }),
    "suggest_clr, minutes": (lambda o: o.suggest_clr, dict(minutes=0.05), {"minutes": NOTHING}),
    "compare_schedules": (lambda o: o.compare_schedules, dict(n_epoch=1, lr=1e-2, schedules=["constant"], seeds=1), {
        "n_epoch": NOTHING, "lr": OFF, "schedules": NOTHING, "seeds": NOTHING, "baseline": OFF, "target": OFF | BELOW, "wd": OFF | ZEROS,
        "cbs": EMPTY, "init": OFF | CALLABLE,
    }),
    "compare_schedules, grid": (lambda o: o.compare_schedules, dict(n_epoch=1, schedules=["constant"], seeds=1, lr_grid=[1e-3, 1e-2], grid_seeds=1), {
        "lr_grid": OFF, "grid_seeds": NOTHING,
    }),
}  # fmt: skip
ALSO_NAMED = {  # a number in it, or 0.7's name
    "use_clr": ("div", "cut_div"), "use_clr_beta": ("div", "pct"), "moms": ("mom_a", "mom_b"), "cbs": ("callbacks",),
    "schedules": ("a schedule by name",),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("called, name", [(called, name) for called in ARGUMENTS for name in ARGUMENTS[called][2]])
def test_each_argument_meets_every_kind_of_wrong_value(learner, called, name):
    learn = learner(4, 3, metrics=[accuracy])
    learn.fit(1e-3, 1, cycle_len=1, use_clr=(10, 5))
    function, others, names = ARGUMENTS[called]
    for kind, value in WRONG.items():
        if kind in names[name]:
            if kind not in CALLABLE:  # they may be called, and would fail there
                function(learn)(**{**others, name: value})
            continue
        before = state_of(learn)
        with pytest.raises((TypeError, ValueError)) as raised:
            function(learn)(**{**others, name: value})
        message = str(raised.value)
        assert any(o in message for o in (name, *ALSO_NAMED.get(name, ()))), message
        assert "\n" not in message and len(raised.value.args) == 1
        assert state_of(learn) == before, kind

"""Calls of `fit` in 0.7's style: recognise them, and translate them to a schedule and plain values."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from ...schedules.checks import PerGroup, as_list, check_bool, check_number, is_several
from ...schedules.schedule import Schedule
from ...schedules.shapes import CircularLR, CircularLRBeta, Constant, CosAnneal
from ..fastai2 import is_callback
from ..loop.callback import CLRCallback
from ..loop.loaders import batches_per_epoch
from . import gone07
from .arguments import Callbacks, Metrics, Rates, as_callbacks, as_metrics, clipping
from .plan import FitPlan


def declare(
    *,
    lrs: "Rates | None" = None,
    n_cycle: int | None = None,
    cycle_len: float | None = None,
    cycle_mult: float = 1,
    use_clr: "Sequence[float] | Schedule | None" = None,
    use_clr_beta: "Sequence[float] | None" = None,
    wds: "PerGroup | None" = None,
    metrics: "Metrics | None" = None,
    callbacks: "Callbacks | None" = None,
    clip: float | None = None,
    cycle_save_name: "str | PurePath | None" = None,
    best_save_name: "str | PurePath | None" = None,
    use_wd_sched: bool = False,
) -> None:
    """0.7's arguments that we take and fastai 2 does not, with types and defaults. It is read, never called.

    Types are quoted, here and in other public signatures, since `learn.fit?` shows the module of each name otherwise.
    """


PARAMETERS = inspect.signature(declare).parameters
ARGUMENTS = {name: o.default for name, o in PARAMETERS.items()}
ONLY_FIT_CLR = {"div", "cut_div", "n_cycles", "moms"}
_SHARED = {"cbs": None, "reset_opt": False, "start_epoch": 0}  # fastai 2's arguments that are allowed beside them
_ALIASES = {"lr": "lrs", "n": "n_cycle", "wd": "wds"}
_FASTAI_1_AND_2 = {"lr_max": "lr", "max_lr": "lr", "clr": "use_clr"}  # names in `fit_one_cycle`, and a frequent mistake


def is_07_style(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call is in 0.7's style: it passes an argument that only 0.7 had, or its first one is not an integer."""
    if any(name in ARGUMENTS or name in gone07.REFUSED or name == "n" for name in kwargs):
        return True
    if len(args) == 1 and any(is_callback(cb, "schedule", "ParamScheduler") for cb in as_list(kwargs.get("cbs"))):
        return False  # such as `fit_one_cycle(1e-2, 1)`: fastai raises the error
    return bool(args) and not isinstance(args[0], Integral)


def translate(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a 0.7-style call, by their names in 0.7, and the `schedule` that they ask for.

    Checks everything that needs no Learner. Raises a TypeError or ValueError that says what to type instead.
    """
    given = _by_name(args, kwargs)
    _check_order(given)
    return {
        **given,
        "schedule": _schedule(given),
        "n_cycle": check_number("n_cycle", given["n_cycle"], least=1, integer=True),
        "cycle_len": 1 if given["cycle_len"] is None else check_number("cycle_len", given["cycle_len"], above=0),
        "callbacks": [*as_list(given["callbacks"]), *as_list(given["cbs"])],
    }


def plan_of_07(learn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> FitPlan:
    """The fit that a call in 0.7's style asks for."""
    given = translate(args, kwargs)
    names = "n_cycle", "cycle_len", "cycle_mult", "cycle_save_name", "best_save_name"
    callback = CLRCallback(given["schedule"], *(given[name] for name in names))
    plan = FitPlan(
        learn=learn,
        n_epoch=callback.cycles(batches_per_epoch(learn.dls)).n_epoch,
        lr=given["lrs"],
        wd=given["wds"],
        cbs=[*as_callbacks(given["callbacks"]), *clipping(learn, given["clip"])],
        metrics=None if given["metrics"] is None else as_metrics(given["metrics"]),
        reset_opt=given["reset_opt"],
        start_epoch=given["start_epoch"],
    )
    check_bool("use_wd_sched", given["use_wd_sched"])
    plan.take(callback, lr_name="lrs", wd_name="wds", use_wd_sched=given["use_wd_sched"])
    return plan


def unknown_argument(name: str, others: Iterable[str] = ()) -> TypeError:
    """The error for an argument that `fit` does not have; `others` are fastai 2's arguments."""
    if name in ONLY_FIT_CLR:
        return TypeError(f"{name} is an argument of fit_clr: try learn.fit_clr(n_epoch, lr, {name}=...)")
    return _no_such_argument("fit", name, [*ARGUMENTS, *_SHARED, *_ALIASES, *gone07.REFUSED, *others])


def unknown_argument_of_fit_clr(name: str, value: Any, known: Iterable[str]) -> TypeError:
    """The error for an argument that `fit_clr` does not have."""
    if name in ARGUMENTS:
        return TypeError(
            f"{name} is an argument of 0.7's fit, which fit_clr does not take: try learn.fit(lr, 1, cycle_len=..., "
            f"use_clr=(div, cut_div)) or learn.fit_clr(n_epoch, lr, div=..., cut_div=...) (given {name}={value!r})"
        )
    return _no_such_argument("fit_clr", name, known)


def _no_such_argument(function: str, name: str, known: Iterable[str]) -> TypeError:
    near = [_FASTAI_1_AND_2[name]] if name in _FASTAI_1_AND_2 else get_close_matches(name, known, n=1, cutoff=0.7)
    return TypeError(f"{function} has no argument {name!r}" + (f": did you mean {near[0]}?" if near else ""))


def _by_name(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument by its name in 0.7, with the defaults filled in."""
    if len(args) > 3:
        raise TypeError(
            "a 0.7-style fit takes at most 3 arguments without a name, fit(lrs, n_cycle, cycle_len), but given "
            f"{len(args)}: name the others"
        )
    if len(args) == 1 and isinstance(args[0], Integral) and "lr" in kwargs:  # fastai 2's fit(n_epoch, lr=...)
        args, kwargs = (args[0], kwargs["lr"]), {k: v for k, v in kwargs.items() if k != "lr"}
    third_is_length = len(args) == 3 and isinstance(args[2], Integral) and int(args[2]) >= 1
    by_position = zip(("lrs", "n_cycle", "cycle_len" if third_is_length else "wds"), args)
    given = {}
    for name, value in [*by_position, *((_ALIASES.get(k, k), v) for k, v in kwargs.items())]:
        if name in given:
            raise TypeError(f"{name} should be given once, but given {given[name]!r} and {value!r}")
        given[name] = value
    if "n_epoch" in given:
        raise TypeError(
            "n_epoch does not go with 0.7's arguments: write learn.fit_clr(n_epoch, lr, div=..., cut_div=...) or "
            "learn.fit(lr, n_cycle, cycle_len=..., use_clr=(div, cut_div))"
        )
    defaults = {**ARGUMENTS, **_SHARED}
    for name, value in given.items():
        if name in gone07.REFUSED:
            gone07.check_off(name, value)
        elif name not in defaults:
            raise unknown_argument(name)
    for name in ("lrs", "n_cycle"):
        if given.get(name) is None:
            raise TypeError(f"{name} is missing: write learn.fit(lrs, n_cycle, cycle_len=..., use_clr=(div, cut_div))")
    if given.get("use_wd_sched", False) is None:
        del given["use_wd_sched"]
    return {**defaults, **given}


def _check_order(given: Mapping[str, Any]) -> None:
    """Raise TypeError if rate and number of cycles are swapped, as in fastai 2's order."""
    rate, n = _plain(given["n_cycle"]), _plain(given["lrs"])
    is_rate = isinstance(rate, (slice, list)) or (isinstance(rate, Real) and not _is_whole(rate))
    if not (is_rate and _is_whole(n)):
        return
    n = int(n)
    defaults, clr = {**ARGUMENTS, **_SHARED}, as_list(given["use_clr"])
    others = [
        name for name in given if name not in ("lrs", "n_cycle", "cycle_len") and given[name] is not defaults[name]
    ]
    rest = "".join(f", {name}={given[name]!r}" for name in others)
    if given["cycle_len"] is not None:
        type_this = f"learn.fit({rate!r}, {n!r}, cycle_len={given['cycle_len']!r}{rest})"
    elif not clr and given["use_clr_beta"] is None:
        type_this = f"learn.fit({rate!r}, {n!r}{rest})"
    else:
        type_this = f"learn.fit({rate!r}, 1, cycle_len={n!r}{rest})"
        if len(clr) in (2, 4):
            moms = f", moms={tuple(clr[2:])!r}" if len(clr) == 4 else ""
            type_this = f"learn.fit_clr({n!r}, {rate!r}, div={clr[0]!r}, cut_div={clr[1]!r}{moms}) or {type_this}"
    raise TypeError(
        f"n_cycle should be an integer, but given {rate!r}: in 0.7's order the rate comes first, try {type_this}"
    )


def _plain(o: Any) -> Any:
    """`o` as a user would type it: a list for several values, a number for a tensor or array with one value."""
    return [_plain(item) for item in o] if is_several(o) else o.item() if getattr(o, "ndim", None) == 0 else o


def _is_whole(o: Any) -> bool:
    return isinstance(o, Integral) or (isinstance(o, Real) and float(o).is_integer())


def _schedule(given: Mapping[str, Any]) -> Schedule:
    """The schedule that the arguments ask for."""
    named = {name: given[name] for name in ("use_clr", "use_clr_beta") if given[name] is not None}
    if len(named) == 2:
        raise ValueError(f"use_clr and use_clr_beta should not be given both, but given {named}")
    for name, value in named.items():
        if given["cycle_len"] is None:
            n = given["n_cycle"]
            epochs = n if isinstance(n, Integral) and int(n) > 1 else 3  # such calls mean one cycle
            raise TypeError(
                f"{name} needs cycle_len, the length of the cycle in epochs: try learn.fit({given['lrs']!r}, 1, "
                f"cycle_len={epochs!r}, {name}={value!r})"
            )
        if name == "use_clr" and isinstance(value, Schedule):
            return value
        shape, second = (CircularLR, "cut_div") if name == "use_clr" else (CircularLRBeta, "pct")
        if not is_several(value):
            raise TypeError(f"{name} should be a tuple (div, {second}), but given {value!r}")
        if len(value) not in (2, 4):
            raise ValueError(f"{name} should be (div, {second}) or (div, {second}, mom_a, mom_b), but given {value!r}")
        return shape(*value)
    return Constant() if given["cycle_len"] is None else CosAnneal()

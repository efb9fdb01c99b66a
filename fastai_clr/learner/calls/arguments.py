"""Checks of arguments that need a Learner or fastai's types. None of them changes the Learner."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from fastai.callback.core import Callback, event
from fastai.learner import Metric, mk_metric
from fastai.optimizer import OptimWrapper
from fastcore.foundation import L

from ...report import Suggestion
from ...schedules.checks import PerGroup, as_list, check_number, is_several, rate_of
from ..fastai2 import instance_attribute
from ..loop.selective import SelectiveCallback
from .gone07 import EVENTS
from .short_errors import users_code

Rates: TypeAlias = PerGroup | slice | Suggestion  # peak rates, as `fit` takes them
ACallback: TypeAlias = Callback | type[Callback]
Callbacks: TypeAlias = ACallback | Sequence[ACallback]
Metrics: TypeAlias = Callable[..., Any] | Metric | Sequence[Callable[..., Any] | Metric]


def as_callbacks(cbs: Any) -> list[Any]:
    """Instances of the callbacks; classes are instantiated.

    Raises TypeError for anything that is not a fastai 2 callback, ValueError for one that was for another fit alone.
    """
    cbs = as_list(cbs)
    for cb in cbs:
        if not isinstance(cb, Callback) and not (isinstance(cb, type) and issubclass(cb, Callback)):
            raise TypeError(
                f"callbacks should be fastai 2 callbacks (fastai.callback.core.Callback), but given {cb!r}: "
                "0.7's on_batch_end is after_batch there, on_epoch_end is after_epoch"
            )
        if isinstance(cb, SelectiveCallback) and cb.has_ended:
            raise ValueError(f"{cb!r} was for one fit, it schedules no other: give a new CLRCallback")
    return [cb() if isinstance(cb, type) else cb for cb in cbs]


def check_events(cbs: Iterable[Any]) -> None:
    """Raise TypeError for a callback whose events are all 0.7's: fastai 2 would never call it."""
    for cb in cbs:
        defined = {*dir(type(cb)), *vars(cb)}  # without the Learner's names, which `hasattr` of a `Callback` finds
        old = [name for name in EVENTS if name in defined]
        is_called = any(hasattr(event, name) for name in defined if not name.startswith("_"))
        is_called |= type(cb).__call__ is not Callback.__call__  # it handles the events itself
        if old and not is_called:
            names = ", ".join(f"{EVENTS[name]} for {name}" for name in old)
            raise TypeError(
                f"{cb!r} would never be called, it has events of fastai 0.7: in fastai 2 write {names}, without "
                "arguments, and stop a fit by raising CancelFitException"
            )


def as_metrics(metrics: Any) -> Any:
    """The metrics as a Learner keeps them; raises TypeError for anything that is neither a function nor a Metric."""
    for metric in as_list(metrics):
        if not isinstance(metric, Metric) and not callable(metric):
            raise TypeError(f"metrics should be functions or fastai metrics, but given {metric!r}")
    return L(as_list(metrics)).map(mk_metric)


def check_lr(name: str, lr: Any, n_groups: int) -> Any:
    """Check a learning rate as fastai's `fit` takes it: None, a number, one per parameter group, or a slice.

    Each is above 0; of several, some may be 0: those groups are not trained. Returns plain Python numbers.

    Examples
    --------
    >>> check_lr("lrs", [0, 1e-2], 2), check_lr("lrs", slice(1e-4, 1e-2), 2)
    ([0, 0.01], slice(0.0001, 0.01, None))
    """
    lr = rate_of(lr)
    if isinstance(lr, slice) and lr.step is None:
        start = None if lr.start is None else check_number(f"the start of {name}", lr.start, above=0)
        return slice(start, check_number(f"the stop of {name}", lr.stop, above=0))
    if len(as_list(lr)) < 2:
        return check_per_group(name, lr, n_groups, above=0)
    rates = check_per_group(name, lr, n_groups, least=0)
    if not any(rates):
        raise ValueError(f"{name} should have at least 1 value that is greater than 0, but given {lr!r}")
    return rates


def check_per_group(name: str, value: Any, n_groups: int, **ranges: Any) -> Any:
    """Check a number that is given once, or for each of `n_groups` parameter groups; None is accepted.

    Returns plain Python numbers in the same form. `ranges` is passed on to `check_number`.

    Examples
    --------
    >>> check_per_group("wds", [0, 1e-2], 2, least=0)
    [0, 0.01]
    """
    if value is None:
        return None
    if not is_several(value):
        return check_number(name, value, **ranges)
    if len(value) not in (1, n_groups):
        raise ValueError(
            f"{name} should have 1 value{f' or {n_groups}, one for each parameter group' if n_groups > 1 else ''} (the "
            f"Learner's splitter makes the groups, here {n_groups}), but given {len(value)}: {value!r}"
        )
    return [check_number(f"{name}[{i}]", o, **ranges) for i, o in enumerate(value)]


def makes_optimizer(learn: Any, reset_opt: bool) -> bool:
    """Whether a fit would make a new optimizer."""
    return bool(reset_opt or not learn.opt)


def optimizer_for_fit(learn: Any, reset_opt: bool) -> Any:
    """The optimizer that a fit would use; if the fit would make a new one, a temporary one like it."""
    if not makes_optimizer(learn, reset_opt):
        return learn.opt
    if isinstance(learn.opt_func, OptimWrapper):
        return learn.opt_func
    with users_code():
        return learn.opt_func(learn.splitter(learn.model), lr=default_lr(learn, reset_opt))


def default_lr(learn: Any, reset_opt: bool) -> Any:
    """The peak rate if the call gives none: the `lr` of `opt_func` if the fit makes the optimizer, else `learn.lr`."""
    keywords = getattr(learn.opt_func, "keywords", {}) if makes_optimizer(learn, reset_opt) else {}
    return keywords.get("lr", learn.lr)


def clipping(learn: Any, clip: Any = None) -> list[Callback]:
    """The callback that clips gradients at `clip`, or at a `learn.clip` that the user set; none at 0 or None."""
    clip = instance_attribute(learn, "clip") if clip is None else clip
    if isinstance(clip, Callback):
        return []  # `learn.clip` is a callback of that name
    clip = 0 if clip is None else check_number("clip", clip, least=0)
    if not clip:
        return []
    from fastai.callback.training import GradientClip  # imported only when needed: see `is_callback`

    return [GradientClip(clip)]

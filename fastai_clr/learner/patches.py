"""The methods that we add to fastai's `Learner` and `Recorder`: the table at the end lists them."""

import inspect
from collections.abc import Callable
from functools import update_wrapper
from numbers import Integral
from typing import Any

from fastai.learner import Learner, Recorder
from fastcore.foundation import L

from ..record import Record
from ..report import Comparison, Suggestion
from .calls import gone07
from .calls.attributes07 import ATTRIBUTES
from .calls.fit import fit
from .calls.fit_clr import fit_clr
from .calls.fit_cooldown import fit_cooldown
from .calls.plot_schedule import plot_schedule
from .fastai2 import NATIVE, train_epochs_from
from .loop.callback import CLRCallback
from .loop.ending import fit_end, keep_loaded_end, set_fit_end
from .loop.hypers import group_dicts
from .loop.running import hypers_before_fit, is_in_a_fit
from .loop.selective import SelectiveCallback
from .trials.compare import compare_schedules
from .trials.suggest import suggest_clr


def _do_fit(self: Learner) -> None:
    plans = [cb.plan for cb in self.cbs if isinstance(cb, CLRCallback) and cb.is_planned and not cb.is_paused]
    if plans and plans[-1].start_epoch:
        train_epochs_from(self, plans[-1].start_epoch)
    else:
        NATIVE["_do_fit"](self)


def save(self: Learner, *args: Any, **kwargs: Any) -> Any:
    with hypers_before_fit(self):  # a fit resumed from the file takes its values for the optimizer's own
        return NATIVE["save"](self, *args, **kwargs)


def load(self: Learner, *args: Any, **kwargs: Any) -> Any:
    if self.opt is None:
        self.create_opt()  # as fastai does
    groups = group_dicts(self.opt)
    with hypers_before_fit(self):  # the file holds the optimizer's own values; a running fit keeps those it set
        loaded = NATIVE["load"](self, *args, **kwargs)
    if not is_in_a_fit(self):
        set_fit_end(self, None)
        if group_dicts(self.opt) is not groups:  # the file has an optimizer, with the rates of its last batch
            keep_loaded_end(self)
    return loaded


def export(self: Learner, *args: Any, **kwargs: Any) -> Any:
    # The file should load where fastai_clr is not installed, even if a callback writes it during a fit.
    cbs, opt, end = self.cbs, self.opt, fit_end(self)
    of_ours = Record, SelectiveCallback, Comparison, Suggestion
    ours = {name: o for name, o in vars(self).items() if isinstance(o, of_ours)}
    self.cbs = L(cb for cb in cbs if not isinstance(cb, SelectiveCallback))
    for name in ours:
        del self.__dict__[name]
    try:
        return NATIVE["export"](self, *args, **kwargs)
    finally:
        if is_in_a_fit(self):
            self.opt = opt  # fastai's `export` makes a new one, with the values of this batch
        set_fit_end(self, end)
        self.cbs = cbs
        self.__dict__.update(ours)


def load_cycle(self: Learner, name: str, cycle: int, **kwargs: Any) -> Learner:
    """Load the model that `cycle_save_name` saved at the end of a cycle.

    Parameters
    ----------
    name
        What was given as `cycle_save_name`.
    cycle
        Number of the cycle, from 0.
    **kwargs
        As in `learn.load`.

    Returns
    -------
    The Learner.

    References
    ----------
    fastai 0.7.0, `learn.load_cycle`.

    Examples
    --------
    >>> learn.fit(1e-2, 2, cycle_len=1, cycle_save_name="x")
    >>> learn = learn.load_cycle("x", 0)
    """
    return self.load(f"{name}_cyc_{cycle}", **kwargs)


def getattr_07(self: Learner, name: str) -> Any:
    """Look `name` up as fastai does; the error for a method of 0.7 says what replaces it."""
    # Nothing dearer here: callbacks ask the Learner for the events that they do not have, 25 times per batch.
    if name in gone07.METHODS and not hasattr(self.model, name):
        raise AttributeError(f"learn.{name} was fastai 0.7's: {gone07.METHODS[name]}")
    return NATIVE["__getattr__"](self, name)


def lr_find(self: Learner, *args: Any, **kwargs: Any) -> Any:
    third_is_wds = len(args) > 2 and not isinstance(args[2], Integral)  # in fastai 2 it is a number of batches
    given = [*kwargs, "wds"] if third_is_wds else kwargs
    hints = [f"lr_find has no argument {o}: {hint}" for o, hint in gone07.LR_FIND_ARGUMENTS.items() if o in given]
    if hints:
        raise TypeError("; ".join(hints))
    return NATIVE["lr_find"](self, *args, **kwargs)


def predict(self: Learner, *args: Any, **kwargs: Any) -> Any:
    item = args[0] if args else kwargs.get("item", True)
    if isinstance(item, bool):  # 0.7's `is_test`
        raise TypeError(f"predict takes an item in fastai 2: {gone07.PREDICT}")
    return NATIVE["predict"](self, *args, **kwargs)


class NoFitYet:
    """`learn.sched` before the first fit: an empty record; its plots raise an error."""

    def __get__(self, learn: Any, owner: type) -> Record:
        return Record()


def plot_lr(self: Any, *args: Any, **kwargs: Any) -> Any:
    return self.learn.sched.plot_lr(*args, **kwargs)


PATCHES: dict[type, dict[str, Any]] = {
    Learner: {
        "fit": fit,  # both styles
        "fit_clr": fit_clr,
        "fit_cooldown": fit_cooldown,
        "load_cycle": load_cycle,
        "plot_schedule": plot_schedule,
        "suggest_clr": suggest_clr,
        "compare_schedules": compare_schedules,
        "sched": NoFitYet(),  # a fit sets it on the instance
        "interrupted": None,  # an experiment that is interrupted sets it on the instance
        "_do_fit": _do_fit,  # skips the epochs before `start_epoch`
        "save": save,  # with the optimizer's own hyper-parameters
        "load": load,  # keeps the values that a running fit has set
        "export": export,  # without our objects
        **ATTRIBUTES,  # crit and opt_fn can be read and set; setting reg_fn raises
        "lr_find": lr_find,  # raises for 0.7's arguments
        "predict": predict,  # raises for a call of 0.7
        "__getattr__": getattr_07,  # its error says what replaces a method of 0.7
    },
    Recorder: {"plot_lr": plot_lr},
}


def install() -> None:
    """Put the patches on fastai's classes; a second call changes nothing."""
    if "_before_fastai_clr" in vars(Learner):
        return
    Learner._before_fastai_clr = NATIVE
    for name, native in NATIVE.items():
        if name != "fit":  # `fit` has its own help
            _show_as(PATCHES[Learner][name], native)
    for cls, names in PATCHES.items():
        for name, o in names.items():
            is_anothers = name in ATTRIBUTES and hasattr(cls, name)  # another library has added it
            if not is_anothers and (name != "lr_find" or "lr_find" in NATIVE):
                setattr(cls, name, o)


def _show_as(ours: Any, native: Callable[..., Any]) -> None:
    """Give `ours` the name, help and arguments of another method."""
    update_wrapper(ours, native)
    del ours.__wrapped__  # else `learn.save??` would show fastai's source
    ours.__signature__ = inspect.signature(native)


_show_as(plot_lr, Record.plot_lr)

"""`learn.fit`, called in the style of fastai 0.7 or of fastai 2."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.torch_core import num_distrib

from ...record import Record
from ...schedules.checks import PerGroup, as_list, check_number, rate_of
from ..fastai2 import NATIVE, instance_attribute, is_callback
from ..loop.callback import CLRCallback
from ..loop.ending import fit_end, keep_fit_end
from ..loop.loaders import batches_per_epoch
from ..loop.running import is_in_a_fit, keep_loop, running, say
from ..loop.selective import SelectiveCallback
from ..loop.stopping import StopAtCycleEnd
from . import call07
from .arguments import Callbacks, Rates, as_callbacks
from .plan import FitPlan
from .short_errors import plan_then_run

native_fit: Callable[..., Any] = NATIVE["fit"]


@plan_then_run
def fit(self: Learner, *args: Any, **kwargs: Any) -> Callable[[], None]:
    """Train, called in the style of fastai 0.7 or of fastai 2.

    The rate comes first in fastai 0.7: `learn.fit(lrs, n_cycle, cycle_len=3, use_clr=(32, 5))`. The epochs come first
    in fastai 2: `learn.fit(n_epoch, lr)`. A call is in 0.7's style if it passes an argument that only 0.7 had (`lrs`
    and all below it), or if its first argument is not an integer. After any fit `learn.sched` holds what it did.

    Parameters
    ----------
    n_epoch
        Epochs of the fit, in fastai 2's style.
    lr
        Peak learning rate: a number, one per parameter group, or a slice. None is `learn.lr`. In 0.7's style it stands
        for `lrs`.
    wd
        Weight decay of this fit: a number, or one per parameter group. None is `learn.wd`. In 0.7's style it stands for
        `wds`.
    cbs
        fastai 2 callbacks of this fit, as instances or classes, for example `CLRCallback(CircularLR(32, 5))`.
    reset_opt
        Whether to make a new optimizer.
    start_epoch
        To resume: epochs before it are not trained. In 0.7's style they are left out; in fastai 2's style they fire the
        callbacks' epoch events.
    lrs
        Peak learning rate, in 0.7's style: a number, one per parameter group, or a slice.
    n_cycle
        Number of cycles, at least 1; without `cycle_len` the number of epochs at a constant rate. `n` is another name.
    cycle_len
        Epochs in the first cycle; fractions are allowed. Without `use_clr` the rate falls along half a cosine.
    cycle_mult
        Each cycle is this many times as long as the one before.
    use_clr
        `(div, cut_div)`, a slanted triangle: from lr/div up to lr in 1/cut_div of the cycle, and down in the rest.
        `(div, cut_div, mom_a, mom_b)` moves momentum, too, from mom_a to mom_b and back. Or a schedule, such as
        `CircularLR(25, 4, cosine=True)`.
    use_clr_beta
        `(div, pct)` or `(div, pct, mom_a, mom_b)`, Leslie Smith's 1cycle: up, down, and pct per cent of the cycle below
        lr/div.
    wds
        Weight decay of this fit: a number, or one per parameter group. None is `learn.wd`.
    metrics
        Metrics of this fit, in place of the Learner's.
    callbacks
        More callbacks of this fit; `cbs` and `callbacks` both count.
    clip
        Largest norm of the gradients; 0 is none. None is `learn.clip`, if you have set it.
    cycle_save_name
        Save the model as `<name>_cyc_0`, `<name>_cyc_1`, ... at each cycle's end.
    best_save_name
        Save the model as `<name>` after each epoch with the best first metric so far; without metrics the loss decides.
    use_wd_sched
        Accepted if the optimizer decouples weight decay, where it changes nothing.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, before anything changes.

    References
    ----------
    fastai 0.7.0, `fit`; fastai 2, `Learner.fit`.

    Smith 2015, arXiv 1506.01186; Smith 2018, arXiv 1803.09820; Howard & Ruder 2018, arXiv 1801.06146; Loshchilov &
    Hutter 2016, arXiv 1608.03983.

    Examples
    --------
    >>> learn.fit(1e-2, 1, cycle_len=3, use_clr=(32, 5))
    >>> ax = learn.sched.plot_lr()
    >>> learn.fit(3, 1e-2, cbs=CLRCallback(CircularLR(32, 5)))
    """
    args, kwargs = tuple(map(rate_of, args)), {name: rate_of(o) for name, o in kwargs.items()}
    if call07.is_07_style(args, kwargs):
        plan = call07.plan_of_07(self, args, kwargs)
        return partial(plan.run, partial(_train, self, plan))
    plan = _plan_of_callback(args, kwargs) or _native_plan(self, args, kwargs)
    return partial(_train, self, plan, *args, **kwargs)


def plan_of_native(
    learn: Any,
    n_epoch: int,
    lr: "Rates | None" = None,
    wd: "PerGroup | None" = None,
    cbs: "Callbacks | None" = None,
    reset_opt: bool = False,
    start_epoch: int = 0,
) -> FitPlan:
    """The fit that a call of fastai 2's own `fit` asks for; raises if a `CLRCallback` in it cannot run."""
    n_epoch = check_number("n_epoch", n_epoch, least=1, integer=True)
    start_epoch = check_number("start_epoch", start_epoch, least=0, below=n_epoch, integer=True)
    plan = FitPlan(learn, n_epoch, lr, wd, as_callbacks(cbs), reset_opt=reset_opt, start_epoch=start_epoch)
    for callback in plan.all_cbs():
        if isinstance(callback, CLRCallback):
            plan.make_timetable(callback)
    plan.check_stops()
    return plan


def _signature() -> inspect.Signature:
    """The arguments of both styles, for completion and help."""
    native, typed = inspect.signature(native_fit), inspect.signature(plan_of_native).parameters
    own = [p.replace(annotation=typed[p.name].annotation) if p.name in typed else p for p in native.parameters.values()]
    of_07 = [p for p in call07.PARAMETERS.values() if p.name not in native.parameters]
    return native.replace(parameters=sorted([*own, *of_07], key=lambda p: p.kind), return_annotation=None)


fit.__signature__ = _signature()


def _plan_of_callback(args: Sequence[Any], kwargs: Mapping[str, Any]) -> FitPlan | None:
    """The plan that a callback among the arguments belongs to: `FitPlan.run` has called `fit` with it."""
    cbs = _cbs_among(args, kwargs)
    return next((cb.plan for cb in cbs if isinstance(cb, CLRCallback) and cb.is_planned), None)


def _cbs_among(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Callback]:
    """The callbacks among the arguments of a call."""
    return [cb for o in (*args, *kwargs.values()) for cb in as_list(o) if isinstance(cb, Callback)]


def _native_plan(learn: Learner, args: Sequence[Any], kwargs: Mapping[str, Any]) -> FitPlan | None:
    """The plan of a call of fastai 2's own `fit`; None if no callback of ours takes part."""
    check_native_names(kwargs)
    try:
        given = inspect.signature(native_fit).bind(learn, *args, **kwargs).arguments
    except TypeError:
        return None  # fastai's own `fit` raises the error
    cbs = [*learn.cbs, *as_list(given.get("cbs"))]
    if any(is_callback(cb, "schedule", "LRFinder") for cb in cbs) or "n_epoch" not in given:
        return None
    if not any(isinstance(cb, SelectiveCallback) or cb is StopAtCycleEnd for cb in cbs):
        return None
    known = inspect.signature(plan_of_native).parameters
    return plan_of_native(learn, **{name: value for name, value in given.items() if name in known})


def _train(learn: Learner, plan: FitPlan | None, /, *args: Any, **kwargs: Any) -> None:
    """Call fastai 2's own `fit`. However it ends, undo what the plan changed, and set `learn.sched` to its record."""
    recorder, own_sched = instance_attribute(learn, "recorder"), instance_attribute(learn, "sched")
    lrs, hps = [getattr(recorder, o, None) for o in ("lrs", "hps")]
    outer = [cb for cb in learn.cbs if isinstance(cb, SelectiveCallback)] if is_in_a_fit(learn) else []
    is_lr_find = any(is_callback(cb, "schedule", "LRFinder") for cb in _cbs_among(args, kwargs))
    with _offering_cooldown(learn), running(learn) as fit:
        if outer:
            keep_loop(learn, fit)
        for cb in outer:
            fit.enter_context(cb.paused())
        if plan is not None:
            plan.begin(fit)
        if is_lr_find and learn.opt is not None:
            fit.save_hyper(learn.opt, "lr")  # a later checkpoint holds the rates of the last fit, for `fit_cooldown`
        has_ended = False
        try:
            native_fit(learn, *args, **kwargs)
            has_ended = True
        finally:
            has_recorded = not fit.has_begun and getattr(recorder, "lrs", None) is not lrs
            if has_recorded and not is_lr_find:
                _keep_native_end(learn, recorder)
            if not fit.has_begun and not isinstance(own_sched, Callback):
                if has_recorded:
                    is_new = getattr(recorder, "hps", None) is not hps  # a `ParamScheduler` in this fit has made them
                    learn.sched = Record.of_recorder(recorder, recorder.hps.get("mom", ()) if is_new else ())
                elif has_ended:
                    learn.sched = Record()  # the fit was cancelled before anything was recorded


def _keep_native_end(learn: Any, recorder: Any) -> None:
    """Keep the end of a fit without a schedule of ours, for `fit_cooldown`."""
    kept = vars(recorder)  # an interruption may have left it without some of its lists
    if rates := kept.get("lrs"):
        n_iter = batches_per_epoch(learn.dls)
        if num_distrib() > 1:  # each process has trained a part, and has its whole loader back by now
            n_iter = int(np.diff(kept.get("iters", ()), prepend=0).max(initial=0)) or n_iter
        keep_fit_end(learn, float(max(rates)), len(rates) / n_iter)


@contextmanager
def _offering_cooldown(learn: Any) -> Iterator[None]:
    """Say in a line how to finish a fit that is interrupted inside the block."""
    before = fit_end(learn)
    try:
        yield
    except KeyboardInterrupt:
        end = fit_end(learn)
        if end is not None and end is not before and not is_in_a_fit(learn):
            where = f"in epoch {learn.epoch + 1} of {learn.n_epoch}, at a learning rate of {end['rates'][-1]:.3g}"
            say(learn, f"Interrupted {where}: learn.fit_cooldown() would finish the fit.")
        raise


def check_native_names(names: Iterable[str]) -> None:
    """Raise TypeError for an argument that fastai 2's own `fit` does not have."""
    native = inspect.signature(native_fit).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in native.values())
    for name in names:
        if not open_ended and name not in native:
            raise call07.unknown_argument(name, native)

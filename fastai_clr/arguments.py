"""The arguments of a fit, checked against the learner that they are for; nothing of the learner is changed."""

from fastai.callback.core import Callback
from fastai.learner import Metric, mk_metric
from fastai.optimizer import OptimWrapper, weight_decay
from fastcore.foundation import L
from torch.optim import AdamW

from . import fit07
from .checks import check_number

__all__ = ["as_callbacks", "as_metrics", "decouples_weight_decay", "lr_to_be", "optimizer_to_be", "per_group"]


def as_callbacks(cbs):
    """The callbacks, those given as a class made; TypeError for what is none of fastai 2's."""
    for cb in cbs:
        if not isinstance(cb, Callback) and not (isinstance(cb, type) and issubclass(cb, Callback)):
            raise TypeError(
                f"callbacks should be fastai 2 callbacks (fastai.callback.core.Callback), but given {cb!r}: "
                "0.7's on_batch_end is after_batch there, on_epoch_end is after_epoch"
            )
    return [cb() if isinstance(cb, type) else cb for cb in cbs]


def as_metrics(metrics):
    """The metrics as fastai keeps them; TypeError for what is none."""
    for metric in fit07.as_list(metrics):
        if not isinstance(metric, Metric) and not callable(metric):
            raise TypeError(f"metrics should be functions or fastai metrics, but given {metric!r}")
    return L(fit07.as_list(metrics)).map(mk_metric)


def optimizer_to_be(learn, reset_opt):
    """The optimizer that the fit would use; where it would make one, one like it, to be thrown away."""
    if learn.opt and not reset_opt:
        return learn.opt
    if isinstance(learn.opt_func, OptimWrapper):
        return learn.opt_func
    return learn.opt_func(learn.splitter(learn.model), lr=lr_to_be(learn, reset_opt))


def lr_to_be(learn, reset_opt):
    """The peak rate of a fit that is given none; an optimizer that the fit makes may bring one with it."""
    brought = {} if learn.opt and not reset_opt else getattr(learn.opt_func, "keywords", {})
    return brought.get("lr", learn.lr)


def per_group(argument, n_groups, **ranges):
    """A rate or weight decay for each of `n_groups` parameter groups, as fastai takes it, in plain Python numbers."""
    ((name, value),) = argument.items()
    if value is None:
        return None
    if isinstance(value, slice) and name in ("lr", "lrs") and value.step is None:
        start = None if value.start is None else check_number(f"the start of {name}", value.start, **ranges)
        return slice(start, check_number(f"the stop of {name}", value.stop, **ranges))
    if not fit07.is_several(value):
        return check_number(name, value, **ranges)
    if len(value) not in (1, n_groups):
        raise ValueError(
            f"{name} should have 1 value or one for each of the optimizer's {n_groups} parameter groups (the Learner's "
            f"splitter makes them), but given {len(value)}: {value!r}"
        )
    return [check_number(f"{name}[{i}]", o, **ranges) for i, o in enumerate(value)]


def decouples_weight_decay(opt):
    """Whether the optimizer takes weight decay off the weights instead of adding it to the gradient."""
    if isinstance(opt, OptimWrapper):
        return isinstance(opt.opt, AdamW) or all(g.get("decoupled_weight_decay") for g in opt.opt.param_groups)
    return any(getattr(cb, "func", cb) is weight_decay for cb in opt.cbs)

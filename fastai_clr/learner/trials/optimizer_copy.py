"""The optimizer for a copy of a Learner: like `learn.opt`, without its state."""

import copy
import inspect
from typing import Any

from fastai.optimizer import OptimWrapper

from ..fastai2 import kept_on_clear


class OptimizerCopy:
    """The optimizer with which a copy of `learn` trains as `learn` would.

    The Learner was copied with the `memo`, which knows the copied parameters.
    """

    def __init__(self, learn: Any, memo: dict[int, Any]):
        self._learn, self._copied, self._hypers = learn, None, []
        if learn.opt is not None:
            self._copied = _without_state(learn.opt, memo)
            self._hypers = copy.deepcopy(list(learn.opt.hypers))

    def give_to(self, twin: Any, has_new_parameters: bool) -> None:
        """Set the optimizer of `twin`, the copy of the Learner; `opt_func` makes it if the Learner has none.

        If parameters were added or replaced since the Learner was copied, `opt_func` makes it, too, and it gets the
        hyper-parameters. Raises ValueError if it is then of another kind than `learn.opt`.
        """
        opt, opt_func = self._learn.opt, self._learn.opt_func
        if opt is None:
            twin.create_opt()
        elif self._copied is not None and not has_new_parameters:
            twin.opt = self._copied
            if opt is opt_func:
                twin.opt_func = twin.opt
        else:
            if not isinstance(opt_func, OptimWrapper):  # which has its parameters already
                twin.create_opt()
            if twin.opt is None or _kind(twin.opt) != _kind(opt):
                why = "init replaces parameters" if has_new_parameters else "its class wants more than parameter groups"
                raise ValueError(
                    f"opt_func should make an optimizer like learn.opt, with as many parameter groups, since {why}, "
                    "but it makes another: set learn.opt = None to train with what opt_func makes"
                )
            for name in set(self._hypers[0]) & set(twin.opt.hypers[0]):
                twin.opt.set_hyper(name, [h[name] for h in self._hypers])


def _without_state(opt: Any, memo: dict[int, Any]) -> Any:
    """A copy of `opt` without its state; None for one of torch's kind whose class wants more than parameter groups."""
    memo = {key: o for key, o in memo.items() if key != id(opt)}
    if isinstance(opt, OptimWrapper):
        inner: Any = opt.opt
        known = inspect.signature(type(inner)).parameters
        defaults = {name: o for name, o in inner.defaults.items() if name in known}
        try:  # anew, for a class may make a first state, as Adagrad does
            memo[id(inner)] = type(inner)(copy.deepcopy(inner.param_groups, memo), **defaults)
        except TypeError:
            return None
        return copy.deepcopy(opt, memo)
    # which parameters have weight decay, and which are trained in a frozen group, is kept
    memo |= {id(o): {k: o[k] for k in kept_on_clear(opt) if k in o} for o in opt.state.values()}
    copied = copy.deepcopy(opt, memo)
    copied.clear_state()  # a subclass may keep more, as Lookahead does
    return copied


def _kind(opt: Any) -> Any:
    """What tells a kind of optimizer from another: classes, step functions and the number of parameter groups."""
    steps = [getattr(cb, "func", cb) for cb in vars(opt).get("cbs", ())]
    inner = vars(opt).get("opt")  # of OptimWrapper and Lookahead
    return type(opt), steps, None if inner is None else _kind(inner), len(getattr(opt, "param_lists", ()))

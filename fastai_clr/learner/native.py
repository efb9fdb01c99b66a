"""fastai's own methods of `Learner`, as they were before the patches."""

from collections.abc import Callable
from typing import Any

from fastai.learner import Learner

__all__ = ["NATIVE"]

NATIVE: dict[str, Callable[..., Any]] = getattr(Learner, "_before_fastai_clr", None) or {
    name: getattr(Learner, name)
    for name in ("fit", "_do_fit", "save", "load", "export", "lr_find", "predict", "__getattr__")
    if hasattr(Learner, name)  # `lr_find` comes with fastai.callback.schedule
}  # kept on the class, so that loading this module again does not take our own methods for fastai's

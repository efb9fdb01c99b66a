"""Short tracebacks for wrong arguments: the user's line and the message, without our frames between them."""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar, get_args

P = ParamSpec("P")
R = TypeVar("R")

FULL = "FASTAI_CLR_FULL_TRACEBACK"  # an environment variable; 1 keeps all frames, for a bug report


def plan_then_run(method: Callable[P, Callable[[], R]]) -> Callable[P, R]:
    """Call `method`, which checks its arguments and returns a function; then call this function.

    An error in the arguments shows one frame: Jupyter prints the lines around each, 40 to 60 lines for a check that is
    four calls deep. An error of the returned function, of the user's code, or with a cause keeps all its frames.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            run = method(*args, **kwargs)
        except (TypeError, ValueError) as error:
            if os.environ.get(FULL) == "1" or error.__cause__ is not None or getattr(error, _OF_THE_USER, False):
                raise
            raise error.with_traceback(None)  # without our frames: the message says what to type
        return run()

    shown = inspect.signature(method)  # without `**unknown`, which only takes mistyped names
    named = [o for o in shown.parameters.values() if o.kind is not o.VAR_KEYWORD]
    call.__signature__ = shown.replace(parameters=named, return_annotation=get_args(shown.return_annotation)[-1])
    return call


_OF_THE_USER = "_fastai_clr_users_code"


@contextmanager
def users_code() -> Iterator[None]:
    """Keep the frames of an error in the user's code that a check calls."""
    try:
        yield
    except Exception as error:
        setattr(error, _OF_THE_USER, True)
        raise

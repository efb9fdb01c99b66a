"""A slip in the arguments of a call shows the user's line and the sentence, not our frames between them."""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar, get_args

P = ParamSpec("P")
R = TypeVar("R")

FULL = "FASTAI_CLR_FULL_TRACEBACK"  # set to 1 in the environment, it leaves all frames, for a report


def plan_then_run(method: Callable[P, Callable[[], R]]) -> Callable[P, R]:
    """Let `method` check its arguments and return what is to be done, then do it.

    An error in the arguments comes from one frame: Jupyter shows the lines around each, 40 to 60 of them for a check
    that is four calls deep. An error in what is done, in code of the user's, or with a cause keeps all its frames.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            run = method(*args, **kwargs)
        except (TypeError, ValueError) as error:
            if os.environ.get(FULL) == "1" or error.__cause__ is not None or getattr(error, _OF_THE_USER, False):
                raise
            raise error.with_traceback(None)  # the sentence says what to type
        return run()

    shown = inspect.signature(method)  # what the user gets, and without the keywords that only take slips
    named = [o for o in shown.parameters.values() if o.kind is not o.VAR_KEYWORD]
    call.__signature__ = shown.replace(parameters=named, return_annotation=get_args(shown.return_annotation)[-1])
    return call


_OF_THE_USER = "_fastai_clr_users_code"


@contextmanager
def users_code() -> Iterator[None]:
    """Let an error in code of the user's, which a check calls, keep its frames."""
    try:
        yield
    except Exception as error:
        setattr(error, _OF_THE_USER, True)
        raise

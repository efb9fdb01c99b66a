"""A slip in the arguments of a call shows the user's line and the sentence, not our frames between them."""

import dis
from collections.abc import Callable
from functools import wraps
from traceback import walk_tb
from typing import ParamSpec, TypeVar

__all__ = ["short_errors"]

P = ParamSpec("P")
R = TypeVar("R")
_OURS = {__name__.split(".")[0], "contextlib"}


def short_errors(method: Callable[P, R]) -> Callable[P, R]:
    """Let `method` raise the errors in its arguments from one frame; every other exception keeps all its frames.

    Jupyter shows the lines around each frame, 40 to 60 of them for a check that is four calls deep.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except (TypeError, ValueError) as error:
            if _is_of_the_arguments(error):
                raise error.with_traceback(None)  # the sentence below says what to type
            raise

    return call


def _is_of_the_arguments(error: Exception) -> bool:
    """Whether a `raise` of ours made the error, not from another one, and no code of others has called it.

    What fastai's training calls is so no slip. An error in a user's function, which is the cause of ours, stays whole.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return (
        last is not None
        and error.__cause__ is None
        and dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"
        and all(frame.f_globals.get("__name__", "").split(".")[0] in _OURS for frame in frames)
    )

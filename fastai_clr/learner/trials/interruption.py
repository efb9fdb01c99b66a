"""An interrupted experiment: what has finished stays in `learn.interrupted`, and the interruption goes on."""

from typing import Any, TypeVar

from ..loop.running import say

Result = TypeVar("Result")


def forget_interrupted(learn: Any) -> None:
    """Drop what an earlier experiment left in `learn.interrupted`: another one begins."""
    vars(learn).pop("interrupted", None)


def result_of(learn: Any, result: Result, stop: KeyboardInterrupt | None) -> Result:
    """The result of an experiment; if it was stopped, keep it in `learn.interrupted`, say so and raise `stop`.

    An interruption so stops a notebook's queued cells, as that of a fit does.
    """
    if stop is None:
        return result
    learn.interrupted = result
    say(learn, f"Interrupted: learn.interrupted is the {type(result).__name__} of what has finished.")
    raise stop

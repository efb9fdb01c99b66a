"""An interrupted experiment: what has finished stays in `learn.interrupted`, and the interruption goes on."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..loop.running import say

Result = TypeVar("Result")


def run_experiment(
    learn: Any, train: Callable[[], None], result: Callable[[KeyboardInterrupt | None], Result]
) -> Result:
    """Train, and return the result. An interruption keeps the result of what has finished in `learn.interrupted`.

    Parameters
    ----------
    learn
        The Learner.
    train
        Trains, and keeps what has finished.
    result
        Takes the interruption, None if there was none, and raises it where too little has finished for a result.
    """
    vars(learn).pop("interrupted", None)  # of an earlier experiment
    try:
        train()
    except KeyboardInterrupt as stop:
        learn.interrupted = result(stop)
        say(learn, f"Interrupted: learn.interrupted is the {type(learn.interrupted).__name__} of what has finished.")
        raise  # a notebook's queued cells stop, too
    return result(None)

"""What a running fit has changed of its Learner, undone when the fit ends, however it ends.

fastai skips `after_fit` after an exception, and a callback has no `finally`. So the patched `Learner.fit` opens a
scope, and whoever changes something registers there how to undo it. Scopes are kept beside the Learners, not in them:
a copy, a pickle or an export of a Learner in the middle of a fit holds none.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from fastai.learner import Learner

from .hypers import Loan

__all__ = ["FitScope", "current_scope", "own_hypers", "prepared_fit", "running_fit"]


class FitScope(ExitStack):
    """One fit. `callback(undo, ...)` registers an undoing; they run in reverse order.

    first_epoch: earlier epochs are left out.
    """

    first_epoch: int
    has_begun: bool
    loans: list[Loan]

    def __init__(self, first_epoch: int = 0):
        super().__init__()
        self.first_epoch, self.has_begun, self.loans = first_epoch, False, []

    def borrow(self, opt: Any, name: str) -> Loan:
        """Let the fit change the hyper-parameter `name` of the optimizer; at the end it gets its own values back."""
        loan = Loan(opt, name)
        self.loans.append(loan)
        self.callback(loan.put_back)
        return loan


_scopes: WeakKeyDictionary[Learner, list[FitScope]] = WeakKeyDictionary()  # the outermost fit first


def current_scope(learn: Any) -> FitScope | None:
    """The innermost fit of `learn` that runs, None if none does."""
    scopes = _scopes.get(learn)
    return scopes[-1] if scopes else None


@contextmanager
def prepared_fit(learn: Learner, first_epoch: int = 0) -> Iterator[FitScope]:
    """A scope for the fit that is called inside."""
    scopes = _scopes.setdefault(learn, [])
    with FitScope(first_epoch) as scope:
        scope.enter_context(own_hypers(learn))  # inside another fit: without what that one has set
        scopes.append(scope)
        scope.callback(scopes.remove, scope)
        yield scope


@contextmanager
def running_fit(learn: Learner) -> Iterator[FitScope]:
    """The scope of the fit that begins now: the prepared one, or a new one."""
    scope = current_scope(learn)
    with ExitStack() as stack:
        if scope is None or scope.has_begun:
            scope = stack.enter_context(prepared_fit(learn))
        scope.has_begun = True
        yield scope


@contextmanager
def own_hypers(learn: Learner) -> Iterator[None]:
    """Give the optimizer its own hyper-parameters for a moment, whatever the running fits have set."""
    with ExitStack() as stack:
        for scope in reversed(_scopes.get(learn, [])):
            for loan in reversed(scope.loans):
                stack.enter_context(loan.set_aside())
        yield

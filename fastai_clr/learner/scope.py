"""What a running fit has changed of its Learner, undone when the fit ends, however it ends.

fastai skips `after_fit` after an exception, and a callback has no `finally`. So the patched `Learner.fit` opens a
scope, and whoever changes something registers there how to undo it. Scopes are kept beside the Learners, not in them:
a copy, a pickle or an export of a Learner in the middle of a fit holds none.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from fastai.learner import Learner

from .hypers import Loan, read_hyper, write_hyper

__all__ = ["FitScope", "current_scope", "is_in_a_fit", "keep_loop", "hypers_before_fit", "prepare_scope", "open_scope"]


class FitScope(ExitStack):
    """One fit. `callback(undo, ...)` registers an undoing; they run in reverse order.

    callback: of the plan whose fit it is, if there is one. first_epoch: earlier epochs are left out.
    has_begun: whether the fit itself was called. is_scheduled: whether a schedule of ours runs in it.
    """

    first_epoch: int
    plans_callback: Any
    has_begun: bool
    is_scheduled: bool
    loans: list[Loan]

    def __init__(self, first_epoch: int = 0, plans_callback: Any = None):
        super().__init__()
        self.first_epoch, self.plans_callback = first_epoch, plans_callback
        self.has_begun, self.is_scheduled, self.loans = False, False, []

    def borrow(self, opt: Any, name: str) -> Loan:
        """Let the fit change the hyper-parameter `name` of the optimizer; at the end it gets its own values back."""
        loan = Loan(opt, name)
        self.loans.append(loan)
        self.callback(loan.put_back)
        return loan

    def carry_over(self, old: Any, new: Any) -> dict[str, Loan]:
        """Let a new optimizer go on with what the fit has set in the old one; returns the new loans by name."""
        loans = {}
        for name in [loan.name for loan in self.loans if loan.opt is old]:
            loans[name] = self.borrow(new, name)
            write_hyper(new, name, read_hyper(old, name))
        return loans


_scopes: dict[int, list[FitScope]] = {}  # by the id of a Learner that is in a fit; the outermost fit first


def current_scope(learn: Any) -> FitScope | None:
    """The innermost fit of `learn` that runs, None if none does."""
    scopes = _scopes.get(id(learn))
    return scopes[-1] if scopes else None


def is_in_a_fit(learn: Any) -> bool:
    """Whether a fit of `learn` runs: another one would be inside it."""
    return any(scope.has_begun for scope in _scopes.get(id(learn), ()))


@contextmanager
def prepare_scope(learn: Learner, first_epoch: int = 0, plans_callback: Any = None) -> Iterator[FitScope]:
    """A scope for the fit that is called inside with `plans_callback` among its callbacks."""
    with FitScope(first_epoch, plans_callback) as scope:
        scope.enter_context(hypers_before_fit(learn))  # inside another fit: without what that one has set
        _scopes.setdefault(id(learn), []).append(scope)
        scope.callback(_forget, id(learn), scope)
        yield scope


def _forget(key: int, scope: FitScope) -> None:
    _scopes[key].remove(scope)
    if not _scopes[key]:
        del _scopes[key]


@contextmanager
def open_scope(learn: Learner, cbs: Iterable[Any] = ()) -> Iterator[FitScope]:
    """The scope of the fit that begins now with these callbacks: the prepared one if it is meant, else a new one."""
    scope = current_scope(learn)
    with ExitStack() as stack:
        if scope is None or scope.has_begun or not any(cb is scope.plans_callback for cb in cbs):
            scope = stack.enter_context(prepare_scope(learn))
        scope.has_begun = True
        yield scope


@contextmanager
def hypers_before_fit(learn: Learner) -> Iterator[None]:
    """Give the optimizer its own hyper-parameters for a moment, whatever the running fits have set."""
    with ExitStack() as stack:
        for scope in reversed(_scopes.get(id(learn), [])):
            for loan in reversed(scope.loans):
                stack.enter_context(loan.set_aside())
        yield


_LOOP = "epoch n_epoch n_iter iter dl xb yb pred loss loss_grad training train_iter pct_train".split()


def keep_loop(learn: Any, scope: FitScope) -> None:
    """When the fit of `scope` ends, put back where the loop around it was: fastai keeps that in the Learner."""
    scope.callback(vars(learn).update, {name: vars(learn)[name] for name in _LOOP if name in vars(learn)})
    if learn.opt is not None:
        scope.callback(write_hyper, learn.opt, "lr", read_hyper(learn.opt, "lr"))

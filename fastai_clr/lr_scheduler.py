"""The schedules in plain PyTorch: `CLRScheduler`, stepped once per batch. It imports no fastai."""

import sys
import warnings
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .schedules.checks import PerGroup, as_list, check_number, check_peaks
from .schedules.cycles import Cycles
from .schedules.schedule import Schedule
from .schedules.timetable import Timetable

__all__ = ["CLRScheduler"]

_STATE = {"last_epoch", "_step_count", "base_lrs", "_last_lr"}  # 1.0.0 saved no others


class CLRScheduler(LRScheduler):
    """Set learning rate and momentum of every parameter group of a torch optimizer.

    Call `step()` after each batch. After the last batch the scheduler keeps the last rate, and a further step warns
    once.

    Parameters
    ----------
    optimizer
        A torch optimizer.
    schedule
        Such as `CircularLR(32, 5)`. With mom_a and mom_b it sets `momentum`, `beta1` or the first of the `betas`.
    cycles
        Batches in all, for one cycle; or a `Cycles`, such as `Cycles.of_batches(300, n_cycles=2)` or
        `Cycles(2, cycle_len=1.5, n_iter=len(loader))`.
    lr
        Peak learning rate: a number, or one per parameter group. None takes the `initial_lr` of each group, which an
        earlier scheduler or a loaded state has set, else its `lr`; after another scheduler, give lr.
    last_epoch
        As in torch, but in batches. Leave the default, and resume with `load_state_dict`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, before the optimizer changes.

    Notes
    -----
    The constructor sets rate and momentum of the first batch; the momentum stays even if a `SequentialLR` starts with
    another scheduler. To resume, make optimizer and scheduler with the same arguments and load the `state_dict` of
    both, in any order. Like torch's own schedulers, this one does not change the optimizer when it loads.

    Examples
    --------
    >>> import torch
    >>> optimizer = torch.optim.Adam(torch.nn.Linear(2, 1).parameters(), lr=1e-2)
    >>> scheduler = CLRScheduler(optimizer, CircularLR(32, 5, 0.95, 0.85), 300)
    >>> optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"]
    (0.0003125, (0.95, 0.999))
    """

    schedule: Schedule
    cycles: Cycles

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule,
        cycles: int | Cycles,
        lr: "PerGroup | None" = None,
        *,
        last_epoch: int = -1,
    ):
        if not isinstance(schedule, Schedule):
            raise TypeError(f"schedule should be a schedule such as CircularLR(32, 5), but given {schedule!r}")
        if not isinstance(cycles, Cycles):
            cycles = Cycles.of_batches(check_number("cycles", cycles, least=1, integer=True))
        last_epoch = check_number("last_epoch", last_epoch, least=-1, integer=True)
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer should be a torch.optim.Optimizer, but given {optimizer!r}")
        groups = optimizer.param_groups
        peaks = check_peaks([o.get("initial_lr", o["lr"]) for o in groups] if lr is None else lr)
        if len(peaks) not in (1, len(groups)):
            raise ValueError(
                f"lr should have 1 value or one for each of the {len(groups)} parameter groups, but given {len(peaks)}"
            )
        momentum_keys = [_momentum_key(o, optimizer.defaults) for o in groups] if schedule.cycles_momentum else []
        if not all(momentum_keys):
            raise ValueError(
                f"{schedule!r} cycles momentum, but the optimizer has none to cycle: leave mom_a and mom_b out, or use "
                "one that has, say Adam(...) or SGD(..., momentum=0.9)"
            )
        self.schedule, self.cycles, self._momentum_keys = schedule, cycles, momentum_keys
        self._timetable, self._n_batches, self._has_warned = Timetable(schedule, cycles), cycles.n_batches, False
        self._timetable.row(min(last_epoch + 1, self._n_batches - 1))  # an error in a schedule of the user's comes now
        if lr is not None:
            for group, peak in zip(groups, peaks if len(peaks) > 1 else peaks * len(groups)):
                group["initial_lr"] = peak
        super().__init__(optimizer, last_epoch)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_timetable" not in state:  # a pickle of 1.0.0
            keys = [_momentum_key(o, self.optimizer.defaults) for o in self.optimizer.param_groups]
            self._momentum_keys = keys if self.schedule.cycles_momentum else []
            self._timetable, self._n_batches = Timetable(self.schedule, self.cycles), self.cycles.n_batches
            self._has_warned = False

    def __repr__(self) -> str:
        several = f" in {self.cycles.n_cycles} cycles" if self.cycles.n_cycles > 1 else ""
        return f"{type(self).__name__}({self.schedule!r}, {self._n_batches} batches{several})"

    def step(self, epoch: int | None = None) -> None:
        """Set the rate and the momentum of the next batch.

        Parameters
        ----------
        epoch
            As in torch; only `SequentialLR` gives it.

        Raises
        ------
        ValueError
            If the number of parameter groups has changed.
        """
        n, n_now = len(self.base_lrs), len(self.optimizer.param_groups)
        if n != n_now:
            raise ValueError(
                f"the optimizer should keep its {n} parameter groups, but it has {n_now} now: make a new CLRScheduler "
                f"for it, with lr= and last_epoch={self.last_epoch}"
            )
        super().step(epoch)
        if self.last_epoch > self._n_batches and not self._has_warned and not _is_under_accelerate():
            self._has_warned = True
            warnings.warn(
                f"CLRScheduler was stepped past its {self._n_batches} batches and keeps the last rate: give it all the "
                "batches of the training, n_epoch * len(loader)",
                stacklevel=2,
            )

    def get_lr(self) -> list[Any]:
        """The learning rate of each parameter group in this batch. Sets the momentum, too, like torch's `CyclicLR`.

        Returns
        -------
        One rate per parameter group.
        """
        factor, momentum = self._timetable.row(min(self.last_epoch, self._n_batches - 1))
        for group, key in zip(self.optimizer.param_groups, self._momentum_keys):
            group[key] = (momentum, *group[key][1:]) if key == "betas" else momentum
        return [factor * float(lr) for lr in self.base_lrs]  # float: a rate may be a tensor

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values, which `torch.load(..., weights_only=True)` reads.

        Returns
        -------
        The values by name.
        """
        numbers = {name: getattr(self, name) for name in sorted(_STATE)}
        plain = {k: list(map(float, o)) if isinstance(o, list) else o for k, o in numbers.items()}  # maybe tensors
        return {**plain, "schedule": self.schedule.to_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the state of a scheduler with the same schedule.

        The number of batches may differ, for a longer run: the scheduler continues from the batch in the state, with
        its own cycles.

        Parameters
        ----------
        state_dict
            What `state_dict()` returned.

        Raises
        ------
        TypeError, ValueError
            If the state is that of another scheduler or schedule, or of another number of parameter groups; nothing
            changes.
        """
        if missing := sorted(_STATE - set(state_dict)):
            raise ValueError(f"state_dict should come from a CLRScheduler, but given one without {missing[-1]!r}")
        if unknown := sorted(set(state_dict) - _STATE - {"schedule"}):
            raise ValueError(f"state_dict should come from a CLRScheduler, but given one with {unknown[0]!r}")
        state = {name: state_dict[name] for name in _STATE}
        given, own = state_dict.get("schedule"), self.schedule.to_dict()
        if given is not None and given != own:
            raise ValueError(f"state_dict should be that of {self.schedule!r}, but given one of {_in_words(given)}")
        for name in ("base_lrs", "_last_lr"):
            n, given_rates = len(self.base_lrs), as_list(state[name])
            if len(given_rates) != n:
                raise ValueError(
                    f"state_dict should be that of {n} parameter groups, but given one of {len(given_rates)}"
                )
            state[name] = [check_number(f"{name}[{i}]", o, least=0) for i, o in enumerate(given_rates)]
        for name, least in (("last_epoch", -1), ("_step_count", 0)):  # -1: a `SequentialLR` has not started it yet
            state[name] = check_number(name, state[name], least=least, integer=True)
        self.__dict__.update(state)


def _momentum_key(group: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The key of a parameter group that holds momentum to cycle; empty if there is none.

    A momentum of 0 counts if the optimizer was made with another one: a schedule may have set it to 0.
    """
    return next((o for o in ("betas", "momentum", "beta1") if o in group and (group[o] or defaults.get(o))), "")


def _in_words(values: Any) -> str:
    """The repr of the schedule with these values of `to_dict`; that of the values if they make no schedule."""
    try:
        return repr(Schedule.from_dict(values))
    except (TypeError, ValueError):
        return repr(values)


def _is_under_accelerate() -> bool:
    """Whether accelerate runs the training: it steps a scheduler once per process, and past its end."""
    state = sys.modules.get("accelerate.state")
    return state is not None and state.is_initialized()


class ScheduleReader:
    """What a pickled `CLRScheduler` of 1.0.0 names in a module that is gone; a `Timetable` has taken its place."""

    def __setstate__(self, state: Any) -> None:
        pass


sys.modules["fastai_clr.schedules.reader"] = sys.modules[__name__]

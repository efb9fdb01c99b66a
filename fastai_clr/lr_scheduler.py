"""The schedules in plain PyTorch: `CLRScheduler`, stepped once per batch. It imports no fastai."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .schedules.checks import check_number
from .schedules.cycles import Cycles
from .schedules.schedule import Schedule
from .schedules.timetable import Timetable

__all__ = ["CLRScheduler"]

_STATE = "last_epoch", "_step_count", "base_lrs", "_last_lr"


class CLRScheduler(LRScheduler):
    """Set learning rate and momentum of every parameter group of a torch optimizer, as `schedule` says.

    optimizer: its learning rates are the peaks, one for each parameter group.
    schedule: say `CircularLR(32, 5)`; one with mom_a and mom_b sets `momentum`, `beta1` or the first of Adam's `betas`.
    cycles: batches in all, for one cycle; or a `Cycles`, say `Cycles.of_batches(300, n_cycles=2)` or
    `Cycles(n_cycles=2, cycle_len=1.5, n_iter=len(loader))`.
    last_epoch: as in torch, but it counts batches; leave it, and resume with `load_state_dict`.

    Call `step()` after each batch. After the last batch it keeps the last rate. Momentum is set from the beginning,
    like the rate, even if a `SequentialLR` puts another scheduler first. To resume, make optimizer and scheduler with
    the same arguments and load the `state_dict` of both, in any order; like torch's own schedulers, it leaves the
    optimizer alone when it loads.

    Raises TypeError or ValueError for an argument of the wrong kind or out of range, before the optimizer changes.

    >>> import torch
    >>> optimizer = torch.optim.Adam(torch.nn.Linear(2, 1).parameters(), lr=1e-2)
    >>> scheduler = CLRScheduler(optimizer, CircularLR(32, 5, 0.95, 0.85), 300)
    >>> optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"]
    (0.0003125, (0.95, 0.999))
    """

    schedule: Schedule
    cycles: Cycles

    def __init__(self, optimizer: Optimizer, schedule: Schedule, cycles: int | Cycles, *, last_epoch: int = -1):
        if not isinstance(schedule, Schedule):
            raise TypeError(f"schedule should be a schedule such as CircularLR(32, 5), but given {schedule!r}")
        if not isinstance(cycles, Cycles):
            cycles = Cycles.of_batches(check_number("cycles", cycles, least=1, integer=True))
        last_epoch = check_number("last_epoch", last_epoch, least=-1, integer=True)
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer should be a torch.optim.Optimizer, but given {optimizer!r}")
        groups = optimizer.param_groups
        for group in groups:
            check_number("lr", group.get("initial_lr", group["lr"]), above=0)
        momentum_keys = list(map(_momentum_key, groups)) if schedule.cycles_momentum else []
        if not all(momentum_keys):
            raise ValueError(
                f"{schedule!r} cycles momentum, but the optimizer has none to cycle: leave mom_a and mom_b out, or use "
                "one that has, say Adam(...) or SGD(..., momentum=0.9)"
            )
        self.schedule, self.cycles, self._momentum_keys = schedule, cycles, momentum_keys
        self._timetable, self._last_row = Timetable(schedule, cycles), cycles.n_batches - 1
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The learning rate of each parameter group at this batch. Like torch's `CyclicLR` it sets momentum, too."""
        factor, momentum = self._timetable.row(min(self.last_epoch, self._last_row))
        for group, key in zip(self.optimizer.param_groups, self._momentum_keys):
            group[key] = (momentum, *group[key][1:]) if key == "betas" else momentum
        return [factor * float(lr) for lr in self.base_lrs]  # float: a rate may be a tensor

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, so that `torch.load(..., weights_only=True)` reads them."""
        state = {name: getattr(self, name) for name in _STATE}
        return {
            k: [float(lr) for lr in o] if isinstance(o, list) else o for k, o in state.items()
        }  # a rate may be a tensor

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict()` of a scheduler with the same arguments gave.

        Raises ValueError for the state of another scheduler, or of another number of parameter groups.
        """
        if missing := [name for name in _STATE if name not in state_dict]:
            raise ValueError(f"state_dict should come from a CLRScheduler, but given one without {missing[0]!r}")
        n, given = len(self.base_lrs), len(state_dict["base_lrs"])
        if given != n:
            raise ValueError(f"state_dict should be that of {n} parameter groups, but given one of {given}")
        self.__dict__.update({name: state_dict[name] for name in _STATE})


def _momentum_key(group: dict[str, Any]) -> str:
    """The key of a parameter group that holds momentum to cycle; empty if there is none, or it is 0."""
    return next((key for key in ("betas", "momentum", "beta1") if group.get(key)), "")

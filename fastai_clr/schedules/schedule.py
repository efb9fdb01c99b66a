"""The base class of the schedules: values at any step, a plot, a description in words."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from html import escape
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .. import plot
from ..plot.axes import Axes, GivenAxes
from .checks import PerGroup, check_peaks, set_number
from .cycles import Cycle, Cycles, Numbers
from .describe import describe
from .timetable import Timetable


class Schedule:
    """A learning rate schedule: a pure function of the batch.

    A new shape is a frozen dataclass (`repr=False`) that defines `factor`. A shape that cycles momentum has the fields
    `mom_a` and `mom_b`, defines `height`, too, and calls `check_momentum` in `__post_init__`. Both methods get arrays:
    use `np.where`, not `if`.
    """

    mom_a: float | None = None
    mom_b: float | None = None

    def __repr__(self) -> str:
        values = [(o, getattr(self, o.name)) for o in _settings(self)]
        given = [
            f"{o.name}={value!r}" for o, value in values if value is not None and (not o.kw_only or value != o.default)
        ]
        return f"{type(self).__name__}({', '.join(given)})"

    def factor(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        """The learning rate of a batch, as a share of the peak rate.

        Parameters
        ----------
        i
            The batch within its cycle, from 0: a number or an array.
        cycle
            The cycle; its fields have the shape of `i`.

        Returns
        -------
        One number per step, in the shape of `i`.
        """
        raise NotImplementedError(f"{type(self).__name__} should define factor(i, cycle)")

    def height(self, i: "Numbers", cycle: Cycle) -> "Numbers":
        """The share of `mom_b` in the momentum of a batch: `(1 - height) * mom_a + height * mom_b`.

        Parameters
        ----------
        i
            The batch within its cycle, from 0: a number or an array.
        cycle
            The cycle; its fields have the shape of `i`.

        Returns
        -------
        One number per step, from 0 to 1, in the shape of `i`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} should define height(i, cycle), because it has mom_a and mom_b"
        )

    def corners(self, cycle: Cycle) -> tuple[int, ...]:
        """The batches of a cycle where the slope changes but not its sign; `describe` begins a new phrase there.

        Parameters
        ----------
        cycle
            The cycle.

        Returns
        -------
        Batches within the cycle, from 0.
        """
        return ()

    @overload
    def at(self, step: int, cycles: Cycles) -> tuple[float, float | None]: ...
    @overload
    def at(self, step: NDArray[Any], cycles: Cycles) -> tuple[NDArray[Any], NDArray[Any] | None]: ...
    def at(self, step: "int | NDArray[Any]", cycles: Cycles) -> "tuple[Numbers, Numbers | None]":
        """The factor (share of the peak rate) and the momentum at a step of a fit.

        Parameters
        ----------
        step
            A batch of the fit, from 0. A number gives numbers, an array gives arrays of its shape.
        cycles
            The cycles of the fit, such as `Cycles(n_cycles=1, cycle_len=3, n_iter=100)`.

        Returns
        -------
        The factor, and the momentum or None if the schedule does not cycle it.

        Examples
        --------
        >>> CircularLR(div=10, cut_div=5, mom_a=0.95, mom_b=0.85).at(20, Cycles(cycle_len=100))
        (1.0, 0.85)
        """
        i, cycle = cycles.locate(step)
        factor = _like(step, self.factor(i, cycle))
        if self.mom_a is None or self.mom_b is None:
            return factor, None
        height = self.height(i, cycle)
        return factor, _like(step, (1 - height) * self.mom_a + height * self.mom_b)  # exact at both ends

    def to_dict(self) -> dict[str, Any]:
        """The schedule as plain values, for JSON or the configuration of an experiment log; `from_dict` reads them.

        Returns
        -------
        The settings by name, and the name of the shape under 'schedule'.

        Examples
        --------
        >>> CircularLR(32, 5).to_dict()["div"], CosAnneal().to_dict()
        (32, {'slow_start': True, 'schedule': 'CosAnneal'})
        """
        return {o.name: getattr(self, o.name) for o in _settings(self)} | {"schedule": type(self).__name__}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Schedule":
        """Make a schedule from the values of `to_dict`.

        Parameters
        ----------
        values
            The name of a shape under 'schedule', and its settings by name; missing settings take their defaults. Import
            a shape of your own before the call.

        Returns
        -------
        The schedule.

        Raises
        ------
        TypeError, ValueError
            If the shape or a setting is unknown, or a value is out of range.

        Examples
        --------
        >>> Schedule.from_dict({"schedule": "CircularLR", "div": 32, "cut_div": 5})
        CircularLR(div=32, cut_div=5)
        """
        if not isinstance(values, Mapping):
            raise TypeError(f"values should be a dict as to_dict() gives it, but given {values!r}")
        ours_last = sorted(_shapes(Schedule), key=lambda o: o.__module__.startswith("fastai_clr."))
        shapes, settings = {o.__name__: o for o in ours_last}, dict(values)  # of two with the same name ours is taken
        name = settings.pop("schedule", None)
        if not isinstance(name, str) or name not in shapes:
            raise ValueError(f"'schedule' should be one of {', '.join(sorted(shapes))}, but given {name!r}")
        shape: Any = shapes[name]
        known = [o.name for o in _settings(shape)]
        for setting in settings:
            if setting not in known:
                raise ValueError(f"{name} has no setting {setting!r}: it has {', '.join(known) or 'none'}")
        return shape(**settings)

    @property
    def cycles_momentum(self) -> bool:
        """Whether the schedule sets momentum, too."""
        return self.mom_a is not None

    def check_momentum(self) -> None:
        """Check the fields `mom_a` and `mom_b`: both or neither, at least 0 and less than 1.

        Raises
        ------
        TypeError, ValueError
            If one is missing, of the wrong kind or out of range.
        """
        if (self.mom_a is None) != (self.mom_b is None):
            raise ValueError(
                f"mom_a and mom_b should be given both or neither, but given {self.mom_a!r} and {self.mom_b!r}"
            )
        if self.mom_a is not None:
            set_number(self, "mom_a", least=0, below=1)
            set_number(self, "mom_b", least=0, below=1)

    def plot(
        self,
        lr: "PerGroup" = 1.0,
        n_batches: int = 100,
        n_cycles: int = 1,
        cycle_mult: float = 1,
        *,
        show_moms: bool = True,
        show_text: bool = True,
        ax: "GivenAxes" = None,
        log: bool = False,
    ) -> "Axes":
        """Draw the schedule before any training.

        Parameters
        ----------
        lr
            Peak learning rate: a number, or one per parameter group.
        n_batches
            Batches in all.
        n_cycles
            Cycles that share the batches.
        cycle_mult
            Each cycle is this many times as long as the one before.
        show_moms
            Whether to draw the momentum beside the rate, if the schedule cycles it.
        show_text
            Whether to show the schedule and its numbers in a title.
        ax
            Axes for the rates, or a pair of axes for rates and momentum; None makes a figure.
        log
            Whether to use a logarithmic axis for the rates.

        Returns
        -------
        The matplotlib axes of the learning rate.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or out of range.

        Examples
        --------
        >>> ax = CircularLR(32, 5).plot(lr=1e-2, n_batches=300)
        """
        fit = Timetable(self, Cycles.of_batches(n_batches, n_cycles, cycle_mult), check_peaks(lr))
        momentums, title = fit.momentums if show_moms else None, repr(self) if show_text else None
        return plot.rates(fit.rates.T, momentums, fit.ends, title, ax, log)

    def describe(self, lr: "PerGroup" = 1.0, n_batches: int = 100, n_cycles: int = 1, cycle_mult: float = 1) -> str:
        """Say in words what `plot` draws.

        Parameters
        ----------
        lr
            Peak learning rate: a number, or one per parameter group.
        n_batches
            Batches in all.
        n_cycles
            Cycles that share the batches.
        cycle_mult
            Each cycle is this many times as long as the one before.

        Returns
        -------
        A sentence without its full stop.

        Examples
        --------
        >>> CircularLR(20, 5).describe(lr=0.01, n_batches=300)
        'starts at 0.0005 (0.01/20), rises for 60 batches (1/5 of the cycle) to 0.01, falls for 240 batches to 0.00054'
        """
        fit = Timetable(self, Cycles.of_batches(n_batches, n_cycles, cycle_mult), check_peaks(lr))
        corners = self.corners(fit.cycles.locate(0)[1])
        return describe(fit.rates[:, -1], fit.peaks, fit.momentums, fit.ends, corners)

    def _repr_html_(self) -> str:
        words = escape(f"With a peak of 1, over 100 batches, the learning rate {self.describe()}.")
        return f"<p><code>{escape(repr(self))}</code></p><p>{words}</p>{plot.cell(partial(self.plot, show_text=False))}"


def _settings(shape: Any) -> tuple[Any, ...]:
    """The fields of a schedule or of its class; empty if it is not a dataclass."""
    return fields(shape) if is_dataclass(shape) else ()


def _shapes(cls: type[Schedule]) -> list[type[Schedule]]:
    """All subclasses of `cls`, including those of users."""
    return [shape for o in cls.__subclasses__() for shape in (o, *_shapes(o))]


def _like(step: Any, values: Any) -> Any:
    """`values` as floats in the shape of `step`: an array for an array, a number for a number."""
    full = np.full(np.shape(step), values, float)
    return full if np.ndim(step) else full.item()

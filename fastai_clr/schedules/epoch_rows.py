"""Where the batches of an epoch fall in a timetable."""

from typing import NamedTuple

from .cycles import Cycles


class EpochRows(NamedTuple):
    """The rows of a timetable that the batches of an epoch fall on, spread evenly over them.

    The data loader may have more or fewer batches than the timetable has rows for an epoch.

    Parameters
    ----------
    start, end
        The first row, and the row after the last.
    n_iter
        Rows of a whole epoch; the last epoch may have fewer.
    n_batches
        Batches of the data loader, at least 1.

    Examples
    --------
    >>> rows = EpochRows.of(Cycles(1, 2, n_iter=10), 1, n_batches=5)
    >>> [rows.row(i) for i in range(5)], [rows.done(i) for i in range(5)]
    ([10, 12, 14, 16, 18], [12, 14, 16, 18, 20])
    """

    start: int
    end: int
    n_iter: int
    n_batches: int

    @classmethod
    def of(cls, cycles: Cycles, number: int, n_batches: int) -> "EpochRows":
        """The rows of epoch `number`, from 0, for a data loader with `n_batches` batches."""
        start = number * cycles.n_iter
        return cls(start, min(start + cycles.n_iter, cycles.n_batches), cycles.n_iter, max(n_batches, 1))

    @property
    def n_needed(self) -> int:
        """How many of the batches the rows need."""
        return -(-(self.end - self.start) * self.n_batches // self.n_iter)

    def row(self, i: int) -> int:
        """The row of batch `i` of the epoch, from 0; a batch that the rows do not need keeps the last."""
        row = self.start + i * self.n_iter // self.n_batches
        return row if row < self.end else self.end - 1

    def done(self, i: int) -> int:
        """How many rows of the timetable are done after batch `i`."""
        rows = (i + 1) * self.n_iter // self.n_batches
        return self.start + (rows if rows < self.n_iter else self.n_iter)

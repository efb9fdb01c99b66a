"""Describe a schedule in words, from its values in each batch."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

Values: TypeAlias = Sequence[float] | np.ndarray

MANY = 6  # more numbers than this are given as a range
LARGE = 1000  # a larger ratio of peak to start is left out: nobody chose it, as after `lr_find`


def describe(
    rates: Values,
    peaks: Sequence[float],
    momentums: Values | None,
    cycle_ends: list[int],
    corners: Iterable[int] = (),
    *,
    is_whole: bool = True,
) -> str:
    """Describe the rates and the momentum of a fit: each stretch of the first cycle, then the number of cycles.

    A stretch is a run of batches in which the values rise, fall or stay.

    Parameters
    ----------
    rates
        Learning rate of the last parameter group, one per batch.
    peaks
        Peak rate of each parameter group.
    momentums
        One per batch, or None.
    cycle_ends
        For each cycle, the number of batches trained when it ends.
    corners
        Batches of the first cycle where the slope changes but not its sign.
    is_whole
        Whether the first cycle is complete; each stretch is then also given as a fraction of it.
    """
    length, peak = cycle_ends[0], peaks[-1]
    start = _number(rates[0])
    if 0 < rates[0] < peak * (1 - 1e-9) and (is_whole or peak <= LARGE * rates[0]):
        start += f" ({_number(peak)}/{_number(peak / rates[0], 4)})"
    words = f"starts at {start}, {_course(rates[:length], corners, is_whole)}"
    if momentums is not None:
        words += f"; momentum starts at {_number(momentums[0])}, {_course(momentums[:length], (), is_whole)}"
    if len(cycle_ends) > 1:
        starts = [0, *cycle_ends[:-1]]
        lengths = _several(np.subtract(cycle_ends, starts).tolist(), "batch", "batches")
        highest = _several(np.maximum.reduceat(rates, starts).tolist())
        words += f"; {len(starts)} cycles of {lengths}, with peaks of {highest}"
    if len(peaks) > 1:
        is_one, same = len(peaks) == 2, len(set(peaks)) == 1
        others = "" if same else f" with {'a peak' if is_one else 'peaks'} of {_several(peaks[:-1])}"
        words += f"; the other parameter {'group does' if is_one else 'groups do'} the same{others}"
    return words


def _course(values: Values, corners: Iterable[int], is_whole: bool) -> str:
    """Describe the values of one cycle: a phrase for each stretch."""
    n = len(values)
    turns = _turns(values, {o for o in corners if 0 < o < n - 1})
    stretches: list[tuple[str, int, int, float | None]] = []
    for (a, direction), b in zip(turns, [*(start for start, _ in turns[1:]), n]):
        verb = {1: "rises", -1: "falls", 0: "stays"}[direction]
        if stretches and stretches[-1][0] == "stays" and b == a + 1 < n:  # a single step after a flat stretch
            stretches[-1] = "stays", stretches[-1][1], b, None
            verb = "jumps"
        stretches.append((verb, a, b, values[min(b, n - 1)]))
    if len(stretches) > 2 * MANY:
        return (
            f"goes up and down in {len(stretches)} stretches, between {_number(min(values))} and {_number(max(values))}"
        )
    return ", ".join(_stretch(*o, n if is_whole else None) for o in stretches)


def _turns(values: Values, corners: set[int]) -> list[tuple[int, int]]:
    """First batch and direction (1, -1 or 0) of each stretch. Differences due to rounding count as 0."""
    n, steps, most = len(values), np.diff(values), np.max(np.abs(values))
    directions = np.where(np.abs(steps) > 4 * np.finfo(float).eps * most, np.sign(steps), 0).astype(int)
    starts = sorted({0, *(np.flatnonzero(np.diff(directions)) + 1).tolist(), *corners})
    turns: list[tuple[int, int]] = []
    for a, b in zip(starts, [*starts[1:], n - 1]):
        direction = int(directions[a]) if a < n - 1 else 0
        if abs(values[b] - values[a]) <= 1e-9 * most:
            direction = 0
        is_flat_top = direction == 0 and b == a + 1 < n - 1 and turns and turns[-1][1] != 0
        if is_flat_top or (turns and turns[-1][1] == direction and a not in corners):
            continue  # part of the stretch before
        turns.append((a, direction))
    return turns


def _stretch(verb: str, a: int, b: int, end: float | None, n: int | None) -> str:
    """The phrase for the batches from `a` to `b`, where the value is `end`; None says that the values stay.

    The cycle has `n` batches; None leaves the fraction out.
    """
    part = _part(b - a, n) if n is not None and b < n else ""
    length = "" if verb == "jumps" else f" for {_several([b - a], 'batch', 'batches')}{part}"
    return f"{verb}{length}" + (f" to {_number(end)}" if end is not None and verb != "stays" else "")


def _part(n: int, of: int) -> str:
    """The fraction n/of in words: ' (1/5 of the cycle)' if `n` is `of // 5`, as in `CircularLR`, else in per cent."""
    parts, percent = round(of / n), 100 * n / of
    if n == of // parts:
        return f" (1/{parts} of the cycle)"
    return f" ({percent:.0f}% of the cycle)" if percent >= 1 else f" ({percent:.1g}% of the cycle)"


def _several(numbers: Sequence[float], one: str = "", many: str = "") -> str:
    """The numbers and their unit: one number if all look the same, a range if there are more than MANY."""
    shown = list(dict.fromkeys(map(_number, numbers)))
    if len(shown) == 1:
        values = shown[0]
    elif len(numbers) > MANY:
        values = f"{_number(min(numbers))} to {_number(max(numbers))}"
    else:
        values = f"{', '.join(map(_number, numbers[:-1]))} and {_number(numbers[-1])}"
    unit = one if shown == ["1"] else many
    return f"{values} {unit}".strip() + " each" * (len(shown) == 1 < len(numbers))


def _number(value: float, digits: int = 3) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{digits}g}"

"""A schedule in plain words: numbers in, a sentence out."""

import numpy as np

__all__ = ["in_words"]

MANY = 6  # more numbers than this are given as a range


def in_words(rates, peaks, momentums, cycle_ends, corners=()):
    """What a fit with these rates does, batch by batch, in one sentence about its first cycle and one about the rest.

    rates: of the last parameter group, one a batch. peaks: the rates that the fit was called with, one a group.
    momentums: one a batch, or None.
    cycle_ends: batches, from 1. corners: batches of the first cycle at which one line follows another.
    """
    nb, peak = cycle_ends[0], peaks[-1]
    start = _number(rates[0])
    if rates[0] < peak * (1 - 1e-9):
        start += f" ({_number(peak)}/{_number(peak / rates[0], 4)})"
    words = f"starts at {start}, {_course(rates[:nb], corners)}"
    if momentums is not None:
        words += f"; momentum starts at {_number(momentums[0])}, {_course(momentums[:nb])}"
    if len(cycle_ends) > 1:
        starts = [0, *cycle_ends[:-1]]
        lengths = _several(np.subtract(cycle_ends, starts).tolist(), "batch", "batches")
        highest = _several(np.maximum.reduceat(rates, starts).tolist())
        words += f"; {len(starts)} cycles of {lengths}, with peaks of {highest}"
    if len(peaks) > 1:
        words += f"; the other parameter groups do the same with peaks of {_several(peaks[:-1])}"
    return words


def _course(values, corners=()):
    """How the values of one cycle go on from the first: each stretch in one direction, in batches."""
    nb = len(values)
    direction = np.sign(np.diff(values)).astype(int)
    turns = {0, *(np.flatnonzero(np.diff(direction)) + 1).tolist(), *(o for o in corners if 0 < o < nb - 1)}
    stretches = []
    for a, b in zip(sorted(turns), [*sorted(turns)[1:], nb]):
        verb = {1: "rises", -1: "falls", 0: "stays"}[direction[a] if a < nb - 1 else 0]
        if stretches and stretches[-1][0] == "stays" and b == a + 1 < nb:  # one step between two levels or lines
            stretches[-1] = "stays", stretches[-1][1], b, None
            verb = "jumps"
        stretches.append((verb, a, b, values[min(b, nb - 1)]))
    return ", ".join(_stretch(*o, nb) for o in stretches)


def _stretch(verb, a, b, end, nb):
    length = "" if verb == "jumps" else f" for {_several([b - a], 'batch', 'batches')}{_share(b - a, nb) * (b < nb)}"
    return f"{verb}{length}" + (f" to {_number(end)}" if verb != "stays" else "")


def _share(n, nb):
    """' (1/5 of the cycle)' where that many batches are the nearest to a fifth of it, else per cent."""
    parts = round(nb / n)
    return f" (1/{parts} of the cycle)" if n == nb // parts else f" ({n / nb:.0%} of the cycle)"


def _several(numbers, one="", many=""):
    """The numbers with their unit: once where they are all the same, as a range where they are too many to list."""
    shown = list(dict.fromkeys(map(_number, numbers)))
    if len(shown) == 1:
        values = shown[0]
    elif len(numbers) > MANY:
        values = f"{_number(min(numbers))} to {_number(max(numbers))}"
    else:
        values = f"{', '.join(map(_number, numbers[:-1]))} and {_number(numbers[-1])}"
    unit = one if shown == ["1"] else many
    return f"{values} {unit}".strip() + " each" * (len(shown) == 1 < len(numbers))


def _number(value, digits=3):
    return str(value) if isinstance(value, int) else f"{value:.{digits}g}"

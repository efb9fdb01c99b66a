"""A comparison in sentences: as text for a terminal, with a narrow table for a notebook cell."""

from collections.abc import Sequence
from html import escape
from math import isfinite, isnan

import pandas as pd

from .peaks import highest_rate, peak_in_words
from .run import Peak
from .verdicts import Verdict


def as_text(found: Sequence[Verdict], baseline: str, score: str, grid: Sequence[Peak] = ()) -> str:
    """A headline, a line for each schedule but the baseline, and notes.

    Parameters
    ----------
    found
        A verdict for each schedule, in the order of the lines.
    baseline
        Name of the baseline.
    score
        The loss or metric that decides.
    grid
        The peaks among which each schedule chose; none if they were given, which leaves the peaks out.
    """
    lines = []
    for o in found:
        if o.name != baseline:
            peak = f"peak {peak_in_words(o.peak)}" if grid else ""
            lines.append([o.name, peak, o.difference_in_words or _mean(o), _remark(o, found, o.words)])
    widths = [max(map(len, column)) for column in zip(*lines)]
    aligned = ("  ".join(o.ljust(n) for o, n in zip(line, widths) if n).rstrip() for line in lines)
    headline = _headline(found, baseline, score, grid)
    return "\n".join([headline, *(f"  {line}" for line in aligned), *_notes(found, baseline, grid)])


def as_html(found: Sequence[Verdict], baseline: str, score: str, grid: Sequence[Peak] = ()) -> str:
    """The headline, a table with a row for each schedule, and the notes; the arguments are those of `as_text`."""
    columns: dict[str, list[str]] = {"peak": [peak_in_words(o.peak) for o in found]} if grid else {}
    columns[score] = [_mean(o) for o in found]
    columns["difference"] = [o.difference_in_words for o in found]
    columns[""] = [_remark(o, found, "baseline" if o.name == baseline else o.words) for o in found]
    columns["seconds"] = [f"{o.seconds:.1f}" for o in found]
    table = pd.DataFrame(columns, index=[o.name for o in found]).to_html()
    notes = (f"<p>{escape(o)}</p>" for o in _notes(found, baseline, grid))
    return "".join([f"<p>{escape(_headline(found, baseline, score, grid))}</p>", table, *notes])


def _headline(found: Sequence[Verdict], baseline: str, score: str, grid: Sequence[Peak]) -> str:
    said = f"Final {score}, {_seeds(sorted({o.n_runs for o in found}))}"
    base = next((o for o in found if o.name == baseline), None)
    if base is None:
        return f"{said}; no run of the baseline {baseline} has finished:"
    at_peak = f" at peak {peak_in_words(base.peak)}" if grid else ""
    if base.words:
        return f"{said}; the baseline {baseline}{at_peak} {base.words}, so there are no differences to it:"
    if len(found) == 1:
        return f"{said}: {baseline}{at_peak} {_mean(base)}."
    return f"{said}, difference to {baseline}{at_peak} ({_mean(base)}) ± standard error:"


def _mean(o: Verdict) -> str:
    return "" if isnan(o.mean) else f"{o.mean:.4g}"


def _seeds(numbers: list[int]) -> str:
    """The numbers of seeds, which rise, in words."""
    few, many = numbers[0], numbers[-1]
    return f"{few} to {many} seeds" if few < many else f"{few} seed{'s' * (few > 1)}"


def _remark(o: Verdict, found: Sequence[Verdict], words: str) -> str:
    """The words, and the number of seeds where the schedules do not all have the same."""
    seeds = _seeds([o.n_seeds]) if o.n_seeds and len({other.n_runs for other in found}) > 1 else ""
    return ", ".join(part for part in (words, seeds) if part)


def _notes(found: Sequence[Verdict], baseline: str, grid: Sequence[Peak]) -> list[str]:
    others = [o for o in found if o.name != baseline]
    notes, n = [], len(others)
    if any(o.words in ("better", "worse") for o in others):
        test = f"paired t-tests at 5 % over all {n} comparisons" if n > 1 else "a paired t-test at 5 %"
        notes.append(f'"better" and "worse" are larger than noise by {test}.')
    if any(o.n_seeds == 1 and isfinite(o.difference) for o in others):
        notes.append("One seed does not tell a difference from noise: try seeds=5.")
    rates = [highest_rate(peak) for peak in grid]
    if rates and min(rates) < max(rates):
        for edge, which, beyond in ((min(rates), "lowest", "lower"), (max(rates), "highest", "higher")):
            if at_edge := [o.name for o in found if highest_rate(o.peak) == edge]:
                notes.append(f"{_listed(at_edge)} chose the {which} peak of lr_grid: try {beyond} ones, too.")
    return notes


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

"""A comparison in sentences: for a terminal as text, for a notebook cell with a narrow table and the picture."""

from html import escape
from math import isfinite, isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from .. import plot
from .peaks import highest_rate, peak_in_words
from .verdicts import Verdict, trouble, verdicts

__all__ = ["as_html", "as_text"]


def as_text(comparison: Any) -> str:
    """A headline, a line for each schedule, the largest difference to the baseline first, and what to know of them."""
    rows = _rows(comparison)
    peaks = {row.name: f"peak {peak}" if (peak := _peak(comparison, row.name)) else "" for row in rows}
    lines = [[row.name, peaks[row.name], _value(row), _remark(comparison, row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    aligned = ["  ".join(o.ljust(n) for o, n in zip(line, widths) if n).rstrip() for line in lines]
    return "\n".join([_headline(comparison), *(f"  {line}" for line in aligned), *_notes(comparison, rows)])


def as_html(comparison: Any) -> str:
    """The headline, a row for each schedule, what to know of them, and the picture."""
    rows, baseline, table = _rows(comparison), comparison.baseline, {}
    headline, *notes = (f"<p>{escape(o)}</p>" for o in (_headline(comparison), *_notes(comparison, rows)))
    if baseline in comparison.names:
        rows = [
            Verdict(baseline, len(_runs(comparison, baseline)), _mean(comparison, baseline), nan, nan, "baseline"),
            *rows,
        ]
    for row in rows:
        table[row.name] = {"peak": _peak(comparison, row.name)} if comparison.grid_runs else {}
        table[row.name] |= {
            comparison.score: "" if isnan(row.mean) else f"{row.mean:.4g}",
            "difference": row.difference_in_words,
            "": _remark(comparison, row),
            "seconds": f"{np.mean([run.seconds for run in _runs(comparison, row.name)]):.1f}",
        }
    html = pd.DataFrame.from_dict(table, orient="index").to_html()
    return "".join([headline, html, *notes, plot.cell(comparison.plot)])


def _rows(comparison: Any) -> list[Verdict]:
    return verdicts(comparison.runs, comparison.names, comparison.baseline, comparison.score)


def _runs(comparison: Any, name: str) -> list[Any]:
    return [run for run in comparison.runs if run.name == name]


def _mean(comparison: Any, name: str) -> float:
    return float(np.mean([run.final(comparison.score) for run in _runs(comparison, name)]))


def _headline(comparison: Any) -> str:
    score, baseline = comparison.score, comparison.baseline
    said = f"Final {score}, {_seeds(_n_seeds(comparison))}"
    if baseline not in comparison.names:
        return f"{said}; no run of the baseline {baseline} has finished:"
    at_peak = f" at peak {_peak(comparison, baseline)}" if comparison.grid_runs else ""
    if what := trouble(_runs(comparison, baseline), score):
        return f"{said}; the baseline {baseline}{at_peak} {what}, so there are no differences to it:"
    mean = f"{_mean(comparison, baseline):.4g}"
    if len(comparison.names) == 1:
        return f"{said}: {baseline}{at_peak} {mean}, and nothing to compare it with."
    return f"{said}, difference to {baseline}{at_peak} ({mean}) ± standard error:"


def _n_seeds(comparison: Any) -> list[int]:
    return sorted({len(_runs(comparison, name)) for name in comparison.names})


def _seeds(n_seeds: list[int]) -> str:
    return f"{n_seeds[0]} to {n_seeds[-1]} seeds" if len(n_seeds) > 1 else f"{n_seeds[0]} seed{'s' * (n_seeds[0] > 1)}"


def _peak(comparison: Any, name: str) -> str:
    return peak_in_words(comparison.peaks[name]) if comparison.grid_runs else ""


def _value(row: Verdict) -> str:
    return row.difference_in_words or ("" if isnan(row.mean) else f"{row.mean:.4g}")


def _remark(comparison: Any, row: Verdict) -> str:
    seeds = _seeds([row.n_seeds]) if row.n_seeds and len(_n_seeds(comparison)) > 1 else ""
    return ", ".join(o for o in (row.words, seeds) if o)


def _notes(comparison: Any, rows: list[Verdict]) -> list[str]:
    notes = []
    if any(row.words in ("better", "worse") for row in rows):
        n = len(rows)
        test = f"paired t-tests at 5 % over all {n} comparisons" if n > 1 else "a paired t-test at 5 %"
        notes.append(f'"better" and "worse" are larger than noise by {test}.')
    if any(row.n_seeds == 1 and isfinite(row.difference) for row in rows):
        notes.append("One seed does not tell a difference from noise: try seeds=5.")
    rates = [highest_rate(run.lr) for run in comparison.grid_runs]
    if rates and min(rates) < max(rates):
        for edge, which, beyond in ((min, "lowest", "lower"), (max, "highest", "higher")):
            at_edge = [name for name, lr in comparison.peaks.items() if highest_rate(lr) == edge(rates)]
            if at_edge:
                notes.append(f"{_listed(at_edge)} chose the {which} peak of lr_grid: try {beyond} ones, too.")
    return notes


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

"""What a rule for the peak costs those who follow it, from the figures in advice.csv: `advice.py rules`."""

import math

import numpy as np
import pandas as pd
from advice import BUDGETS, FALLS, MEASURES, PAIRS, PEAKS, SHARES, rows

RULES = {  # what each takes from the figures of `find`
    "lr_find's valley": ("valley", 1),
    "lr_find's valley * 10": ("valley", 10),
    "lr_find's minimum": ("minimum", 1),
    "lr_find's steep": ("steep", 1),
    "lr_find's slide": ("slide", 1),
    "suggest_clr, one curve": ("guess of one", 1),
    "suggest_clr": ("guess", 1),
}


class Measured:
    """What the file says about a task, with a larger score as the better one: accuracy, or the negative loss."""

    def __init__(self, name):
        self.name, self.has_metric = name, bool(rows(name, value="metric"))
        info = {o[3]: float(o[4]) for o in rows(name, "task")}
        self.n_batches, self.chance = int(info["batches"]), info["chance"] if self.has_metric else -info["chance"]
        self.of = {
            (o[1], float(o[2]) if o[2] else None, o[3]): np.array([v for v in o[4:] if v], dtype=float)
            for o in rows(name)
            if o[1] != "task"
        }
        self.means = np.array([self.scores("1", peak).mean() for peak in PEAKS])
        self.best, self.sd = self.means.max(), self.scores("1", PEAKS[self.means.argmax()]).std(ddof=1)

    def scores(self, run, peak):
        losses = self.of.get((run, peak, "valid_loss"), np.full(8, math.nan))
        scores = self.of.get((run, peak, "metric"), losses) if self.has_metric else -losses
        return np.where(np.isfinite(losses), np.maximum(scores, self.chance), self.chance)

    def in_points(self, difference):
        """A hundredth of accuracy, or a hundredth of the best loss."""
        return 100 * difference / (1 if self.has_metric else abs(self.best))

    def regret(self, peaks):
        """How far the whole fit falls short of the one with the best peak, in sd of its seeds and in points.

        The means are interpolated in the logarithm of the peak. A rule that gave none (nan) is left out.
        """
        peaks = np.asarray(peaks)[np.isfinite(peaks)]
        short = self.best - np.interp(np.log10(peaks), np.log10(PEAKS), self.means)
        return (short.mean() / self.sd, self.in_points(short.mean())) if len(peaks) else (math.nan, math.nan)

    def found(self, what, factor=1.0):
        return self.of["find", None, what] * factor

    def raced(self, budget):
        """The peaks of `suggest_clr(budget=...)`: 0.032 counts as 0.03 of the grid, which may be the edge of a cliff."""
        peaks = self.of.get((f"race {budget}", None, "peak"), [])
        return [min(PEAKS, key=lambda o: abs(math.log(o / peak))) for peak in peaks]

    def race(self, share, measure, n_seeds=1):
        """The peaks of the lowest loss or best metric in one cycle for each of the peaks of the grid, by seed.

        n_seeds: take the mean of so many cycles; with all 8 what is left is not noise but what short cycles prefer.
        """
        if measure == "metric":
            values = [-self.scores(share, peak) for peak in PEAKS]
        else:
            values = [self.of.get((share, peak, measure), np.full(8, math.inf)) for peak in PEAKS]
        with np.errstate(over="ignore"):
            values = np.nan_to_num(values, nan=math.inf).reshape(len(PEAKS), -1, n_seeds).mean(2)
        return np.array(PEAKS)[values.argmin(0)]


def chosen_on(tasks):
    """The part of the fall and the factor of least mean regret on these tasks, where a regret counts as 10 sd at most."""
    choices = [(f"fall {o}", factor) for o in FALLS for factor in 10 ** np.linspace(-1.5, 0.5, 41)]
    return min(choices, key=lambda c: np.mean([min(o.regret(o.found(*c))[0], 10) for o in tasks]))


def print_rules():
    names = dict.fromkeys(o[0] for o in rows() if o[1] == "1")
    tasks = [Measured(name) for name in names if rows(name, "find")]
    halves = tasks[::2], tasks[1::2]
    columns = {name: [o.regret(o.found(*rule)) for o in tasks] for name, rule in RULES.items()}
    choices = [chosen_on(halves[1]), chosen_on(halves[0])]  # each half by the choice of the other
    for which, (fall, factor) in zip(["odd", "even"], choices):
        print(f"Chosen on the tasks of {which} index: {fall} / {1 / factor:.2g}")
    columns["chosen on the other half"] = [o.regret(o.found(*choices[i % 2])) for i, o in enumerate(tasks)]
    columns |= {f"always {peak:g}": [o.regret([peak]) for o in tasks] for peak in (3e-3, 1e-2, 3e-2)}
    for share in SHARES:
        for n_seeds in (1, 8):
            columns |= {
                f"all peaks at {share}, {o}" + f", mean of {n_seeds}" * (n_seeds > 1): [
                    t.regret(t.race(share, o, n_seeds)) for t in tasks
                ]
                for o in (MEASURES if n_seeds == 1 and share != "1" else ["valid_loss", "metric"])
            }
    for budget in BUDGETS:
        columns[f"suggest_clr, budget={budget}"] = [o.regret(o.raced(budget)) for o in tasks]
    for i, unit in enumerate(["standard deviations of the seeds", "points"]):
        regrets = pd.DataFrame({k: [o[i] for o in v] for k, v in columns.items()}, index=[o.name for o in tasks]).T
        summary = pd.DataFrame(
            {"mean": regrets.mean(axis=1), "median": regrets.median(axis=1), "worst": regrets.max(axis=1)}
        )
        summary["even"], summary["odd"] = regrets.iloc[:, ::2].mean(axis=1), regrets.iloc[:, 1::2].mean(axis=1)
        print(f"\nRegret in {unit}, of {len(tasks)} tasks\n\n{summary.to_string(float_format='{:.2f}'.format)}")
        print(f"\n{regrets.T.to_string(float_format='{:.1f}'.format)}")
    print_pairs([o for o in tasks if rows(o.name, "pair 100/10")])


def print_pairs(tasks):
    """Mean paired difference of each (div, cut_div) to (10, 10) at the best peak, in points, and its standard error."""
    table = {}
    for o in tasks:
        peak = PEAKS[o.means.argmax()]
        scores = {(a, b): o.of[f"pair {a}/{b}", peak, "score"] * (1 if o.has_metric else -1) for a, b in PAIRS}
        differences = {f"{a}/{b}": o.in_points(scores[a, b] - scores[10, 10]) for a, b in PAIRS[1:]}
        table[o.name] = {k: f"{d.mean():+.2f} ± {d.std(ddof=1) / len(d) ** 0.5:.2f}" for k, d in differences.items()}
        means = {k: d.mean() for k, d in differences.items()}
        table[o.name] |= {"best - worst": f"{max(0, *means.values()) - min(0, *means.values()):.2f}"}
    if table:
        print(f"\n(div, cut_div) minus (10, 10) at the best peak, in points\n\n{pd.DataFrame(table).T.to_string()}")
        means = pd.DataFrame(table).T.iloc[:, :-1].map(lambda o: float(o.split()[0]))
        print(f"\nmean over the tasks\n\n{means.mean().to_string(float_format='{:+.2f}'.format)}")

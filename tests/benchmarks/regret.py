"""What a rule for the peak costs those who follow it, from the figures in advice.csv: `advice.py rules`."""

import math
from itertools import product

import numpy as np
import pandas as pd
from advice import BUDGETS, FINDERS, MEASURES, PAIRS, PEAKS, REAL_SIZE, SHARES, rows

from fastai_clr.learner.trials.race import Race
from fastai_clr.report import Trial


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

        A rule that gave none (nan) is left out.
        """
        peaks = np.asarray(peaks)[np.isfinite(peaks)]
        short = shortfall(peaks, PEAKS, self.means)
        return (short.mean() / self.sd, self.in_points(short.mean())) if len(peaks) else (math.nan, math.nan)

    def found(self, what):
        return self.of["find", None, what]

    def raced(self, budget):
        """The peaks of `suggest_clr(budget=...)`: 0.032 counts as 0.03 of the grid, which may be the edge of a cliff."""
        return [nearest(PEAKS, peak) for peak in self.of.get((f"race {budget}", None, "peak"), [])]

    def cost(self, budget):
        """The batches that `suggest_clr(budget=...)` trains."""
        batches = self.of.get((f"race {budget}", None, "batches"), [])
        return np.mean(batches) if len(batches) else math.nan

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


def shortfall(found, peaks, means):
    """By how much the best of the means exceeds those at the peaks found, interpolated in the logarithm of the peak."""
    return np.max(means) - np.interp(np.log10(found), np.log10(peaks), means)


def nearest(peaks, peak):
    return min(peaks, key=lambda o: abs(math.log(o / peak)))


def print_rules():
    tasks = [Measured(name) for name in dict.fromkeys(o[0] for o in rows() if o[1] == "1")]
    columns = {f"lr_find's {what}": [o.regret(o.found(what)) for o in tasks] for what in FINDERS}
    columns |= {f"always {peak:g}": [o.regret([peak]) for o in tasks] for peak in (3e-3, 1e-2, 3e-2)}
    for share, n_seeds in product(SHARES, (1, 8)):
        which = MEASURES if n_seeds == 1 and share != "1" else ["valid_loss", "metric"]
        several = f", mean of {n_seeds}" * (n_seeds > 1)
        columns |= {
            f"all peaks at {share}, {o}{several}": [t.regret(t.race(share, o, n_seeds)) for t in tasks] for o in which
        }
    for budget in BUDGETS:
        columns[f"suggest_clr, budget={budget}"] = [o.regret(o.raced(budget)) for o in tasks]
    for i, unit in enumerate(["standard deviations of the seeds", "points"]):
        regrets = pd.DataFrame({k: [o[i] for o in v] for k, v in columns.items()}, index=[o.name for o in tasks]).T
        print(
            f"\nRegret in {unit}, of {len(tasks)} tasks\n\n{summary(regrets).to_string(float_format='{:.2f}'.format)}"
        )
        print(f"\n{regrets.T.to_string(float_format='{:.1f}'.format)}")
    print_price(tasks)
    print_real_size()
    print_far()
    print_pairs([o for o in tasks if rows(o.name, "pair 100/10")])


def summary(regrets):
    """Over all tasks, over those whose half chose the rules of the race, and over the others."""
    parts = {"": regrets, "chosen on, ": regrets.iloc[:, ::2], "others, ": regrets.iloc[:, 1::2]}
    return pd.DataFrame({f"{k}{how}": getattr(o, how)(axis=1) for k, o in parts.items() for how in ("mean", "max")})


def print_price(tasks):
    """What a user pays for each budget and gets for it, on the tasks that did not choose the race's rules."""
    table = {}
    for budget in BUDGETS:
        own = [o for o in tasks[1::2] if len(o.raced(budget))]
        regrets, costs = [o.regret(o.raced(budget))[0] for o in own], [o.cost(budget) for o in own]
        fits = [cost / o.n_batches for cost, o in zip(costs, own)]
        table["the default" if budget is None else f"{budget:g}"] = {
            "tasks": len(own), "batches": np.mean(costs), "at most": max(costs, default=math.nan), "fits": np.mean(fits),
            "fits at most": max(fits, default=math.nan), "regret": np.mean(regrets), "at worst": max(regrets, default=math.nan),
        }  # fmt: skip
    print(
        f"\nPrice and regret by budget, other half\n\n{pd.DataFrame(table).T.to_string(float_format='{:.2f}'.format)}"
    )


def replayed(cycles, n_budget, n_batches, seed):
    """The peak that a race finds which looks up its losses, interpolated in the logarithm of a cycle's length."""
    rng = np.random.default_rng(seed)
    losses = {key: own.to_numpy() for key, own in cycles.groupby(["n_batches", "peak"])["valid_loss"]}
    lengths, peaks = sorted({n for n, _ in losses}), sorted({peak for _, peak in losses})

    def look_up(peak, seed, n):
        known = [losses[o, nearest(peaks, peak)][rng.integers(3)] for o in lengths]
        return Trial(peak, seed, n, np.interp(math.log(n), np.log(lengths), known), 0.0, False)

    race = Race(0.01, 0, look_up)
    race.run(n_budget, n_batches)
    return race.best


def print_real_size():
    """Points of accuracy below the best peak; the shortest cycles that were measured have 50 batches."""
    table = {}
    for name, own in pd.read_csv(REAL_SIZE).groupby("task"):
        n_batches = own["n_batches"].max()
        reached = 100 * own[own["n_batches"] == n_batches].groupby("peak")["accuracy"].mean()
        for budget in (None, 0.1, 0.25, 0.5, 1):
            n = 300 if budget is None else int(budget * n_batches)
            found = [replayed(own[own["n_batches"] < n_batches], n, n_batches, seed) for seed in range(100)]
            regrets = [reached.max() - reached[nearest(list(reached.index), peak)] for peak in found]
            table[name, "the default" if budget is None else f"{budget:g}"] = {"batches": n, "mean": np.mean(regrets), "worst": max(regrets)}  # fmt: skip
    print(
        f"\nReplayed on tasks of real size, in points\n\n{pd.DataFrame(table).T.to_string(float_format='{:.2f}'.format)}"
    )


def print_far():
    """How many points below the best peak the fit ends at the peaks that the race found."""
    table = {}
    for name in dict.fromkeys(o[0] for o in rows(run="far")):
        own = [o for o in rows(name, "far") if o[2]]
        better, unit = (1, 0.01) if own[0][3] == "metric" else (-1, min(float(o[4]) for o in own) / 100)
        peaks = [float(o[2]) for o in own]
        means = [better * np.mean([float(v) for v in o[4:7]]) / unit for o in own]
        found, batches = ([float(v) for v in rows(name, "far", what)[0][4:7]] for what in ("peak", "batches"))
        table[name] = {
            "best peak": peaks[int(np.argmax(means))], "found": found, "batches": batches,
            "points below": shortfall(found, peaks, means).round(2).tolist(),
        }  # fmt: skip
    print(f"\nPeaks far from 0.01, and long fits\n\n{pd.DataFrame(table).T.to_string()}")


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

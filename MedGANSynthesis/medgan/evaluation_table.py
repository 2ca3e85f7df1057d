"""The table an evaluation gives: one row per patient, the baselines beside the generator, and what follows from it."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .bootstrap import CONFIDENCE, mean_interval
from .files import replacing
from .metrics.catalogue import CATALOGUE, Metric

OUTPUT = "output"
"""Method that stands for the generator."""
AGAINST = "against"
"""Method that stands for a second generator, which the first is compared with."""


class Table(list[dict[str, Any]]):
    """Rows, one per patient: ``patient``, ``cases``, and ``<method>_<metric>`` (mean of the patient's cases).

    Args:
        rows: see above; NaN where something could not be measured.
        task: name of the task. primary: metric that decides which method is better.
        methods: names of the methods with their labels for people; the generator is ``output``, one that it is
            compared with is ``against``, all others are baselines.
        notes: sentences a reader has to know: how baselines were set, what is missing.
        overall: (metric, method) to a value measured on all patients together, such as FID.

    Attributes:
        cases: the same rows per case, where they are known. split: what was measured on.
    """

    def __init__(
        self,
        rows: Iterable[dict[str, Any]],
        task: str,
        primary: str,
        methods: dict[str, str],
        notes: Iterable[str] = (),
        overall: dict[tuple[str, str], float] | None = None,
    ):
        super().__init__(rows)
        self.overall = overall or {}
        self.cases: list[dict[str, Any]] = []
        self.split = "test"
        self.task, self.primary, self.methods, self.notes = task, primary, methods, list(notes)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, the primary one first."""
        prefix = f"{OUTPUT}_"
        keys = dict.fromkeys(key for row in self for key in row if key.startswith(prefix))
        return sorted((key.removeprefix(prefix) for key in keys), key=lambda name: name != self.primary)

    def values(self, method: str, metric: str) -> np.ndarray:
        """One number per patient; NaN where it was not measured."""
        return np.array([row.get(f"{method}_{metric}", np.nan) for row in self], np.float64)

    @functools.cached_property
    def summary(self) -> list[dict[str, Any]]:
        """One row per metric and method: ``mean``, ``median``, ``low`` and ``high`` (95 % interval of the mean by
        bootstrap over patients; None with one patient) and ``patients`` it is based on.
        """
        rows = []
        for metric in self.metrics:
            for method in self.methods:
                values = self.values(method, metric)
                values = values[~np.isnan(values)]
                if values.size:
                    low, high = mean_interval(values) or (None, None)
                    statistics = {"mean": float(values.mean()), "median": float(np.median(values))}
                    row = {"metric": metric, "method": method, **statistics, "low": low, "high": high}
                    rows.append({**row, "patients": values.size})
        for (metric, method), value in self.overall.items():
            if np.isnan(value):
                continue
            row = {"metric": metric, "method": method, "mean": value, "median": value, "low": None, "high": None}
            rows.append({**row, "patients": len(self)})
        return rows

    @functools.cached_property
    def comparison(self) -> list[dict[str, Any]]:
        """How the generator differs from the one it is compared with, by the patients that both were measured on.

        One row per metric: ``output`` and ``against`` (means), ``difference`` (mean of output minus against of each
        patient), ``low`` and ``high`` (its 95 % interval by bootstrap over patients; None with one patient),
        ``patients``, and ``better``: "output" or "against" where chance is no explanation, else "".
        """
        rows = []
        for metric in self.metrics if AGAINST in self.methods else ():
            pairs = np.stack([self.values(OUTPUT, metric), self.values(AGAINST, metric)])
            own, other = pairs[:, np.isfinite(pairs).all(axis=0)]
            if own.size:
                low, high = mean_interval(own - other) or (None, None)
                means = {"output": float(own.mean()), "against": float(other.mean())}
                row = {"metric": metric, **means, "difference": float((own - other).mean()), "low": low, "high": high}
                rows.append({**row, "patients": own.size, "better": _better(CATALOGUE[metric], own, other)})
        return rows

    def comparison_verdict(self) -> str:
        """One sentence: which of the two generators is better by the primary metric; '' if there is one only."""
        row = next((row for row in self.comparison if row["metric"] == self.primary), None)
        if row is None:
            return "The two models could not be compared." if AGAINST in self.methods else ""
        first, second = (AGAINST, OUTPUT) if row["better"] == AGAINST else (OUTPUT, AGAINST)
        facts, unit = CATALOGUE[self.primary], f" {CATALOGUE[self.primary].unit}".rstrip()
        numbers = f"{facts.label} {format_value(row[first])} against {format_value(row[second])}{unit}"
        names = f"'{self.methods[first]}'", f"'{self.methods[second]}'"
        if row["low"] is None:
            return f"{names[0]} and {names[1]} were compared on one patient, which proves nothing ({numbers})."
        difference, *ends = (row["difference"], row["low"], row["high"])
        if first == AGAINST:
            difference, ends = -difference, [-ends[1], -ends[0]]
        low, high = (format_value(end) for end in ends)
        interval = f"difference {format_value(difference)}{unit}, {CONFIDENCE:.0%} interval over {row['patients']} "
        interval += f"patients {low} to {high}"
        if not row["better"]:
            return f"Neither {names[0]} nor {names[1]} is shown to be better: {numbers} ({interval})."
        return f"{names[0]} is better than {names[1]}: {numbers} ({interval})."

    def best_baseline(self) -> tuple[str | None, float]:
        """The best of the baselines by the primary metric, and by how much the generator is better (below 0: worse)."""
        loss = {name: np.nanmean(self._loss(name)) for name in self.methods if not np.isnan(self._loss(name)).all()}
        own = loss.pop(OUTPUT, np.nan)
        loss.pop(AGAINST, None)
        if not loss:
            return None, float("nan")
        best = min(loss, key=loss.__getitem__)
        return best, float(_gain(loss[best], own))

    def verdict(self) -> str:
        """One sentence: does the generator beat its best baseline, by how much, and is it more than chance?"""
        best, gain = self.best_baseline()
        facts = CATALOGUE[self.primary]
        if np.isnan(self._loss(OUTPUT)).all():
            return f"{facts.label} could not be measured, so nothing says whether the generator is worth using."
        if best is None:
            return "No baseline was computed, so nothing says whether the generator is worth using."
        unit = f" {facts.unit}" if facts.unit else ""
        own, other = (format_value(np.nanmean(self.values(method, self.primary))) for method in (OUTPUT, best))
        who = f"its best baseline ({self.methods[best]}): {facts.label} {own} against {other}{unit}"
        interval = mean_interval(_gain(self._loss(best), self._loss(OUTPUT)))
        if interval is None:
            certain = "measured on one patient, which says nothing about others"
        else:
            low, high = (format_value(end) for end in interval)
            certain = (
                f"gain {format_value(gain)}{unit}, {CONFIDENCE:.0%} interval over {len(self)} patients {low} to {high}"
            )
            if interval[0] <= 0 <= interval[1]:
                certain += ", so it may be chance"
        return f"The generator {'beats' if gain > 0 else 'does NOT beat'} {who} ({certain})."

    def write_csv(self, path: Path) -> None:
        """Rows of all patients, then the summary as ``mean``, ``median``, ``low`` and ``high`` rows."""
        lines = [dict(row) for row in self]
        for statistic in ("mean", "median", "low", "high"):
            line: dict[str, Any] = {"patient": statistic, "cases": ""}
            for row in self.summary:
                value = row[statistic]
                line[f"{row['method']}_{row['metric']}"] = "n/a" if value is None else value
            lines.append(line)
        with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(dict.fromkeys(key for line in lines for key in line)))
            writer.writeheader()
            writer.writerows(lines)

    def __str__(self) -> str:
        """The summary for a terminal: a line per metric, a column per method, the interval under the generator's."""
        names = [method for method in self.methods if any(row["method"] == method for row in self.summary)]
        found = {(row["metric"], row["method"]): row for row in self.summary}
        heads = ["metric", *("generator" if name == OUTPUT else self.methods[name] for name in names), "95 % interval"]
        lines = [heads]
        for metric in dict.fromkeys(row["metric"] for row in self.summary):
            cells = [format_value(found[metric, name]["mean"]) if (metric, name) in found else "-" for name in names]
            own = found.get((metric, OUTPUT))
            lines.append([titled(metric), *cells, format_interval(own) if own else "-"])
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in lines)

    def _loss(self, method: str) -> np.ndarray:
        return np.array([CATALOGUE[self.primary].loss(value) for value in self.values(method, self.primary)])


def _gain(before: Any, after: Any) -> np.ndarray:
    """By how much a loss became smaller; both are infinite where two images equal the truth."""
    with np.errstate(invalid="ignore"):
        return np.where(np.equal(before, after), 0.0, np.subtract(before, after))


def _better(facts: Metric, own: np.ndarray, other: np.ndarray) -> str:
    """Which generator loses less, if the interval of the difference says that it is more than chance."""
    gains = [facts.loss(second) - facts.loss(first) for first, second in zip(own, other, strict=True)]
    low, high = mean_interval(np.array(gains)) or (0.0, 0.0)
    return OUTPUT if low > 0 else AGAINST if high < 0 else ""


def titled(metric: str) -> str:
    """Label of a metric with its unit.

    >>> titled("mae_hu_body")
    'MAE, body (HU)'
    """
    facts = CATALOGUE[metric]
    return f"{facts.label} ({facts.unit})" if facts.unit else facts.label


def format_value(value: float) -> str:
    """Four significant digits, without exponent for ordinary numbers.

    >>> format_value(41.23456), format_value(0.98765), format_value(float("inf"))
    ('41.23', '0.9877', 'inf')
    """
    return f"{value:.4g}"


def format_interval(row: dict[str, Any]) -> str:
    """The interval of a row of :attr:`Table.summary`."""
    if row["low"] is None:
        return "n/a (one patient)" if row["patients"] == 1 else "n/a"
    return f"{format_value(row['low'])} to {format_value(row['high'])}"


def _aligned(line: list[str], widths: list[int]) -> list[str]:
    return [
        cell.ljust(width) if number == 0 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]

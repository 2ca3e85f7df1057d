"""What there is to plot of a run: tables of its numbers, and the charts made of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from medgan.training_events import is_adversarial, label_of, losses_of, validation_metrics
from slicer.i18n import tr as _

STEPS, EPOCHS = "steps", "epochs"
_OUTPUT, _BASELINE, _RATE = "output_", "baseline_", "learning_rate"
_LOG_SPAN = 10.0

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Curve:
    """A line of a chart: the column of its values, what it is called, and whether it is there to be compared with."""

    column: str
    name: str
    baseline: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves over the steps or over the epochs (``table``)."""

    key: str
    title: str
    table: str
    curves: tuple[Curve, ...]
    logarithmic: bool = False


def epochColumns(history: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """``history.json`` as columns: ``epoch``, losses, learning rates, and per metric ``output_...``, ``baseline_...``.

    What a row does not have is NaN.
    """
    rows = []
    for row in map(dict, history):
        values = {"epoch": row.get("epoch"), **losses_of(row)}
        values |= {name: value for name, value in row.items() if name.startswith(_RATE)}
        for name, (value, baseline) in validation_metrics(row).items():
            values[_OUTPUT + name] = value
            if baseline is not None:
                values[_BASELINE + name] = baseline
        rows.append(values)
    names = dict.fromkeys(["epoch", *(name for row in rows for name in row)])
    return {name: np.array([_number(row.get(name)) for row in rows], np.float64) for name in names}


def chartsOf(steps: Columns, epochs: Columns) -> list[Chart]:
    """The charts of a run: losses and learning rates over the steps where they are known, metrics over the epochs.

    Args:
        steps: the live losses, see ``medgan.run_folder.Run.steps``. epochs: see ``epochColumns``.
    """
    live, columns = (STEPS, steps) if len(steps.get("step", ())) else (EPOCHS, epochs)
    rates = [name for name in columns if name.startswith(_RATE)]
    others = ("step", "epoch", *rates)
    losses = [name for name in columns if name not in others and not name.startswith((_OUTPUT, _BASELINE))]
    likeness = [name for name in losses if not is_adversarial(name)]
    game = [name for name in losses if is_adversarial(name) and not name.startswith(("real_score", "fake_score"))]
    found = [
        Chart("likeness", _("Losses of the generator"), live, _curves(likeness), _spans(columns, likeness)),
        Chart("adversarial", _("Adversarial losses of both networks"), live, _curves(game)),
        *(_metricChart(name.removeprefix(_OUTPUT), epochs) for name in epochs if name.startswith(_OUTPUT)),
        Chart("rates", _("Learning rates"), live, tuple(Curve(name, _rateName(name)) for name in rates)),
    ]
    tables = {STEPS: steps, EPOCHS: epochs}
    return [chart for chart in found if any(np.isfinite(tables[chart.table][one.column]).any() for one in chart.curves)]


def _metricChart(name: str, epochs: Columns) -> Chart:
    curves = [Curve(_OUTPUT + name, _("Generated"))]
    if _BASELINE + name in epochs:
        curves.append(Curve(_BASELINE + name, _("Baseline"), baseline=True))
    return Chart(f"metric-{name}", _("Validation: {metric}").format(metric=label_of(name)), EPOCHS, tuple(curves))


def _curves(columns: list[str]) -> tuple[Curve, ...]:
    return tuple(Curve(name, label_of(name)) for name in columns)


def _rateName(column: str) -> str:
    names = {"learning_rate_generator": _("Generator"), "learning_rate_discriminator": _("Discriminator")}
    return names.get(column, label_of(column))


def _spans(columns: Columns, names: list[str]) -> bool:
    """Whether positive values go over more than a power of ten."""
    values = np.concatenate([columns[name] for name in names]) if names else np.array([])
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() > _LOG_SPAN * values.min())


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")

"""Figures of an evaluation report: pictures of a case, histogram of errors, Bland-Altman plot."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .baselines_tasks import INPUT
from .evaluation_table import OUTPUT
from .metrics.windows import window_range_hu
from .report_cases import SOURCE, TRUTH, CaseRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
_HISTOGRAM_BINS = 121
_LIMIT_PERCENTILE = 99.5
_HISTOGRAM_PERCENTILE = 99.9
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by everyone (Okabe, Ito)
DISPLAY = {"denoise-ct": "abdomen", "contrast-ct": "abdomen"}
"""CT window in which the pictures of a task are shown; without one, the range of the metrics."""


def case_figure(
    record: CaseRecord, task: str, labels: Mapping[str, str], title: str, beside: Sequence[str] = ()
) -> Figure:
    """Input, other methods, generated and true image above, in one gray scale; below their errors, in one color scale
    with its unit.

    Args:
        labels: of the methods. beside: methods shown beside the generator; the input has its column anyway.
    """
    from matplotlib.figure import Figure

    columns = [(SOURCE, "input", INPUT)]
    columns += [(name, labels[name], name) for name in beside if name != INPUT]
    columns.append((OUTPUT, "generated", OUTPUT))
    compared = [name for _, _, name in columns if name in record.errors]
    rows = 2 if compared else 1
    first, last, left, right = record.box or (0, 1, 0, 1)
    height = 3.3 * min(1.6, max(0.4, record.aspect * (last - first + 1) / (right - left + 1)))
    figure = Figure(figsize=(3.3 * (len(columns) + 1), (height + 0.3) * rows + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, len(columns) + 1, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, text, _) in zip(axes[0], [*columns, (TRUTH, "truth", "")], strict=True):
        if name in record.pictures:
            _show(axis, record, name, task)
            axis.set_title(text, fontsize=10)
    if compared:
        _show_errors(figure, axes[1], record, [name for _, _, name in columns], labels)
    return figure


def error_map(axis: Any, error: np.ndarray, limit: float, signed: bool, aspect: float = 1.0) -> Any:
    """Draw a slice of errors: signed ones from blue over white (none) to red, dE2000 from black (none) upwards."""
    low, colors = (-limit, "RdBu_r") if signed else (0.0, "inferno")
    return axis.imshow(error, cmap=colors, vmin=low, vmax=limit, aspect=aspect, interpolation="nearest")


def histogram(records: Sequence[CaseRecord], methods: Sequence[str], labels: Mapping[str, str], units: str) -> Figure:
    """Histogram of result minus truth over sampled voxels of all masks, for some methods; far outliers are left out."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axis = figure.subplots()
    differences = {name: _differences(records, name)[1] for name in methods}
    limit = _limit(np.concatenate(list(differences.values())), _HISTOGRAM_PERCENTILE)
    width = 2 * limit / _HISTOGRAM_BINS
    if any((values == np.rint(values)).all() for values in differences.values()):
        width = max(1.0, np.ceil(width))  # bins that hold equally many integers, or the histogram looks like a comb
    half = width * (np.floor(limit / width) + 0.5)
    edges = np.arange(-half, half + width / 2, width)
    for color, name in zip(_COLORS, differences, strict=False):
        values = differences[name]
        share = np.full(len(values), 100.0 / max(len(values), 1))
        axis.hist(values, edges, weights=share, histtype="step", color=color, label=_name(name, labels))
    axis.axvline(0.0, color="0.6", linewidth=0.8)
    axis.set(xlabel=f"result minus truth{_unit(units)}", ylabel="voxels of the mask (%)", yscale="log")
    axis.legend(fontsize=8)
    return figure


def bland_altman(records: Sequence[CaseRecord], units: str) -> Figure:
    """Difference against mean of generator and truth over sampled voxels, with bias and limits of agreement.

    Source: Bland and Altman, Lancet 1986; the limits are the bias plus and minus 1.96 standard deviations.
    """
    from matplotlib.figure import Figure

    mean, difference = _differences(records, OUTPUT)
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axis = figure.subplots()
    cells = axis.hexbin(mean, difference, gridsize=70, bins="log", cmap="Blues", mincnt=1, linewidths=0.1)
    bias, spread = float(difference.mean()), 1.96 * float(difference.std())
    for level, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
        axis.axhline(level, color="#d55e00", linestyle=style, linewidth=1.0)
        axis.annotate(
            f"{level:.3g}", (1.0, level), xycoords=("axes fraction", "data"), fontsize=8, va="bottom", ha="right"
        )
    reach = max(float(np.percentile(np.abs(difference), _LIMIT_PERCENTILE)), 1.3 * (abs(bias) + spread), 1e-6)
    axis.set(ylim=(-reach, reach))
    axis.set(xlabel=f"mean of result and truth{_unit(units)}", ylabel=f"result minus truth{_unit(units)}")
    figure.colorbar(cells, label="sampled voxels")
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes."""
    with io.BytesIO() as stream:
        figure.savefig(stream, format="png", dpi=_DPI)
        return stream.getvalue()


def _show(axis: Any, record: CaseRecord, name: str, task: str) -> None:
    """Draw a picture in the coordinates of the result: a coarse source is drawn as large as the fine ones."""
    picture = record.pictures[name]
    rows, columns = record.pictures[OUTPUT].shape[:2]
    place = {"extent": (-0.5, columns - 0.5, rows - 0.5, -0.5), "aspect": record.aspect, "interpolation": "nearest"}
    if picture.ndim == 3:
        axis.imshow(np.clip(np.rint(picture), 0, 255).astype(np.uint8), **place)
    else:
        low, high = _gray_range(record, task)
        if name == SOURCE and task.startswith("mr-to-ct"):
            low, high = np.percentile(picture, (0.5, 99.5))  # an MR beside CTs
        axis.imshow(picture, cmap="gray", vmin=low, vmax=high, **place)
    _crop(axis, record)


def _crop(axis: Any, record: CaseRecord) -> None:
    if record.box is not None:
        first, last, left, right = record.box
        axis.set(xlim=(left - 0.5, right + 0.5), ylim=(last + 0.5, first - 0.5))


def _gray_range(record: CaseRecord, task: str) -> tuple[float, float]:
    if task in DISPLAY:
        return window_range_hu(DISPLAY[task])
    return (-1000.0, 1000.0) if record.units == "HU" else record.value_range


def _show_errors(
    figure: Figure, axes: Sequence[Any], record: CaseRecord, methods: Sequence[str], labels: Mapping[str, str]
) -> None:
    """Error maps under the images they belong to, and their color bar under the truth."""
    limit = _limit(np.concatenate([record.errors[name].ravel() for name in methods if name in record.errors]))
    color = record.pictures[TRUTH].ndim == 3
    drawn = None
    for axis, name in zip(axes, methods, strict=False):
        if name in record.errors:
            drawn = error_map(axis, record.errors[name], limit, not color, record.aspect)
            axis.set_title(f"error, {_name(name, labels)}", fontsize=10)
            _crop(axis, record)
    bar = axes[-1].inset_axes((0.05, 0.05, 0.08, 0.9))
    figure.colorbar(drawn, cax=bar, label="dE2000" if color else f"result minus truth{_unit(record.units)}")


def _differences(records: Sequence[CaseRecord], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and difference of a method and the truth over the sampled voxels of all cases."""
    truth = np.concatenate([record.samples[TRUTH] for record in records])
    made = np.concatenate([record.samples[name] for record in records])
    return (truth + made) / 2, made - truth


def _limit(errors: np.ndarray, percentile: float = _LIMIT_PERCENTILE) -> float:
    """A symmetric limit that shows all but the largest errors; 1 where there are none at all."""
    limit = float(np.percentile(np.abs(errors), percentile)) if errors.size else 0.0
    return limit if limit > 0 else max(float(np.abs(errors).max(initial=0.0)), 1.0)


def _name(method: str, labels: Mapping[str, str]) -> str:
    """Short name of a method; the generator's own is in the title of the report."""
    return "generated" if method == OUTPUT else labels[method]


def _unit(units: str) -> str:
    return f" ({units})" if units else ""

"""Pictures of a training: ``curves.png`` from its history, ``samples.png`` from the slices drawn on the way.

Both survive a resume: curves are drawn from ``history.json``, and ``samples.npz`` keeps what has been drawn so far.
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .files import replacing
from .training_events import (
    EpochDone,
    SampleDrawn,
    TrainingEvent,
    TrainingStarted,
    is_adversarial,
    label_of,
    losses_of,
    validation_metrics,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 6
ROWS = ("input", "output", "truth")
_TITLES = {"input": "input", "output": "generated", "truth": "truth"}
_DPI = 110
_LARGEST = 512  # pixels of a stored picture; larger ones are thinned out
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by everyone (Okabe, Ito)


@dataclass(frozen=True)
class Panel:
    """One plot: lines by name over the epochs, and their baselines; ``positive`` ones may get a logarithmic axis."""

    title: str
    lines: dict[str, list[float]]
    baselines: dict[str, list[float]]
    positive: bool = False


def curves(rows: Sequence[dict[str, Any]], path: Path, title: str = "") -> None:
    """Draw losses, validation metrics beside their baseline, and learning rates over the epochs.

    Args:
        rows: of ``history.json``; may be empty.
        path: PNG file, replaced when it is whole.
        title: above everything.
    """
    from matplotlib.figure import Figure

    panels = history_panels(rows)
    wide = min(len(panels), 3) or 1
    high = -(-len(panels) // wide) or 1
    figure = Figure(figsize=(4.6 * wide, 3.3 * high + 0.4), layout="constrained")
    epochs = [row["epoch"] for row in rows]
    for number, panel in enumerate(panels):
        _draw_panel(figure.add_subplot(high, wide, number + 1), panel, epochs)
    figure.suptitle(title, fontsize=11)
    with replacing(Path(path)) as beside:
        figure.savefig(beside, format="png", dpi=_DPI)


def history_panels(rows: Sequence[dict[str, Any]]) -> list[Panel]:
    """What there is to plot in a history: at most two metrics, the one by which the best epoch is chosen first."""
    metrics = list(dict.fromkeys(name for row in rows for name in validation_metrics(row)))
    rates = list(dict.fromkeys(key for row in rows for key in row if key.startswith("learning_rate")))
    losses = list(dict.fromkeys(name for row in rows for name in losses_of(row)))
    likeness = [key for key in losses if not is_adversarial(key)]
    game = [key for key in losses if is_adversarial(key) and not key.startswith(("real_score", "fake_score"))]

    def lines(keys: list[str]) -> dict[str, list[float]]:
        return {_line_name(key): [_number(row.get(key)) for row in rows] for key in keys}

    panels = [Panel("Likeness (generator)", lines(likeness), {}, True), Panel("Adversarial", lines(game), {})]
    for name in metrics[:2]:
        pairs = [validation_metrics(row).get(name, (None, None)) for row in rows]
        made, baseline = ([_number(pair[side]) for pair in pairs] for side in (0, 1))
        panels.append(Panel(f"Validation: {label_of(name)}", {"generated": made}, {"generated": baseline}))
    panels.append(Panel("Learning rate", lines(rates), {}))
    return [panel for panel in panels if panel.lines]


def _draw_panel(axes: Axes, panel: Panel, epochs: list[int]) -> None:
    marker = "o" if len(epochs) < 30 else ""
    values = np.array(list(panel.lines.values()), float)
    for (name, line), color in zip(panel.lines.items(), _COLORS * len(panel.lines), strict=False):
        label = name if not panel.baselines else "generated"
        axes.plot(epochs, line, color=color, marker=marker, markersize=3, linewidth=1.4, label=label)
        baseline = panel.baselines.get(name)
        if baseline is not None and np.isfinite(baseline).any():
            axes.plot(epochs, baseline, color="0.45", linestyle="--", linewidth=1.2, label="baseline")
    seen = values[np.isfinite(values)]
    if panel.positive and seen.size and 0 < 10 * seen.min() < seen.max():
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", scilimits=(-3, 5))
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel("epoch", fontsize=9)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)
    axes.grid(True, which="both", color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)


class Samples:
    """The pictures of ``samples.png``: a column per time of a case, or per case where several are drawn.

    Args:
        folder: where ``samples.npz`` is kept; what lies there already is taken up.

    At most ``COLUMNS`` times are kept: the first, the last and some evenly spread between.
    """

    def __init__(self, folder: Path):
        self._path = Path(folder) / "samples.npz"
        self._entries: list[dict[str, Any]] = []
        with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):  # a picture is not worth a stop
            self._entries = self._read()

    def forget_after(self, step: int) -> None:
        """Drop what was drawn after ``step``, the one a training goes on from (0: everything)."""
        self._entries = [entry for entry in self._entries if entry["step"] <= step]

    def add(self, event: SampleDrawn) -> None:
        """Keep a sample; one of the same case and step is replaced."""
        entry = {
            "epoch": event.epoch,
            "step": event.step,
            "case": event.case,
            "units": event.units,
            "window": [float(end) for end in event.window],
            "error": _mean_error(event.images),
            "images": {
                name: shown(image, (event.input_window or event.window) if name == "input" else event.window)
                for name, image in event.images.items()
            },
        }
        same = (event.case, event.step)
        self._entries = [kept for kept in self._entries if (kept["case"], kept["step"]) != same]
        self._entries = _spread_out([*self._entries, entry])

    def save(self) -> None:
        """Write ``samples.npz``, all or nothing."""
        facts = [{key: value for key, value in entry.items() if key != "images"} for entry in self._entries]
        arrays = {
            f"{number}-{name}": image
            for number, entry in enumerate(self._entries)
            for name, image in entry["images"].items()
        }
        with replacing(self._path) as beside, beside.open("wb") as stream:
            np.savez_compressed(stream, facts=np.array(json.dumps(facts)), **arrays)

    def draw(self, path: Path, title: str = "") -> None:
        """Draw the grid: input, generated image and truth below each other. Nothing is written without a sample."""
        if not self._entries:
            return
        from matplotlib.figure import Figure

        columns = self.columns()
        rows = [name for name in ROWS if any(name in entry["images"] for entry in columns)]
        height, width = columns[0]["images"]["output"].shape[:2]
        side = 2.1
        tall = side * float(np.clip(height / width, 0.4, 2.0))
        figure = Figure(
            figsize=(max(side * len(columns), 3.2) + 0.5, tall * len(rows) + 0.9), layout="constrained", dpi=_DPI
        )
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
        grid = figure.subplots(len(rows), len(columns), squeeze=False)
        for number, entry in enumerate(columns):
            for line, name in zip(grid[:, number], rows, strict=True):
                _draw_image(line, entry["images"].get(name))
            grid[0, number].set_title(self._caption(entry), fontsize=8)
        for line, name in zip(grid[:, 0], rows, strict=True):
            line.set_ylabel(_TITLES[name], fontsize=10)
        figure.suptitle(": ".join(part for part in (title, self._headline()) if part), fontsize=10)
        with replacing(Path(path)) as beside:
            figure.savefig(beside, format="png")

    def columns(self) -> list[dict[str, Any]]:
        """The entries of the columns: times of the one case, or the latest sample of each of several."""
        cases = list(dict.fromkeys(entry["case"] for entry in self._entries))
        if len(cases) == 1:
            return sorted(self._entries, key=lambda entry: entry["step"])
        latest = [max((e for e in self._entries if e["case"] == case), key=lambda e: e["step"]) for case in cases]
        return latest[:COLUMNS]

    def _several(self) -> bool:
        return len({entry["case"] for entry in self._entries}) > 1

    def _caption(self, entry: dict[str, Any]) -> str:
        first = entry["case"] if self._several() else f"epoch {entry['epoch']}, step {entry['step']}"
        if entry["error"] is None:
            return first
        return f"{first}\nmean error {entry['error']:.3g}{_unit(entry['units'])}"

    def _headline(self) -> str:
        latest = max(self._entries, key=lambda entry: entry["step"])
        low, high = latest["window"]
        window = f"shown from {low:.4g} to {high:.4g}{_unit(latest['units'])}"
        what = f"epoch {latest['epoch']}" if self._several() else latest["case"]
        return f"{what}, {window}"

    def _read(self) -> list[dict[str, Any]]:
        with np.load(self._path, allow_pickle=False) as stored:
            entries = json.loads(str(stored["facts"]))
            for number, entry in enumerate(entries):
                names = [key.partition("-")[2] for key in stored.files if key.startswith(f"{number}-")]
                entry["images"] = {name: stored[f"{number}-{name}"] for name in names}
        return entries


class TrainingPictures:
    """Watcher that keeps ``curves.png`` and ``samples.png`` of a training's folder up to date, epoch by epoch.

    Args:
        folder: the training's, with its ``history.json``.
        title: above both.
    """

    def __init__(self, folder: Path, title: str = ""):
        import matplotlib.figure  # noqa: F401  (if it is missing, say so now and not after the first epoch)

        self._folder, self._title = Path(folder), title
        self._samples = Samples(self._folder)
        self._rows: list[dict[str, Any]] = []

    def __call__(self, event: TrainingEvent) -> None:
        if isinstance(event, TrainingStarted):
            self._samples.forget_after(event.resumed_at * event.steps_per_epoch)
            self._rows = self._history()[: event.resumed_at]
        elif isinstance(event, SampleDrawn):
            self._samples.add(event)
            self._samples.save()
            self._samples.draw(self._folder / "samples.png", self._title)
        elif isinstance(event, EpochDone):
            self._rows.append(event.row)
            curves(self._rows, self._folder / "curves.png", self._title)

    def _history(self) -> list[dict[str, Any]]:
        try:
            return list(json.loads((self._folder / "history.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # curves that begin late are no reason to refuse a training
            return []


def shown(image: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """An image as a screen shows it, uint8: ``window`` = (low, high) from black to white, at most 512 pixels wide."""
    low, high = window
    step = -(-max(image.shape[:2]) // _LARGEST)
    values = np.nan_to_num(np.asarray(image, np.float32)[::step, ::step], nan=low, posinf=high, neginf=low)
    scaled = (values - low) / max(high - low, np.finfo(np.float32).tiny)
    return np.rint(scaled.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def _draw_image(axes: Axes, image: np.ndarray | None) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if image is not None:
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def _spread_out(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each case at most ``COLUMNS`` times; the one whose neighbors lie closest together goes."""
    kept = list(entries)
    for case in {entry["case"] for entry in entries}:
        mine = sorted((entry for entry in kept if entry["case"] == case), key=lambda entry: entry["step"])
        while len(mine) > COLUMNS:
            inner = range(1, len(mine) - 1)
            dull = mine.pop(min(inner, key=lambda at: mine[at + 1]["step"] - mine[at - 1]["step"]))
            kept = [entry for entry in kept if entry is not dull]
    return kept


def _mean_error(images: dict[str, np.ndarray]) -> float | None:
    if "truth" not in images or images["truth"].shape != images["output"].shape:
        return None
    return float(np.mean(np.abs(images["output"].astype(np.float64) - images["truth"])))


def _unit(units: str) -> str:
    return f" {units}" if units else ""


def _line_name(key: str) -> str:
    return "generator" if key == "learning_rate" else label_of(key.removeprefix("learning_rate_"))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")

"""The report of an evaluation: one HTML file that needs nothing else, and the numbers as a CSV table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__, report_figures
from .baselines_tasks import INPUT
from .bootstrap import CONFIDENCE, RESAMPLES
from .evaluation_table import AGAINST, OUTPUT, Table, format_interval, format_value, titled
from .files import make_folder, replacing, replacing_folder
from .metrics.catalogue import CATALOGUE
from .report_cases import CaseRecord

if TYPE_CHECKING:
    from .bundle import Bundle
    from .dataset import Dataset

REPORT, TABLE, PICTURES = "report.html", "table.csv", "pictures"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 70em; margin: 2em auto }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse; font-size: 0.9em } th, td { padding: 0.25em 0.8em; border-bottom: 1px solid #ddd }
th { text-align: left } td { text-align: right; white-space: nowrap } td small { color: #666 }
td.best { font-weight: bold } .scroll { overflow-x: auto } img { max-width: 100%; height: auto }
.verdict { font-size: 1.1em; border-left: 4px solid #009e73; padding-left: 0.8em }
.verdict.worse { border-color: #d55e00 }
dt { font-weight: bold } footer { color: #666; margin-top: 3em }
"""


def write_report(
    folder: Path, table: Table, records: Sequence[CaseRecord], bundle: Bundle, dataset: Dataset
) -> dict[str, Any]:
    """Write ``report.html``, ``table.csv`` and ``pictures`` into ``folder``; each appears whole or not at all.

    Args:
        table: what was measured. records: what is shown of each case.
        bundle: the generator. dataset: what it was measured on.

    Returns:
        their paths within the folder: ``report``, ``table``, and ``pictures``, a list of ``title`` and ``path``.

    Raises:
        InputError: the folder cannot be written to.
    """
    make_folder(folder)
    pictures = [*_case_pictures(table, records), *_plots(table, records)]
    page = html(table, pictures, bundle, dataset)
    with replacing(folder / REPORT) as beside:
        beside.write_text(page, encoding="utf-8")
    table.write_csv(folder / TABLE)
    listed = []
    with replacing_folder(folder / PICTURES) as beside:
        for number, picture in enumerate(pictures, start=1):
            path = f"{PICTURES}/{number}-{picture.kind}.png"
            (beside / Path(path).name).write_bytes(picture.png)
            listed.append({"title": picture.title, "path": path})
    return {"report": REPORT, "table": TABLE, "pictures": listed}


@dataclass(frozen=True)
class Picture:
    """A figure of the report. ``kind`` is "case", "histogram" or "bland-altman"; ``title`` is for people."""

    kind: str
    title: str
    png: bytes


def html(table: Table, pictures: Sequence[Picture], bundle: Bundle, dataset: Dataset) -> str:
    """The report as one HTML document with its pictures inside; it names no address."""
    title = f"{bundle.title}: evaluation"
    worse = "" if table.best_baseline()[1] > 0 else " worse"
    parts = [
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="verdict{worse}">{escape(table.verdict())}</p>',
        *_facts(table, bundle, dataset),
        "<h2>Summary</h2>",
        *_summary(table),
        *_comparison(table),
        *_shown(pictures),
        "<h2>Patients</h2>",
        *_patients(table),
        *_definitions(table),
        "<footer>Images made by MedGAN are synthetic: computed by a neural network, not acquired. Not for diagnosis. "
        f"MedGAN {escape(__version__)}.</footer></body></html>",
    ]
    return "\n".join(parts) + "\n"


def chosen_cases(table: Table, records: Sequence[CaseRecord]) -> list[tuple[str, CaseRecord]]:
    """The best, the median and the worst case by the primary metric; fewer where there are fewer cases."""
    facts = CATALOGUE[table.primary]
    losses = [facts.loss(record.values.get(f"{OUTPUT}_{table.primary}", np.nan)) for record in records]
    order = np.argsort(losses)  # NaN, which nothing is known of, comes last
    places = {"Best": order[0], "Median": order[(len(order) - 1) // 2], "Worst": order[-1]} if len(order) else {}
    if len(order) == 1:
        places = {"Only": order[0]}
    chosen: dict[int, str] = {}
    for name, place in places.items():
        chosen[int(place)] = f"{chosen[int(place)]} and {name.lower()}" if int(place) in chosen else name
    return [(name, records[place]) for place, name in chosen.items()]


def _facts(table: Table, bundle: Bundle, dataset: Dataset) -> list[str]:
    cases = sum(row["cases"] for row in table)
    lines = [
        f"Model: {bundle.name} {bundle.version}, task {bundle.task}, weights {bundle.sha256[:12] or 'none'}.",
        f"Data: {dataset.description or 'not described'} (licence: {dataset.licence or 'not stated'}).",
        f"Measured on {len(table)} patient{'s' * (len(table) != 1)}, {cases} case{'s' * (cases != 1)}.",
        f"Interval: {CONFIDENCE:.0%} of the mean over patients, percentile bootstrap, {RESAMPLES} resamples."
        if len(table) > 1
        else "Interval: n/a, since one patient says nothing about others.",
        *table.notes,
    ]
    return ["<ul>", *(f"<li>{escape(line)}</li>" for line in lines), "</ul>"]


def _summary(table: Table) -> list[str]:
    names = [name for name in table.methods if any(row["method"] == name for row in table.summary)]
    found = {(row["metric"], row["method"]): row for row in table.summary}
    heads = "".join(f"<th>{escape(_head(table, name))}</th>" for name in names)
    lines = ['<div class="scroll"><table class="summary">', f"<tr><th>metric</th>{heads}</tr>"]
    for metric in dict.fromkeys(row["metric"] for row in table.summary):
        facts = CATALOGUE[metric]
        rows = [found.get((metric, name)) for name in names]
        losses = [facts.loss(row["mean"]) if row else np.inf for row in rows]
        cells = "".join(_cell(row, loss == min(losses)) for row, loss in zip(rows, losses, strict=True))
        lines.append(f"<tr><th>{escape(titled(metric))} {_arrow(facts.better)}</th>{cells}</tr>")
    legend = "Mean (median) and interval" if len(table) > 1 else "Values of the one patient"
    return [*lines, "</table></div>", f"<p><small>{legend}; the best of each row is bold.</small></p>"]


def _comparison(table: Table) -> list[str]:
    """The two generators beside each other, with the difference of the same patients."""
    if not table.comparison:
        return []
    heads = "".join(f"<th>{escape(text)}</th>" for text in (table.methods[OUTPUT], table.methods[AGAINST]))
    lines = ["<h2>Comparison</h2>", f"<p>{escape(table.comparison_verdict())}</p>"]
    lines += ['<div class="scroll"><table class="comparison">', f"<tr><th>metric</th>{heads}<th>difference</th></tr>"]
    for row in table.comparison:
        kinds = {name: ' class="best"' if row["better"] == name else "" for name in (OUTPUT, AGAINST)}
        cells = "".join(f"<td{kind}>{format_value(row[name])}</td>" for name, kind in kinds.items())
        difference = f"{format_value(row['difference'])} <small>{format_interval(row)}</small>"
        arrow = _arrow(CATALOGUE[row["metric"]].better)
        lines.append(f"<tr><th>{escape(titled(row['metric']))} {arrow}</th>{cells}<td>{difference}</td></tr>")
    legend = "Differences are those of the same patients; bold where the interval says that it is not chance."
    return [*lines, "</table></div>", f"<p><small>{legend}</small></p>"]


def _head(table: Table, name: str) -> str:
    heads = {OUTPUT: "generator: ", AGAINST: "compared with: "}
    return heads.get(name, "") + table.methods[name]


def _cell(row: dict[str, Any] | None, best: bool) -> str:
    if row is None:
        return "<td>n/a</td>"
    kind = ' class="best"' if best else ""
    text = format_value(row["mean"])
    if row["patients"] > 1:
        text += f" <small>({format_value(row['median'])})<br>{format_interval(row)}</small>"
    return f"<td{kind}>{text}</td>"


def _arrow(better: str) -> str:
    return {"higher": "&uarr;", "lower": "&darr;", "one": "&rarr; 1", "zero": "&rarr; 0"}[better]


def _shown(pictures: Sequence[Picture]) -> list[str]:
    cases = [_image(picture) for picture in pictures if picture.kind == "case"]
    plots = [_image(picture) for picture in pictures if picture.kind != "case"]
    lines = ["<h2>Cases</h2>", *cases] if cases else []
    if plots:
        lines += [
            "<h2>Errors inside the mask</h2>",
            *plots,
            "<p><small>At most 20 000 voxels of the mask per case, drawn at random with a fixed seed. Left: their "
            "errors. Right: Bland-Altman plot of the generator, bias (line) and limits of agreement (dashed, bias "
            "&plusmn; 1.96 standard deviations of single voxels).</small></p>",
        ]
    return lines


def _case_pictures(table: Table, records: Sequence[CaseRecord]) -> list[Picture]:
    found = []
    beside = [name for name in (table.best_baseline()[0], AGAINST) if name in table.methods]
    for name, record in chosen_cases(table, records):
        value = format_value(record.values.get(f"{OUTPUT}_{table.primary}", float("nan")))
        title = (
            f"{name} case: {record.case} (patient {record.patient}), {record.plane}, {titled(table.primary)} {value}"
        )
        figure = report_figures.case_figure(record, table.task, table.methods, title, beside)
        found.append(Picture("case", title, report_figures.png(figure)))
    return found


def _plots(table: Table, records: Sequence[CaseRecord]) -> list[Picture]:
    usable = [record for record in records if record.samples]
    if not usable:
        return []
    units = "luma" if usable[0].pictures[OUTPUT].ndim == 3 else usable[0].units
    compared = dict.fromkeys((OUTPUT, AGAINST, table.best_baseline()[0], INPUT))
    methods = [name for name in compared if name in usable[0].samples]
    histogram = report_figures.histogram(usable, methods, table.methods, units)
    agreement = report_figures.bland_altman(usable, units)
    return [
        Picture("histogram", "Histogram of errors", report_figures.png(histogram)),
        Picture("bland-altman", "Bland-Altman plot of the generator", report_figures.png(agreement)),
    ]


def _patients(table: Table) -> list[str]:
    names = [name for name in table.methods if not np.isnan(table.values(name, table.primary)).all()]
    heads = "".join(f"<th>{escape(_head(table, name))}</th>" for name in names)
    lines = [f"<p>{escape(titled(table.primary))}; every number is in {TABLE}.</p>"]
    lines += ['<div class="scroll"><table class="patients">', f"<tr><th>patient</th><th>cases</th>{heads}</tr>"]
    for row in table:
        cells = "".join(f"<td>{format_value(row.get(f'{name}_{table.primary}', float('nan')))}</td>" for name in names)
        lines.append(f"<tr><th>{escape(str(row['patient']))}</th><td>{row['cases']}</td>{cells}</tr>")
    return [*lines, "</table></div>"]


def _definitions(table: Table) -> list[str]:
    metrics = dict.fromkeys(row["metric"] for row in table.summary)
    entries = (f"<dt>{escape(titled(name))}</dt><dd>{escape(CATALOGUE[name].definition)}</dd>" for name in metrics)
    return ["<h2>What the numbers mean</h2>", "<dl>", *entries, "</dl>"]


def _image(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    return f'<p><img alt="{escape(picture.title, quote=True)}" src="data:image/png;base64,{data}"></p>'

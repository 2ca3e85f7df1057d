"""ResultsBox: what an evaluation found, in the panel: the verdict, a table, error maps and pictures."""

from __future__ import annotations

import html
from collections.abc import Callable

import qt
from medgan.errors import MedGANError
from medgan.evaluation_results import EvaluationResults
from medgan.evaluation_table import OUTPUT, format_interval, format_value
from slicer.i18n import tr as _

from .EvaluationResult import EvaluationResult
from .Report import openReport

_PICTURE_WIDTH = 480
_DIFFERENCE = "difference"


class ResultsBox:
    """Shows results that lie on disk; what goes into the scene is made when it is asked for.

    Args:
        ui: the child widgets of the section. onProblem: called with the sentence that says what went wrong.

    Attributes:
        results: what is shown, None for nothing.
    """

    def __init__(self, ui, onProblem: Callable[[str], None]):
        self.ui, self._onProblem = ui, onProblem
        self.results: EvaluationResults | None = None
        self._inScene: EvaluationResult | None = None
        actions = {
            ui.showTableButton: lambda: self.inScene().showTable(),
            ui.openReportButton: lambda: openReport(self.results.path("report")),
            ui.showErrorMapButton: self._showErrorMap,
        }
        for button, action in actions.items():
            button.connect("clicked()", self._guarded(action))
        ui.pictureComboBox.connect("currentIndexChanged(int)", self._onPicture)
        ui.resultsGroupBox.visible = False

    def show(self, results: EvaluationResults | None, inScene: EvaluationResult | None = None) -> None:
        """Show results, or none.

        Args:
            inScene: if they have been put into the scene already.
        """
        self.results, self._inScene = results, inScene
        self.ui.resultsGroupBox.visible = results is not None
        if results is None:
            return
        content = results.content
        self.ui.verdictLabel.text = html.escape(content["verdict"], quote=False)
        self.ui.comparisonLabel.text = html.escape(content["comparison_verdict"], quote=False)
        self.ui.comparisonLabel.visible = bool(content["comparison_verdict"])
        self._fillTable()
        cases = list(dict.fromkeys(row["case"] for row in content["error_maps"]))
        methods = list(dict.fromkeys(row["method"] for row in content["error_maps"]))
        _fill(self.ui.caseComboBox, {case: case for case in cases})
        _fill(self.ui.errorModelComboBox, {method: content["methods"][method] for method in methods})
        for widget in (self.ui.caseComboBox, self.ui.errorModelComboBox, self.ui.showErrorMapButton):
            widget.enabled = bool(cases)
        _fill(self.ui.pictureComboBox, {row["path"]: row["title"] for row in content["pictures"]})
        self._onPicture(self.ui.pictureComboBox.currentIndex)

    def inScene(self) -> EvaluationResult:
        """The results as nodes, made if they are not there (any more)."""
        if self._inScene is None or self._inScene.tableNode.GetScene() is None:
            self._inScene = EvaluationResult(self.results)
        return self._inScene

    def forget(self) -> None:
        """Let go of the nodes; they stay in the scene."""
        self._inScene = None

    def _fillTable(self) -> None:
        """A row per metric, a column per method, and the difference of two models."""
        content, table = self.results.content, self.ui.resultsTable
        found = {(row["metric"], row["method"]): row for row in content["summary"]}
        differences = {row["metric"]: row for row in content["comparison"]}
        columns = {name: text for name, text in content["methods"].items() if any(key[1] == name for key in found)}
        columns |= {_DIFFERENCE: _("Difference")} if differences else {}
        metrics = sorted(content["metrics"], key=lambda name: name != content["primary"])
        table.setColumnCount(len(columns))
        table.setHorizontalHeaderLabels(list(columns.values()))
        table.setRowCount(len(metrics))
        table.setVerticalHeaderLabels([self.results.titled(metric) for metric in metrics])
        for row, metric in enumerate(metrics):
            for column, method in enumerate(columns):
                text = _cell(found.get((metric, method)), method, differences.get(metric))
                item = qt.QTableWidgetItem(text)
                item.setToolTip(content["metrics"][metric]["definition"])
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        table.resizeRowsToContents()

    def _showErrorMap(self) -> None:
        self.inScene().showErrorMap(self.ui.caseComboBox.currentData, self.ui.errorModelComboBox.currentData)

    def _onPicture(self, index: int) -> None:
        path = self.ui.pictureComboBox.currentData
        picture = qt.QPixmap(str(self.results.folder / path)) if path and self.results is not None else qt.QPixmap()
        if picture.width() > _PICTURE_WIDTH:
            picture = picture.scaledToWidth(_PICTURE_WIDTH, qt.Qt.SmoothTransformation)
        self.ui.pictureLabel.setPixmap(picture)
        self.ui.pictureLabel.visible = not picture.isNull()

    def _guarded(self, action: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                action()
                self._onProblem("")
            except MedGANError as error:
                self._onProblem(str(error))

        return run


def _cell(row: dict | None, method: str, difference: dict | None) -> str:
    """The mean, and below it the interval of the model's own and of the difference."""
    if method == _DIFFERENCE:
        return "" if difference is None else f"{format_value(difference['difference'])}\n{format_interval(difference)}"
    if row is None:
        return ""
    return f"{format_value(row['mean'])}\n{format_interval(row)}" if method == OUTPUT else format_value(row["mean"])


def _fill(comboBox, texts: dict[str, str]) -> None:
    """Offer other entries; what was chosen stays chosen if it is still there."""
    chosen = comboBox.currentData
    blocked = comboBox.blockSignals(True)
    comboBox.clear()
    for data, text in texts.items():
        comboBox.addItem(text, data)
    if chosen in texts:
        comboBox.currentIndex = list(texts).index(chosen)
    comboBox.blockSignals(blocked)

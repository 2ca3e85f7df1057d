"""SceneBox: the pairs that are found in the scene, of which the user ticks those to add."""

from __future__ import annotations

import qt
from medgan.modalities import MODALITIES
from MedGANSynthesisLib.nodes import nodeName
from MedGANSynthesisLib.panel.Box import Box
from slicer.i18n import tr as _

from .AddPair import addScenePair
from .ScenePairs import ScenePair, pairsInScene

_PATIENT, _SOURCE, _TARGET, _REMARK = range(4)


class SceneBox(Box):
    """Rule and patterns, the table of pairs, and the button that adds them."""

    def __init__(self, section):
        super().__init__(section)
        ui = self.ui
        self.pairs: list[ScenePair] = []
        rules = {"study": _("Same study or folder"), "patient": _("Same patient"), "name": _("Names alike")}
        for rule, title in rules.items():
            ui.ruleComboBox.addItem(title, rule)
        titles = [_("Patient"), _("Source"), _("Target"), _("Remark")]
        ui.pairsTableWidget.setColumnCount(len(titles))
        ui.pairsTableWidget.setHorizontalHeaderLabels(titles)
        ui.pairsTableWidget.horizontalHeader().setStretchLastSection(True)
        ui.pairsTableWidget.verticalHeader().setVisible(False)
        ui.pairsTableWidget.connect("itemChanged(QTableWidgetItem*)", self._onTicked)
        ui.findPairsButton.connect("clicked()", self.find)
        ui.addPairsButton.connect("clicked()", self.add)

    def update(self) -> None:
        ready = self.panel.draft is not None and not self.panel.busy
        self.ui.findPairsButton.enabled = ready
        self.ui.pairsTableWidget.visible = bool(self.pairs)
        self.ui.addPairsButton.enabled = ready and bool(self.ticked())

    def clear(self) -> None:
        """List nothing any more: the scene is about to be closed."""
        self._fill([])

    def find(self) -> None:
        """List the pairs of the scene."""
        self.panel.run(self._find)

    def add(self) -> None:
        """Add the ticked pairs; those that cannot be added stay in the table with the reason."""
        self.panel.run(self._add)

    def ticked(self) -> list[ScenePair]:
        """The pairs that would be added."""
        table = self.ui.pairsTableWidget
        rows = range(min(table.rowCount, len(self.pairs)))
        return [self.pairs[row] for row in rows if table.item(row, _PATIENT).checkState() == qt.Qt.Checked]

    def _find(self) -> str:
        draft, ui = self.panel.draft, self.ui
        self._fill([])
        pairs = pairsInScene(
            ui.ruleComboBox.currentData,
            ui.sourcePatternLineEdit.text,
            ui.targetPatternLineEdit.text,
            modalities=MODALITIES.get(draft.task, ("", "")),
            single=bool(draft.settings.degrade) or not draft.settings.paired,
        )
        self._fill([(pair, " ".join(pair.problems)) for pair in pairs])
        return _("Found: {count}. Tick what is to be added.").format(count=len(pairs))

    def _add(self) -> str:
        added, refused, left, remembered = 0, [], [], {}
        ticked = self.ticked()
        for number, pair in enumerate(ticked):
            removed = [node for node in (pair.source, pair.target) if node is not None and node.GetScene() is None]
            if removed:
                message = _("'{name}' was removed from the scene; find the pairs again.")
                refused.append(message.format(name=nodeName(removed[0])))
                continue
            self.panel.showProgress(number / len(ticked), _("Adding {name}").format(name=_nameOf(pair)))
            error = self.panel.attempt(
                lambda answers, pair=pair: addScenePair(self.panel.draft, pair, answers=answers), remembered
            )
            added += not error
            refused += [error] if error else []
            left += [(pair, error)] if error else []
        unticked = [(pair, " ".join(pair.problems)) for pair in self.pairs if pair not in ticked]
        self._fill([*left, *unticked])
        return self.panel.summary(added, refused)

    def _fill(self, rows: list[tuple[ScenePair, str]]) -> None:
        table = self.ui.pairsTableWidget
        blocked = table.blockSignals(True)
        self.pairs = [pair for pair, _remark in rows]
        table.setRowCount(len(rows))
        for row, (pair, remark) in enumerate(rows):
            names = [nodeName(node) if node is not None else "" for node in (pair.source, pair.target)]
            for column, text in enumerate((pair.patientName, *names, remark)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(remark or text)
                if column == _PATIENT:
                    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
                    item.setCheckState(qt.Qt.Unchecked if remark else qt.Qt.Checked)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        table.blockSignals(blocked)

    def _onTicked(self, item) -> None:
        if self.panel.parameters is not None:
            self.update()


def _nameOf(pair: ScenePair) -> str:
    return nodeName(pair.source if pair.source is not None else pair.target)

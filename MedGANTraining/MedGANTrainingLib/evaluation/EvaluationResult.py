"""EvaluationResult: an evaluation in the scene, as tables, volumes and a report."""

from __future__ import annotations

from pathlib import Path

import slicer
from medgan.errors import InputError
from medgan.evaluation_results import EvaluationResults
from medgan.evaluation_table import OUTPUT
from slicer.i18n import tr as _
from vtk import vtkIdList

from .ErrorMaps import addErrorMap
from .EvaluationTable import addComparisonTable, addPatientTable, addSummaryTable, showTable
from .Report import openReport

FOLDER_ATTRIBUTE = "MedGAN.Evaluation"  # the folder of the evaluation, on every node that shows something of it


class EvaluationResult:
    """What came of an evaluation. The tables are made at once; an error map is loaded when it is asked for.

    Args:
        results: what was measured.

    Attributes:
        tableNode: one row per patient, the baselines beside. summaryNode: means and intervals per metric and method.
        comparisonNode: both models and their difference, None if there was one model only.
    """

    def __init__(self, results: EvaluationResults):
        self.results = results
        title = results.content["methods"][OUTPUT]
        removeNodesOf(results.folder)  # of an earlier evaluation, whose files have been replaced
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        self._item = hierarchy.CreateFolderItem(
            hierarchy.GetSceneItemID(), _("Evaluation of {model}").format(model=title)
        )
        hierarchy.SetItemAttribute(self._item, FOLDER_ATTRIBUTE, str(results.folder))
        self.tableNode = self._own(addPatientTable(results, _("{model}: patients").format(model=title)))
        self.summaryNode = self._own(addSummaryTable(results, _("{model}: summary").format(model=title)))
        self.comparisonNode = None
        if results.content["comparison"]:
            self.comparisonNode = self._own(addComparisonTable(results, _("{model}: comparison").format(model=title)))
        self._maps: dict[str, str] = {}  # path to node ID

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return self.results.folder

    @property
    def reportPath(self) -> Path:
        """The HTML report."""
        return self.results.path("report")

    @property
    def cases(self) -> list[str]:
        """The cases that have an error map."""
        return list(dict.fromkeys(row["case"] for row in self.results.content["error_maps"]))

    def errorMap(self, case: str, method: str = OUTPUT):
        """The volume node with output minus truth of a case; loaded when it is asked for first.

        Args:
            method: "output", or "against" for the model that was compared.

        Raises:
            InputError: there is none, or its file is gone.
        """
        rows = [row for row in self.results.content["error_maps"] if (row["case"], row["method"]) == (case, method)]
        if not rows:
            raise InputError(_("There is no error map of the case {case}; evaluate with error maps.").format(case=case))
        path = rows[0]["path"]
        node = slicer.mrmlScene.GetNodeByID(self._maps.get(path, ""))
        if node is None or node.GetAttribute(FOLDER_ATTRIBUTE) != str(self.folder):
            node = self._own(addErrorMap(self.results, rows[0]))
            self._maps[path] = node.GetID()
        return node

    @property
    def errorMapNodes(self) -> list:
        """The error maps of all cases and models; loads those that are not loaded."""
        return [self.errorMap(row["case"], row["method"]) for row in self.results.content["error_maps"]]

    def showErrorMap(self, case: str, method: str = OUTPUT) -> None:
        """Show an error map in the slice views."""
        slicer.util.setSliceViewerLayers(background=self.errorMap(case, method), foreground=None, label=None, fit=True)

    def showTable(self) -> None:
        """Show the table of the patients. Raises InputError: it was removed from the scene."""
        if self.tableNode.GetScene() is None:
            raise InputError(_("The table was removed from the scene; evaluate again."))
        showTable(self.tableNode)

    def openReport(self) -> None:
        """Show the report in the browser. Raises InputError: it is gone, or there is no browser."""
        openReport(self.reportPath)

    def _own(self, node):
        """Mark a node, and put it into the folder of the evaluation."""
        node.SetAttribute(FOLDER_ATTRIBUTE, str(self.folder))
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(node)
        if item == hierarchy.GetInvalidItemID():
            hierarchy.CreateItem(self._item, node)
        else:
            hierarchy.SetItemParent(item, self._item)
        return node


def removeNodesOf(folder: Path) -> None:
    """Remove what shows an evaluation in a folder from the scene."""
    scene, hierarchy = slicer.mrmlScene, slicer.mrmlScene.GetSubjectHierarchyNode()
    for className in ("vtkMRMLTableNode", "vtkMRMLScalarVolumeNode"):
        for node in slicer.util.getNodesByClass(className):
            if node.GetAttribute(FOLDER_ATTRIBUTE) == str(folder):
                if node.IsA("vtkMRMLVolumeNode") and node.GetDisplayNode() is not None:
                    scene.RemoveNode(node.GetDisplayNode())
                scene.RemoveNode(node)
    items = vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, False)
    for index in range(items.GetNumberOfIds()):
        item = items.GetId(index)
        isOurs = hierarchy.GetItemAttribute(item, FOLDER_ATTRIBUTE) == str(folder)
        if isOurs and hierarchy.GetNumberOfItemChildren(item) == 0:  # else the user keeps something there
            hierarchy.RemoveItem(item)

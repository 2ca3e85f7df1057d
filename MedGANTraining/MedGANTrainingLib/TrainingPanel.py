"""TrainingPanel: the sections of the panel around one parameter node."""

from __future__ import annotations

import slicer
import vtk
from slicer.util import VTKObservationMixin

from .dataset.DatasetSection import DatasetSection
from .evaluation.EvaluationSection import EvaluationSection
from .plan.PlanSection import PlanSection
from .run.RunSection import RunSection
from .Section import Section


class TrainingPanel(VTKObservationMixin):
    """Shows and follows a parameter node.

    Args:
        ui: the child widgets of the panel by name.
        logic: what works.

    Attributes:
        parameters: the parameter node while the module is shown, else None.
        sections: "dataset", "plan", "run" and "evaluation", in the order in which they are gone through.
    """

    def __init__(self, ui, logic):
        VTKObservationMixin.__init__(self)
        self.parameters = None
        plan = PlanSection(logic, self.update)
        self.sections: dict[str, Section] = {
            "dataset": DatasetSection(logic, self.update),
            "plan": plan,
            "run": RunSection(logic, self.update),
            "evaluation": EvaluationSection(logic, self.update, lambda: plan.report),
        }
        for name, section in self.sections.items():
            getattr(ui, f"{name}CollapsibleButton").layout().addWidget(section.widget)

    def setParameterNode(self, parameters) -> None:
        """Show and follow a parameter node (``TrainingParameterNode``), or none."""
        self.removeObservers()
        self.parameters = None  # what the sections correct on the way brings nobody here
        for section in self.sections.values():
            section.setParameterNode(parameters)
        self.parameters = parameters
        if parameters is not None:
            # Not the wrapper: the mixin keeps what it has observed, and there is a new wrapper at every entry.
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onModified)
            self.update()

    def update(self) -> None:
        """Bring every section in line with the parameters and the files on disk."""
        if self.parameters is None:
            return
        # What the sections correct on the way comes as one modification at the end, and brings us here again.
        with slicer.util.NodeModify(self.parameters.parameterNode):
            for section in self.sections.values():
                section.update()

    def sceneCloses(self) -> None:
        """The scene is about to be closed, whether the module is shown or not."""
        for section in self.sections.values():
            section.sceneCloses()

    def cleanup(self) -> None:
        """Leave nothing behind: no observer, no timer, no process but a training."""
        self.setParameterNode(None)
        for section in self.sections.values():
            section.cleanup()

    def _onModified(self, caller=None, event=None) -> None:
        self.update()

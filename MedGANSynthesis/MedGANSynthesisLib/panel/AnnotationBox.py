"""AnnotationBox: the word SYNTHETIC in the slice views, also while another module is shown."""

from __future__ import annotations

import slicer

from ..SynthesisParameterNode import SynthesisParameterNode
from .Box import Box


class AnnotationBox(Box):
    """Owns the corner annotation, which stays when the module is left."""

    def __init__(self, panel):
        from ..preview.CornerAnnotation import CornerAnnotation

        super().__init__(panel)
        self._annotation = CornerAnnotation()
        self.sceneReplaced()

    def update(self) -> None:
        self._annotation.setEnabled(self.panel.parameters.syntheticAnnotation)

    def sceneReplaced(self) -> None:
        """Synthetic images are marked unless the scene says otherwise."""
        node = slicer.mrmlScene.GetSingletonNode("MedGANSynthesis", "vtkMRMLScriptedModuleNode")
        self._annotation.setEnabled(node is None or SynthesisParameterNode(node).syntheticAnnotation)

    def cleanup(self) -> None:
        self._annotation.cleanup()

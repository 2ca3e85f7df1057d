"""AnnotationBox: whether synthetic images are marked in the slice views."""

from __future__ import annotations

from .Box import Box


class AnnotationBox(Box):
    """Switches the mark, which is there without the panel as well."""

    def update(self) -> None:
        from ..preview.SyntheticMark import syntheticMark

        syntheticMark().setEnabled(self.panel.parameters.syntheticAnnotation)

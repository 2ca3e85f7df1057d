"""Remark: what a model says to a volume before it is applied, asked again only if one of them changed."""

from __future__ import annotations

from medgan.errors import MedGANError

from .nodes import volumeFromNode


class Remark:
    """Remembers the last answer, for looking at a large volume takes time."""

    def __init__(self):
        self._key = None
        self._text = ""

    def text(self, bundle, node) -> str:
        """Warnings, or the reason why the model cannot take this volume, one per line; '' if all is well."""
        if bundle is None or node is None or node.GetImageData() is None:
            return ""
        key = (bundle.name, node.GetID(), node.GetImageData().GetMTime())
        if key != self._key:
            try:
                remarks = bundle.applicability(volumeFromNode(node))
            except MedGANError as error:
                remarks = [str(error)]
            self._key, self._text = key, "\n".join(remarks)
        return self._text

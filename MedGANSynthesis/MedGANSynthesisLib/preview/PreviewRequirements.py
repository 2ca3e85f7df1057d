"""PreviewRequirements: whether what a model needs is installed, without a question that nobody has asked for."""

from __future__ import annotations

from medgan.errors import MedGANError
from slicer.i18n import tr as _

from ..dependencies import engineDependenciesInstalled, ensureEngineDependencies


class PreviewRequirements:
    """Looks once per kind of generator.

    Attributes:
        mayAsk: whether the user may be asked to install what is missing: he has just switched the preview on, or chosen
            another model for it. A scene that is opened asks nothing.
    """

    def __init__(self):
        self.mayAsk = False
        self._complete: set[str] = set()  # kinds of generators that have what they need

    def check(self, bundle) -> None:
        """Raises MedGANError: something is missing, and the user was not asked, or declined, or it failed."""
        kind = bundle.manifest.generator
        if bundle.manifest.is_identity or kind in self._complete:
            return
        if self.mayAsk:
            ensureEngineDependencies(bundle=bundle)
        elif not engineDependenciesInstalled(bundle=bundle):
            raise MedGANError(_("Press Apply, or switch the preview off and on again, to install what is missing."))
        self._complete.add(kind)

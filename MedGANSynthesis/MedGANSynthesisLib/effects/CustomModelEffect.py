"""Custom model."""

from __future__ import annotations

from dataclasses import dataclass

from slicer import vtkMRMLVectorVolumeNode
from slicer.i18n import tr as _

from . import fields
from .GeneratorEffect import GeneratorEffect


@dataclass(frozen=True)
class CustomModelParameters:
    """What can be set, as far as the model knows of it."""

    strength: float = fields.strength()
    enhancementOnly: bool = fields.enhancementOnly()
    targetSpacingMm: tuple[float, float, float] | None = fields.targetSpacingMm()
    orientations: str = fields.orientations()
    referenceNode: vtkMRMLVectorVolumeNode | None = fields.referenceNode()  # noqa: RUF009 - a dataclass field
    secondOutput: bool = fields.secondOutput()
    spread: str = fields.spread()
    spreadSamples: int = fields.spreadSamples()


class CustomModelEffect(GeneratorEffect):
    """Any installed model, whatever its task; also networks that others made."""

    key = "custom"
    iconName = "Custom"
    order = 60
    channels = (1, 3)
    Parameters = CustomModelParameters

    @property
    def title(self) -> str:
        return _("Custom model")

    @property
    def helpText(self) -> str:
        return _(
            "Applies any installed model, your own and those of others in ONNX or TorchScript with a manifest. Read "
            "the card of the model: only its maker knows what it is good for."
        )

    def outputTitle(self, bundle) -> str:
        """As the effect for the model's own task calls it, or else the name of the model."""
        from .registry import effectOfTask

        effect = effectOfTask(bundle.task)
        return bundle.title if effect is self else effect.outputTitle(bundle)

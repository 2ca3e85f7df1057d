"""GeneratorEffect: one task of the panel, such as "Denoise CT": which models it lists and what can be set."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from medgan.errors import MedGANError
from slicer.i18n import tr as _

from ..nodes import nodeName, volumeFromNode

if TYPE_CHECKING:
    from medgan.bundle import Bundle

    from .OptionsFrame import OptionsFrame

_ICONS = Path(__file__).parents[2] / "Resources" / "Icons"


@dataclass(frozen=True)
class NoParameters:
    """An effect with nothing to set."""


class GeneratorEffect:
    """A task: shown as a button, it lists the models for it and what can be set when one is applied.

    Models are data; a new model for an existing task needs no effect. A new task is a subclass, and another extension
    registers its own when Slicer starts. It becomes a button in the panel and a name for ``logic.apply``; computing,
    masking, writing, undo and provenance are the same for all effects::

        from dataclasses import dataclass

        from medgan.parameters import parameter
        from MedGANSynthesisLib.effects import GeneratorEffect, registerEffect


        @dataclass(frozen=True)
        class SharpenXrayParameters:
            strength: float = parameter(
                1.0, label="Strength", minimum=0.0, maximum=1.0, help="How much of the result is taken."
            )


        class SharpenXrayEffect(GeneratorEffect):
            key = "sharpen-xray"
            tasks = ("sharpen-xray",)
            order = 100
            title = "Sharpen X-ray"
            helpText = "Sharpens radiographs with a generator that was trained on pairs of two detectors."
            resultTitle = "sharpened"
            Parameters = SharpenXrayParameters


        registerEffect(SharpenXrayEffect)  # e.g. in the module's __init__, through startupCompleted()

    Attributes:
        key: the name in scripts and scenes, never translated, without a dot.
        tasks: tasks of the models it lists (``medgan.recipes.names()``, or what a manifest calls its task); () for all.
        order: place of the button; the built-in effects have 10 to 60.
        iconName: of a file among MedGAN's icons, by default the class's name without "Effect".
        channels: components per voxel of the volumes it takes.
        title: text of the button, translated.
        helpText: what it is for and what to keep in mind, a few sentences, translated.
        resultTitle: appended to the name of the source, as in "CT denoised", translated.
        Parameters: a dataclass of fields made by ``medgan.parameters.parameter`` (label and help translated where they
            are written); their names are keyword arguments of ``logic.apply``.
    """

    key: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = ()
    order: ClassVar[int] = 100
    iconName: ClassVar[str] = ""
    channels: ClassVar[tuple[int, ...]] = (1,)
    Parameters: ClassVar[type] = NoParameters
    title = ""
    helpText = ""
    resultTitle = ""

    @property
    def iconPath(self) -> str:
        """Path of the icon; '' if there is none. An effect of another extension has its own."""
        path = _ICONS / f"{self.iconName or type(self).__name__.removesuffix('Effect')}.png"
        return str(path) if path.is_file() else ""

    def accepts(self, volumeNode) -> str:
        """Why this effect can never take a volume, in one sentence; '' if it can.

        Only what is impossible counts here; whether a volume suits a model is for ``logic.verdict``.
        """
        try:
            volume = volumeFromNode(volumeNode)
        except MedGANError as error:
            return str(error)
        if volume.channels in self.channels:
            return ""
        if self.channels == (1,):
            message = _("'{name}' is a color image, but {effect} takes gray values; choose another volume.")
        else:
            message = _("'{name}' has another number of components per voxel than {effect} takes; choose another one.")
        return message.format(name=nodeName(volumeNode), effect=self.title)

    def models(self) -> list[Bundle]:
        """The installed models it lists, the one taken by default first."""
        from medgan.bundle_search import find_bundles

        found = find_bundles()
        if not self.tasks:
            return found
        listed = [bundle for bundle in found if bundle.task in self.tasks]
        return sorted(listed, key=lambda bundle: self.tasks.index(bundle.task))

    def available(self, bundle: Bundle) -> set[str]:
        """The names of the parameters that mean something for a model; the others are shown disabled."""
        from .availability import meaningful

        return meaningful(bundle) & {field.name for field in dataclasses.fields(self.Parameters)}

    def relevant(self, parameters: Any) -> set[str]:
        """The names of the parameters that matter given the values of the others."""
        names = {field.name for field in dataclasses.fields(self.Parameters)}
        return names - {"spreadSamples"} if getattr(parameters, "spread", "") != "dropout" else names

    def outputTitle(self, bundle: Bundle) -> str:
        """What is appended to the name of the source, as in "CT denoised"."""
        return self.resultTitle or bundle.title

    def choiceTitle(self, name: str, value: str) -> str:
        """The words for one value of a parameter with choices."""
        from .fields import choiceTitle

        return choiceTitle(name, value)

    def setupOptionsFrame(self, frame: OptionsFrame) -> None:
        """Fill the options: by default one row per parameter; ``frame.addWidget`` takes any other widget."""
        for field in dataclasses.fields(self.Parameters):
            frame.addParameter(field.name)

    def activate(self, panel) -> None:
        """The user pressed the button; ``panel`` is the module's widget."""

    def deactivate(self) -> None:
        """Another effect, or none, was chosen, or the panel is left."""

    def cleanup(self) -> None:
        """The panel goes, or the effect was unregistered: drop widgets, observers, timers."""

    def arguments(self, parameters: Any, bundle: Bundle) -> dict[str, Any]:
        """Keyword arguments for ``logic.apply``: the values of those parameters that mean something for the model."""
        names = self.available(bundle) & self.relevant(parameters)
        return {name: getattr(parameters, name) for name in sorted(names)}

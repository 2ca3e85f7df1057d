"""Effects and models in the panel: those of others, what each remembers, and what their life is."""

import shutil
import unittest
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from medgan.bundle import Bundle
from medgan.parameters import parameter
from MedGANSynthesisLib.effects import GeneratorEffect, registerEffect, unregisterEffect
from panel_fixtures import TASK, PanelTest
from slicer_fixtures import addVolume, processEventsUntil, randomArray


@dataclass(frozen=True)
class SharpenParameters:
    strength: float = parameter(1.0, label="Strength", minimum=0.0, maximum=1.0, help="How much of it is taken.")


class SharpenEffect(GeneratorEffect):
    """An effect as another extension would write it."""

    key = "sharpen-xray"
    tasks = ("sharpen-xray",)
    order = 5
    title = "Sharpen X-ray"
    helpText = "Sharpens radiographs."
    resultTitle = "sharpened"
    Parameters = SharpenParameters

    def __init__(self):
        super().__init__()
        self.life = []

    def activate(self, panel):
        self.life.append(("activate", panel))

    def deactivate(self):
        self.life.append("deactivate")

    def cleanup(self):
        self.life.append("cleanup")


class SynthesisWidgetEffectsTest(PanelTest):
    models: ClassVar = {
        "first": {"task": TASK},
        "second": {"task": TASK},
        "contrast": {"task": "contrast-ct"},
        "sharpener": {"task": "sharpen-xray"},
    }

    def tearDown(self):
        super().tearDown()
        unregisterEffect(SharpenEffect.key)

    def buttons(self):
        layout = self.ui.effectsFrame.layout()
        return [layout.itemAt(index).widget() for index in range(layout.count())]

    def test_oneButtonForEachEffectAndNoneFirst(self):
        names = [button.objectName.removesuffix("EffectButton") for button in self.buttons()]
        self.assertEqual(names, ["none", "denoise-ct", "contrast-ct", "superres-mr", "mr-to-ct", "stain", "custom"])
        for button in self.buttons():
            self.assertTrue(button.text)
            self.assertFalse(button.icon.isNull(), button.text)

    def test_oneButtonIsPressed(self):
        for effect in ("denoise-ct", "stain", "custom", ""):
            self.press(effect)
            pressed = [button.objectName for button in self.buttons() if button.checked]
            self.assertEqual(pressed, [f"{effect or 'none'}EffectButton"])
        self.press("stain")
        self.parameters.effect = "denoise-ct"  # from the console
        self.assertTrue(self.button("denoise-ct").checked)

    def test_titleAndHelpFollowTheEffect(self):
        self.press(TASK)
        self.assertEqual(self.ui.effectOptionsGroupBox.title, self.widget.panel.effect.title)
        self.assertEqual(self.ui.effectHelpLabel.text, self.widget.panel.effect.helpText)
        self.press("")
        self.assertIn("Choose", self.ui.effectHelpLabel.text)

    def test_modelsOfTheEffectOnly(self):
        self.press(TASK)
        self.assertEqual(self.modelNames()[:2], ["first", "second"])
        self.assertNotIn("contrast", self.modelNames())
        self.press("contrast-ct")
        self.assertEqual(self.modelNames()[0], "contrast")
        self.press("custom")
        self.assertLessEqual({"first", "second", "contrast", "sharpener"}, set(self.modelNames()))

    def test_eachEffectRemembersItsModel(self):
        self.choose(model="second")
        self.press("contrast-ct")
        self.assertEqual(self.ui.modelComboBox.currentText, "contrast")
        self.press(TASK)
        self.assertEqual(self.ui.modelComboBox.currentText, "second")
        (output,) = self.apply()
        self.assertIn("second", output.GetAttribute("MedGAN.Model"))

    def test_modelThatCameAndWent(self):
        self.press(TASK)
        added = Path(self.folder) / "added"
        Bundle.create_identity(added, task=TASK, title="added")
        self.widget.panel._models.reload()  # as the model manager asks for
        self.chooseModel("added")
        shutil.rmtree(added)
        self.widget.panel._models.reload()
        self.assertNotIn("added", self.modelNames())
        self.choose()
        self.assertEqual(len(self.apply()), 1)

    def test_effectOfAnotherExtensionAppears(self):
        self.assertIsNone(self.widget.panel.registry.effect(SharpenEffect.key))
        effect = registerEffect(SharpenEffect)
        self.assertEqual(self.buttons()[1].text, "Sharpen X-ray")
        self.choose(SharpenEffect.key)
        self.assertEqual(effect.life, [("activate", self.widget)])
        self.assertEqual(self.modelNames(), ["sharpener"])
        (output,) = self.apply()
        self.assertEqual(output.GetName(), "CT sharpened")
        self.press(TASK)
        self.assertEqual(effect.life[1:], ["deactivate"])

    def test_effectThatGoesWhileActive(self):
        effect = registerEffect(SharpenEffect)
        self.choose(SharpenEffect.key)
        unregisterEffect(SharpenEffect.key)
        self.assertEqual(effect.life[1:], ["deactivate", "cleanup"])
        self.assertTrue(self.button("").checked)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertEqual(len(self.buttons()), 7)
        registerEffect(SharpenEffect)
        self.assertTrue(self.button(SharpenEffect.key).checked)

    def test_effectSleepsWhileTheModuleIsLeft(self):
        effect = registerEffect(SharpenEffect)
        self.choose(SharpenEffect.key)
        self.widget.exit()
        self.assertEqual(effect.life[1:], ["deactivate"])
        self.widget.enter()
        self.assertEqual(effect.life[2:], [("activate", self.widget)])
        self.assertTrue(self.button(SharpenEffect.key).checked)

    def test_verdictComesLater(self):
        self.choose(source=addVolume(randomArray()))
        self.assertIn("<b>", self.verdict())
        self.press("")
        self.assertEqual(self.verdict(), "")

    def test_devicesAreAskedForWhenSomebodyLooks(self):
        self.choose()
        box = self.ui.deviceComboBox
        self.assertEqual([box.itemText(index) for index in range(box.count)], ["Automatic"])
        self.ui.advancedCollapsibleButton.collapsed = False
        try:
            self.assertTrue(processEventsUntil(lambda: box.count > 1))
            box.currentIndex = [box.itemData(index) for index in range(box.count)].index("cpu")
            self.assertEqual(self.parameters.device, "cpu")
            self.assertIn("GiB free", self.ui.deviceLabel.text)
            self.assertEqual(len(self.apply()), 1)
        finally:
            self.ui.advancedCollapsibleButton.collapsed = True

    def test_deviceOfAnotherComputerIsShown(self):
        self.parameters.device = "cuda:7"
        self.assertEqual(self.ui.deviceComboBox.currentText, "cuda:7")
        self.parameters.device = "auto"
        self.assertEqual(self.ui.deviceComboBox.currentText, "Automatic")


if __name__ == "__main__":
    unittest.main()

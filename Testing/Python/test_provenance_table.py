"""The provenance of a result as a table that a user can read and copy."""

import tempfile
import unittest
from pathlib import Path

import qt
import slicer
from medgan.bundle import Bundle
from MedGANSynthesisLib.engineClient import stopEngine
from MedGANSynthesisLib.models.ProvenanceTable import provenance, showProvenance
from MedGANSynthesisLib.SynthesisLogic import SynthesisLogic
from slicer_fixtures import addVolume, randomArray


def cells(table):
    return [tuple(table.item(row, column).text() for column in range(2)) for row in range(table.rowCount)]


class ProvenanceTableTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.table = qt.QTableWidget()
        self.addCleanup(self.table.delete)

    @classmethod
    def tearDownClass(cls):
        stopEngine()

    def result(self, **options):
        with tempfile.TemporaryDirectory() as folder:
            bundle = Bundle.create_identity(Path(folder) / "identity", task="denoise-ct")
            return SynthesisLogic().apply("denoise-ct", addVolume(randomArray()), model=bundle, **options)

    def test_rowsOfAResultInASensibleOrder(self):
        output = self.result(strength=0.5)
        showProvenance(self.table, output)
        rows = dict(cells(self.table))
        self.assertEqual([self.table.horizontalHeaderItem(column).text() for column in range(2)], ["Property", "Value"])
        self.assertEqual((rows["Model"], rows["Task"], rows["Device"]), ("identity", "denoise-ct", "cpu"))
        self.assertIn("Strength: 0.5", rows["Parameters"].splitlines())
        self.assertRegex(rows["Source"], r"^CT \(vtkMRMLScalarVolumeNode\w+\)$")
        self.assertRegex(rows["Time (UTC)"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        self.assertIn("SYNTHETIC", rows["Note"])
        labels = [label for label, _value in cells(self.table)]
        expected = [
            "Model",
            "Version",
            "Task",
            "Parameters",
            "Source",
            "Device",
            "Time (UTC)",
            "MedGAN version",
            "Note",
        ]
        self.assertEqual([label for label in labels if label in expected], expected)

    def test_parametersAndTimeAreReadable(self):
        node = addVolume(randomArray())
        node.SetAttribute(
            "MedGAN.Parameters",
            '{"target_spacing_mm": [1.0, 0.7, 0.70000001], "enhancement_only": true, "spread": "flips", '
            '"ensemble": ["a", "b"], "of_tomorrow": 3}',
        )
        node.SetAttribute("MedGAN.Created", "2026-03-01T01:30:00+02:00")
        node.SetAttribute("MedGAN.Mask", "")
        node.SetAttribute("Other", "not ours")
        rows = dict(provenance(node))
        self.assertEqual(
            rows["Parameters"].splitlines(),
            [
                "Target spacing: 1 x 0.7 x 0.7 mm",
                "Enhancement only: yes",
                "Spread: From mirrored copies",
                "Ensemble: a, b",
                "of_tomorrow: 3",
            ],
        )
        self.assertEqual(rows["Time (UTC)"], "2026-02-28 23:30:00")
        self.assertEqual(set(rows), {"Parameters", "Time (UTC)"})

    def test_whatCannotBeReadIsShownAsItIs(self):
        node = addVolume(randomArray())
        for name, text in (("Parameters", "{broken"), ("Created", "yesterday"), ("Later", "unknown to this version")):
            node.SetAttribute(f"MedGAN.{name}", text)
        rows = dict(provenance(node))
        self.assertEqual(rows, {"Parameters": "{broken", "Time (UTC)": "yesterday", "Later": "unknown to this version"})
        node.SetAttribute("MedGAN.Parameters", "[1, 2]")
        self.assertEqual(dict(provenance(node))["Parameters"], "[1, 2]")

    def test_emptyWithoutNodeOrProvenance(self):
        node = addVolume(randomArray())
        node.SetAttribute("MedGAN.Model", "m")
        showProvenance(self.table, node)
        self.assertEqual(cells(self.table), [("Model", "m")])
        showProvenance(self.table, None)
        self.assertEqual(self.table.rowCount, 0)
        showProvenance(self.table, addVolume(randomArray()))
        self.assertEqual(self.table.rowCount, 0)

    def test_copy(self):
        node = addVolume(randomArray())
        node.SetAttribute("MedGAN.Model", "m")
        node.SetAttribute("MedGAN.Device", "cpu")
        node.SetAttribute("MedGAN.Parameters", '{"strength": 1.0, "spread_samples": 4}')
        showProvenance(self.table, node)
        showProvenance(self.table, node)
        (action,) = self.table.actions()
        action.trigger()
        expected = ["Model\tm", "Parameters\tStrength: 1 Dropout samples: 4", "Device\tcpu"]
        self.assertEqual(slicer.app.clipboard().text(), "\n".join(expected))
        self.table.selectRow(2)
        action.trigger()
        self.assertEqual(slicer.app.clipboard().text(), "Device\tcpu")

    def test_cellsCannotBeEdited(self):
        node = addVolume(randomArray())
        node.SetAttribute("MedGAN.Model", "m")
        showProvenance(self.table, node)
        self.assertEqual(self.table.editTriggers, qt.QAbstractItemView.NoEditTriggers)


if __name__ == "__main__":
    unittest.main()

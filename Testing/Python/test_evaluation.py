"""Evaluation: the right metrics for each task, patients and not cases, honest verdicts, clear refusals."""

import dataclasses
import tempfile
import unittest
from pathlib import Path

import evaluation_fixtures as fixtures
import medgan
import numpy as np
from medgan import metrics
from medgan.bundle import Bundle
from medgan.errors import InputError
from medgan.evaluation import by_patient, evaluate_generator
from medgan.evaluation_table import Table
from medgan.intensity import FixedScale
from medgan.network import NetworkSpec
from medgan.target import Target


class EvaluateTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def identity(self, task, **fields):
        return Bundle.create_identity(self.folder / "identity", task, **fields)

    def test_denoising_has_one_row_per_patient_and_agrees_with_the_metrics(self):
        dataset = fixtures.denoising(self.folder / "data")
        seen = []
        table = medgan.evaluate(
            self.identity("denoise-ct"), dataset, progress=lambda fraction, text: seen.append(fraction)
        )
        self.assertEqual(
            [(row["patient"], row["cases"]) for row in table], [("test-0", 2), ("test-1", 1), ("test-2", 1)]
        )
        values = [
            metrics.psnr_db(truth.array, source.array) for source, truth in map(dataset.volumes, dataset.split("test"))
        ]
        self.assertAlmostEqual(table[0]["output_psnr_db"], (values[0] + values[3]) / 2)
        self.assertEqual(table[1]["output_psnr_db"], table[1]["input_psnr_db"])
        self.assertEqual((seen[0], seen[-1], seen), (0.0, 1.0, sorted(seen)))
        for name in ("mae_hu_body", "psnr_db_abdomen", "noise_ratio", "edge_ratio"):
            for method in ("output", "input", "gaussian", "nlm"):
                self.assertTrue(np.isfinite(table.values(method, name)).all(), f"{method} {name}")
        self.assertGreater(table.values("input", "noise_ratio").min(), 3.0)
        own = next(row for row in table.summary if (row["metric"], row["method"]) == ("psnr_db", "output"))
        self.assertAlmostEqual(own["mean"], table.values("output", "psnr_db").mean())
        self.assertTrue(own["low"] <= own["mean"] <= own["high"])
        self.assertIn("does NOT beat", table.verdict())  # it changes nothing, non-local means does

    def test_mr_to_ct_stands_beside_water_and_regression_inside_the_body(self):
        dataset = fixtures.mr_and_ct(self.folder / "data")
        target = {"modality": "CT", "units": "HU"}
        table = medgan.evaluate(self.identity("mr-to-ct", target=target, modality="MR"), dataset)
        self.assertEqual(list(table.methods), ["output", "water", "regression"])
        self.assertLess(table[0]["regression_mae_hu_body"], table[0]["water_mae_hu_body"])
        for name in ("psnr_db_synthrad2023", "ssim_synthrad2023", "psnr_db_synthrad2025", "ms_ssim_synthrad2025"):
            self.assertIn(f"output_{name}", table[0])
        self.assertIn("intensity regression", table.verdict())
        self.assertIn("one patient", table.verdict())
        self.assertTrue(all(row["low"] is None for row in table.summary))

    def test_contrast_uptake_of_the_input_is_none(self):
        table = medgan.evaluate(self.identity("contrast-ct"), fixtures.enhancing(self.folder / "data"))
        self.assertLess(abs(table[0]["input_cnr"]), 1.0)
        self.assertLess(abs(table[0]["input_cnr_ratio"]), 0.1)

    def test_stain_with_a_true_picture(self):
        bundle = self.identity("stain", channels=3)
        table = medgan.evaluate(bundle, fixtures.slides(self.folder / "data"))
        self.assertEqual(table.primary, "de2000_tissue")
        self.assertEqual(list(table.methods), ["output", "input", "macenko", "reinhard"])
        self.assertGreater(table[0]["input_de2000_tissue"], 3.0)
        self.assertLess(table[0]["reinhard_de2000_mean_color"], table[0]["input_de2000_mean_color"])

    def test_stain_without_a_true_picture_is_judged_by_the_target_slides(self):
        bundle = self.identity("stain", channels=3)
        table = medgan.evaluate(
            bundle, fixtures.slides(self.folder / "data", paired=False), out_dir=self.folder / "out"
        )
        self.assertEqual(table.primary, "de2000_classes")
        self.assertNotIn("output_psnr_db", table[0])
        self.assertLess(table[0]["reinhard_de2000_classes"], table[0]["input_de2000_classes"])
        self.assertTrue(any("no true image" in note for note in table.notes))
        self.assertTrue((self.folder / "out" / "report.html").exists())

    def test_only_the_trivial_baseline_without_baselines(self):
        dataset = fixtures.denoising(self.folder / "data", patients=1)
        table = medgan.evaluate(self.identity("denoise-ct"), dataset, baselines=False)
        self.assertEqual(list(table.methods), ["output", "input"])

    def test_the_validation_split_stands_in_for_a_missing_test_split_and_says_so(self):
        dataset = fixtures.denoising(self.folder / "data")
        cases = tuple(case for case in dataset.cases if case.split != "test")
        dataset = dataclasses.replace(dataset, cases=cases)
        table = medgan.evaluate(self.identity("denoise-ct"), dataset, baselines=False)
        self.assertEqual(table[0]["patient"], "validation")
        self.assertTrue(any("no test split" in note for note in table.notes))

    def test_refusals_are_one_sentence(self):
        dataset = fixtures.denoising(self.folder / "data", patients=1)
        bundle = self.identity("denoise-ct")
        with self.assertRaisesRegex(InputError, "no split 'all'"):
            medgan.evaluate(bundle, dataset, split="all")
        with self.assertRaisesRegex(InputError, "for the task stain, the dataset for denoise-ct"):
            medgan.evaluate(Bundle.create_identity(self.folder / "stain", "stain"), dataset)
        coarse = fixtures.coarse_and_fine(self.folder / "coarse")
        with self.assertRaisesRegex(InputError, "the model makes an image of"):
            medgan.evaluate(Bundle.create_identity(self.folder / "superres", "superres-mr"), coarse)


class GeneratorTest(unittest.TestCase):
    """Networks in memory that do something known, as a training validates them."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def rows(self, network, spec, target, dataset):
        scale = FixedScale(0.0, 1.0)
        return evaluate_generator(network, spec, scale, target, dataset, dataset.split("test"), "cpu")

    def test_the_network_itself_is_measured(self):
        import torch

        dataset = fixtures.denoising(self.folder / "data", patients=1)
        smooth = torch.nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        rows = self.rows(smooth, NetworkSpec(halo=(0, 1, 1)), Target(), dataset)
        self.assertEqual([row["case"] for row in rows], ["case-2", "case-3"])
        source, truth = dataset.volumes(dataset.split("test")[0])
        expected = smooth(torch.from_numpy(source.array.astype(np.float32))[:, None])[:, 0].numpy()
        self.assertAlmostEqual(rows[0]["output_rmse"], metrics.rmse(truth.array, expected), places=2)
        self.assertEqual(rows[0]["input_rmse"], metrics.rmse(truth.array, source.array))

    def test_super_resolution_is_compared_with_splines_on_the_fine_grid(self):
        import torch

        dataset = fixtures.coarse_and_fine(self.folder / "data")
        nearest = torch.nn.Upsample(scale_factor=2, mode="nearest")
        spec = NetworkSpec(dimensions=3, scale=(2, 2, 2), halo=(1, 1, 1))
        row = self.rows(nearest, spec, Target(), dataset)[0]
        source, truth = dataset.volumes(dataset.split("test")[0])
        blocks = source.array.repeat(2, 0).repeat(2, 1).repeat(2, 2)
        self.assertAlmostEqual(row["output_rmse"], metrics.rmse(truth.array, blocks), places=3)
        self.assertGreater(row["input_psnr_db"], row["output_psnr_db"] + 1.0)

    def test_mr_to_ct_has_no_input_to_compare_with_but_water(self):
        import torch

        dataset = fixtures.mr_and_ct(self.folder / "data")
        target = Target(modality="CT", units="HU", scale=FixedScale(0.0, 1.0))
        row = self.rows(torch.nn.Identity(), NetworkSpec(), target, dataset)[0]
        self.assertIn("water_mae_hu_body", row)
        self.assertFalse([key for key in row if key.startswith("input_")])

    def test_cases_without_truth_are_left_out(self):
        import torch

        dataset = fixtures.slides(self.folder / "data", paired=False)
        self.assertEqual(
            self.rows(torch.nn.Identity(), NetworkSpec(in_channels=3, out_channels=3), Target(), dataset), []
        )


class TableTest(unittest.TestCase):
    def table(self, own, other, primary="psnr_db"):
        rows = [
            {"patient": str(n), "cases": 1, f"output_{primary}": a, f"input_{primary}": b}
            for n, (a, b) in enumerate(zip(own, other, strict=True))
        ]
        return Table(rows, "denoise-ct", primary, {"output": "network", "input": "the input"})

    def test_verdicts(self):
        self.assertRegex(self.table([40, 41, 42], [35, 36, 37]).verdict(), "^The generator beats .* 41 against 36 dB")
        self.assertIn("does NOT beat", self.table([35, 36, 37], [40, 41, 42]).verdict())
        self.assertIn("it may be chance", self.table([40, 30, 41], [35, 36, 37]).verdict())
        self.assertNotIn("chance", self.table([40, 41, 42], [35, 36, 37]).verdict())
        self.assertIn("one patient", self.table([40], [35]).verdict())
        self.assertIn("could not be measured", self.table([np.nan], [35]).verdict())

    def test_lower_errors_are_better(self):
        self.assertIn("generator beats", self.table([40, 41], [50, 60], "mae_hu_body").verdict())
        self.assertEqual(self.table([40, 41], [50, 60], "mae_hu_body").best_baseline(), ("input", 14.5))

    def test_patients_are_drawn_in_pairs_for_the_gain(self):
        # patients differ much, the gain hardly does
        verdict = self.table([20, 30, 40, 50], [19, 29, 39, 49]).verdict()
        self.assertIn("gain 1 dB, 95% interval over 4 patients 1 to 1", verdict)

    def test_what_was_not_measured_counts_for_no_patient(self):
        rows = by_patient([
            {"case": "a", "patient": "x", "output_cnr": 2.0}, {"case": "b", "patient": "x", "output_cnr": np.nan},
            {"case": "c", "patient": "y", "output_cnr": np.nan},
        ])  # fmt: skip
        table = Table(rows, "contrast-ct", "cnr", {"output": "network"})
        self.assertEqual(table[0]["output_cnr"], 2.0)
        self.assertEqual(table.summary[0]["patients"], 1)

    def test_csv_holds_every_patient_and_the_summary(self):
        import csv

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            self.table([40, 41], [35, 36]).write_csv(path)
            with path.open(newline="") as stream:
                lines = list(csv.DictReader(stream))
        self.assertEqual([line["patient"] for line in lines], ["0", "1", "mean", "median", "low", "high"])
        self.assertEqual(float(lines[2]["output_psnr_db"]), 40.5)
        self.assertLessEqual(float(lines[4]["input_psnr_db"]), 35.5)

    def test_it_prints_as_a_table(self):
        lines = str(self.table([40, 41], [35, 36])).splitlines()
        self.assertRegex(lines[0], "metric +generator +the input +95 % interval")
        self.assertRegex(lines[1], r"PSNR \(dB\) +40.5 +35.5 +40 to 41")


if __name__ == "__main__":
    unittest.main()

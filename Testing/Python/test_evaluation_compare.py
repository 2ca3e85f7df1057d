"""Two generators on the same cases, error maps, and the results that programs read."""

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import evaluation_fixtures as fixtures
import medgan
import numpy as np
from medgan import cli
from medgan.bundle import Bundle
from medgan.errors import InputError
from medgan.evaluation_results import EvaluationResults
from medgan.evaluation_table import Table
from medgan.hand_over import results_rows
from medgan.image_io import read_volume
from medgan.metrics import staining

ENGINE = Path(medgan.__file__).parents[1]


class ComparisonTest(unittest.TestCase):
    """Tables that are made up."""

    def table(self, own, other, primary="psnr_db", **more):
        rows = [
            {"patient": str(n), "cases": 1, f"output_{primary}": a, f"against_{primary}": b, f"input_{primary}": 0.0}
            for n, (a, b) in enumerate(zip(own, other, strict=True))
        ]
        methods = {"output": "new", "against": "old", "input": "the input"}
        return Table(rows, "denoise-ct", primary, methods, **more)

    def test_differences_are_those_of_the_same_patients(self):
        # patients differ much, the two models hardly, but always the same way
        table = self.table([20.0, 30.0, 40.0, 50.0], [19.0, 29.0, 39.0, 49.0])
        (row,) = table.comparison
        self.assertEqual((row["output"], row["against"], row["difference"]), (35.0, 34.0, 1.0))
        self.assertEqual((row["low"], row["high"], row["patients"], row["better"]), (1.0, 1.0, 4, "output"))
        self.assertIn("'new' is better than 'old': PSNR 35 against 34 dB", table.comparison_verdict())

    def test_the_interval_holds_the_mean_difference(self):
        generator = np.random.default_rng(0)
        own = generator.normal(30, 5, 12)
        (row,) = self.table(own, own - generator.normal(2, 1, 12)).comparison
        self.assertTrue(0 < row["low"] < row["difference"] < row["high"])

    def test_of_errors_the_smaller_is_better(self):
        table = self.table([10.0, 11.0, 12.0], [20.0, 22.0, 21.0], "mae_hu_body")
        self.assertEqual(table.comparison[0]["better"], "output")
        self.assertLess(table.comparison[0]["difference"], 0)
        other = self.table([20.0, 22.0, 21.0], [10.0, 11.0, 12.0], "mae_hu_body")
        self.assertIn("'old' is better than 'new': MAE, body 11 against 21 HU", other.comparison_verdict())
        self.assertRegex(other.comparison_verdict(), "difference -10 HU, 95% interval over 3 patients -1[01.]+ to -9")

    def test_of_a_signed_error_the_one_near_zero_is_better(self):
        self.assertEqual(
            self.table([-1.0, 1.0, 0.5], [-9.0, -8.0, -9.5], "bias_hu_body").comparison[0]["better"], "output"
        )

    def test_chance_is_no_difference(self):
        table = self.table([20.0, 30.0, 40.0], [21.0, 29.0, 40.5])
        self.assertEqual(table.comparison[0]["better"], "")
        self.assertTrue(table.comparison_verdict().startswith("Neither 'new' nor 'old' is shown to be better"))

    def test_one_patient_proves_nothing(self):
        table = self.table([40.0], [20.0])
        self.assertEqual((table.comparison[0]["low"], table.comparison[0]["better"]), (None, ""))
        self.assertIn("one patient, which proves nothing", table.comparison_verdict())

    def test_patients_that_only_one_was_measured_on_do_not_count(self):
        (row,) = self.table([20.0, np.nan, 40.0], [19.0, 10.0, np.inf]).comparison
        self.assertEqual((row["patients"], row["difference"]), (1, 1.0))

    def test_the_other_generator_is_no_baseline(self):
        table = self.table([40.0, 41.0], [50.0, 51.0])
        self.assertEqual(table.best_baseline()[0], "input")
        self.assertIn("generator beats", table.verdict())

    def test_without_another_there_is_none(self):
        table = Table([{"patient": "a", "cases": 1, "output_psnr_db": 1.0}], "denoise-ct", "psnr_db", {"output": "new"})
        self.assertEqual((table.comparison, table.comparison_verdict()), ([], ""))


class EvaluateAgainstTest(unittest.TestCase):
    """The command, with generators that return their input."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.dataset = fixtures.denoising(cls.folder / "data")
        for name in ("new", "old"):
            Bundle.create_identity(cls.folder / name, title="Copy")
        cls.out = cls.folder / "out"
        code, cls.printed, cls.errors = cls.command(
            "--out", str(cls.out), "--against", str(cls.folder / "old"), "--error-maps"
        )
        assert code == 0, cls.errors

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def command(cls, *options):
        out, errors = io.StringIO(), io.StringIO()
        arguments = ["evaluate", str(cls.folder / "new"), str(cls.folder / "data"), "--no-baselines", *options]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = cli.main(arguments)
        return code, out.getvalue(), errors.getvalue()

    def test_both_columns_are_printed_with_names_that_differ(self):
        self.assertIn("Copy (old)", self.printed)
        self.assertIn("Neither 'Copy (new)' nor 'Copy (old)'", self.printed)

    def test_results_are_those_of_the_table(self):
        content = EvaluationResults.load(self.out).content
        table = medgan.evaluate(self.folder / "new", self.dataset, baselines=False, against=self.folder / "old")
        for name, rows in (("patients", list(table)), ("cases", table.cases), ("summary", table.summary)):
            np.testing.assert_equal(content[name], rows)  # what could not be measured is NaN in both
        self.assertEqual(content["comparison"], table.comparison)
        self.assertEqual({row["difference"] for row in content["comparison"]}, {0.0})
        self.assertEqual(list(content["methods"]), ["output", "against", "input"])
        self.assertEqual(content["dataset"]["licence"], "CC0-1.0")

    def test_error_maps_are_output_minus_truth_on_the_grid(self):
        content = EvaluationResults.load(self.out).content
        cases = {case.id: case for case in self.dataset.split("test")}
        self.assertEqual(len(content["error_maps"]), 2 * len(cases))
        for row in content["error_maps"]:
            source, truth = self.dataset.volumes(cases[row["case"]])
            error = read_volume(self.out / row["path"])[0]
            self.assertTrue((error.array == source.array.astype(np.float32) - truth.array.astype(np.float32)).all())
            self.assertTrue(error.geometry.is_close(truth.geometry, 0.0))
            self.assertEqual((error.units, row["units"], error.array.dtype), ("HU", "HU", np.float32))
            self.assertLess(np.abs(error.array[np.abs(error.array) <= row["limit"]]).max(), row["limit"] + 1)

    def test_pictures_and_report_are_where_the_results_say(self):
        results = EvaluationResults.load(self.out)
        kinds = [Path(row["path"]).stem.partition("-")[2] for row in results.content["pictures"]]
        self.assertEqual(kinds, ["case", "case", "case", "histogram", "bland-altman"])
        for row in results.content["pictures"]:
            self.assertEqual((results.folder / row["path"]).read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        text = results.path("report").read_text(encoding="utf-8")
        self.assertIn("<h2>Comparison</h2>", text)
        self.assertIn("compared with: Copy (old)", text)

    def test_a_second_evaluation_leaves_no_map_of_the_first(self):
        out = self.folder / "again"
        self.command("--out", str(out), "--error-maps", "--against", str(self.folder / "old"))
        self.command("--out", str(out), "--error-maps")
        content = EvaluationResults.load(out).content
        self.assertEqual(
            sorted(path.name for path in (out / "error-maps").iterdir()),
            sorted(Path(row["path"]).name for row in content["error_maps"]),
        )
        self.assertEqual({row["method"] for row in content["error_maps"]}, {"output"})
        self.assertEqual([path.name for path in out.iterdir() if path.name.startswith(".")], [])

    def test_json_is_what_is_printed(self):
        code, printed, _errors = self.command("--json", "--quiet")
        content = json.loads(printed, parse_constant=lambda name: self.fail(name))
        self.assertEqual((code, content["task"], len(content["patients"])), (0, "denoise-ct", 3))

    def test_equal_images_give_infinite_numbers_that_are_read_back(self):
        _source, truth = self.dataset.volumes(self.dataset.split("test")[0])
        perfect = fixtures.saved(self.folder / "perfect", "denoise-ct", [("test", "a", truth, truth)], "CT", "HU")
        out = self.folder / "perfect-out"
        medgan.evaluate(self.folder / "new", perfect, baselines=False, out_dir=out, error_maps=True)
        results = EvaluationResults.load(out)
        self.assertEqual(results.content["patients"][0]["output_psnr_db"], np.inf)
        self.assertEqual(results.content["error_maps"][0]["limit"], 0.0)
        self.assertIn("does NOT beat", results.content["verdict"])
        self.assertNotIn("nan", results.content["verdict"])

    def test_the_split_that_was_measured_on_is_told(self):
        out = self.folder / "validation-out"
        self.command("--out", str(out), "--split", "validation")
        self.assertEqual(EvaluationResults.load(out).content["split"], "validation")
        (row,) = results_rows(EvaluationResults.load(out))
        self.assertEqual((row["case"], row["learnt_from"]), ("validation patient 1", False))

    def test_results_know_the_images_they_are_of(self):
        results = EvaluationResults.load(self.out)
        self.assertTrue(results.is_of(self.dataset))
        one = self.dataset.split("test")[0]
        others = [case for case in self.dataset.cases if case is not one]
        changed = dataclasses.replace(one, sha256={**one.sha256, "target": "0" * 64})
        for cases, same in (([*others, one], True), ([*others, changed], False), (others, False)):
            self.assertEqual(results.is_of(dataclasses.replace(self.dataset, cases=tuple(cases))), same)

    def test_error_maps_need_a_folder(self):
        code, _printed, errors = self.command("--error-maps")
        self.assertEqual(code, cli.EXIT_INPUT)
        self.assertIn("name one with --out", errors)

    def test_another_task_is_refused_as_well(self):
        Bundle.create_identity(self.folder / "stain", "stain", channels=3)
        code, _printed, errors = self.command("--against", str(self.folder / "stain"))
        self.assertEqual(code, cli.EXIT_INPUT)
        self.assertIn("is for the task stain", errors)

    def test_of_color_the_map_is_the_color_difference(self):
        dataset = fixtures.slides(self.folder / "slides")
        bundle = Bundle.create_identity(self.folder / "stains", "stain", channels=3)
        out = self.folder / "slides-out"
        medgan.evaluate(bundle, dataset, baselines=False, out_dir=out, error_maps=True)
        (row,) = EvaluationResults.load(out).content["error_maps"]
        source, truth = dataset.volumes(dataset.split("test")[0])
        error = read_volume(out / row["path"])[0]
        self.assertEqual(row["units"], "dE2000")
        np.testing.assert_array_equal(error.array, staining.color_difference(truth.array, source.array))

    def test_results_are_read_without_anything_heavy(self):
        code = (
            "import sys; from medgan.evaluation_results import EvaluationResults; "
            f"EvaluationResults.load({str(self.out)!r}); import medgan.hand_over; "
            "print([name for name in ('torch', 'scipy', 'skimage', 'matplotlib', 'SimpleITK') if name in sys.modules])"
        )
        environment = {**os.environ, "PYTHONPATH": str(ENGINE)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.strip(), "[]")

    def test_results_that_cannot_be_read(self):
        for text, words in (("{", "damaged"), ('{"schema": 9}', "newer"), ('{"schema": 1, "methods": 3}', "damaged")):
            folder = self.folder / "broken"
            folder.mkdir(exist_ok=True)
            (folder / "results.json").write_text(text)
            with self.assertRaisesRegex(InputError, words):
                EvaluationResults.load(folder)
        with self.assertRaisesRegex(InputError, "no results"):
            EvaluationResults.load(self.folder / "nowhere")


if __name__ == "__main__":
    unittest.main()

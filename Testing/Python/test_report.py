"""The report: one valid file without addresses, whose pictures decode and show what they should."""

import base64
import contextlib
import io
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path

import evaluation_fixtures as fixtures
import medgan
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.image import imread
from medgan import cli, report, report_figures
from medgan.bundle import Bundle
from medgan.evaluation_table import OUTPUT, Table
from medgan.metrics.judges import Reference
from medgan.report_cases import CaseRecord, viewing_axis
from medgan.volume import Volume

_VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags that are balanced, links, texts and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.texts, self.pictures = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "data"):
                self.addresses.append(value)
                if value.startswith("data:image/png;base64,"):
                    self.pictures.append(base64.b64decode(value.partition(",")[2], validate=True))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append(data)


def record(truth, image, source=None, mask=None, spacing_mm=(1.0, 1.0, 1.0), values=None):
    """A case whose generator made ``image``; the baseline ``input`` is the source on the grid of the truth."""
    volume = Volume(truth, fixtures.Geometry((0, 0, 0), spacing_mm, np.eye(3)), "HU" if truth.ndim == 3 else "")
    reference = Reference(volume if source is None else source, volume, np.ones(truth.shape[:3], bool) if mask is None
                          else mask)  # fmt: skip
    made = {OUTPUT: volume.with_array(image), "input": volume}
    case = fixtures.Case("case-1", "patient-1", "", "", "test")
    return CaseRecord.of(case, reference, True, made, values or {})


def drawn(error, limit, signed):
    """RGB of an error map without margins, 0 to 1."""
    figure = Figure(figsize=(1, 1))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    report_figures.error_map(axis, error, limit, signed, "auto")
    return imread(io.BytesIO(report_figures.png(figure)), format="png")[..., :3]


class ReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        fixtures.denoising(cls.folder / "data")
        cls.bundle = Bundle.create_identity(cls.folder / "identity", title="Copies <its> input")
        cls.table = medgan.evaluate(cls.bundle, cls.folder / "data", out_dir=cls.folder / "out")
        cls.text = (cls.folder / "out" / "report.html").read_text(encoding="utf-8")
        cls.page = Page(cls.text)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_it_parses_and_names_no_address(self):
        self.assertEqual(self.page.open, [])
        self.assertTrue(all(address.startswith("data:image/png;base64,") for address in self.page.addresses))
        self.assertNotIn("http", self.text.replace(self.text[self.text.index("base64,") :], ""))
        self.assertIn("Copies <its> input: evaluation", self.page.texts)

    def test_pictures_decode(self):
        # best, median and worst case, histogram, Bland-Altman
        self.assertEqual(len(self.page.pictures), 5)
        for content in self.page.pictures:
            picture = imread(io.BytesIO(content), format="png")
            self.assertGreater(min(picture.shape[:2]), 300)
            self.assertGreater(picture.std(), 0.05)

    def test_it_says_what_was_measured_and_that_the_baseline_wins(self):
        text = " ".join(self.page.texts)
        self.assertIn(self.table.verdict(), text)
        self.assertIn("does NOT beat", text)
        self.assertIn('class="verdict worse"', self.text)
        for piece in ("CC0-1.0", "3 patients, 4 cases", "non-local means", "LPIPS was not computed", "SYNTHETIC"):
            self.assertIn(piece.lower(), text.lower())
        for row in self.table.summary:
            self.assertIn(report.CATALOGUE[row["metric"]].definition, text)

    def test_the_table_lies_beside_it(self):
        lines = (self.folder / "out" / "table.csv").read_text().splitlines()
        self.assertEqual(len(lines), 1 + 3 + 4)

    def test_the_command_prints_the_table_and_writes_the_report(self):
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = cli.main(
                ["evaluate", str(self.bundle.path), str(self.folder / "data"), "--out", str(self.folder / "again"),
                 "--no-baselines", "--device", "cpu"]
            )  # fmt: skip
        self.assertEqual(code, 0, errors.getvalue())
        self.assertRegex(out.getvalue(), r"(?m)^PSNR \(dB\) ")
        self.assertIn("The generator does NOT beat", out.getvalue())
        self.assertIn("100%", errors.getvalue())
        self.assertTrue((self.folder / "again" / "report.html").is_file())

    def test_a_missing_dataset_is_one_sentence(self):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            code = cli.main(["evaluate", str(self.bundle.path), str(self.folder / "nowhere")])
        self.assertEqual(code, cli.EXIT_INPUT)
        self.assertEqual(len(errors.getvalue().strip().splitlines()), 1)


class ErrorMapTest(unittest.TestCase):
    def test_equal_images_give_a_map_of_no_error(self):
        truth = fixtures.ct_disc(np.random.default_rng(0), 3, 48)
        case = record(truth, truth.copy())
        self.assertEqual(np.abs(case.errors[OUTPUT]).max(), 0.0)
        middle = np.array(colormaps["RdBu_r"](0.5)[:3])
        self.assertLess(np.abs(drawn(case.errors[OUTPUT], 10.0, True) - middle).max(), 0.01)

    def test_too_bright_is_red_and_too_dark_is_blue(self):
        error = np.zeros((10, 10), np.float32)
        error[:, :5], error[:, 5:] = 8.0, -8.0
        picture = drawn(error, 10.0, True)
        left, right = picture[50, 20], picture[50, 80]
        self.assertGreater(left[0], left[2] + 0.3)
        self.assertGreater(right[2], right[0] + 0.3)

    def test_color_errors_are_ciede2000(self):
        truth = fixtures.slide(0).array
        case = record(truth, truth.copy())
        self.assertEqual(case.errors[OUTPUT].max(), 0.0)
        self.assertLess(drawn(case.errors[OUTPUT], 1.0, False).max(), 0.03)  # black
        other = truth.copy()
        other[:, 10:20] = 0
        self.assertGreater(record(truth, other).errors[OUTPUT][10:20].min(), 10.0)


class CaseTest(unittest.TestCase):
    def test_the_slice_with_the_most_body_is_shown(self):
        truth = np.arange(5.0)[:, None, None] * np.ones((5, 20, 30))
        mask = np.zeros(truth.shape, bool)
        mask[3, 5:15, 8:20] = True
        case = record(truth, truth, mask=mask)
        self.assertEqual(case.plane, "slice k = 3")
        self.assertEqual(case.pictures["truth"].max(), 3.0)
        self.assertEqual(case.box, (3, 16, 6, 21))
        self.assertEqual(case.samples["truth"].size, 120)

    def test_through_plane_super_resolution_is_shown_from_the_side(self):
        truth = np.random.default_rng(0).random((16, 12, 10))
        source = Volume(truth[::4].copy())
        self.assertEqual(viewing_axis(source, Volume(truth)), 1)
        case = record(truth, truth, source, spacing_mm=(1.0, 1.0, 2.0))
        self.assertEqual(
            (case.pictures["source"].shape, case.pictures[OUTPUT].shape, case.aspect), ((4, 10), (16, 10), 2.0)
        )
        self.assertAlmostEqual(case.pictures[OUTPUT][0, 0], truth[15, 0, 0], places=6)  # k upwards
        figure = report_figures.case_figure(case, "superres-mr", {"input": "input", OUTPUT: "network"}, "title")
        coarse, fine = (axis.images[0].get_extent() for axis in figure.axes[:2])
        self.assertEqual(coarse, fine)

    def test_best_median_and_worst_are_chosen_by_the_primary_metric(self):
        truth = np.zeros((1, 20, 20))
        cases = [record(truth, truth, values={"output_mae_hu_body": value}) for value in (30.0, 10.0, 50.0, 20.0, 40.0)]
        table = Table([], "mr-to-ct", "mae_hu_body", {OUTPUT: "network"})
        chosen = {name: case.values["output_mae_hu_body"] for name, case in report.chosen_cases(table, cases)}
        self.assertEqual(chosen, {"Best": 10.0, "Median": 30.0, "Worst": 50.0})
        self.assertEqual([name for name, _ in report.chosen_cases(table, cases[:2])], ["Best and median", "Worst"])
        self.assertEqual([name for name, _ in report.chosen_cases(table, cases[:1])], ["Only"])


class PlotTest(unittest.TestCase):
    def test_bland_altman_marks_the_bias(self):
        truth = np.random.default_rng(0).normal(0, 100, (4, 40, 40))
        case = record(truth, truth + 25.0)
        figure = report_figures.bland_altman([case], "HU")
        levels = [line.get_ydata()[0] for line in figure.axes[0].lines]
        np.testing.assert_allclose(levels, 25.0, atol=1e-3)
        self.assertIn("(HU)", figure.axes[0].get_ylabel())

    def test_histogram_bins_hold_equally_many_integers(self):
        truth = np.random.default_rng(0).integers(-100, 100, (4, 60, 60)).astype(np.int16)
        image = truth + np.random.default_rng(1).integers(-200, 201, truth.shape).astype(np.int16)
        figure = report_figures.histogram([record(truth, image)], [OUTPUT], {OUTPUT: "network"}, "HU")
        outline = figure.axes[0].patches[0].get_path().vertices
        heights = outline[(np.abs(outline[:, 0]) < 150) & (outline[:, 1] > 0), 1]
        self.assertLess(heights.std() / heights.mean(), 0.2)  # no comb: the differences are spread evenly


if __name__ == "__main__":
    unittest.main()

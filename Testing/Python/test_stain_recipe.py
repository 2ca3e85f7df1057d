"""Stain transfer: published sizes, learning from one small slide, white glass, and tiles without seams."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

import medgan
import numpy as np
import torch
from medgan import recipes
from medgan.bundle_writer import write_bundle
from medgan.colour import from_optical_density
from medgan.dataset import Case, Dataset
from medgan.errors import InputError
from medgan.fitted_source import FittedSource
from medgan.generation import Generation, stored_in
from medgan.image_io import read_volume, write_volume
from medgan.metrics.staining import color_difference
from medgan.network import TorchNetwork
from medgan.recipes.stain import magnified
from medgan.restaining import Restaining
from medgan.sampling import PatchSampler
from medgan.volume import Volume
from shared_data import dataFile
from test_slide_io import write_pyramid

TINY = {
    "base_width": 8, "depth": 2, "discriminator_width": 8, "patch_size": 48, "batch_size": 4, "epochs": 3,
    "steps_per_epoch": 25, "adversarial_start": 2, "averaging": 0.9, "learning_rate_generator": 4e-3,
    "magnification": 1.2,
}  # fmt: skip
BACKGROUND = 245
SHIPPED = Path(__file__).resolve().parents[2] / "MedGANSynthesis" / "Resources" / "Models" / "stain-he-cmu1"


def tissue(seed, size=96):
    """Eosin with round nuclei of haematoxylin, and a strip of glass: RGB ``(1, size, size, 3)`` uint8."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    nuclei = np.zeros((size, size))
    for y, x in generator.uniform(0, size, (size // 3, 2)):
        nuclei = np.maximum(nuclei, np.hypot(rows - y, columns - x) < generator.uniform(2, 5))
    eosin = 0.4 + 0.15 * np.sin(columns / 3 + generator.uniform(0, 6)) + 0.03 * generator.standard_normal((size, size))
    density = nuclei[..., np.newaxis] * (0.75, 0.8, 0.35) + ((1 - nuclei) * eosin)[..., np.newaxis] * (0.07, 0.99, 0.3)
    picture = np.rint(from_optical_density(density)).astype(np.uint8)
    picture[: size // 6] = BACKGROUND
    return picture[np.newaxis]


def restained(array, seed):
    """As another laboratory stains it; the glass stays clear."""
    restain = Restaining.draw(np.random.default_rng(seed))
    picture = np.moveaxis(restain(np.moveaxis(array.astype(np.float32), -1, 0)), 0, -1)
    return np.where((array == BACKGROUND).all(axis=-1, keepdims=True), array, np.rint(picture).astype(np.uint8))


def tiny_slides(folder):
    """One slide that is its own partner to learn from, another, re-stained, to validate with."""
    (folder / "images").mkdir(parents=True)
    pictures = {"train": tissue(0), "validation": tissue(1), "other": restained(tissue(1), 3)}
    for name, array in pictures.items():
        write_volume(Volume(np.ascontiguousarray(array), modality="SM"), folder / "images" / f"{name}.nrrd")
    path = "images/{}.nrrd".format
    cases = (
        Case(id="a", patient="a", source=path("train"), target=path("train"), split="train"),
        Case(id="b", patient="b", source=path("other"), target=path("validation"), split="validation"),
    )
    Dataset(
        folder=folder, task="stain", modality="SM", units="", description="drawn tissue", licence="CC0-1.0", cases=cases
    ).save()
    return Dataset.load(folder)


class PublishedSizes(unittest.TestCase):
    """Numbers of systems.md, section 5."""

    def check(self, wanted_generator, wanted_discriminator, **overrides):
        recipe = recipes.get("stain", preset="published", **overrides)
        made = recipe.build_generator()
        judge = recipe.build_discriminator()
        self.assertEqual(sum(parameter.numel() for parameter in made.parameters()), wanted_generator)
        self.assertEqual(sum(parameter.numel() for parameter in judge.parameters()), wanted_discriminator)
        return recipe, made, judge

    def test_published_system(self):
        recipe, generator, discriminator = self.check(54_416_387, 2_761_921)
        grey = torch.zeros(1, 3, 256, 256)
        with torch.inference_mode():
            self.assertEqual(generator.eval()(grey).shape, (1, 3, 256, 256))
            self.assertEqual(discriminator(grey, grey).shape, (1, 1, 16, 16))
        scales = torch.cat([m.weight for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)])
        self.assertLess(abs(float(scales.detach().mean())), 0.005)  # N(0, 0.02), which starves the signal
        self.assertEqual((recipe.weight_l1, recipe.batch_size, recipe.beta1, recipe.dropout), (100.0, 4, 0.9, 0.5))

    def test_stst(self):
        self.check(54_419_459, 6_965_441, generator="stst", discriminator="stst")

    def test_canonical_pix2pix(self):
        self.check(54_413_955, 2_768_705, generator="pix2pix", discriminator="patch70", norm_start=1.0)

    def test_dropout_at_inference_makes_samples(self):
        options = {"base_width": 4, "depth": 6, "dropout": 0.5, "normalisation": "none", "input": "luma"}
        image = torch.rand(1, 1, 64, 64)
        for always in (False, True):
            torch.manual_seed(0)
            recipe = recipes.get("stain", generator="pix2pix", dropout_always=always, **options)
            generator = recipe.build_generator().eval()
            with torch.inference_mode():
                self.assertEqual(not torch.equal(generator(image), generator(image)), always)


class Learning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.dataset = tiny_slides(cls.folder / "dataset")
        cls.bundles = {}

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def trained(self, kind):
        """A generator that learnt from the one slide, and the history of its training."""
        run = self.folder / kind
        if kind not in self.bundles:
            recipe = recipes.get("stain", input=kind, **TINY)
            self.bundles[kind] = medgan.train(recipe, self.dataset, run, device="cpu")
        return self.bundles[kind], json.loads((run / "history.json").read_text())

    def check_learning(self, kind):
        bundle, history = self.trained(kind)
        self.assertLess(history[-1]["l1"], 0.5 * history[0]["l1"])
        self.assertIn("discriminator", history[-1])
        source, truth = self.dataset.volumes(self.dataset.split("validation")[0])
        result = medgan.Synthesizer(bundle, "cpu")(source).volume
        before = color_difference(truth.array, source.array).mean()
        self.assertLess(color_difference(truth.array, result.array).mean(), 0.6 * before)
        bundle.verify()
        return history

    def test_changing_colors(self):
        history = self.check_learning("rgb")
        self.assertLess(history[-1]["identity"], 0.5 * history[0]["identity"])

    def test_painting_grey(self):
        history = self.check_learning("optical-density")
        self.assertNotIn("identity", history[-1])

    def test_glass_stays_exactly_white_and_results_have_8_bits(self):
        bundle, _history = self.trained("rgb")
        array = restained(tissue(5, 97), 8)[:, :, :83]
        array[0, :20, :40] = 255
        array[0, 60:62, 50:52] = (236, 255, 240)
        source = Volume(np.ascontiguousarray(array), modality="SM")
        result = medgan.Synthesizer(bundle, "cpu")(source).volume
        self.assertEqual((result.array.dtype, result.array.shape), (np.uint8, array.shape))
        glass = (array >= 235).all(axis=-1)
        np.testing.assert_array_equal(result.array[glass], array[glass])
        self.assertGreater(np.abs(result.array[~glass].astype(int) - array[~glass]).mean(), 3.0)

    def test_command_on_a_slide_file(self):
        from medgan.cli import main

        bundle, _history = self.trained("rgb")
        slide, out = self.folder / "slide.tif", self.folder / "out.tif"
        picture = write_pyramid(slide)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(main(["apply", str(bundle.path), str(slide), str(out), "--device", "cpu"]), 0)
        made, _notes = read_volume(out)
        self.assertEqual((made.array.shape, made.array.dtype), ((1, *picture.shape), np.uint8))
        np.testing.assert_allclose(made.geometry.spacing_mm[:2], 5e-4)


class Patches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.dataset = tiny_slides(Path(cls.temporary.name) / "dataset")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def batch(self, **overrides):
        recipe = recipes.get("stain", **{**TINY, **overrides})
        sampler = PatchSampler(self.dataset, recipe)
        return sampler.batch(0), sampler.held[0].fitted

    def test_identity_is_the_target_as_its_own_slide_is_seen(self):
        for statistics in (False, True):
            batch, fitted = self.batch(slide_statistics=statistics, magnification=1.0)
            rgb = (batch.target[:, :, None] + 1) * 127.5
            seen = torch.stack([fitted.forward(patch) for patch in rgb])[:, :, 0]
            torch.testing.assert_close(batch.extra["identity"], seen, atol=1e-3, rtol=1e-3)
            self.assertGreater(float((batch.source - seen).abs().mean()), 0.05)

    def test_statistics_belong_to_the_new_staining(self):
        """Paler or tinted alike all over: with slide statistics the network sees it as it sees the slide itself."""
        plain, _fitted = self.batch(stain_jitter=0.0, input="optical-density", magnification=1.0)
        jittered, _fitted = self.batch(input="optical-density", magnification=1.0)
        raw, _fitted = self.batch(input="optical-density", magnification=1.0, slide_statistics=False, batch_size=16)
        with_statistics, _fitted = self.batch(input="optical-density", magnification=1.0, batch_size=16)
        spread = raw.source.mean(dim=(1, 2, 3)).std() / raw.source.std()
        self.assertLess(float(with_statistics.source.mean(dim=(1, 2, 3)).std()), 2.0 * float(spread))
        self.assertGreater(float((plain.source - jittered.source).abs().mean()), 0.01)

    def test_published_copies_and_range(self):
        recipe = recipes.get(
            "stain", preset="published", base_width=4, depth=5, discriminator_width=8, patch_size=64, batch_size=2
        )
        batch = PatchSampler(self.dataset, recipe).batch(0)
        self.assertEqual(batch.source.shape, (2, 3, 64, 64))
        torch.testing.assert_close(batch.source[:, 0], batch.source[:, 2])
        self.assertLessEqual(float(batch.source.abs().max()), 1.0)
        self.assertEqual(batch.extra, {})

    def test_magnification_keeps_the_middle(self):
        rows, columns = np.mgrid[:64, :64] - 31.5
        ramp = torch.from_numpy(np.stack([rows, columns])[:, np.newaxis]).float()
        for factor in (0.5, 0.75, 1.6):
            inner = magnified(ramp, factor)[:, :, 24:40, 24:40]
            torch.testing.assert_close(inner, ramp[:, :, 24:40, 24:40] / factor, atol=0.5, rtol=0.02)
        torch.testing.assert_close(magnified(ramp, 1.0), ramp)


class WholeSlides(unittest.TestCase):
    """Tiles of the real slide."""

    def region(self, rows=416, columns=352):
        from medgan.slide_io import read_region

        return read_region(dataFile("histology/CMU-1-Small-Region.svs"), 0, (900, 1500), (columns, rows))

    def result(self, recipe, slide, tile_voxels, seed=0):
        torch.manual_seed(seed)
        generator = recipe.build_generator().eval()
        for parameter in generator.parameters():  # what starts at zero would hide what tiles can differ in
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
        network = TorchNetwork(generator, recipe.measured_spec(generator), torch.device("cpu"))
        network.tile_voxels = lambda: tile_voxels
        calls = []
        predict = network.predict
        network.predict = lambda block: calls.append(block.shape) or predict(block)
        image = np.empty(slide.array.shape, np.float32)
        source = FittedSource(slide, network.spec, recipe.source_scale(), recipe.target())
        Generation(network, source, recipe.target()).run(stored_in(image))
        return image, calls, network.spec

    def test_tiles_equal_the_whole(self):
        slide = self.region()
        for generator in ("local-colour", "residual"):
            recipe = recipes.get("stain", generator=generator, base_width=4, depth=2, background_above=256.0)
            whole, calls, spec = self.result(recipe, slide, None)
            tiles, more, _spec = self.result(recipe, slide, 160 * 160)
            self.assertNotIn(None, spec.halo)
            self.assertGreater(len(more), len(calls) + 3)
            np.testing.assert_allclose(tiles, whole, atol=0.02)  # of 255

    def test_blended_tiles_show_no_seams(self):
        """Instance normalisation sees the whole tile, so tiles differ; the blend must not show where they meet."""
        options = {"generator": "pix2pix", "base_width": 4, "depth": 5, "normalisation": "instance", "patch_size": 64}
        recipe = recipes.get("stain", input="luma", background_above=256.0, **options)
        slide = self.region(480, 448)
        whole, _calls, spec = self.result(recipe, slide, None)
        tiles, calls, _spec = self.result(recipe, slide, 256 * 256)
        self.assertEqual(spec.halo, (0, None, None))
        self.assertGreater(len(calls), 3)
        for axis in (1, 2):  # no line has steps that the untiled picture does not have
            steps = [np.abs(np.diff(image, axis=axis)).mean(axis=(0, 3 - axis, 3)) for image in (whole, tiles)]
            self.assertLess(np.abs(steps[1] - steps[0]).max(), 0.35 * steps[0].max())


class Shipped(unittest.TestCase):
    """The shipped generator on slides of other laboratories and on the band of its own slide that it has not seen."""

    @classmethod
    def setUpClass(cls):
        cls.synthesizer = medgan.Synthesizer(medgan.Bundle.load(SHIPPED), "cpu")

    def band(self, rows):
        from medgan.slide_io import read_region

        return read_region(dataFile("histology/CMU-1-Small-Region.svs"), 0, (450, rows[0]), (1500, rows[1] - rows[0]))

    def test_colors_come_nearer_than_by_macenko_and_reinhard(self):
        from medgan.baselines_stain import StainNormalizer
        from medgan.metrics.judges import Reference, look

        judge = look(Reference(self.band((0, 1)), self.band((1850, 2250))))
        rivals = [StainNormalizer(method, [self.band((2314, 2967))]) for method in ("macenko", "reinhard")]
        for name in ("torchstain_source", "torchstain_target"):
            slide, _notes = read_volume(dataFile(f"histology/{name}.png"), modality="SM")
            made = judge(self.synthesizer(slide).volume.array)
            for rival in rivals:
                other = judge(rival(slide).array)
                for key in ("de2000_mean_color", "de2000_classes"):
                    self.assertLess(made[key], 0.8 * other[key], (name, rival.method, key))

    def test_its_own_colors_stay(self):
        from medgan.metrics.staining import against_truth

        truth = self.band((1850, 2250))
        values = against_truth(truth.array, self.synthesizer(truth).volume.array, (truth.array < 220).any(axis=-1))
        self.assertGreater(values["ssim"], 0.95)
        self.assertLess(values["de2000_tissue"], 5.0)


class BadParameters(unittest.TestCase):
    def test_sentences(self):
        cases = (
            ({"stain_jitter": 0.0}, "nothing to learn"),
            ({"grey_copies": 3}, "Only a grey is repeated"),
            ({"generator": "published", "depth": 4, "input": "luma"}, "at least 5 times"),
            ({"input": "eosin"}, "one of luma, optical-density, haematoxylin, rgb"),
            ({"background_above": 300.0}, "between 1 and 256"),
        )
        for overrides, sentence in cases:
            with self.assertRaisesRegex(InputError, sentence):
                recipes.get("stain", **overrides)

    def test_grey_volumes_are_refused_by_name(self):
        with tempfile.TemporaryDirectory() as folder:
            dataset = tiny_slides(Path(folder) / "dataset")
            recipe = recipes.get("stain", **TINY)
            generator = recipe.build_generator()
            bundle = write_bundle(
                Path(folder) / "bundle", "b", recipe, recipe.measured_spec(generator), generator, dataset, []
            )
            with self.assertRaisesRegex(InputError, "3 component"):
                medgan.Synthesizer(bundle, "cpu")(Volume(np.zeros((1, 32, 32), np.uint8)))


if __name__ == "__main__":
    unittest.main()

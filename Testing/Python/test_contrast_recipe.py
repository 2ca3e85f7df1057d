"""Contrast-enhanced from plain CT: learns, adds only, knows where it is, and takes scans of any length and spacing."""

import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import medgan
import numpy as np
import torch
from medgan import recipes
from medgan.dataset import Case, Dataset
from medgan.errors import InputError
from medgan.image_io import write_volume
from medgan.intensity import AIR_HU
from medgan.network import TorchNetwork
from medgan.objectives.structure import StructureObjective
from medgan.sampling import Batch, Pair, PatchSampler
from medgan.synthesizer import Synthesizer, generate
from medgan.tiling import run_tiled
from medgan.volume import Geometry, Volume

SHAPE = (16, 48, 48)
# Half precision computes wrong gradients on the CPU where slices have been halved to two (torch 2.13), as here.
TINY = {
    "base_width": 4, "slab_depth": 4, "patch_size": 32, "batch_size": 2, "epochs": 1, "steps_per_epoch": 2,
    "discriminator_width": 4, "adversarial_start": 0, "precision": "32",
}  # fmt: skip
PUBLISHED = {**TINY, "base_width": 8, "patch_size": 128, "batch_size": 1, "steps_per_epoch": 1, "precision": "auto"}


def tiny(preset="recommended", **overrides):
    """A recipe that trains in seconds."""
    return recipes.get("contrast-ct", preset, **{**(PUBLISHED if preset == "published" else TINY), **overrides})


def chest(seed=0, shape=SHAPE, spacing_mm=(2.0, 2.0, 2.0)):
    """Plain and enhanced: muscle, a bright-rimmed spine, and an aorta in fat with the blood of an anemic patient."""
    generator = np.random.default_rng(seed)
    scale = shape[1] / 48
    rows, columns = (axis / scale for axis in np.mgrid[: shape[1], : shape[2]])
    row, column = 18 + generator.uniform(-2, 2), 24 + generator.uniform(-3, 3)

    def disc(at, radius):
        return np.hypot(rows - at[0], columns - at[1]) < radius

    plain = np.full(shape[1:], AIR_HU)
    plain[disc((24, 24), 22)] = 55.0
    plain[disc((row, column), 13)] = -95.0
    plain[disc((40, 24), 5)] = 700.0
    plain[disc((40, 24), 3)] = 180.0
    aorta = disc((row, column), 9)
    plain[aorta] = 10.0
    noise = generator.normal(0, 5, shape)
    enhanced = plain + 200.0 * aorta
    geometry = Geometry(spacing_mm=np.array(spacing_mm))
    return tuple(Volume(np.rint(image + noise).astype(np.int16), geometry, "HU", "CT") for image in (plain, enhanced))


def dataset_of(folder, shape=SHAPE):
    """A chest to train on and another one to test."""
    folder.mkdir(parents=True)
    cases = []
    for seed, split in enumerate(("train", "test")):
        for kind, volume in zip(("plain", "enhanced"), chest(seed, shape), strict=True):
            write_volume(volume, folder / f"{split}-{kind}.nrrd")
        cases.append(Case(split, split, f"{split}-plain.nrrd", f"{split}-enhanced.nrrd", split))
    Dataset(folder, "contrast-ct", "CT", "HU", "discs", "CC0-1.0", tuple(cases)).save()
    return Dataset.load(folder)


def random_generator(recipe):
    """Weights that leave no layer idle."""
    torch.manual_seed(0)
    generator = recipe.build_generator().eval()
    for parameter in generator.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, 0, 0.1)
    return generator


class Training(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    def test_one_chest_is_learnt_and_nothing_is_taken_away(self):
        dataset = dataset_of(self.folder / "dataset")
        recipe = tiny(
            base_width=8, slab_depth=16, epochs=2, steps_per_epoch=40, adversarial_start=1, averaging=0.9,
            learning_rate_generator=1e-3, precision="auto",
        )  # fmt: skip
        bundle = medgan.train(recipe, dataset, self.folder / "run", device="cpu")
        first, last = json.loads((self.folder / "run" / "history.json").read_text(encoding="utf-8"))
        self.assertLess(last["l1"], 0.7 * first["l1"])
        self.assertIn("discriminator", last)
        plain, enhanced = dataset.volumes(dataset.split("train")[0])
        made = Synthesizer(bundle, "cpu")(plain).volume.array.astype(int)
        error, nothing = (np.abs(image - enhanced.array).mean() for image in (made, plain.array.astype(int)))
        self.assertLess(error, 0.7 * nothing)
        self.assertGreaterEqual((made - plain.array).min(), 0)

    def test_published_game_in_miniature(self):
        """All terms at once: windows out, label noise, feature matching, MS-SSIM, coordinates, shift and noise."""
        dataset = dataset_of(self.folder / "dataset", (8, 128, 128))
        recipe = tiny("published", weight_feature_matching=1.0, weight_ms_ssim=1.0, coordinates=True, dropout=0.2)
        bundle = medgan.train(recipe, dataset, self.folder / "run", device="cpu")
        bundle.verify()
        history = json.loads((self.folder / "run" / "history.json").read_text(encoding="utf-8"))[0]
        for term in ("l1", "generator_adversarial", "feature_matching", "ms_ssim_l1", "discriminator"):
            self.assertGreater(history[term], 0.0, term)
        plain, _ = dataset.volumes(dataset.split("test")[0])
        made = Synthesizer(bundle, "cpu")(plain).volume
        self.assertEqual(made.array.shape, plain.array.shape)
        self.assertLessEqual(np.abs(made.array).max(), 1000)  # read from the first window

    def test_recommended_bundle_is_verified(self):
        dataset = dataset_of(self.folder / "dataset")
        medgan.train(tiny(coordinates=True), dataset, self.folder / "run", device="cpu").verify()


class Losses(unittest.TestCase):
    def test_feature_matching_teaches_the_generator(self):
        recipe = tiny(weight_feature_matching=1.0, weight_adversarial=0.0, weight_l1=0.0)
        torch.manual_seed(0)
        discriminator = recipe.build_discriminator()
        target = torch.rand(1, 1, 4, 32, 32)
        batch = Batch(torch.rand(1, 3, 4, 32, 32), target)
        output = torch.zeros_like(target, requires_grad=True)
        terms, _ = StructureObjective(recipe).generator_terms(output, discriminator, batch)
        sum(terms.values()).backward()
        self.assertGreater(float(output.grad.abs().max()), 0.0)
        same, _ = StructureObjective(recipe).generator_terms(target.clone(), discriminator, batch)
        self.assertAlmostEqual(float(same["feature_matching"].detach()), 0.0, places=6)

    def test_structural_loss_is_zero_for_the_truth_only(self):
        objective = StructureObjective(tiny(weight_ms_ssim=2.0))
        target = torch.rand(1, 1, 4, 32, 32)
        batch = Batch(target, target)
        self.assertLess(float(objective.regression(target.clone(), batch)[0]["ms_ssim_l1"]), 1e-5)
        self.assertGreater(float(objective.regression(target.flip(-1), batch)[0]["ms_ssim_l1"]), 0.1)


class Augmentation(unittest.TestCase):
    def pair(self):
        source = torch.from_numpy(np.random.default_rng(1).normal(0, 100, (1, 4, 32, 32)).astype(np.float32))
        return Pair(source, source + 50.0, torch.ones_like(source), None, np.arange(4))

    def test_shift_and_noise_are_those_of_the_target(self):
        recipe = tiny(shift_fraction=0.3, noise_hu=20.0)
        moved = 0
        for seed in range(6):
            pair = self.pair()
            changed = recipe.augment(pair, np.random.default_rng(seed))
            inside = changed.mask.bool()
            difference = changed.target - changed.source
            torch.testing.assert_close(difference[inside], torch.full_like(difference[inside], 50.0), rtol=0, atol=1e-3)
            self.assertEqual(float(difference[~inside].abs().sum()), 0.0)  # air was moved in, alike in both
            moved += int((~inside).any())
        self.assertGreater(moved, 3)

    def test_content_moves_by_whole_pixels(self):
        pair = self.pair()
        changed = tiny(shift_fraction=0.3).augment(pair, np.random.default_rng(0))
        kept = changed.source[changed.mask.bool()]
        self.assertTrue(set(kept.tolist()) <= set(pair.source.flatten().tolist()))

    def test_position_and_mirroring_exclude_each_other(self):
        self.assertEqual((tiny().flip_axes(), tiny(coordinates=True).flip_axes()), ((2,), ()))


class Inference(unittest.TestCase):
    def tiles_equal_the_whole(self, recipe, shape, tile_voxels):
        spec = recipe.measured_spec(random_generator(recipe))
        network = TorchNetwork(random_generator(recipe), spec, torch.device("cpu"))
        generator = np.random.default_rng(0)
        volume = generator.normal(0, 0.5, (spec.in_channels - 3 * spec.coordinates, *shape)).astype(np.float32)

        def read(box):
            from medgan.generation import coordinates

            block = volume[(slice(None), *box.slices)]
            return np.concatenate([block, coordinates(box, shape)]) if spec.coordinates else block

        results, counts = [], []
        for limit in (None, tile_voxels):
            result, boxes = np.zeros((1, *shape), np.float32), []

            def write(box, block, result=result, boxes=boxes):
                boxes.append(box)
                result[(slice(None), *box.slices)] = block

            run_tiled(shape, read, network.predict, write, spec.footprint, tile_voxels=limit)
            results.append(result)
            counts.append(len(boxes))
        self.assertGreater(counts[1], counts[0])
        np.testing.assert_allclose(results[1], results[0], atol=1e-4 * np.ptp(results[0]))
        return results[0]

    def test_tiles_know_where_they_are(self):
        with_position = self.tiles_equal_the_whole(tiny(coordinates=True), (8, 32, 320), 8 * 32 * 200)
        self.assertGreater(np.ptp(with_position), 0)

    def test_slabs_of_the_published_network(self):
        self.tiles_equal_the_whole(tiny("published"), (24, 128, 128), 12 * 128 * 128)

    def test_a_training_patch_is_told_its_place(self):
        with TemporaryDirectory() as folder:
            dataset = dataset_of(Path(folder) / "dataset")
            batch = PatchSampler(dataset, tiny(coordinates=True)).batch(0)
        k, j, i = batch.source[0, -3:]
        self.assertAlmostEqual(float(j[0, 1, 0] - j[0, 0, 0]), 2 / 47, places=5)
        self.assertAlmostEqual(float(k[1, 0, 0] - k[0, 0, 0]), 2 / 15, places=5)
        self.assertGreater(float(i.max() - i.min()), 1.0)
        whole = tiny(coordinates=True)
        self.assertEqual(whole.network_spec().in_channels, 6)

    def test_fewer_slices_than_a_slab(self):
        for recipe in (tiny(slab_depth=16), tiny("published", slab_depth=8)):
            plain, _ = chest(shape=(3, 48, 48))
            generator = random_generator(recipe)
            spec = recipe.measured_spec(generator)
            made = generate(generator, spec, recipe.source_scale(), recipe.target(), plain, "cpu")
            self.assertEqual(made.array.shape, plain.array.shape)
            self.assertTrue(all(np.ptp(made.array[k] - plain.array[k]) > 0 for k in range(3)))

    def test_another_working_spacing_leaves_the_source_sharp(self):
        recipe = tiny(working_spacing_mm=3.0)
        plain, _ = chest(spacing_mm=(1.0, 1.0, 2.0))
        untrained = recipe.build_generator()  # its change is zero
        spec = recipe.measured_spec(untrained)
        made = generate(untrained, spec, recipe.source_scale(), recipe.target(), plain, "cpu")
        np.testing.assert_allclose(made.array, plain.array, atol=1e-3)
        changed = generate(random_generator(recipe), spec, recipe.source_scale(), recipe.target(), plain, "cpu")
        self.assertGreater(np.abs(changed.array - plain.array).max(), 1.0)
        self.assertGreaterEqual((changed.array - plain.array).min(), -1e-3)

    def test_turned_scans_give_the_same(self):
        recipe = tiny()
        plain, _ = chest()
        generator = random_generator(recipe)
        spec = recipe.measured_spec(generator)
        made = generate(generator, spec, recipe.source_scale(), recipe.target(), plain, "cpu").array
        upside_down = Volume(
            np.ascontiguousarray(plain.array[:, ::-1]),
            Geometry((0.0, 2.0 * 47, 0.0), np.full(3, 2.0), np.diag([1.0, -1.0, 1.0])),
            "HU", "CT",
        )  # fmt: skip
        turned = generate(generator, spec, recipe.source_scale(), recipe.target(), upside_down, "cpu").array
        np.testing.assert_allclose(turned[:, ::-1], made, atol=0.05)


class Presets(unittest.TestCase):
    def test_published_sizes(self):
        recipe = recipes.get("contrast-ct", "published")
        with torch.device("meta"):
            sizes = [sum(p.numel() for p in build().parameters())
                     for build in (recipe.build_generator, recipe.build_discriminator)]  # fmt: skip
        self.assertEqual(sizes, [50_092_443, 3_429_321])

    def test_bad_parameters(self):
        cases = (
            ({"slab_depth": 12, "network": "pix2pix3d"}, "power of two, not 12"),
            ({"input_windows": "wide"}, "width:level"),
            ({"output_windows": "0:50"}, "width:level"),
        )
        for overrides, sentence in cases:
            with self.assertRaisesRegex(InputError, sentence):
                tiny(**overrides)


if __name__ == "__main__":
    unittest.main()

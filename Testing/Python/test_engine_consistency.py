"""What a network is shown in training is what it is shown afterwards, and what is written is what was trained."""

import dataclasses
import json
import shutil
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import medgan
import numpy as np
import SimpleITK as sitk
import torch
from medgan import checkpoint, recipes
from medgan.bundle import Bundle
from medgan.bundle_writer import write_bundle
from medgan.dataset import Dataset
from medgan.errors import InputError
from medgan.export import export
from medgan.fitted_source import FittedSource
from medgan.generation import Generation, stored_in
from medgan.intensity import FixedScale
from medgan.network import IdentityNetwork, NetworkSpec
from medgan.sampling import PatchSampler
from medgan.target import Target
from medgan.tiling import Box
from medgan.trainer import Trainer
from medgan.verification import _selftest
from medgan.volume import Geometry, Volume
from training_fixtures import tiny_dataset, tiny_recipe

PLAIN = {"dose_augmentation": 0.0, "kernel_augmentation": 0.0, "structure_augmentation": 0.0, "flips": False}


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.dataset = tiny_dataset(self.folder / "dataset")


class Padding(Folder):
    def test_patches_show_the_padding_of_a_ct_as_air(self):
        for name in ("train.nrrd", "train-low.nrrd"):
            path = str(self.folder / "dataset" / "images" / name)
            image = sitk.ReadImage(path)
            array = sitk.GetArrayFromImage(image)
            array[:, :, :40] = -3024
            padded = sitk.GetImageFromArray(array)
            padded.CopyInformation(image)
            sitk.WriteImage(padded, path)
        recipe = tiny_recipe(intensity="slice-deviation", **PLAIN)
        dataset = dataclasses.replace(self.dataset, cases=tuple(
            dataclasses.replace(case, sha256={}) for case in self.dataset.cases
        ))  # fmt: skip
        sampler = PatchSampler(dataset, recipe)
        source = dataset.volumes(dataset.split("train")[0])[0]
        self.assertEqual(source.array.min(), -3024)
        fitted = FittedSource(source, NetworkSpec(), recipe.source_scale(), Target())
        expected = Generation(IdentityNetwork(), fitted, Target()).read(Box((0, 0, 0), source.grid_shape))
        lowest = min(float(sampler.batch(step).source.min()) for step in range(4))
        self.assertAlmostEqual(lowest, float(expected.min()), delta=0.2)
        self.assertGreater(float(sampler.held[0].source.min()), -1500)

    def test_padding_does_not_ring_through_the_working_grid(self):
        array = np.full((12, 24, 24), -1000, np.int16)
        array[:, 4:20, 4:20] = 40
        array[:, :, :2] = -3024
        source = Volume(array, Geometry(spacing_mm=(1.0, 1.0, 1.5)), "HU", "CT")
        network = IdentityNetwork()
        network.take(NetworkSpec(spacing_mm=(1.3, 1.3, 1.3)))
        image = np.empty(array.shape, np.float32)
        fitted = FittedSource(source, network.spec, FixedScale(), Target())
        self.assertGreaterEqual(float(fitted.work.array.min()), -1024.0)
        Generation(network, fitted, Target()).run(stored_in(image))
        np.testing.assert_array_equal(image[:, :, :2], -3024)
        self.assertLess(np.abs(image[:, :, 3:] - array[:, :, 3:]).mean(), 100)


class Bundles(Folder):
    def test_a_bundle_with_a_working_spacing_passes_its_own_verification(self):
        recipe = recipes.get("contrast-ct", base_width=4, working_spacing_mm=2.0)
        torch.manual_seed(0)
        generator = recipe.build_generator()
        for weight in generator.parameters():  # the head starts at zero, which any input would pass
            weight.data += 0.05 * torch.randn_like(weight)
        spec = dataclasses.replace(recipe.network_spec(), halo=None)
        dataset = dataclasses.replace(self.dataset, task="contrast-ct")
        bundle = write_bundle(self.folder / "bundle", "b", recipe, spec, generator, dataset, [])
        _selftest(bundle, bundle.build_generator())

    def test_running_statistics_beyond_half_precision_are_kept(self):
        recipe = tiny_recipe(normalisation="batch")
        generator = recipe.build_generator()
        for name, value in generator.named_buffers():
            if name.endswith("running_var"):
                value.fill_(3e5)
        spec = dataclasses.replace(recipe.network_spec(), halo=None)
        bundle = write_bundle(self.folder / "bundle", "b", recipe, spec, generator, self.dataset, [])
        stored = bundle.build_generator().state_dict()
        for name, value in generator.state_dict().items():
            torch.testing.assert_close(stored[name], value, rtol=0, atol=0)

    def test_a_network_of_slabs_is_exported_for_slabs(self):
        recipe = recipes.get("contrast-ct", "published", base_width=4, slab_depth=4)
        torch.manual_seed(0)
        spec = recipe.measured_spec(None)
        dataset = dataclasses.replace(self.dataset, task="contrast-ct")
        bundle = write_bundle(self.folder / "bundle", "b", recipe, spec, recipe.build_generator(), dataset, [])
        network = torch.jit.load(export(bundle, self.folder / "network.ts"))
        slab = torch.randn(1, 3, 4, 128, 256)
        with torch.inference_mode():
            torch.testing.assert_close(network(slab), bundle.build_generator()(slab))

    def test_brightness_does_not_matter_to_a_scale_fitted_to_each_volume(self):
        percentiles = {"1": 0.0, "5": 1.0, "50": 20.0, "95": 90.0, "99": 100.0}
        bright = Volume(np.random.default_rng(0).uniform(0, 4000, (4, 16, 16)).astype(np.float32))
        for kind, warned in (("percentiles", False), ("fixed", True)):
            bundle = Bundle.create_identity(
                self.folder / kind, "superres-mr", intensity={"kind": kind}, fingerprint={"percentiles": percentiles}
            )
            self.assertEqual(any("Intensities" in line for line in bundle.applicability(bright)), warned, kind)


class Trainings(Folder):
    def test_a_case_without_target_is_refused_where_pairs_are_learnt(self):
        cases = tuple(
            dataclasses.replace(case, target="") if case.split == "train" else case for case in self.dataset.cases
        )
        extra = dataclasses.replace(self.dataset.cases[0], id="other", source="")
        dataset = Dataset(self.folder / "dataset", "denoise-ct", "CT", "HU", "", "", (*cases, extra), paired=False)
        with self.assertRaisesRegex(InputError, "Case train has no target, but denoise-ct learns from pairs"):
            PatchSampler(dataset, tiny_recipe())

    def test_losses_that_join_within_an_epoch_are_averaged_over_their_own_steps(self):
        settings = {
            "epochs": 1, "steps_per_epoch": 4, "adversarial_start": 0, "learning_rate_generator": 0.0,
            "learning_rate_discriminator": 0.0, **PLAIN,
        }  # fmt: skip
        rows = []
        for warmup in (0, 3):
            out = self.folder / f"run{warmup}"
            medgan.train(tiny_recipe(discriminator_warmup=warmup, **settings), self.dataset, out, device="cpu")
            rows.append(json.loads((out / "history.json").read_text(encoding="utf-8"))[0])
        full, late = (row["generator_adversarial"] for row in rows)
        self.assertAlmostEqual(late / full, 1.0, delta=0.3)  # a mean of four steps, one of which is not 0

    def test_the_best_weights_of_another_run_are_not_shipped(self):
        for seed in (0, 1):
            recipe = tiny_recipe(epochs=1, steps_per_epoch=1, seed=seed)
            medgan.train(recipe, self.dataset, self.folder / f"run{seed}", device="cpu")
        own = Trainer(tiny_recipe(epochs=1, steps_per_epoch=1), self.dataset, self.folder / "run0", "cpu", print)
        own.load_checkpoint()
        self.assertIsNotNone(checkpoint.load_best(own))
        shutil.copy(self.folder / "run1" / "best.pt", self.folder / "run0" / "best.pt")
        self.assertIsNone(checkpoint.load_best(own))


if __name__ == "__main__":
    unittest.main()

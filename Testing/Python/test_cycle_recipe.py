"""CycleGAN from MR to CT: images of different people on different grids, pools that survive a stop."""

import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import medgan
import numpy as np
import torch
from head_phantoms import head, paired_dataset, unpaired_dataset
from medgan import recipes
from medgan.image_pool import ImagePool
from medgan.sampling import PatchSampler
from medgan.synthesizer import Synthesizer
from medgan.trainer import Trainer

TINY = {
    "base_width": 4, "blocks": 2, "discriminator_width": 4, "patch_size": 32, "batch_size": 2, "working_spacing": 0.0,
    "epochs": 2, "steps_per_epoch": 3, "schedule": "constant", "pool_size": 3,
}  # fmt: skip


def tiny(**overrides):
    """A CycleGAN that trains in seconds."""
    return recipes.get("mr-to-ct-unpaired", **{**TINY, **overrides})


def trainer(recipe, dataset, folder):
    run = Trainer(recipe, dataset, folder, "cpu", lambda fraction, message: None)
    folder.mkdir(exist_ok=True)
    return run


class Training(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.dataset = unpaired_dataset(self.folder / "dataset")

    def test_a_stopped_training_goes_on_exactly(self):
        straight = trainer(tiny(), self.dataset, self.folder / "straight")
        while not straight.finished:
            straight.train_epoch()
        trainer(tiny(), self.dataset, self.folder / "stopped").train_epoch()
        resumed = trainer(tiny(), self.dataset, self.folder / "stopped")
        resumed.load_checkpoint()
        self.assertEqual(resumed.epoch, 1)
        self.assertEqual(len(resumed.objective.state_dict()["target"]["images"]), 3)
        resumed.train_epoch()
        for one, other in ((straight.generator, resumed.generator), (straight.discriminator, resumed.discriminator)):
            for name, value in one.state_dict().items():
                self.assertTrue(torch.equal(value, other.state_dict()[name]), name)
        for side, pool in straight.objective.state_dict().items():
            for one, other in zip(pool["images"], resumed.objective.state_dict()[side]["images"], strict=True):
                self.assertTrue(torch.equal(one, other))

    def test_the_generator_of_ct_is_shipped(self):
        run = trainer(tiny(epochs=1, averaging=0.0), self.dataset, self.folder / "run")
        run.train_epoch()
        shipped, both = run.averaged_generator().state_dict(), run.generator
        for name, value in both.to_target.state_dict().items():
            self.assertTrue(torch.equal(value, shipped[name]), name)
        self.assertFalse(torch.equal(both.to_source.head[1].weight, both.to_target.head[1].weight))
        bundle = medgan.train(tiny(epochs=1, averaging=0.0), self.dataset, self.folder / "run", device="cpu")
        result = Synthesizer(bundle, "cpu")(head(5)[0]).volume
        self.assertEqual((result.units, result.modality), ("HU", "CT"))
        self.assertGreaterEqual(result.array.min(), -1024)

    def test_all_losses_fall_with_the_terms_of_both_directions(self):
        recipe = tiny(epochs=3, steps_per_epoch=12, learning_rate_generator=2e-3, averaging=0.0)
        run = trainer(recipe, self.dataset, self.folder / "run")
        while not run.finished:
            run.train_epoch()
        first, last = run.history[0], run.history[-1]
        self.assertLess(last["cycle"], first["cycle"])
        self.assertLess(last["identity"], first["identity"])
        self.assertGreater(last["discriminator"], 0.0)
        self.assertNotIn("validation_output_psnr_db", last)  # nothing to compare with
        self.assertEqual(run.best, {})

    def test_paired_validation_cases_are_measured(self):
        dataset = paired_dataset(self.folder / "paired", task="mr-to-ct-unpaired")
        run = trainer(tiny(epochs=1), dataset, self.folder / "run")
        run.train_epoch()
        self.assertIn("validation_output_psnr_db", run.history[0])

    def test_sources_and_targets_are_of_different_people(self):
        sampler = PatchSampler(self.dataset, tiny())
        batch = sampler.batch(0)
        self.assertEqual(batch.source.shape, (2, 1, 32, 32))
        self.assertEqual(batch.target.shape, (2, 1, 32, 32))
        for image in (batch.source, batch.target):
            self.assertGreaterEqual(float(image.min()), -1.001)
            self.assertLessEqual(float(image.max()), 1.001)


class Pool(unittest.TestCase):
    def test_it_fills_first_then_exchanges_half(self):
        torch.manual_seed(0)
        pool = ImagePool(4)
        first = torch.arange(4.0).reshape(4, 1, 1, 1)
        self.assertTrue(torch.equal(pool.exchange(first), first))
        given = torch.cat([pool.exchange(torch.full((1, 1, 1, 1), 100.0 + n)) for n in range(200)]).flatten()
        old = int((given != torch.arange(100.0, 300.0)).sum())
        self.assertTrue(60 < old < 140, old)
        self.assertEqual(len(pool.images), 4)
        # nothing is lost or doubled: what went in is given out or still held
        held = torch.stack(pool.images).flatten()
        everything = torch.cat([given, held]).sort().values
        self.assertTrue(torch.equal(everything, torch.cat([torch.arange(4.0), torch.arange(100.0, 300.0)])))

    def test_size_zero_gives_back_what_it_gets_without_gradient(self):
        image = torch.ones(1, 1, 2, 2, requires_grad=True)
        given = ImagePool(0).exchange(image)
        self.assertTrue(torch.equal(given, image))
        self.assertFalse(given.requires_grad)

    def test_a_loaded_pool_goes_on_alike(self):
        pool, other = ImagePool(3), ImagePool(3)
        torch.manual_seed(1)
        pool.exchange(torch.rand(5, 1, 2, 2))
        other.load_state_dict(pool.state_dict())
        image = torch.rand(6, 1, 2, 2)
        torch.manual_seed(2)
        one = pool.exchange(image)
        torch.manual_seed(2)
        self.assertTrue(torch.equal(one, other.exchange(image)))


class Parameters(unittest.TestCase):
    def test_published_settings(self):
        recipe = recipes.get("mr-to-ct-unpaired", "published")
        self.assertEqual((recipe.weight_cycle, recipe.weight_identity, recipe.pool_size), (10.0, 0.5, 50))
        self.assertEqual((recipe.adversarial_loss, recipe.normalisation, recipe.batch_size), ("lsgan", "instance", 1))
        generator = recipe.build_generator()
        self.assertEqual(sum(parameter.numel() for parameter in generator.parameters()), 11_365_633)

    def test_recommended_looks_the_same_at_every_position(self):
        recipe = tiny()
        torch.manual_seed(0)
        generator = recipe.build_generator().eval()
        image = torch.rand(1, 1, 128, 128)
        with torch.inference_mode():
            whole, part = generator(image), generator(image[..., 8:, 16:])
        halo = recipe.measured_spec(generator).halo[1]
        self.assertLess(halo, 48)
        np.testing.assert_allclose(whole[..., 8 + halo :, 16 + halo :], part[..., halo:, halo:], atol=1e-5)


if __name__ == "__main__":
    unittest.main()

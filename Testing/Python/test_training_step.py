"""The adversarial game: every mode and penalty trains both players, in the order and as often as the recipe says."""

import json
import tempfile
import unittest
from pathlib import Path

import medgan
import torch
from medgan.errors import InputError
from medgan.trainer import Trainer
from medgan.training_step import TrainingStep
from training_fixtures import tiny_dataset, tiny_recipe


def counted(optimiser):
    """Count the steps of an optimizer from now on."""
    calls, step = [], optimiser.step
    optimiser.step = lambda *args, **kwargs: (calls.append(1), step(*args, **kwargs))[1]
    return calls


class StepTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.dataset = tiny_dataset(cls.folder / "dataset")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def trainer(self, **overrides):
        settings = {"adversarial_start": 0, "precision": "32", "batch_size": 2, **overrides}
        return Trainer(tiny_recipe(**settings), self.dataset, self.folder / "run", "cpu", lambda fraction, text: None)

    def test_every_mode_and_penalty_moves_both_players(self):
        for mode in ("bce", "lsgan", "hinge", "wgan"):
            for penalty in ("none", "wgan-gp", "wgan-gp-sigmoid", "r1"):
                trainer = self.trainer(adversarial_loss=mode, gradient_penalty=penalty, gradient_clip=1.0)
                before = [
                    [weight.detach().clone() for weight in player.parameters()]
                    for player in (trainer.generator, trainer.discriminator)
                ]
                report = TrainingStep(trainer, 0).run()
                self.assertTrue(all(torch.isfinite(value) for value in report.values()), (mode, penalty))
                self.assertEqual("gradient_penalty" in report, penalty != "none")
                for old, player in zip(before, (trainer.generator, trainer.discriminator), strict=True):
                    moved = [not torch.equal(a, b) for a, b in zip(old, player.parameters(), strict=True)]
                    self.assertTrue(any(moved), (mode, penalty))

    def test_updates_are_as_many_as_the_recipe_says(self):
        trainer = self.trainer(generator_steps=3, separate_updates=True, discriminator_first=True)
        generator, discriminator = counted(trainer.generator_optimiser), counted(trainer.discriminator_optimiser)
        TrainingStep(trainer, 0).run()
        self.assertEqual((len(generator), len(discriminator)), (3, 2))

    def test_the_discriminator_joins_late_and_warms_up_alone(self):
        trainer = self.trainer(adversarial_start=1, discriminator_warmup=2, steps_per_epoch=2)
        seen = [sorted(TrainingStep(trainer, step).run()) for step in (1, 2, 4)]
        self.assertEqual(seen[0], ["l1"])
        self.assertIn("discriminator", seen[1])
        self.assertNotIn("generator_adversarial", seen[1])
        self.assertIn("generator_adversarial", seen[2])

    def test_without_adversarial_weight_there_is_no_discriminator(self):
        self.assertEqual(sorted(TrainingStep(self.trainer(weight_adversarial=0.0), 0).run()), ["l1"])

    def test_feature_matching_pulls_features_together(self):
        trainer = self.trainer(weight_feature_matching=10.0)
        self.assertGreater(float(TrainingStep(trainer, 0).run()["feature_matching"]), 0.0)

    def test_clipping_bounds_the_step(self):
        """Adam scales gradients away, plain descent shows them: the weights move by no more than rate times norm."""
        trainer = self.trainer(gradient_clip=1e-3, weight_adversarial=0.0, weight_l1=1e6)
        for optimiser in ("generator_optimiser", "discriminator_optimiser"):
            player = getattr(trainer, optimiser.removesuffix("_optimiser"))
            setattr(trainer, optimiser, trainer.fabric.setup_optimizers(torch.optim.SGD(player.parameters(), lr=1.0)))
        before = [weight.detach().clone() for weight in trainer.generator.parameters()]
        TrainingStep(trainer, 0).run()
        moved = torch.cat([(a - b).flatten() for a, b in zip(before, trainer.generator.parameters(), strict=True)])
        self.assertLess(float(moved.detach().norm()), 1.1e-3)
        self.assertGreater(float(moved.detach().norm()), 0.5e-3)


class EndTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.dataset = tiny_dataset(self.folder / "dataset")

    def test_early_stop_ships_the_best_epoch(self):
        """With a learning rate that spoils everything after the first epoch, training stops and epoch 1 is shipped."""
        recipe = tiny_recipe(
            epochs=20, steps_per_epoch=2, patience=2, learning_rate_generator=0.3, averaging=0.0, schedule="constant",
            adversarial_start=20,
        )  # fmt: skip
        medgan.train(recipe, self.dataset, self.folder / "run")
        history = json.loads((self.folder / "run" / "history.json").read_text())
        scores = [row["validation_output_psnr_db"] for row in history]
        best = scores.index(max(scores))
        self.assertEqual(len(scores), best + 1 + 2)
        self.assertLess(len(scores), 20)
        kept = torch.load(self.folder / "run" / "best.pt", weights_only=True)
        self.assertEqual(kept["epoch"], best + 1)
        shipped = medgan.Bundle.load(self.folder / "run" / "bundle").build_generator().state_dict()
        for key, value in kept["average"].items():
            torch.testing.assert_close(shipped[key], value.half().float())

    def test_a_training_that_diverges_stops_with_a_sentence_and_keeps_its_checkpoint(self):
        recipe = tiny_recipe(epochs=2, steps_per_epoch=4)
        medgan.train(recipe, self.dataset, self.folder / "run")
        before = (self.folder / "run" / "checkpoint.pt").read_bytes()
        wild = tiny_recipe(epochs=3, steps_per_epoch=4)
        trainer = Trainer(wild, self.dataset, self.folder / "run", "cpu", lambda fraction, text: None)
        trainer.load_checkpoint()
        with torch.no_grad():
            next(trainer.generator.parameters()).fill_(float("nan"))
        with self.assertRaisesRegex(InputError, "diverged.*the checkpoint of epoch 2 is kept"):
            trainer.train_epoch()
        self.assertEqual((self.folder / "run" / "checkpoint.pt").read_bytes(), before)

    def test_fine_tuning_starts_from_a_bundle(self):
        first = medgan.train(tiny_recipe(epochs=1), self.dataset, self.folder / "first")
        slow = tiny_recipe(epochs=1, steps_per_epoch=1, learning_rate_generator=0.0, averaging=0.0)
        second = medgan.train(slow, self.dataset, self.folder / "second", start_from=first)
        for key, value in first.build_generator().state_dict().items():
            torch.testing.assert_close(second.build_generator().state_dict()[key], value)
        with self.assertRaisesRegex(InputError, "other layers"):
            medgan.train(tiny_recipe(base_width=12), self.dataset, self.folder / "third", start_from=first)


if __name__ == "__main__":
    unittest.main()

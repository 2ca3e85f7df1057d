"""Losses against their definitions, written out by hand."""

import unittest

import torch
from medgan.losses import balancing_weights, channel_weighted_l1, initialise, least_squares


class LossesTest(unittest.TestCase):
    def test_least_squares(self):
        logits = torch.tensor([[0.0, 1.0], [0.5, 2.0]])
        self.assertAlmostEqual(least_squares(logits, real=True).item(), (1 + 0 + 0.25 + 1) / 4)
        self.assertAlmostEqual(least_squares(logits, real=False).item(), (0 + 1 + 0.25 + 4) / 4)

    def test_channels_and_samples_are_weighted(self):
        target = torch.zeros(2, 2, 3, 3)
        output = target.clone()
        output[0, 0], output[0, 1], output[1, 0] = 1.0, -2.0, 4.0
        self.assertAlmostEqual(channel_weighted_l1(output, target, (1.0, 1.0)).item(), (1.5 + 2.0) / 2)
        self.assertAlmostEqual(channel_weighted_l1(output, target, (1.0, 0.0)).item(), (1.0 + 4.0) / 2)
        samples = torch.tensor([2.0, 0.5])
        self.assertAlmostEqual(channel_weighted_l1(output, target, (1.0, 1.0), samples).item(), (3.0 + 1.0) / 2)

    def test_quiet_samples_count_as_much_as_loud_ones(self):
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(2, 1, 64, 64, generator=generator) * torch.tensor([1.0, 2.0])[:, None, None, None]
        weights = balancing_weights(noise)
        levels = noise.abs().mean(dim=(1, 2, 3))
        torch.testing.assert_close(weights[0] * levels[0], weights[1] * levels[1])
        self.assertTrue(torch.isfinite(balancing_weights(torch.zeros(2, 1, 4, 4))).all())

    def test_initialisation(self):
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(64, 64, 3)
        initialise(layer, 0.02)
        self.assertAlmostEqual(layer.weight.std().item(), 0.02, delta=0.001)
        self.assertEqual(layer.bias.abs().max().item(), 0.0)
        initialise(layer, None)
        self.assertAlmostEqual(layer.weight.std().item(), (2 / (64 * 9)) ** 0.5, delta=0.002)


if __name__ == "__main__":
    unittest.main()

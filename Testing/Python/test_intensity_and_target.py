"""Scales and targets: invertible where they promise it, the same in numpy and torch, physical values come out right."""

import unittest

import numpy as np
import torch
from medgan import intensity
from medgan.errors import BundleError
from medgan.intensity import FixedScale, PercentileScale, SliceRange, SliceStatistics, Windows
from medgan.target import Target

SCALES = (
    FixedScale(40.0, 400.0), SliceStatistics(), SliceStatistics(variance=False), SliceRange(), PercentileScale(),
    PercentileScale(0.0, 100.0, symmetric=False), PercentileScale(high=100.0, from_zero=True),
)  # fmt: skip


class ScaleTest(unittest.TestCase):
    def setUp(self):
        self.array = np.random.default_rng(0).normal(200, 90, (3, 8, 9)).astype(np.float32)

    def test_inverse_numpy_torch_and_json(self):
        block = self.array[np.newaxis]
        for scale in SCALES:
            fitted = scale.fit(self.array)
            scaled = fitted.forward(block)
            np.testing.assert_allclose(fitted.inverse(scaled.copy()), block, rtol=1e-4, atol=1e-2)
            tensor = fitted.forward(torch.from_numpy(block.copy()))
            np.testing.assert_allclose(tensor.numpy(), scaled, rtol=1e-5, atol=1e-6)
            part = fitted.forward(block[:, 1:2], slice(1, 2))
            np.testing.assert_allclose(part, scaled[:, 1:2], rtol=1e-6)
            again = intensity.from_dict(scale.to_dict()).fit(self.array)
            np.testing.assert_array_equal(again.forward(block), scaled)

    def test_ranges(self):
        self.assertAlmostEqual(float(SliceRange().fit(self.array).forward(self.array).min(axis=(1, 2)).max()), -1, 5)
        scaled = PercentileScale(0.0, 100.0, symmetric=False).fit(self.array).forward(self.array)
        np.testing.assert_allclose((scaled.min(), scaled.max()), (0, 1), atol=1e-6)
        # the published super-resolution: x / (max / 2) - 1
        scaled = PercentileScale(high=100.0, from_zero=True).fit(self.array).forward(self.array)
        np.testing.assert_allclose(scaled, self.array / (self.array.max() / 2) - 1, atol=1e-5)

    def test_clipping_keeps_what_tanh_reaches(self):
        fitted = PercentileScale(clipped=True).fit(self.array)
        for block in (self.array[np.newaxis], torch.from_numpy(self.array[np.newaxis].copy())):
            scaled = np.asarray(fitted.forward(block))
            free = PercentileScale().fit(self.array).forward(self.array[np.newaxis])
            self.assertGreater(np.abs(free).max(), 1.0)
            np.testing.assert_allclose(scaled, np.clip(free, -1, 1), atol=1e-6)

    def test_constant_volumes_stay_finite(self):
        for scale in SCALES:
            flat = np.full((2, 4, 4), 7.0, np.float32)
            self.assertTrue(np.isfinite(scale.fit(flat).forward(flat)).all())

    def test_windows(self):
        scale = Windows(((2000.0, 0.0), (500.0, 50.0)))
        block = np.array([-2000.0, -1000.0, 0.0, 50.0, 300.0, 2000.0], np.float32).reshape(1, 1, 1, 6)
        channels = scale.fit(block).forward(block)
        # the source: clip(255 (x - L + W/2) / W, 0, 255) / 127.5 - 1
        for channel, (width, level) in zip(channels, ((2000, 0), (500, 50)), strict=True):
            expected = np.clip(255 * (block[0] - level + width / 2) / width, 0, 255) / 127.5 - 1
            np.testing.assert_allclose(channel, expected, atol=1e-5)
        np.testing.assert_allclose(scale.inverse(channels)[0, 0, 0], np.clip(block[0, 0, 0], -1000, 1000), atol=1e-3)
        np.testing.assert_allclose(scale.forward(torch.from_numpy(block)).numpy(), channels, atol=1e-6)

    def test_unknown_kinds_are_named(self):
        with self.assertRaisesRegex(BundleError, "not known to this version"):
            intensity.from_dict({"kind": "tomorrow"})


class TargetTest(unittest.TestCase):
    def setUp(self):
        generator = np.random.default_rng(0)
        self.source = generator.uniform(-1000, 1500, (1, 2, 6, 7)).astype(np.float32)
        self.truth = self.source + generator.uniform(-50, 300, self.source.shape).astype(np.float32)
        self.fitted = FixedScale(0.0, 1000.0).fit(self.source)

    def test_decode_undoes_encode(self):
        targets = (
            Target(), Target(scale=FixedScale(100.0, 500.0)), Target(scale=FixedScale(0.0, 250.0), residual=True),
        )  # fmt: skip
        for target in targets:
            for make in (np.asarray, torch.from_numpy):
                source, truth = make(self.source.copy()), make(self.truth.copy())
                encoded = target.encode(truth, source, self.fitted)
                np.testing.assert_allclose(target.decode(encoded, source, self.fitted), self.truth, atol=0.1)
            again = Target.from_dict(target.to_dict())
            self.assertEqual(again, target)

    def test_enhancement_may_only_add(self):
        target = Target(scale=FixedScale(0.0, 1000.0), residual=True, only_add=True)
        change = np.where(np.arange(7) % 2, -0.2, 0.3).astype(np.float32) * np.ones_like(self.source)
        result = target.decode(change.copy(), self.source, self.fitted)
        np.testing.assert_allclose(result, self.source + np.maximum(0, change * 1000), atol=0.1)

    def test_glass_stays_as_it_is_and_colors_stay_in_range(self):
        target = Target(scale=FixedScale(127.5, 127.5), background_above=230.0, value_range=(0.0, 255.0))
        source = np.full((3, 1, 2, 2), 100.0, np.float32)
        source[:, 0, 0, 0] = (250, 240, 231)
        result = target.decode(np.full((3, 1, 2, 2), 1.4, np.float32), source, self.fitted)
        np.testing.assert_allclose(result[:, 0, 0, 0], (250, 240, 231))
        np.testing.assert_allclose(result[:, 0, 1, 1], 255.0)

    def test_unknown_fields_are_named(self):
        with self.assertRaisesRegex(BundleError, "not known to this version"):
            Target.from_dict({"hologram": True})


if __name__ == "__main__":
    unittest.main()

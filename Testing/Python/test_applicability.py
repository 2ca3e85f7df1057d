"""Whether a volume suits a generator, as a traffic light with its reasons; the sentences are tested in test_bundle."""

import dataclasses
import unittest
from pathlib import Path

import numpy as np
from engine_fixtures import OBLIQUE, ct, mr, slide
from medgan.applicability import fingerprint
from medgan.bundle import Bundle
from medgan.manifest import Manifest
from medgan.network import NetworkSpec
from medgan.volume import Volume


def trained_on(*volumes, **fields):
    """A bundle that says it learnt from these."""
    first = volumes[0]
    defaults = {"modality": first.modality, "units": first.units, "channels": first.channels}
    manifest = Manifest(
        "trained", "Trained", "denoise-ct", fingerprint=fingerprint(volumes, 1), **{**defaults, **fields}
    )
    return Bundle(Path("trained"), {}, manifest)


class Judge(unittest.TestCase):
    def assert_level(self, bundle, volume, level, *words):
        verdict = bundle.judge(volume)
        self.assertEqual(verdict.level, level, verdict.reasons)
        self.assertTrue(verdict.reasons)
        for reason in verdict.reasons:
            self.assertTrue(reason[0].isupper() or reason[0] == "'", reason)
            self.assertTrue(reason.endswith("."), reason)
        for word in words:
            self.assertRegex(" ".join(verdict.reasons), word)
        return verdict

    def test_good_names_what_was_compared(self):
        bundle = trained_on(ct((9, 40, 40)))
        good = self.assert_level(bundle, ct((9, 38, 42), seed=1), "good")
        self.assertEqual(
            good.reasons,
            ["Modality, voxel spacing, intensities and field of view are like those of the training data."],
        )
        unstated = dataclasses.replace(ct((9, 40, 40)), modality="")
        self.assert_level(bundle, unstated, "good", "^Voxel spacing, intensities and field")
        fitted = trained_on(mr((9, 40, 40)), intensity={"kind": "percentiles"})
        bright = mr((9, 40, 40))
        self.assert_level(fitted, bright.with_array(bright.array * 50), "good", "^Modality, voxel spacing and field of")
        self.assert_level(trained_on(slide((1, 60, 60))), slide((1, 80, 300)), "good", "spacing and intensities")

    def test_caution(self):
        bundle = trained_on(ct((9, 40, 40)))
        self.assert_level(bundle, ct((9, 40, 40), spacing_mm=(3, 3, 2.5)), "caution", "voxel spacing along i is 3 mm")
        loud = ct((9, 40, 40))
        self.assert_level(bundle, loud.with_array(loud.array * 20), "caution", "Intensities from .* check the result")
        unknown = Bundle(Path("x"), {}, Manifest("x", "X", "denoise-ct", modality="CT", units="HU"))
        self.assert_level(unknown, ct((9, 40, 40)), "caution", "does not say what images it was trained on")

    def test_unsuitable_instead_of_an_error(self):
        bundle = trained_on(ct((9, 40, 40)))
        wrong = self.assert_level(
            bundle, mr((9, 40, 40), spacing_mm=(5, 5, 5)), "unsuitable", "trained on CT", "spacing"
        )
        self.assertIn("do not trust", wrong.reasons[0])  # the gravest comes first
        raw = dataclasses.replace(ct((9, 40, 40)), units="")
        self.assert_level(
            bundle, raw.with_array((raw.array + 1024).astype(np.uint16)), "unsuitable", "rescale intercept"
        )
        self.assert_level(bundle, slide((1, 8, 8)), "unsuitable", r"takes images of 1 component\(s\) per voxel.* has 3")
        broken = ct((9, 40, 40), np.float32)
        broken.array[0, 0, 0] = np.nan
        self.assert_level(bundle, broken, "unsuitable", "1 voxels that are no number")
        unknown = Bundle(Path("x"), {}, Manifest("x", "X", "denoise-ct", modality="CT"))
        self.assert_level(unknown, mr((9, 40, 40)), "unsuitable", "This is a MR volume")

    def test_turned_volumes_are_compared_as_they_are_shown(self):
        """Spacings along i, j, k of a canonical network are those of right, anterior, superior."""
        axial = mr((9, 40, 40), spacing_mm=(1, 1, 4))
        bundle = trained_on(axial, network=NetworkSpec(canonical=True))
        coronal = Volume(
            axial.array.transpose(1, 0, 2),
            dataclasses.replace(axial.geometry, spacing_mm=(1, 4, 1), directions=np.eye(3)[:, [0, 2, 1]]),
            "", "MR",
        )  # fmt: skip
        self.assert_level(bundle, coronal, "good")
        self.assert_level(bundle, mr((9, 40, 40), spacing_mm=(1, 1, 4), directions=OBLIQUE), "caution", "spacing")


if __name__ == "__main__":
    unittest.main()

"""Options of an application: checked, recorded, and doing what they say."""

import dataclasses
import json
import math
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from engine_fixtures import OBLIQUE, ct, mr, slide, untrained
from medgan.bundle import Bundle
from medgan.bundle_search import search_folders
from medgan.errors import InputError
from medgan.generated_colours import MOST_TILES, TILE, tissue_tiles
from medgan.network import NetworkSpec, as_volume_network
from medgan.options import ApplyOptions, available
from medgan.receptive_field import probe
from medgan.stain_reference import StainReference
from medgan.synthesizer import Synthesizer
from medgan.tile_plan import Box
from medgan.volume import Volume
from medgan.working_grid import cropped

EVERYTHING = {
    "strength": 0.5, "target_spacing_mm": (1.0, 1.0, 2.5), "orientations": "all", "enhancement_only": True,
    "spread": "ensemble", "spread_samples": 4, "ensemble": ("a", "b"), "reference": (60.0, 10.0, -5.0, 9.0, 4.0, 3.0),
}  # fmt: skip


class Values(unittest.TestCase):
    def test_every_field_is_described_for_people(self):
        for field in dataclasses.fields(ApplyOptions):
            self.assertTrue(field.metadata["label"] and field.metadata["help"].endswith("."), field.name)
        self.assertEqual(set(EVERYTHING), {field.name for field in dataclasses.fields(ApplyOptions)})

    def test_only_what_differs_is_kept_and_comes_back(self):
        self.assertEqual(ApplyOptions().to_dict(), {})
        self.assertEqual(ApplyOptions(strength=1, ensemble=[], spread_samples=8).to_dict(), {})
        options = ApplyOptions(**EVERYTHING)
        through_json = json.loads(json.dumps(options.to_dict()))
        self.assertEqual(set(through_json), set(EVERYTHING))
        self.assertEqual(ApplyOptions.from_dict(through_json), options)
        changed = ApplyOptions.of(options, {"strength": 0.25})
        self.assertEqual(changed, dataclasses.replace(options, strength=0.25))

    def test_each_mistake_is_one_sentence(self):
        mistakes = {
            "strength must lie between 0 and 1": {"strength": 1.5},
            "strength must be a finite number": {"strength": math.nan},
            "strength must be of type float": {"strength": "much"},
            "must be three positive numbers": {"target_spacing_mm": (1, 0, 1)},
            "three positive numbers in mm": {"target_spacing_mm": (1, 1)},
            "target_spacing_mm must be a sequence of numbers": {"target_spacing_mm": 1.0},
            "orientations must be one of model, axial, all": {"orientations": "coronal"},
            "enhancement_only must be of type bool": {"enhancement_only": "yes"},
            "spread must be one of": {"spread": "bootstrap"},
            "spread_samples must lie between 2 and 32": {"spread_samples": 1},
            "needs at least one further model": {"spread": "ensemble"},
            "ensemble must be a sequence of texts": {"ensemble": "folder"},
            "must be six finite numbers": {"reference": (1, 2, 3)},
            "six finite numbers, the mean": {"reference": (60, 0, 0, 10, 0, 5)},
            "There is no option 'strenght'": {"strenght": 0.5},
        }
        for sentence, values in mistakes.items():
            with self.subTest(sentence), self.assertRaisesRegex(InputError, sentence) as caught:
                ApplyOptions.of(None, values)
            self.assertEqual(str(caught.exception).rstrip(".").count(". "), 0, str(caught.exception))


class WhatAModelCanDo(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def identity(self, **fields):
        return Bundle.create_identity(self.folder / "identity", **fields)

    def test_what_makes_no_sense_is_refused_before_computing(self):
        plain, volume = self.identity(), ct((3, 8, 8))
        other = self.identity(target={"modality": "CT", "units": "HU"})
        refused = [
            (plain, {"target_spacing_mm": (1, 1, 1)}, "keeps the grid of the source"),
            (plain, {"orientations": "all"}, "leave the orientations at 'model'"),
            (plain, {"reference": EVERYTHING["reference"]}, "does not make color images"),
            (other, {"strength": 0.5}, "strength is always 1"),
            (other, {"enhancement_only": True}, "cannot be kept above the source"),
        ]
        for bundle, values, sentence in refused:
            options = ApplyOptions(**values)
            self.assertTrue(set(values).isdisjoint(available(bundle.manifest)))
            for call in (lambda b, o: b.outputs(volume, o), lambda b, o: Synthesizer(b)(volume, o)):
                with self.subTest(sentence), self.assertRaisesRegex(InputError, sentence):
                    call(bundle, options)
        finer = untrained("superres-mr", factor="2x2x2", feature_size=8, residual_blocks=1)
        self.assertEqual(available(finer.manifest) & {"strength", "target_spacing_mm"}, {"target_spacing_mm"})

    def test_provenance_tells_what_differs_and_the_strength(self):
        synthesizer, volume = Synthesizer(self.identity()), ct((3, 8, 8))

        def recorded(**settings):
            return json.loads(synthesizer(volume, **settings).provenance["Parameters"])

        self.assertEqual(recorded(), {"strength": 1.0})
        self.assertEqual(recorded(strength=0.5, enhancement_only=True), {"strength": 0.5, "enhancement_only": True})
        ensemble = recorded(spread="ensemble", ensemble=[str(self.folder / "identity")])
        self.assertEqual(ensemble["ensemble"], ["identity"])  # a name, not a place on this machine

    def test_options_and_single_settings(self):
        synthesizer, volume = Synthesizer(self.identity()), ct((3, 8, 8))
        result = synthesizer(volume, ApplyOptions(enhancement_only=True), strength=0.25)
        self.assertEqual(json.loads(result.provenance["Parameters"]), {"strength": 0.25, "enhancement_only": True})
        with self.assertRaisesRegex(InputError, "no option 'region_mm'"):
            synthesizer(volume, region_mm=3)

    def test_arrays_to_write_into(self):
        synthesizer, volume = Synthesizer(self.identity()), ct((3, 8, 8))
        specs = synthesizer.bundle.outputs(volume, ApplyOptions(spread="flips"))
        out = {name: np.full(spec.shape, 7, spec.dtype) for name, spec in specs.items()}
        result = synthesizer(volume, spread="flips", out=out)
        self.assertIs(result.volume.array, out["image"])
        self.assertIs(result.spread.array, out["spread"])
        np.testing.assert_array_equal(out["image"], volume.array)
        self.assertFalse(out["spread"].any())
        for wrong in (np.empty((3, 8, 7), np.int16), np.empty((3, 8, 8), np.float32)):
            with self.assertRaisesRegex(InputError, "'image' must have shape"):
                synthesizer(volume, out={"image": wrong})

    def test_enhancement_only(self):
        bundle, volume = untrained("denoise-ct", residual=False, base_width=4, depth=2), ct((2, 24, 24))
        synthesizer = Synthesizer(bundle, "cpu")
        for strength in (1.0, 0.6):
            plain = synthesizer(volume, strength=strength).volume.array
            self.assertTrue((plain < volume.array).any() and (plain > volume.array).any())
            kept = synthesizer(volume, strength=strength, enhancement_only=True).volume.array
            np.testing.assert_array_equal(kept, np.maximum(plain, volume.array))


class Orientations(unittest.TestCase):
    def direct(self, bundle, volume, planes):
        """The mean over the planes of the network on each slice, without MedGAN's tiles and grids."""
        fitted = bundle.manifest.source_scale().fit(volume.array)
        image = torch.from_numpy(fitted.forward(volume.array[np.newaxis]))[0]
        results = []
        for axis in planes:
            slices = image.movedim(axis, 0)[:, None]
            with torch.inference_mode():
                results.append(bundle.generator(slices)[:, 0].movedim(0, axis).numpy())
        return bundle.manifest.result().decode(np.mean(results, axis=0)[np.newaxis], None, fitted)[0]

    def test_axial_and_all_and_their_halos(self):
        for planes, has in (("axial", (0,)), ("all", (0, 1, 2))):
            bundle = untrained(
                "mr-to-ct", dimensions=2, planes=planes, context_slices=0, mask=False, working_spacing=0.0,
                base_width=4, depth=2,
            )  # fmt: skip
            self.assertEqual(bundle.manifest.network.planes, has)
            volume, synthesizer = mr((16, 32, 24)), Synthesizer(bundle, "cpu")
            for orientations, wanted in (("model", has), ("all", (0, 1, 2)), ("axial", (0,)), ("model", has)):
                result = synthesizer(volume, orientations=orientations).volume.array
                np.testing.assert_allclose(result, self.direct(bundle, volume, wanted), atol=0.05)
                spec = bundle.manifest.network.oriented(orientations)
                found = probe(as_volume_network(bundle.generator, spec), 1, spec.multiple)
                self.assertTrue(all(h >= f for h, f in zip(spec.halo, found.halo, strict=True)), (spec.halo, found))
                self.assertEqual(spec.halo[0] == 0, wanted == (0,))
                part = Box((5, 0, 3), (6, 32, 20))
                region = synthesizer(volume, orientations=orientations, region=part).volume.array
                np.testing.assert_allclose(region, result[part.slices], atol=0.05)

    def test_turned_volumes(self):
        """What lies coronal is turned first, so axial slices are those of the patient."""
        bundle = untrained(
            "mr-to-ct", dimensions=2, planes="all", context_slices=0, mask=False, working_spacing=0.0, base_width=4
        )
        volume, synthesizer = mr((16, 32, 24)), Synthesizer(bundle, "cpu")
        turned = Volume(volume.array.transpose(1, 0, 2), dataclasses.replace(
            volume.geometry, spacing_mm=volume.geometry.spacing_mm[[0, 2, 1]],
            directions=volume.geometry.directions[:, [0, 2, 1]],
        ), "", "MR")  # fmt: skip
        straight = synthesizer(volume, orientations="axial").volume.array
        np.testing.assert_allclose(
            synthesizer(turned, orientations="axial").volume.array, straight.transpose(1, 0, 2), atol=0.05
        )

    def test_where_it_makes_no_sense(self):
        self.assertFalse(NetworkSpec(dimensions=3, canonical=True).can_turn)
        self.assertFalse(NetworkSpec(canonical=True, context=2).can_turn)
        self.assertFalse(NetworkSpec().can_turn)  # does not know which slices are axial
        for task, settings in (("contrast-ct", {}), ("denoise-ct", {})):
            bundle = untrained(task, base_width=4, **settings)
            with self.assertRaisesRegex(InputError, "leave the orientations at 'model'"):
                Synthesizer(bundle, "cpu")(ct((4, 16, 16)), orientations="all")
        shipped = Bundle.load(search_folders()[-2] / "mr-to-ct-head-demo")
        self.assertIn("orientations", available(shipped.manifest))
        self.assertEqual(shipped.manifest.network.oriented("axial").halo[0], shipped.manifest.network.context)


class Reference(unittest.TestCase):
    def setUp(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.bundle = Bundle.create_identity(folder / "identity", "stain", channels=3, modality="SM")
        self.reference = StainReference(50.0, 35.0, -20.0, 12.0, 6.0, 5.0)

    def test_tissue_takes_the_colors_of_the_reference_in_every_region(self):
        volume, synthesizer = slide((2, 300, 420)), Synthesizer(self.bundle)
        whole = synthesizer(volume, reference=self.reference).volume
        made = StainReference.of(whole)
        np.testing.assert_allclose(made[:3], self.reference[:3], atol=3.0)
        self.assertGreater(np.abs(np.subtract(StainReference.of(volume)[:3], self.reference[:3])).max(), 10.0)
        np.testing.assert_array_equal(whole.array[:, :, 290:], volume.array[:, :, 290:])  # glass
        for region in (Box((1, 0, 0), (2, 40, 60)), Box((0, 100, 200), (2, 300, 420))):
            part = synthesizer(volume, reference=self.reference, region=region).volume
            np.testing.assert_array_equal(part.array, cropped(whole, region).array)
        half = synthesizer(volume, reference=self.reference, strength=0.5).volume.array.astype(int)
        between = (whole.array.astype(int) + volume.array) / 2
        self.assertLessEqual(np.abs(half - between).max(), 1)

    def test_finer_slides_and_images_that_are_colored(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        colored = Bundle.create_identity(folder / "colored", "custom", target={"channels": 3, "modality": "SM"})
        self.assertNotIn("reference", available(colored.manifest))
        spec = NetworkSpec(dimensions=2, scale=(1, 2, 2))
        finer = Bundle.create_identity(folder / "finer", "custom", channels=3, network=spec)
        volume = slide((1, 80, 90))
        made = Synthesizer(finer)(volume, reference=self.reference).volume.array
        expected = Synthesizer(self.bundle)(volume, reference=self.reference).volume.array
        np.testing.assert_array_equal(made[:, ::2, ::2], expected)

    def test_glass_alone_is_refused(self):
        glass = Volume(np.full((1, 64, 64, 3), 244, np.uint8), modality="SM")
        with self.assertRaisesRegex(InputError, "hardly any tissue"):
            Synthesizer(self.bundle)(glass, reference=self.reference)

    def test_tiles_lie_on_tissue_and_do_not_depend_on_chance(self):
        array = np.full((2, 2000, 3000, 3), 250, np.uint8)
        array[1, 600:1700, 500:2600] = (200, 120, 170)
        tiles = tissue_tiles(array)
        self.assertEqual((len(tiles), tiles), (MOST_TILES, tissue_tiles(array)))
        self.assertEqual(len(set(tiles)), MOST_TILES)
        for tile in tiles:
            self.assertLessEqual(max(tile.shape), TILE)
            self.assertGreater((array[tile.slices] < 220).mean(), 0.4)
        small = np.full((1, 30, 20, 3), 100, np.uint8)
        self.assertEqual(tissue_tiles(small), [Box((0, 0, 0), (1, 30, 20))])


class OrientationsOfObliqueVolumes(unittest.TestCase):
    def test_grid_and_geometry_stay_those_of_the_source(self):
        bundle = untrained("mr-to-ct", dimensions=2, planes="all", context_slices=0, base_width=4, depth=2)
        volume = mr((14, 30, 26), directions=OBLIQUE)
        result = Synthesizer(bundle, "cpu")(volume, orientations="axial").volume
        self.assertIs(result.geometry, volume.geometry)
        self.assertEqual(result.grid_shape, volume.grid_shape)


if __name__ == "__main__":
    unittest.main()

"""Three real cases in a draft, from files to a dataset; skipped where the shared images are absent."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
from medgan.dataset import Dataset
from medgan.dataset_check import check_content
from medgan.draft import Draft
from medgan.image_io import read_volume
from medgan.volume import Geometry
from shared_data import dataFile


class TestDraftOfRealImages(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "draft"

    def test_a_head_is_registered_and_a_wrong_pair_is_left_out(self):
        draft = Draft.create(self.folder, "mr-to-ct", licence="see README")
        t1, ct = (dataFile(f"mr_ct/template_{name}_mni_2mm.nii.gz") for name in ("t1", "ct_hu"))
        turn, shift = np.radians(12.0), np.array((30.0, -18.0, 25.0))
        matrix = np.eye(4)
        matrix[:2, :2] = (np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))
        matrix[:3, 3] = shift
        volume = read_volume(ct)[0]
        moved = Geometry.from_ijk_to_ras(matrix @ volume.geometry.ijk_to_ras)
        draft.add(t1, volume.with_array(volume.array, geometry=moved), patient="template")
        abdomen = (dataFile(f"ct/{name}_3mm_small_totalseg.nii.gz") for name in ("mr_abdomen", "abdomen"))
        draft.add(*abdomen, patient="not of one patient")
        template, wrong = draft.build_all()
        self.assertTrue(template.used)
        self.assertFalse(wrong.used)
        self.assertIn("do not seem to lie on each other", wrong.problems[0])
        corners = np.array([(i, j, k, 1) for i in (20, 70) for j in (20, 90) for k in (20, 70)]).T
        points = draft.volume(template.id, "source").geometry.ijk_to_ras @ corners
        apart_mm = np.linalg.norm((np.array(template.transform) @ points - matrix @ points)[:3], axis=0)
        self.assertLess(apart_mm.max(), 4.0)  # the templates themselves agree to about 1 mm
        dataset = draft.finish()
        self.assertEqual([case.patient for case in dataset.cases], ["template"])
        self.assertEqual([one["id"] for one in dataset.failed], [wrong.id])
        check_content(Dataset.load(self.folder))

    def test_three_scans_made_coarser(self):
        draft = Draft.create(self.folder, "superres-mr", degrade="low-resolution", factor="1x1x2")
        files = (
            "mr_ct/template_t1_mni_2mm.nii.gz",
            "mr_ct/weakpair_t1_mni_affine_2mm.nii.gz",
            "ct/mr_abdomen_3mm_small_totalseg.nii.gz",
        )
        for name in files:
            draft.add(dataFile(name), patient=name)
        for case in draft.build_all():
            self.assertTrue(case.used, case.reason)
            self.assertEqual(draft.factor(case.id), (2, 1, 1))
            self.assertTrue(draft.path(case.thumbnail).is_file())
        dataset = draft.finish()
        self.assertEqual({case.split for case in dataset.cases}, {"train", "validation", "test"})
        check_content(dataset)


if __name__ == "__main__":
    unittest.main()

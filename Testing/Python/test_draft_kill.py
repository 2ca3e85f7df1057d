"""Whatever kills a program that works on a draft, the draft is whole; two programs do not undo each other's work."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from dataset_fixtures import body
from medgan.dataset import Dataset
from medgan.dataset_check import check_content, voxel_sha256
from medgan.draft import Draft
from medgan.files import write_json

HERE = Path(__file__).resolve().parent
KILLS = 10
WORK = """
import itertools, sys
from dataset_fixtures import body
from medgan.draft import Draft

draft = Draft.load(sys.argv[1])
for number in itertools.count(int(sys.argv[2])):
    mr, ct = body(number)
    case = draft.add(mr, ct, patient=f"p{number}")
    for step in (
        lambda: draft.build_all(),
        lambda: draft.set_mask(case.id, ct.with_array((ct.array > 0).astype("uint8"))),
        lambda: draft.build_all(),
        lambda: draft.assign_splits(),
        lambda: draft.finish(),
        lambda: draft.remove(case.id) if number % 3 == 2 else None,
    ):
        print("next", flush=True)
        step()
"""
DECIDE = """
import sys
from medgan.draft import Draft

draft = Draft.load(sys.argv[1])
for number in range(40):
    for case in draft.cases:
        if sys.argv[2] == "split":
            draft.set_split(case.id, ("train", "test")[number % 2])
        else:
            (draft.accept if number % 2 else draft.undecide)(case.id)
"""


def environment() -> dict[str, str]:
    import medgan

    paths = [str(HERE), str(Path(medgan.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def started(code: str, *arguments, **settings) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment(), **settings)


class TestDraftKill(unittest.TestCase):
    def setUp(self):
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "draft"
        self.draft = Draft.create(self.folder, "mr-to-ct", register="")

    @unittest.skipIf(sys.platform == "win32", "Windows has no SIGKILL")
    def test_killed_at_random_moments(self):
        chance = random.Random(7)
        seen = set()
        for run in range(KILLS):
            worker = started(WORK, self.folder, 100 * run, stdout=subprocess.PIPE)
            for _ in range(chance.randint(1, 14)):
                self.assertEqual(worker.stdout.readline(), b"next\n")
            time.sleep(chance.uniform(0.0, 0.05))
            worker.send_signal(signal.SIGKILL)
            self.assertEqual(worker.wait(), -signal.SIGKILL)
            worker.stdout.close()
            draft = Draft.load(self.folder)
            for case in draft.cases:
                self.assertIn(case.state, ("waiting", "ready"), case.reason)
                seen.add(case.state)
                self.check_whole(draft, case)
            if (self.folder / "dataset.json").exists():
                check_content(Dataset.load(self.folder))
        self.assertIn("ready", seen)
        for case in draft.build_all():
            self.assertEqual(case.state, "ready", case.reason)
        draft.finish()
        check_content(Dataset.load(self.folder))

    def check_whole(self, draft, case):
        """Every image that is listed can be read and is the one that was written."""
        for role in ("source", "target"):
            added = draft.volume(case.id, role, raw=True)
            expected = body(int(case.patient[1:]))[role == "target"]
            np.testing.assert_array_equal(added.array, expected.array)
            if case.state == "ready":
                self.assertEqual(voxel_sha256(draft.volume(case.id, role)), case.sha256[role])
        if case.state == "ready":
            self.assertTrue(draft.volume(case.id, "mask").array.any())
            self.assertTrue(draft.path(case.thumbnail).is_file())

    def test_leftovers_of_the_killed_are_cleared_away_in_time(self):
        self.draft.add(*body(0), patient="p")
        self.draft.build_all()
        old = [self.folder / "cases" / ".4711-0badcafe", self.folder / "images" / "case-001" / ".4711-x.nrrd"]
        fresh = self.folder / "cases" / ".4712-0badcafe"
        for path in (old[0], fresh):
            path.mkdir()
            write_json(path / "case.json", {})
        old[1].write_bytes(b"half an image")
        for path in old:
            os.utime(path, (time.time() - 7200,) * 2)
        self.assertEqual([case.id for case in Draft.load(self.folder).cases], ["case-001"])
        self.assertEqual([path.exists() for path in (*old, fresh)], [False, False, True])

    def test_two_programs_change_the_same_cases(self):
        for number in range(3):
            self.draft.add(*body(number), patient=f"p{number}")
        workers = [started(DECIDE, self.folder, what) for what in ("split", "accept")]
        self.assertEqual([worker.wait() for worker in workers], [0, 0])
        self.assertEqual([(case.split, case.accepted) for case in self.draft.cases], [("test", True)] * 3)

    def test_two_programs_add_at_once(self):
        code = "import sys; from medgan.draft import Draft; from dataset_fixtures import body\n" + (
            "for n in range(8): Draft.load(sys.argv[1]).add(*body(int(sys.argv[2]) + n), patient='p')"
        )
        workers = [started(code, self.folder, first) for first in (0, 100)]
        self.assertEqual([worker.wait() for worker in workers], [0, 0])
        self.assertEqual(len(self.draft.cases), 16)
        self.assertEqual(len({tuple(own.values()) for own in self.draft.raw_sha256().values()}), 16)

    def test_a_decision_while_the_case_is_prepared_is_kept_and_a_change_makes_the_result_void(self):
        self.draft.add(*body(0), patient="p")
        self.draft.add(*body(1), patient="q")
        mask = body(1)[1].with_array((body(1)[1].array > 0).astype(np.uint8))
        other = Draft.load(self.folder)

        def meanwhile(fraction, message):
            if message == "Writing: case-001 (1 of 2)":
                worker = threading.Thread(
                    target=lambda: (other.accept("case-001"), other.set_split("case-001", "test"))
                )
                worker.start()
                worker.join()
            elif message == "Writing: case-002 (2 of 2)":
                other.set_mask("case-002", mask)

        first, second = self.draft.build_all(meanwhile)
        self.assertEqual((first.state, first.accepted, first.split), ("ready", True, "test"))
        self.assertEqual(second.state, "waiting")  # what was prepared is not what is wanted now
        self.draft.build_all()
        np.testing.assert_array_equal(self.draft.volume("case-002", "mask").array, mask.array)

    def test_removed_while_it_is_prepared(self):
        self.draft.add(*body(0), patient="p")
        other = Draft.load(self.folder)

        def meanwhile(fraction, message):
            if message.startswith("Writing") and other.cases:
                other.remove("case-001")

        self.assertEqual(self.draft.build_all(meanwhile), ())
        self.assertEqual(list(self.folder.rglob("*case-001*")), [])


if __name__ == "__main__":
    unittest.main()

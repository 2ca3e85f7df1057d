"""When previews are computed: the newest first, one at a time, nothing twice, and nothing that is out of date."""

import unittest
from dataclasses import dataclass

from medgan.errors import InputError
from MedGANSynthesisLib.preview.PreviewSchedule import PreviewSchedule
from slicer_fixtures import processEventsUntil


@dataclass(frozen=True)
class Wish:
    """Something with a place, of which ``what`` is wanted."""

    place: int
    what: str = ""
    effort: float = 1.0

    def covers(self, other):
        return (self.place, self.what) == (other.place, other.what)

    def meets(self, other):
        return self.place == other.place


class Job:
    def __init__(self, key, request):
        self.key, self.request, self.dropped = key, request, False

    def drop(self):
        self.dropped = True


class PreviewScheduleTest(unittest.TestCase):
    def setUp(self):
        self.wishes, self.jobs, self.free, self.problem = {}, [], True, None
        self.schedule = PreviewSchedule(self.wishes.get, self.start, lambda: self.free, lambda: None)
        self.addCleanup(self.schedule.cleanup)

    def start(self, key, request):
        if self.problem is not None:
            raise self.problem
        self.jobs.append(Job(key, request))
        return self.jobs[-1]

    def want(self, **wishes):
        """Views want something else; wait until the schedule has asked them."""
        self.wishes |= wishes
        self.schedule.changed(*wishes)
        self.settle()

    def settle(self):
        self.assertTrue(processEventsUntil(lambda: not self.schedule._timer.active))

    def finish(self, **result):
        self.schedule.finished(self.jobs[-1].key, self.jobs[-1].request, **result)

    def started(self):
        return [(job.key, job.request) for job in self.jobs]

    def test_oneAtATimeAndTheLastChangeFirst(self):
        self.want(Red=Wish(1), Green=Wish(2), Yellow=Wish(3))
        self.assertEqual(self.started(), [("Yellow", Wish(3))])
        self.finish()
        self.finish()
        self.finish()
        self.assertEqual([key for key, _ in self.started()], ["Yellow", "Green", "Red"])
        self.assertTrue(self.schedule.isIdle)

    def test_ofSeveralAtOnceTheLeastEffortFirst(self):
        self.want(Red=Wish(1, effort=1), Green=Wish(2, effort=300), Yellow=Wish(3, effort=20))
        for _ in range(3):
            self.finish()
        self.assertEqual([key for key, _ in self.started()], ["Red", "Yellow", "Green"])

    def test_whatIsThereIsNotComputedAgain(self):
        self.want(Red=Wish(1))
        self.want(Red=Wish(1))
        self.finish()
        self.want(Red=Wish(1))
        self.assertEqual(self.started(), [("Red", Wish(1))])
        self.assertFalse(self.jobs[0].dropped)

    def test_whatIsOutOfDateIsDropped(self):
        for place in range(5):
            self.want(Red=Wish(place))
        self.assertEqual([job.dropped for job in self.jobs], [True] * 4 + [False])
        self.finish()
        self.assertTrue(self.schedule.isIdle)

    def test_draggingASliderShowsSomethingOnTheWay(self):
        """Where only what is wanted changes, no two jobs in a row are dropped."""
        shown = []
        for step in range(6):
            self.want(Red=Wish(1, what=str(step)))
            if step % 2:
                self.assertFalse(self.jobs[-1].dropped)
                shown.append(self.jobs[-1].request.what)
                self.finish()
        self.assertTrue(shown)
        self.finish()
        self.assertEqual(self.jobs[-1].request.what, "5")
        self.assertTrue(self.schedule.isIdle)

    def test_anotherViewThatChangesComesFirst(self):
        self.want(Green=Wish(1))
        self.want(Red=Wish(2))
        self.assertTrue(self.jobs[0].dropped)
        self.assertEqual(self.started()[1], ("Red", Wish(2)))
        self.finish()
        self.assertEqual(self.started()[2], ("Green", Wish(1)), "what was given up for it is done afterwards")

    def test_manyChangesAreOneQuestion(self):
        asked = []
        self.schedule._describe = lambda key: asked.append(key)
        for _ in range(20):
            self.schedule.changed("Red")
        self.settle()
        self.assertEqual(asked, ["Red"])

    def test_changesThatNeverEndAreAnswered(self):
        """As while a view is scrolled on and on: a change does not put off the answer to those before it."""
        self.wishes["Red"] = Wish(1)

        def started():
            self.schedule.changed("Red")
            return bool(self.jobs)

        self.assertTrue(processEventsUntil(started, timeoutSeconds=20.0))

    def test_errorIsToldAndNotTriedAgain(self):
        self.want(Red=Wish(1))
        self.finish(error=InputError("It is too large."))
        self.assertEqual(self.schedule.status, "It is too large.")
        self.want(Red=Wish(1))
        self.assertEqual(len(self.jobs), 1)
        self.assertEqual(self.schedule.status, "It is too large.")
        self.want(Red=Wish(2))
        self.assertEqual(len(self.jobs), 2)
        self.finish()
        self.assertEqual(self.schedule.status, "")

    def test_errorWhileStarting(self):
        self.problem = InputError("There is no memory.")
        self.want(Red=Wish(1), Green=Wish(2))
        self.assertEqual(self.schedule.status, "There is no memory.")
        self.assertTrue(self.schedule.isIdle)
        self.problem = None
        self.want(Red=Wish(1), Green=Wish(3))
        self.assertEqual(self.started(), [("Green", Wish(3))])

    def test_suspended(self):
        self.want(Red=Wish(1))
        self.schedule.suspend()
        self.assertTrue(self.jobs[0].dropped)
        self.want(Green=Wish(2))
        self.assertEqual(len(self.jobs), 1)
        self.assertIn("waits", self.schedule.status)
        self.schedule.resume()
        self.finish()
        self.finish()
        self.assertCountEqual(self.started()[1:], [("Green", Wish(2)), ("Red", Wish(1))])

    def test_waitsForOthersToFinishWithTheEngine(self):
        self.free = False
        self.wishes["Red"] = Wish(1)
        self.schedule.changed("Red")
        self.assertTrue(processEventsUntil(lambda: "waits" in self.schedule.status))
        self.assertEqual(self.jobs, [])
        self.free = True
        self.assertTrue(processEventsUntil(lambda: self.jobs))

    def test_aViewThatWantsNothingGivesUpItsJob(self):
        self.want(Red=Wish(1))
        self.want(Red=None)
        self.assertTrue(self.jobs[0].dropped)
        self.assertTrue(self.schedule.isIdle)

    def test_aResultThatCameTooLateIsAskedForAgain(self):
        self.want(Red=Wish(1))
        self.finish(shown=False)
        self.want(Red=Wish(1))
        self.assertEqual(len(self.jobs), 2)

    def test_forget(self):
        self.want(Red=Wish(1), Green=Wish(2))
        self.schedule.forget()
        self.assertTrue(self.jobs[0].dropped)
        self.assertTrue(self.schedule.isIdle)
        self.want(Red=Wish(1))
        self.assertEqual(len(self.jobs), 2)

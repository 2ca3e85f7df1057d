"""What a preview lives on: jobs that are dropped for newer ones, and callbacks that do what they like."""

import os
import signal
import sys

import numpy as np
import pytest
from client_fixtures import bundle, oblique_volume, run, run_until, shared_blocks
from medgan.errors import Cancelled, InputError, WorkerError
from medgan.tile_plan import Box

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")

SLICE = Box((2, 0, 0), (3, 17, 23))


class TestDrop:
    def test_a_running_job_ends_at_once_and_its_worker_lives_on(self, client):
        done = []
        job = client.apply(oblique_volume(), bundle("endless"), on_done=done.append)
        pid = run_until(client, job, "endless")
        job.drop()
        assert job.state == "cancelled" and done == [job] and not client.busy
        with pytest.raises(Cancelled):
            job.result()
        after = run(client, oblique_volume(seed=1))
        np.testing.assert_array_equal(after.volume.array, oblique_volume(seed=1).array)
        assert client.worker_pid == pid == int(after.provenance["PID"])
        job.drop()
        job.cancel()
        assert done == [job]

    def test_its_generator_stays_loaded(self, client):
        for _ in range(3):
            job = client.apply(oblique_volume(), bundle("endless"))
            run_until(client, job, "endless")
            job.drop()
        assert run(client, oblique_volume()).provenance["Loaded"] == "2"

    def test_a_queued_job_never_starts(self, client):
        running, queued = (client.apply(oblique_volume(), bundle(kind)) for kind in ("slow", "crash"))
        queued.drop()
        assert (running.state, queued.state) == ("running", "cancelled")
        running.wait(60)

    def test_a_result_that_comes_all_the_same_is_thrown_away(self, client):
        consumed, done, before = [], [], shared_blocks()
        job = client.apply(oblique_volume(), bundle("deaf"), consume=consumed.append, on_done=done.append)
        run_until(client, job, "deaf")
        job.drop()
        after = client.apply(oblique_volume(), bundle("negate"))
        assert after.state == "queued"
        assert len(shared_blocks() - before) == 2, "the worker is still writing into the memory of the first"
        np.testing.assert_array_equal(after.wait(60).volume.array, -oblique_volume().array)
        assert consumed == [] and done == [job] and job.state == "cancelled" and job.detail == ""
        client.apply(oblique_volume(), bundle("negate")).wait(60)
        assert len(shared_blocks() - before) == 2

    @pytest.mark.parametrize("kind", ["deaf", "stuck"])
    def test_the_worker_dies_with_a_dropped_job(self, client, kind):
        job = client.apply(oblique_volume(), bundle(kind))
        run_until(client, job, kind)
        job.drop()
        after = client.apply(oblique_volume(), bundle("identity"))
        os.kill(client.worker_pid, signal.SIGKILL)
        np.testing.assert_array_equal(after.wait(60).volume.array, oblique_volume().array)

    def test_before_the_worker_has_started(self, client):
        job = client.apply(oblique_volume(), bundle("crash"))
        job.drop()
        np.testing.assert_array_equal(run(client, oblique_volume()).volume.array, oblique_volume().array)

    def test_a_held_volume_outlives_a_dropped_job_on_it(self, client):
        before = shared_blocks()
        held = client.hold(oblique_volume())
        [block] = shared_blocks() - before
        job = client.apply(held, bundle("deaf"), region=SLICE)
        run_until(client, job, "deaf")
        job.drop()
        held.release()
        assert block in shared_blocks(), "the worker still reads it"
        run(client, oblique_volume())
        assert block not in shared_blocks()

    def test_newest_wins(self, client):
        """Fifty requests in a row, each dropping the one before, as when a user scrolls through the slices."""
        before = shared_blocks()
        volume = oblique_volume(shape=(50, 17, 23))
        shown, held, pids = [], client.hold(volume), set()
        job = client.apply(held, bundle("endless"))
        for k in range(50):
            job.drop()
            job = client.apply(
                held,
                bundle("tiles-too"),
                region=Box((k, 0, 0), (k + 1, 17, 23)),
                consume=lambda result, k=k: shown.append((k, result.volume.array.copy())),
            )
            client.pump(0.002 * (k % 5))
            pids.add(client.worker_pid)
        job.wait(60)
        assert [k for k, _ in shown] == [49]
        np.testing.assert_array_equal(shown[0][1], volume.array[49:])
        assert pids - {None} == {client.worker_pid}, "the worker must never change"
        held.release()
        assert len(shared_blocks() - before) <= 2, "memory piles up"


class TestCallbacks:
    def test_dropping_and_asking_anew_in_callbacks(self, client):
        results = []

        def on_done(job):
            results.append(client.apply(oblique_volume(), bundle("negate"), consume=lambda result: "second"))

        first = client.apply(oblique_volume(), bundle("tiles"), on_progress=lambda job: job.drop(), on_done=on_done)
        with pytest.raises(Cancelled):
            first.wait(60)
        assert results[0].wait(60) == "second"

    @pytest.mark.parametrize("when", ["on_progress", "on_done", "consume"])
    def test_stopping_in_a_callback(self, client, when):
        before, ended = shared_blocks(), []
        held = client.hold(oblique_volume())
        job = client.apply(held, bundle("tiles"), **{when: lambda _: client.stop()})
        queued = client.apply(oblique_volume(), bundle("identity"), on_done=ended.append)
        while not job.finished:
            client.pump(10)
        assert job.state == ("cancelled" if when == "on_progress" else "done")
        assert queued.state == "cancelled" and ended == [queued]
        assert held.released and client.worker_pid is None and shared_blocks() <= before

    def test_waiting_for_another_job_while_a_result_is_taken(self, client):
        def consume(result):
            inner = client.apply(result.volume, bundle("negate")).wait(60)
            return inner.volume.array, result.volume.array.copy()

        inner, outer = run(client, oblique_volume(), consume=consume)
        np.testing.assert_array_equal(outer, oblique_volume().array)
        np.testing.assert_array_equal(inner, -outer)

    def test_jobs_made_while_the_client_stops_are_not_lost(self, client):
        again = []
        job = client.apply(
            oblique_volume(),
            bundle("stuck"),
            on_done=lambda job: again.append(client.apply(oblique_volume(), bundle("identity"))),
        )
        run_until(client, job, "stuck")
        client.stop()
        np.testing.assert_array_equal(again[0].wait(60).volume.array, oblique_volume().array)


def test_options_reach_the_worker_and_wrong_ones_do_not(client):
    assert run(client, oblique_volume(), strength=0.5).provenance["Strength"] == "0.5"
    with pytest.raises(InputError, match="strength"):
        client.apply(oblique_volume(), bundle("identity"), strength=2.0)
    with pytest.raises(InputError, match="no option 'strenght'"):
        client.apply(oblique_volume(), bundle("identity"), strenght=0.5)
    assert not client.busy


@pytest.mark.parametrize("consume", [None, lambda result: result.spread.array.copy()])
def test_the_spread_is_a_second_output(client, consume):
    result = run(client, oblique_volume(), spread="flips", region=SLICE, consume=consume)
    spread = result.spread.array if consume is None else result
    assert spread.shape == SLICE.shape and spread.dtype == np.float32 and (spread == 0.5).all()
    assert run(client, oblique_volume()).spread is None


def test_an_urgent_job_is_the_next(client):
    order = []
    for kind, urgent in (("slow", False), ("identity", False), ("negate", True)):
        done = lambda _job, kind=kind: order.append(kind)  # noqa: E731
        job = client.apply(oblique_volume(), bundle(kind), urgent=urgent, on_done=done)
    while client.busy:
        client.pump(10)
    assert order == ["slow", "negate", "identity"] and job.state == "done"


def test_the_worker_tells_how_much_memory_it_takes(client):
    assert client.worker_bytes == 0
    run(client, oblique_volume())
    assert client.worker_bytes > 10 << 20


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_whatever_order_nothing_is_lost_or_left(client, seed):
    """A hundred random requests, drops, releases, cancellations and deaths; then every job is at its end."""
    rng = np.random.default_rng(seed)
    before, volume, jobs, held = shared_blocks(), oblique_volume(), [], []
    ended = []

    def ask():
        source = held[rng.integers(len(held))] if held and rng.random() < 0.6 else volume
        kind = rng.choice(["identity", "negate", "tiles", "input-error"])
        region = SLICE if rng.random() < 0.5 else None
        jobs.append((client.apply(source, bundle(kind), region=region, on_done=ended.append), kind, region))

    actions = [
        (30, ask),
        (10, lambda: held.append(client.hold(volume))),
        (15, lambda: jobs and jobs[rng.integers(len(jobs))][0].drop()),
        (5, lambda: jobs and jobs[rng.integers(len(jobs))][0].cancel()),
        (5, lambda: held and held.pop(rng.integers(len(held))).release()),
        (5, lambda: held and held.pop()),
        (2, lambda: client.worker_pid and os.kill(client.worker_pid, signal.SIGKILL)),
        (28, lambda: client.pump(0.01)),
    ]
    weights = np.array([weight for weight, _ in actions]) / 100
    for number in rng.choice(len(actions), 100, p=weights):
        actions[number][1]()
    for job, kind, region in jobs:
        try:
            array = job.wait(60).volume.array
        except (Cancelled, WorkerError, InputError):
            assert job.state in ("cancelled", "failed")
            continue
        expected = volume.array if region is None else volume.array[region.slices]
        np.testing.assert_array_equal(array, -expected if kind == "negate" else expected)
    assert sorted(job.number for job in ended) == [job.number for job, _, _ in jobs], "each owner is told exactly once"
    for one in held:
        one.release()
    np.testing.assert_array_equal(run(client, volume).volume.array, volume.array)
    client._pool.trim()
    assert shared_blocks() <= before and not client.busy

"""Held volumes: copied once, known to every worker, freed on both sides."""

import gc
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from client_fixtures import (
    bundle,
    fake_client,
    is_alive,
    kill_worker,
    oblique_volume,
    run,
    run_until,
    shared_blocks,
    wait_until,
)
from medgan.bundle import Bundle
from medgan.client import Client
from medgan.errors import Cancelled, InputError, WorkerError
from medgan.tile_plan import Box

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")

SLICE = Box((2, 0, 0), (3, 17, 23))


class TestHeld:
    def test_a_region_of_a_held_volume(self, client):
        volume = oblique_volume()
        held = client.hold(volume)
        original = volume.array.copy()
        volume.array[...] = 0
        result = run(client, held, region=SLICE)
        np.testing.assert_array_equal(result.volume.array, original[2:3])
        corner = volume.geometry.ijk_to_ras @ [0, 0, 2, 1]
        np.testing.assert_allclose(result.volume.geometry.origin_mm, corner[:3])
        np.testing.assert_array_equal(held.volume.array, original)
        assert not held.volume.array.flags.writeable

    def test_nothing_is_copied_and_the_worker_knows_it_again(self, client):
        volume = oblique_volume(shape=(60, 200, 200))
        held = client.hold(volume)
        run(client, held, region=Box((0, 0, 0), (1, 200, 200)))
        blocks = shared_blocks()
        sizes = sorted(Path("/dev/shm", name).stat().st_size for name in blocks)
        assert sizes == [1 << 20, 5 << 20], "a slice of the result, and the volume once"
        seen = [run(client, held, region=Box((k, 0, 0), (k + 1, 200, 200))).provenance["Seen"] for k in range(3)]
        assert seen == ["1", "2", "3"], "it must be the same object every time"
        assert shared_blocks() == blocks

    def test_what_was_not_held_is_new_every_time(self, client):
        volume = oblique_volume()
        assert [run(client, volume).provenance["Seen"] for _ in range(2)] == ["0", "0"]
        assert run(client, volume).provenance["Held volumes"] == "1", "the worker keeps what nobody asked it to keep"

    def test_the_source_of_a_result_is_the_held_volume(self, client):
        held = client.hold(oblique_volume())
        result = run(client, held)
        held.release()
        np.testing.assert_array_equal(result.source.array, oblique_volume().array)
        np.testing.assert_array_equal(result.source.geometry.ijk_to_ras, oblique_volume().geometry.ijk_to_ras)

    def test_several_are_kept_apart(self, client):
        volumes = [oblique_volume(seed=seed) for seed in range(3)]
        held = [client.hold(volume) for volume in volumes]
        for _ in range(2):
            for one, volume in zip(held, volumes, strict=True):
                np.testing.assert_array_equal(run(client, one).volume.array, volume.array)
        assert run(client, held[0]).provenance["Held volumes"] == "3"

    def test_release_frees_both_sides(self, client):
        before = shared_blocks()
        with client.hold(oblique_volume()) as held:
            [block] = shared_blocks() - before
            run(client, held)
            assert block in Path(f"/proc/{client.worker_pid}/maps").read_text()
        client.ping()
        assert block not in shared_blocks()
        assert block not in Path(f"/proc/{client.worker_pid}/maps").read_text()
        assert run(client, oblique_volume()).provenance["Held volumes"] == "1"
        held.release()
        with pytest.raises(InputError, match="released"):
            run(client, held)
        with pytest.raises(InputError, match="released"):
            _ = held.volume

    def test_what_nobody_has_any_more_is_freed_with_the_next_request(self, client):
        before = shared_blocks()
        held = client.hold(oblique_volume())
        run(client, held)
        del held
        gc.collect()
        after = run(client, oblique_volume())
        assert after.provenance["Held volumes"] == "1"
        assert len(shared_blocks() - before) == 1, "only the memory of the last job is left"

    def test_released_while_jobs_on_it_run_and_wait(self, client):
        before = shared_blocks()
        held = client.hold(oblique_volume())
        jobs = [client.apply(held, bundle(kind)) for kind in ("tiles", "negate")]
        held.release()
        assert held.released
        np.testing.assert_array_equal(jobs[1].wait(60).volume.array, -oblique_volume().array)
        assert jobs[0].state == "done"
        assert len(shared_blocks() - before) == 2, "only the outputs are left for the next jobs"

    def test_the_next_worker_gets_it_without_being_asked(self, client):
        volume = oblique_volume()
        held = client.hold(volume)
        run(client, held)
        kill_worker(client)
        assert [run(client, held).provenance["Seen"] for _ in range(2)] == ["0", "1"]
        for end in ("kill", "cancel"):
            job = client.apply(held, bundle("stuck"))
            run_until(client, job, "stuck")
            kill_worker(client) if end == "kill" else job.cancel()
            with pytest.raises(WorkerError if end == "kill" else Cancelled):
                job.wait(60)
            np.testing.assert_array_equal(run(client, held).volume.array, volume.array)
        kill_worker(client)
        held.release()
        run(client, volume)

    def test_stop_releases_it(self, client):
        before = shared_blocks()
        held = client.hold(oblique_volume())
        job = client.apply(held, bundle("tiles"))
        client.stop()
        assert held.released and job.state == "cancelled" and shared_blocks() <= before
        held.release()
        with pytest.raises(InputError, match="released"):
            client.apply(held, bundle("identity"))
        run(client, client.hold(oblique_volume()))

    def test_it_does_not_keep_its_client_alive(self):
        before = shared_blocks()
        client = fake_client()
        held = client.hold(oblique_volume())
        run(client, held)
        pid, reference = client.worker_pid, weakref.ref(client)
        del client
        gc.collect()
        assert reference() is None
        assert wait_until(lambda: not is_alive(pid)) and shared_blocks() <= before
        held.release()

    def test_another_client_refuses_it(self, client):
        with fake_client() as other, pytest.raises(InputError, match="another client"):
            client.apply(other.hold(oblique_volume()), bundle("identity"))


def test_the_real_worker_computes_regions_and_lets_go_of_what_is_released(tmp_path):
    identity = Bundle.create_identity(tmp_path / "identity")
    before, volume = shared_blocks(), oblique_volume(shape=(19, 70, 45))
    with Client() as client:
        held = client.hold(volume)
        [block] = shared_blocks() - before
        for k in (3, 4):
            result = client.apply(held, identity, region=Box((k, 10, 0), (k + 1, 70, 45))).wait(60)
            np.testing.assert_array_equal(result.volume.array, volume.array[k : k + 1, 10:])
            corner = volume.geometry.ijk_to_ras @ [0, 10, k, 1]
            np.testing.assert_allclose(result.volume.geometry.origin_mm, corner[:3])
        with pytest.raises(InputError, match="does not lie within"):
            client.apply(held, identity, region=Box((19, 0, 0), (20, 70, 45)))
        maps = Path(f"/proc/{client.worker_pid}/maps")
        assert block in maps.read_text()
        held.release()
        client.ping()
        assert block not in maps.read_text(), "something in the worker keeps the volume"
    assert shared_blocks() <= before

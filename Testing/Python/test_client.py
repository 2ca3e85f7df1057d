"""Client, shared memory and subprocess transport: volumes through a real worker process."""

import sys
from pathlib import Path

import numpy as np
import pytest
from client_fixtures import (
    FakeBundle,
    bundle,
    oblique_volume,
    shared_blocks,
)
from medgan.bundle import Bundle
from medgan.client import Client
from medgan.errors import BundleError, InputError
from medgan.subprocess_transport import SubprocessTransport
from medgan.synthesizer import Synthesizer
from medgan.volume import Volume

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_identity_returns_every_voxel_and_the_grid(client, dtype):
    volume = oblique_volume(dtype)
    result = client.apply(volume, bundle("identity"), device="cpu", strength=0.25).wait(60)
    assert result.volume.array.dtype == dtype
    np.testing.assert_array_equal(result.volume.array, volume.array)
    np.testing.assert_array_equal(result.volume.geometry.ijk_to_ras, volume.geometry.ijk_to_ras)
    assert (result.volume.units, result.volume.modality) == ("HU", "CT")
    assert result.provenance["Device"] == "cpu" and result.provenance["Strength"] == "0.25"
    assert result.applicability == ["CT in HU"], "the worker must know units and modality"
    assert result.notes == [str(volume.geometry.to_dict())], "the worker must see the same grid, bit by bit"
    np.testing.assert_array_equal(result.source.array, volume.array)
    np.testing.assert_array_equal(result.source.geometry.ijk_to_ras, volume.geometry.ijk_to_ras)
    assert result.compute_seconds >= 0


def test_components_byte_order_and_strides_are_taken_as_they_are(client):
    colours = oblique_volume(np.uint8, (3, 7, 11, 3))
    swapped = oblique_volume(np.int16)
    swapped = swapped.with_array(swapped.array.astype(">i2"))
    strided = oblique_volume(np.int16).array[::-1, ::2, ::-3]
    for volume in (colours, swapped, Volume(strided), Volume(np.ones((1, 1, 1), np.float32))):
        result = client.apply(volume, bundle("identity")).wait(60)
        np.testing.assert_array_equal(result.volume.array, volume.array)


def test_the_source_is_copied_when_the_job_is_made(client):
    volume = oblique_volume()
    original = volume.array.copy()
    job = client.apply(volume, bundle("identity"))
    volume.array[...] = 0
    np.testing.assert_array_equal(job.wait(60).volume.array, original)


def test_results_stay_when_their_memory_is_used_again_and_freed(client):
    first, second = oblique_volume(seed=1), oblique_volume(seed=2)
    one = client.apply(first, bundle("identity")).wait(60)
    two = client.apply(second, bundle("negate")).wait(60)
    client.stop()
    np.testing.assert_array_equal(one.volume.array, first.array)
    np.testing.assert_array_equal(two.volume.array, -second.array)


def test_consume_gets_a_read_only_view_and_decides_the_result(client):
    volume = oblique_volume()
    target = np.zeros_like(volume.array)
    kept = []

    def consume(result):
        assert not result.volume.array.flags.writeable
        target[...] = result.volume.array
        kept.append(result.volume.array)
        return "the node"

    job = client.apply(volume, bundle("identity"), consume=consume)
    assert job.wait(60) == "the node" == job.result()
    np.testing.assert_array_equal(target, volume.array)
    client.stop()
    kept[0].sum()  # keeping it is against the rules, but must not end the process


def test_what_consume_raises_fails_the_job_only(client):
    def consume(result):
        raise InputError("The node is gone; nothing was written.")

    job = client.apply(oblique_volume(), bundle("identity"), consume=consume)
    with pytest.raises(InputError, match="The node is gone"):
        job.wait(60)
    assert job.state == "failed"
    assert client.apply(oblique_volume(), bundle("identity")).wait(60).provenance["Loaded"] == "1"


def test_worker_and_generators_stay_loaded(client):
    kinds = ("identity", "negate", "identity", "negate")
    results = [client.apply(oblique_volume(), bundle(kind)).wait(60) for kind in kinds]
    assert [result.provenance["Loaded"] for result in results] == ["1", "2", "1", "2"]
    assert len({result.provenance["PID"] for result in results}) == 1
    assert client.worker_pid == int(results[0].provenance["PID"])


def test_few_generators_stay_loaded_and_changed_ones_are_loaded_again(client, tmp_path):
    def loaded(kind):
        return int(client.apply(oblique_volume(), FakeBundle(tmp_path / kind)).wait(60).provenance["Loaded"])

    for kind in ("a", "b", "c", "d"):
        (tmp_path / kind).mkdir()
    assert [loaded(kind) for kind in ("a", "b", "c", "d")] == [1, 2, 3, 4]
    assert loaded("d") == 4
    assert loaded("a") == 5, "the generator that was not used for longest goes first"
    (tmp_path / "a" / "weights").write_bytes(b"new")
    assert loaded("a") == 6


def test_memory_is_used_again(client):
    for _ in range(3):
        client.apply(oblique_volume(), bundle("identity")).wait(60)
        blocks = shared_blocks()
    client.apply(oblique_volume(), bundle("identity")).wait(60)
    assert shared_blocks() == blocks


def test_jobs_run_in_order_with_progress(client):
    order, fractions = [], []
    jobs = [
        client.apply(
            oblique_volume(),
            bundle(kind),
            on_done=lambda job: order.append(job.number),
            on_progress=lambda job: fractions.append((job.number, job.fraction, job.remaining_s, job.message)),
        )
        for kind in ("slow", "identity", "negate")
    ]
    assert [job.state for job in jobs] == ["running", "queued", "queued"]
    jobs[2].wait(60)
    assert order == [job.number for job in jobs]
    slow = [entry for entry in fractions if entry[0] == jobs[0].number]
    assert [entry[1] for entry in slow] == sorted(entry[1] for entry in slow)
    assert len(slow) > 3 and all(0 <= entry[1] <= 1 for entry in slow)
    assert slow[-1][3].startswith("step") and slow[-1][2] is not None and slow[-1][2] >= 0
    assert jobs[0].fraction == 1.0 and jobs[0].state == "done"


def test_waiting_with_a_time_limit(client):
    job = client.apply(oblique_volume(), bundle("slow"))
    with pytest.raises(TimeoutError):
        job.wait(0.2)
    assert job.state == "running"
    with pytest.raises(RuntimeError, match="still running"):
        job.result()
    assert job.wait(60) is job.result()


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_identity_bundle_through_the_real_worker(tmp_path, dtype):
    identity = Bundle.create_identity(tmp_path / "identity")
    volume = oblique_volume(dtype, (19, 70, 45))
    before = shared_blocks()
    with Client() as client:
        for model in (identity, str(identity.path)):
            result = client.apply(volume, model, device="cpu").wait(60)
            assert result.volume.array.dtype == dtype
            np.testing.assert_array_equal(result.volume.array, volume.array)
            np.testing.assert_array_equal(result.volume.geometry.ijk_to_ras, volume.geometry.ijk_to_ras)
            assert result.provenance["Task"] == identity.task
        assert "libtorch" not in Path(f"/proc/{client.worker_pid}/maps").read_text(), "torch was loaded without need"
    assert shared_blocks() <= before


def test_identity_bundle_where_torch_is_not_installed(tmp_path):
    code = "import sys; sys.modules['torch'] = None; from medgan import worker; worker.main()"
    identity = Bundle.create_identity(tmp_path / "identity")
    with Client(SubprocessTransport(command=[sys.executable, "-c", code])) as client:
        result = client.apply(oblique_volume(), identity).wait(60)
    np.testing.assert_array_equal(result.volume.array, oblique_volume().array)


def test_bad_input_is_refused_with_the_engine_s_own_sentence(tmp_path):
    identity = Bundle.create_identity(tmp_path / "identity")
    volume = oblique_volume(np.float32)
    volume.array[2, 3, 4] = np.nan
    with Client() as client:
        with pytest.raises(InputError) as in_worker:
            client.apply(volume, identity).wait(60)
        with pytest.raises(InputError) as here:
            Synthesizer(identity)(volume)
        assert str(in_worker.value) == str(here.value)
        with pytest.raises(BundleError, match="There is no bundle at"):
            client.apply(volume, tmp_path / "missing")

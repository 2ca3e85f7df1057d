"""Client, shared memory and subprocess transport with a real worker process whose generators are made up."""

import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from client_fixtures import (
    FAKE_WORKER,
    LAUNCHED_WORKER,
    bundle,
    is_alive,
    oblique_volume,
    python_environment,
    shared_blocks,
    wait_until,
)
from medgan.bundle import Bundle
from medgan.client import Client
from medgan.errors import BundleError, Cancelled, InputError, WorkerError
from medgan.subprocess_transport import SubprocessTransport
from medgan.synthesizer import Synthesizer
from medgan.volume import Volume

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")


def fake_client(**options):
    return Client(SubprocessTransport(command=FAKE_WORKER), **options)


@pytest.fixture
def client():
    before = shared_blocks()
    with fake_client() as client:
        yield client
    assert shared_blocks() <= before, "shared memory was left behind"


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


@pytest.mark.parametrize(
    ("kind", "error", "sentence"),
    [
        ("input-error", InputError, "^The volume is upside down; turn it over.$"),
        ("raise", WorkerError, r"ValueError: no such thing\) and nothing was changed"),
        ("memory", WorkerError, "ran out of memory"),
        ("no-torch", WorkerError, "PyTorch is not installed.*extension"),
        ("write-source", WorkerError, "read-only"),
        ("elsewhere", WorkerError, "did not write its result"),
    ],
)
def test_an_error_in_the_worker_is_one_sentence_and_the_worker_goes_on(client, kind, error, sentence):
    failed = client.apply(oblique_volume(), bundle(kind))
    after = client.apply(oblique_volume(), bundle("identity"))
    with pytest.raises(error) as caught:
        failed.wait(60)
    assert re.search(sentence, str(caught.value)) and "\n" not in str(caught.value)
    assert failed.state == "failed" and "Traceback" in failed.detail
    assert after.wait(60).provenance["Loaded"] == "2", "the same worker must go on"


def test_what_a_generator_prints_does_no_harm(client):
    result = client.apply(oblique_volume(), bundle("print")).wait(60)
    np.testing.assert_array_equal(result.volume.array, oblique_volume().array)
    error_output = client._transport.error_output
    assert wait_until(lambda: "hello from Python" in error_output())


def test_a_generator_that_keeps_its_input_does_no_harm(client):
    for _ in range(3):
        client.apply(oblique_volume(), bundle("keep")).wait(60)
    client.apply(oblique_volume(shape=(50, 200, 200)), bundle("keep")).wait(60)


def test_worker_that_dies_is_one_sentence_and_the_next_job_works(client):
    before = shared_blocks()
    job = client.apply(oblique_volume(), bundle("crash"))
    queued = client.apply(oblique_volume(), bundle("identity"))
    with pytest.raises(WorkerError, match=r"ended unexpectedly \(killed by signal 9.*nothing was changed") as caught:
        job.wait(60)
    assert "\n" not in str(caught.value) and "last words" in job.detail
    np.testing.assert_array_equal(queued.wait(60).volume.array, oblique_volume().array)
    assert len(shared_blocks() - before) == 1, "only the memory of the second job may be kept"


def test_worker_killed_from_outside(client):
    job = client.apply(oblique_volume(), bundle("stuck"))
    while job.message != "stuck":
        client.pump(10)
    pid = client.worker_pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="killed by signal 9"):
        job.wait(60)
    assert client.worker_pid is None
    assert client.apply(oblique_volume(), bundle("identity")).wait(60).provenance["PID"] != str(pid)


def test_worker_that_died_while_idle_is_replaced_unnoticed(client):
    client.ping()
    pid = client.worker_pid
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid))
    assert client.apply(oblique_volume(), bundle("identity")).wait(60).provenance["PID"] != str(pid)


def test_cancelling_a_running_job_ends_its_worker(client):
    done = []
    job = client.apply(oblique_volume(), bundle("stuck"), on_done=done.append)
    while job.message != "stuck":
        client.pump(10)
    pid = client.worker_pid
    job.cancel()
    assert job.state == "cancelled" and done == [job] and not is_alive(pid)
    with pytest.raises(Cancelled):
        job.wait()
    job.cancel()
    assert done == [job]
    np.testing.assert_array_equal(
        client.apply(oblique_volume(), bundle("identity")).wait(60).volume.array, oblique_volume().array
    )


def test_cancelling_ends_a_worker_behind_a_launcher():
    before = shared_blocks()
    with Client(SubprocessTransport(command=LAUNCHED_WORKER)) as client:
        job = client.apply(oblique_volume(), bundle("stuck"))
        while job.message != "stuck":
            client.pump(10)
        pid, launcher_pid = client.worker_pid, client._transport._process.popen.pid
        assert pid != launcher_pid
        job.cancel()
        assert wait_until(lambda: not is_alive(pid))
        client.apply(oblique_volume(), bundle("identity")).wait(60)
    assert shared_blocks() <= before


def test_cancelling_a_queued_job_leaves_the_running_one_alone(client):
    running = client.apply(oblique_volume(), bundle("slow"))
    queued = client.apply(oblique_volume(), bundle("identity"))
    queued.cancel()
    assert (running.state, queued.state) == ("running", "cancelled")
    running.wait(60)
    assert not client.busy


def test_cancelling_from_a_progress_callback(client):
    job = client.apply(oblique_volume(), bundle("slow"), on_progress=lambda job: job.cancel())
    after = client.apply(oblique_volume(), bundle("identity"))
    with pytest.raises(Cancelled):
        job.wait(60)
    after.wait(60)


def test_a_callback_that_raises_loses_nothing(client):
    def on_progress(job):
        raise ZeroDivisionError

    job = client.apply(oblique_volume(), bundle("slow"), on_progress=on_progress)
    raised = 0
    while not job.finished:
        try:
            client.pump(10)
        except ZeroDivisionError:
            raised += 1
    assert raised and job.state == "done"


def test_a_job_made_and_awaited_in_a_callback(client):
    inner = []

    def on_done(job):
        inner.append(client.apply(oblique_volume(), bundle("negate")).wait(60))

    client.apply(oblique_volume(), bundle("identity"), on_done=on_done).wait(60)
    np.testing.assert_array_equal(inner[0].volume.array, -oblique_volume().array)


def test_stopping_cancels_ends_the_worker_and_frees_everything():
    before = shared_blocks()
    client = fake_client()
    running, queued = (client.apply(oblique_volume(), bundle("stuck")) for _ in range(2))
    while running.message != "stuck":
        client.pump(10)
    pid = client.worker_pid
    client.stop()
    assert (running.state, queued.state) == ("cancelled", "cancelled")
    assert not is_alive(pid) and shared_blocks() <= before
    client.apply(oblique_volume(), bundle("identity")).wait(60)
    client.stop()
    assert shared_blocks() <= before


def test_a_client_nobody_holds_is_cleaned_up():
    before = shared_blocks()
    client = fake_client()
    client.apply(oblique_volume(), bundle("identity")).wait(60)
    pid, reference = client.worker_pid, weakref.ref(client)
    del client
    gc.collect()
    assert reference() is None
    assert wait_until(lambda: not is_alive(pid)) and shared_blocks() <= before


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_nothing_outlives_the_process_of_the_client(end):
    before = shared_blocks()
    script = (
        "import sys, time\n"
        "from test_client import fake_client, oblique_volume, bundle\n"
        "client = fake_client()\n"
        "job = client.apply(oblique_volume(shape=(20, 100, 100)), bundle('stuck'))\n"
        "while job.message != 'stuck': client.pump(10)\n"
        "print(client.worker_pid, flush=True)\n"
        "sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        env=python_environment(),
    )
    worker_pid = int(process.stdout.readline())
    assert is_alive(worker_pid) and shared_blocks() - before
    process.kill() if end == "kill" else process.communicate("\n")
    process.wait(60)
    with contextlib.suppress(ValueError):
        process.communicate()
    assert wait_until(lambda: not is_alive(worker_pid)), "the worker outlived its client"
    assert wait_until(lambda: shared_blocks() <= before), "shared memory outlived its client"


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


def test_interpreter_that_does_not_exist():
    client = Client(SubprocessTransport(python="/no/such/python"))
    job = client.apply(oblique_volume(), bundle("identity"))
    with pytest.raises(WorkerError, match=r"/no/such/python.*check the path"):
        job.wait(60)
    with pytest.raises(WorkerError, match="/no/such/python"):
        client.ping()
    client.stop()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import no_such_module", r"could not start \(exit code 1\).*No module named 'no_such_module'"),
        ("print('Welcome!')", "unexpected, b'Welcome!'"),
        ("import sys; sys.stdout.buffer.write(b'\\xff' * 20_000_000)", "without end"),
        ('print(\'{"protocol":99,"kind":"Ready"}\')', "two versions of MedGAN are mixed"),
        ("import time; time.sleep(600)", "did not start within 1"),
    ],
)
def test_programs_that_are_no_worker(code, sentence):
    before = shared_blocks()
    client = Client(
        SubprocessTransport(command=[sys.executable, "-c", code]), start_timeout_s=1 if "sleep" in code else 60
    )
    job = client.apply(oblique_volume(), bundle("identity"))
    with pytest.raises(WorkerError, match=sentence) as caught:
        job.wait(60)
    assert "\n" not in str(caught.value)
    client.stop()
    assert shared_blocks() <= before


def test_not_enough_shared_memory(client, monkeypatch):
    # The system call is the one thing here that a test cannot fill for real without harming its neighbours.
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = shared_blocks()
    with pytest.raises(WorkerError, match="1 MiB of shared memory"):
        client.apply(oblique_volume(), bundle("identity"))
    assert shared_blocks() == before and not client.busy

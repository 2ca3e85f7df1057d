"""What goes wrong between client and worker: errors, deaths, cancelling, ends; nothing may be lost or left behind."""

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
    LAUNCHED_WORKER,
    bundle,
    fake_client,
    is_alive,
    kill_worker,
    oblique_volume,
    python_environment,
    run_until,
    shared_blocks,
    wait_until,
)
from medgan.client import Client
from medgan.errors import Cancelled, InputError, WorkerError
from medgan.subprocess_transport import SubprocessTransport

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")


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


def test_a_job_that_kills_a_worker_is_not_tried_again_and_again(client):
    client.apply(oblique_volume(), bundle("identity")).wait(60)
    for _ in range(2):
        with pytest.raises(WorkerError, match="killed by signal 9"):
            client.apply(oblique_volume(), bundle("crash-at-once")).wait(60)


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


@pytest.mark.parametrize("ask", ["start", "ping", "devices"])
def test_worker_killed_from_outside_before_it_is_asked_something(client, ask):
    """What is asked must not start another worker over the end of the one with the job, which nobody would hear of."""
    job = client.apply(oblique_volume(), bundle("stuck"))
    run_until(client, job, "stuck")
    kill_worker(client)
    answers = []
    with contextlib.suppress(WorkerError):
        client.devices(answers.append) if ask == "devices" else getattr(client, ask)()
    with pytest.raises(WorkerError, match="killed by signal 9"):
        job.wait(60)
    assert len(answers) == (ask == "devices")
    client.apply(oblique_volume(), bundle("identity")).wait(60)


def test_a_question_is_asked_of_the_worker_that_replaces_a_dead_one(client):
    client.ping()
    os.kill(client.worker_pid, signal.SIGSTOP)
    answers = []
    client.devices(answers.append)
    kill_worker(client)
    client.apply(oblique_volume(), bundle("identity")).wait(60)
    while not answers:
        client.pump(10)
    assert len(answers) == 1


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
    script = (
        "import sys, time\n"
        "from client_fixtures import fake_client, oblique_volume, bundle\n"
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
    assert is_alive(worker_pid) and shared_blocks(process.pid)
    process.kill() if end == "kill" else process.communicate("\n")
    process.wait(60)
    with contextlib.suppress(ValueError):
        process.communicate()
    assert wait_until(lambda: not is_alive(worker_pid)), "the worker outlived its client"
    assert wait_until(lambda: not shared_blocks(process.pid)), "shared memory outlived its client"


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

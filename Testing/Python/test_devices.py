"""What a machine has to compute with, asked here and through a worker."""

import os
import signal
import sys

import pytest
from client_fixtures import bundle, fake_client, is_alive, oblique_volume, shared_blocks, wait_until
from medgan import devices, memory
from medgan.client import Client
from medgan.subprocess_transport import SubprocessTransport

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")
CPU_ONLY = "import sys; sys.modules['torch'] = None; from medgan import worker; worker.main()"


def asked(client):
    """What the worker of a client answers."""
    answers = []
    client.devices(answers.append)
    while not answers:
        client.pump(10)
    assert len(answers) == 1
    return answers[0]


def test_every_machine_has_a_cpu_with_memory():
    [processor] = [device for device in devices.describe_devices() if device.name == "cpu"]
    assert devices.describe_devices()[-1].name == "cpu", "the slowest comes last"
    assert 0 < processor.free_bytes <= processor.total_bytes
    assert 1 << 28 < processor.total_bytes <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert processor.label.startswith("CPU: ") and processor.label.endswith(" GiB free)")


def test_labels_tell_the_memory(monkeypatch):
    # No machine of the tests has a given amount of memory.
    monkeypatch.setattr(memory, "total_bytes", lambda device: 139 << 30)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 120 << 30)
    assert devices._describe("cuda:0", "GPU 0: NVIDIA H200").label == "GPU 0: NVIDIA H200 (120 of 139 GiB free)"
    monkeypatch.setattr(memory, "total_bytes", lambda device: 4 << 30)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 5 << 30)
    described = devices._describe("cuda:0", "GPU 0: small")
    assert described.label == "GPU 0: small (4.0 of 4.0 GiB free)" and described.free_bytes == 4 << 30


def test_every_name_is_a_device_for_the_engine():
    from medgan.device import choose_device

    assert [str(choose_device(device.name)) for device in devices.describe_devices()] == [
        device.name for device in devices.describe_devices()
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may not tell")
def test_memory_of_a_process_grows_with_what_it_holds():
    before = devices.resident_bytes()
    block = b"\1" * (64 << 20)
    assert devices.resident_bytes() - before > 32 << 20
    del block


@linux
class TestThroughAWorker:
    def test_answer_of_the_worker(self, client):
        assert [device.name for device in asked(client)] == [device.name for device in devices.describe_devices()]

    def test_without_torch_there_is_the_cpu(self):
        with Client(SubprocessTransport(command=[sys.executable, "-c", CPU_ONLY])) as client:
            assert [device.name for device in asked(client)] == ["cpu"]
            assert client.worker_pid, "the worker must have survived that"

    @pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
    def test_without_a_worker_there_is_the_cpu(self, python):
        with Client(SubprocessTransport(python=python)) as client:
            assert [device.name for device in asked(client)] == ["cpu"]

    def test_worker_that_dies_over_it(self, client):
        client.ping()
        os.kill(client.worker_pid, signal.SIGSTOP)
        answers = []
        client.devices(answers.append)
        os.kill(client.worker_pid, signal.SIGKILL)
        while not answers:
            client.pump(10)
        assert [device.name for device in answers[0]] == ["cpu"]
        client.apply(oblique_volume(), bundle("identity")).wait(60)

    def test_worker_that_died_unnoticed(self, client):
        client.ping()
        pid = client.worker_pid
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not is_alive(pid))
        assert asked(client)[-1].name == "cpu" and client.worker_pid != pid

    def test_the_question_survives_that_a_job_is_cancelled(self, client):
        job = client.apply(oblique_volume(), bundle("stuck"))
        while job.message != "stuck":
            client.pump(10)
        answers = []
        client.devices(answers.append)
        job.cancel()
        while not answers:
            client.pump(10)
        assert client.worker_pid, "a fresh worker must have answered"

    def test_nobody_is_told_after_the_end(self):
        before, answers = shared_blocks(), []
        client = fake_client()
        client.devices(answers.append)
        client.stop()
        client.pump(0.1)
        assert answers == [] and shared_blocks() <= before

"""The worker process by itself, spoken to in lines as a transport does."""

import dataclasses
import queue
import signal
import subprocess
import sys
import threading
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest
from client_fixtures import FAKE_WORKER, bundle, oblique_volume, python_environment, shared_blocks
from medgan import protocol
from medgan.shared_array import BlockPool, SharedArrays, free
from medgan.transport import ErrorOutput


class Pipe:
    """A worker and its lines."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=python_environment(),
        )
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout])
        self.reader.start()

    def send(self, data):
        self.process.stdin.write(data if isinstance(data, bytes) else protocol.encode(data))
        self.process.stdin.flush()

    def receive(self):
        return protocol.decode(self.lines.get(timeout=60))


@pytest.fixture
def pipe():
    pipe = Pipe(FAKE_WORKER)
    assert pipe.receive().pid == pipe.process.pid
    yield pipe
    pipe.process.kill()
    pipe.process.wait(60)
    pipe.reader.join(60)
    for stream in (pipe.process.stdin, pipe.process.stdout, pipe.process.stderr):
        stream.close()


def apply_request(arrays, kind, **changes):
    volume = oblique_volume()
    fields = {
        "job": 5,
        "bundle": str(bundle(kind).path),
        "device": "cpu",
        "source": protocol.VolumeRef(arrays.refs["source"], volume.geometry.to_dict(), "HU", "CT"),
        "outputs": {"image": arrays.refs["image"]},
    }
    return protocol.Apply(**fields | changes)


@pytest.fixture
def arrays():
    pool = BlockPool()
    volume = oblique_volume()
    spec = (volume.array.shape, volume.array.dtype)
    arrays = pool.acquire({"source": spec, "image": spec})
    arrays["source"][...] = volume.array
    yield arrays
    pool.close()


def test_ping_and_shutdown(pipe):
    pipe.send(protocol.Ping(3))
    assert pipe.receive() == protocol.Pong(3)
    pipe.send(protocol.Shutdown())
    assert pipe.process.wait(60) == 0


def test_voxels_travel_in_shared_memory(pipe, arrays):
    pipe.send(apply_request(arrays, "negate"))
    while not isinstance(event := pipe.receive(), protocol.Done):
        assert isinstance(event, protocol.Progress)
    np.testing.assert_array_equal(arrays["image"], -oblique_volume().array)
    np.testing.assert_array_equal(arrays["source"], oblique_volume().array)


@pytest.mark.parametrize("kind", ["identity", "stuck"])
def test_end_of_input_ends_the_worker_busy_or_not(pipe, arrays, kind):
    pipe.send(apply_request(arrays, kind))
    while isinstance(event := pipe.receive(), protocol.Progress) and event.message != "stuck":
        pass
    pipe.process.stdin.close()
    assert pipe.process.wait(60) == 0


def test_death_of_the_worker_leaves_the_memory_to_its_owner(pipe, arrays):
    pipe.send(apply_request(arrays, "crash"))
    pipe.process.wait(60)
    again = SharedMemory(arrays.block.name)
    assert bytes(again.buf[:64]) == bytes(arrays.block.buf[:64])
    again.close()
    free(SharedMemory(arrays.block.name))


def test_requests_that_cannot_be_understood_are_answered(pipe):
    for line in (b"rubbish\n", b"\n", protocol.encode(protocol.Pong(1))):
        pipe.send(line)
        event = pipe.receive()
        assert isinstance(event, protocol.Failed) and event.job == 0 and event.error == "WorkerError"
    pipe.send(protocol.Ping(4))
    assert pipe.receive() == protocol.Pong(4)


def test_memory_that_does_not_exist_or_is_too_small(pipe, arrays):
    ref = arrays.refs["source"]
    missing = protocol.ArrayRef("no_such_block", 0, ref.shape, ref.dtype)
    beyond = protocol.ArrayRef(ref.block, arrays.block.size - 2, ref.shape, ref.dtype)
    for source in (missing, beyond):
        request = apply_request(arrays, "identity")
        pipe.send(dataclasses.replace(request, source=dataclasses.replace(request.source, array=source)))
        while isinstance(event := pipe.receive(), protocol.Progress):
            pass
        assert isinstance(event, protocol.Failed) and event.job == 5


def test_progress_is_thinned_out(pipe, arrays):
    pipe.send(apply_request(arrays, "slow"))
    count = 0
    while isinstance(pipe.receive(), protocol.Progress):
        count += 1
    assert 3 < count <= 21


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupt_from_the_terminal_is_left_to_the_client(pipe):
    pipe.process.send_signal(signal.SIGINT)
    pipe.send(protocol.Ping(3))
    assert pipe.receive() == protocol.Pong(3)


def test_the_real_worker_starts_without_heavy_imports():
    code = (
        "import sys; import medgan.worker, medgan.client, medgan.subprocess_transport, medgan.bundle\n"
        "import medgan.synthesizer\n"
        "print([name for name in ('torch', 'monai', 'SimpleITK', 'slicer', 'vtk', 'qt') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, env=python_environment(), check=True)
    assert shown.stdout.strip() == b"[]"


def test_error_output_keeps_the_last_lines():
    output = ErrorOutput()
    for number in range(1000):
        output.add(b"line %d\nre" % number)
        output.add(b"st ")
    output.add(b"\r|####| 10 %" * 10000)
    lines = output.text().splitlines()
    assert "rest line 999" in output.text() and "line 5" not in lines
    assert len(output.text()) < 20000


class TestBlockPool:
    def test_blocks_are_used_again_and_freed(self):
        before = shared_blocks()
        pool = BlockPool(max_idle_bytes=3 << 20)
        spec = {"a": ((100, 100, 100), np.int16)}
        first = pool.acquire(spec)
        name = first.block.name
        second = pool.acquire(spec)
        assert second.block.name != name
        pool.release(first)
        assert pool.acquire(spec).block.name == name
        pool.release(second)
        assert len(shared_blocks() - before) == 2
        pool.close()
        assert shared_blocks() <= before

    def test_idle_memory_is_limited(self):
        before = shared_blocks()
        pool = BlockPool(max_idle_bytes=3 << 20)
        used = [pool.acquire({"a": ((1 << 20,), np.int16)}) for _ in range(3)]
        for arrays in used:
            pool.release(arrays)
        assert len(shared_blocks() - before) == 1
        pool.trim()
        assert shared_blocks() <= before

    def test_arrays_lie_side_by_side(self):
        pool = BlockPool()
        specs = {"a": ((3, 5, 7), ">i2"), "b": ((2, 2, 2, 3), np.uint8), "c": ((1, 1, 1), np.float64)}
        arrays = pool.acquire(specs)
        for value, name in enumerate(specs, start=1):
            arrays[name][...] = value
        for value, (name, (shape, dtype)) in enumerate(specs.items(), start=1):
            assert arrays[name].shape == shape and arrays[name].dtype == np.dtype(dtype).newbyteorder("=")
            assert (arrays[name] == value).all()
        assert isinstance(arrays, SharedArrays)
        pool.close()

    def test_an_array_that_outlives_its_block_can_still_be_read(self):
        pool = BlockPool()
        arrays = pool.acquire({"a": ((10,), np.int16)})
        kept = arrays["a"]
        kept[...] = 7
        pool.close()
        assert kept.tolist() == [7] * 10

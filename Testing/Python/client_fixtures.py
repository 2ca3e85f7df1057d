"""What the tests of worker and client share: volumes, fake bundles, and a look at what the system still holds."""

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from medgan.bundle import OutputSpec
from medgan.client import Client
from medgan.subprocess_transport import SubprocessTransport
from medgan.volume import Geometry, Volume

FAKE_WORKER = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]
# Slicer's interpreter is started by a launcher: killing what was started does not kill the worker.
LAUNCHED_WORKER = [
    sys.executable,
    "-c",
    "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))",
    *FAKE_WORKER,
]
SHARED_MEMORY = Path("/dev/shm")


@dataclasses.dataclass(frozen=True)
class FakeBundle:
    """As much of a ``Bundle`` as a client looks at."""

    path: Path

    def outputs(self, volume, options=None, region=None):
        image = OutputSpec(
            volume.array.shape if region is None else (*region.shape, *volume.array.shape[3:]),
            volume.array.dtype.str,
            volume.geometry if region is None else volume.geometry.shifted(region.start[::-1]),
            volume.units,
            volume.modality,
        )
        if options is None or options.spread == "none":
            return {"image": image}
        return {"image": image, "spread": dataclasses.replace(image, dtype="<f4")}


def bundle(kind):
    """The bundle whose generator ``fake_worker`` makes behave as ``kind`` says."""
    return FakeBundle(Path("/bundles") / kind)


def fake_client(**options):
    """A client whose worker is ``fake_worker``."""
    return Client(SubprocessTransport(command=FAKE_WORKER), **options)


def oblique_volume(dtype=np.int16, shape=(5, 17, 23), seed=0):
    """Random voxels over the whole range of the type, on an oblique, anisotropic, left-handed grid."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        array = rng.normal(0, 1000, shape).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        array = rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    geometry = Geometry((-101.3, 47.9, 1203.456), (0.7, 0.9, 3.1), rotation * [1, 1, -np.linalg.det(rotation)])
    return Volume(array, geometry, "HU", "CT")


def shared_blocks(pid=None):
    """Names of the shared memory blocks that this process, or another, has made and not freed."""
    name = f"medgan_{pid or os.getpid()}_*"
    return {path.name for path in SHARED_MEMORY.glob(name)} if SHARED_MEMORY.is_dir() else set()


def is_alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, timeout_s=20.0):
    """Whether ``condition()`` became true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def run(client, source, kind="identity", **options):
    """The result of the generator that behaves as ``kind`` says."""
    return client.apply(source, bundle(kind), **options).wait(60)


def run_until(client, job, message):
    """Let a job run until its generator says ``message``; returns the worker's process id."""
    while job.message != message:
        client.pump(10)
    return client.worker_pid


def kill_worker(client):
    """End the worker without its client noticing yet."""
    pid = client.worker_pid
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid))


def python_environment():
    """Environment for a Python subprocess that finds the same modules as this one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

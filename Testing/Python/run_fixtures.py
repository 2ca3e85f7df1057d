"""A training in a process of its own that lasts some seconds, and waiting for what it comes to."""

import os
import signal
import time
from pathlib import Path

from medgan.run_folder import Run
from medgan.run_request import Request
from training_fixtures import TINY

PARAMETERS = {name: value for name, value in TINY.items() if name != "patch_size"} | {"averaging": 0.9}
PATIENCE_S = 90.0


def tiny_request(dataset: Path, **parameters) -> Request:
    """A training that takes seconds."""
    return Request("denoise-ct", str(dataset), device="cpu", parameters=PARAMETERS | parameters)


def wait_for(run: Run, wanted):
    """The status once ``wanted(status)`` holds; an AssertionError if it ends before, or takes far too long."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        status = run.status
        if wanted(status):
            return status
        if not status.live:
            break
        time.sleep(0.02)
    raise AssertionError(f"{run.status}\n{run.log.read_text() if run.log.exists() else ''}")


def wait_for_end(run: Run):
    """The status after its process has ended."""
    return wait_for(run, lambda status: not status.live)


def kill(run: Run) -> None:
    """End its process as a power cut would."""
    os.kill(run.status.pid, signal.SIGKILL)
    wait_for_end(run)

"""Under pytest: a test fails when a Qt slot raised during it, and the process ends as Slicer's does."""

import atexit
import os
import sys

import pytest

from . import slot_errors

_exitStatus = 0


@pytest.fixture(autouse=True)
def _slotErrorsFailTheTest():
    before = len(slot_errors())
    yield
    raised = slot_errors()[before:]
    assert not raised, "A Qt slot raised:\n" + "\n".join(raised)


def pytest_sessionfinish(exitstatus):
    """Remember how the tests ended."""
    global _exitStatus
    _exitStatus = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    """End without unwinding Qt, VTK and torch objects, in an order that Python would spoil: they crash at exit."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_exitStatus)

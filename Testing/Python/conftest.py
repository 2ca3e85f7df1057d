"""Under pytest the tests of the Slicer side run on ``Testing/Host``; in a real Slicer this file is not read."""

import os
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Testing" / "Host"))

_runs = tempfile.TemporaryDirectory()
os.environ["MEDGAN_RUNS"] = str(Path(_runs.name) / "runs.json")  # trainings of tests are not those of the user

import medgan_host  # noqa: E402
import pytest  # noqa: E402

medgan_host.install()
medgan_host.load_module(REPOSITORY / "MedGANSynthesis" / "MedGANSynthesis.py")
medgan_host.load_module(REPOSITORY / "MedGANTraining" / "MedGANTraining.py")

pytest_plugins = ["medgan_host.pytest_plugin"]


@pytest.fixture
def client():
    """A client of the fake worker that has to give back all its shared memory."""
    from client_fixtures import fake_client, shared_blocks

    before = shared_blocks()
    with fake_client() as client:
        yield client
    assert shared_blocks() <= before, "shared memory was left behind"

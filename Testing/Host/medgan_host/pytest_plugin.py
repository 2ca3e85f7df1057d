"""Under pytest a test fails when a Qt slot raised during it, as the process would exit with 1 in a real Slicer."""

import pytest

from . import slot_errors


@pytest.fixture(autouse=True)
def _slotErrorsFailTheTest():
    before = len(slot_errors())
    yield
    raised = slot_errors()[before:]
    assert not raised, "A Qt slot raised:\n" + "\n".join(raised)

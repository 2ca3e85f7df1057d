"""What a training reports: through the pipe unchanged, voxels by reference alone, metrics beside their baseline."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medgan import protocol
from medgan import training_events as events
from medgan.errors import WorkerError

text = st.text(max_size=20)
counts = st.integers(0, 2**53)
values = st.floats(allow_nan=False, allow_infinity=False)
named = st.dictionaries(text, values)
refs = st.builds(
    protocol.ArrayRef, text, counts, st.lists(st.integers(1, 512), min_size=2, max_size=3).map(tuple), st.just("<f4")
)
windows = st.tuples(values, values)
geometries = st.dictionaries(text, st.lists(values, max_size=3))
training_events = st.one_of(
    st.builds(events.TrainingStarted, text, text, text, counts, counts, counts, counts),
    st.builds(events.StepDone, counts, counts, counts, named, named, values, st.none() | values),
    st.builds(events.EpochDone, counts, st.dictionaries(text, values | st.integers() | st.none() | text)),
    st.builds(
        events.SampleDrawn,
        counts,
        counts,
        text,
        st.dictionaries(text, refs),
        text,
        windows,
        st.none() | windows,
        text,
        st.dictionaries(text, geometries),
    ),
    st.builds(events.TrainingWarning, text, text),
    st.builds(events.TrainingEnded, text, st.none() | counts, st.none() | text),
)


@settings(deadline=None)
@given(counts, training_events)
def test_every_event_survives_the_pipe(job, event):
    message = protocol.Watched(job, event)
    line = protocol.encode(message)
    assert line.isascii() and line.count(b"\n") == 1
    assert protocol.decode(line) == message


def test_a_loss_that_is_no_number_survives_too():
    event = events.StepDone(1, 2, 1, {"l1": float("nan")}, {}, 1.0, None)
    assert np.isnan(protocol.decode(protocol.encode(protocol.Watched(1, event))).event.losses["l1"])


def test_voxels_do_not_go_through_the_pipe():
    event = events.SampleDrawn(1, 1, "case", {"output": np.zeros((2, 2), np.float32)}, "HU", (0.0, 1.0))
    with pytest.raises(TypeError):
        protocol.encode(protocol.Watched(1, event))


SAMPLE = {"epoch": 1, "step": 1, "case": "a", "images": {}, "units": "", "window": [0.0, 1.0]}


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"Ping": {"number": 1}},
        {"EpochDone": None},
        {"EpochDone": {"epoch": 1}},
        {"EpochDone": {"epoch": "1", "row": {}}},
        {"EpochDone": {"epoch": 1, "row": {}}, "TrainingWarning": {"kind": "", "message": ""}},
        {"SampleDrawn": SAMPLE | {"images": {"output": [0]}}},
    ],
)
def test_what_is_no_event_is_refused(event):
    line = json.dumps({"protocol": protocol.PROTOCOL_VERSION, "kind": "Watched", "job": 1, "event": event})
    with pytest.raises(WorkerError, match="Watched is malformed"):
        protocol.decode(line.encode())


def test_metrics_of_a_row_stand_beside_their_baseline():
    row = {"epoch": 3, "l1": 0.1, "output_ssim": 0.9, "input_ssim": 0.8, "validation_output_mae": 12, "output_x": None}
    assert events.validation_metrics(row) == {"ssim": (0.9, 0.8), "mae": (12, None)}
    assert events.validation_metrics({"epoch": 1, "l1": 0.2}) == {}
    assert events.validation_metrics({"validation_output_mae": 1.0, "validation_water_mae": 2.0}) == {"mae": (1.0, 2.0)}

"""The lines between client and worker."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medgan import protocol
from medgan.devices import DeviceInfo
from medgan.errors import WorkerError

text = st.text()
numbers = st.integers(0, 2**53)
seconds = st.floats(0, 1e9)
refs = st.builds(
    protocol.ArrayRef,
    block=text,
    offset=numbers,
    shape=st.lists(st.integers(1, 4096), min_size=3, max_size=4).map(tuple),
    dtype=st.sampled_from(["<i2", "|u1", "<f4"]),
)
vectors = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3)
sources = st.builds(
    protocol.VolumeRef,
    array=refs,
    geometry=st.dictionaries(text, vectors),
    units=text,
    modality=text,
    held=numbers,
)
applies = st.builds(
    protocol.Apply,
    job=numbers,
    bundle=text,
    device=text,
    source=sources,
    outputs=st.dictionaries(text, refs),
    options=st.dictionaries(text, st.booleans() | numbers | st.floats(0, 1) | text | vectors | st.lists(text)),
    region=st.none() | st.tuples(*[numbers] * 6),
)
devices = st.builds(DeviceInfo, text, text, numbers, numbers)
messages = st.one_of(
    applies,
    st.builds(protocol.Ping, numbers),
    st.builds(protocol.DescribeDevices, numbers),
    st.builds(protocol.Drop, numbers),
    st.builds(protocol.Release, numbers),
    st.builds(protocol.Shutdown),
    st.builds(protocol.Ready, numbers, text),
    st.builds(protocol.Pong, numbers),
    st.builds(protocol.Devices, numbers, st.lists(devices)),
    st.builds(protocol.Progress, numbers, st.floats(0, 1), st.none() | seconds, text),
    st.builds(protocol.Done, numbers, st.dictionaries(text, text), st.lists(text), st.lists(text), seconds, numbers),
    st.builds(protocol.Failed, numbers, text, text, text),
)


@settings(deadline=None)
@given(messages)
def test_every_message_survives_as_one_ascii_line(message):
    line = protocol.encode(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert line.isascii()
    assert protocol.decode(line) == message


def test_path_with_undecodable_bytes_survives():
    name = b"/models/\xff\xfe".decode("utf-8", "surrogateescape")
    message = protocol.Progress(1, 0.5, None, name)
    assert protocol.decode(protocol.encode(message)) == message


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(data):
    with pytest.raises(WorkerError):
        protocol.decode(data)


def changed(message, **changes):
    line = json.loads(protocol.encode(message)) | changes
    return json.dumps({key: value for key, value in line.items() if value is not ...}).encode()


REF = protocol.ArrayRef("block", 0, (1, 2, 3), "<i2")
SOURCE = protocol.VolumeRef(REF, {}, "HU", "CT")
APPLY = protocol.Apply(1, "b", "cpu", SOURCE, {"image": REF}, {"strength": 0.5}, (0, 0, 0, 1, 2, 3))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (changed(protocol.Ping(1), protocol=protocol.PROTOCOL_VERSION + 1), "two versions of MedGAN are mixed"),
        (changed(protocol.Ping(1), protocol=...), "unexpected"),
        (changed(protocol.Ping(1), kind="Pickle"), "Unknown kind"),
        (changed(protocol.Ping(1), kind=["Ping"]), "Unknown kind"),
        (changed(protocol.Ping(1), extra=1), "unknown field 'extra'"),
        (changed(protocol.Ping(1), number=...), "number"),
        (changed(protocol.Ping(1), number="1"), "'number' has the wrong type"),
        (changed(protocol.Ping(1), number=True), "'number' has the wrong type"),
        (changed(protocol.Progress(1, 0.5, None, ""), fraction=None), "'fraction' has the wrong type"),
        (changed(APPLY, source=None), "VolumeRef must be an object"),
        (changed(APPLY, source={"array": {"block": "x"}}), "missing"),
        (changed(APPLY, region=[0, 0, 0.5]), "'region' has the wrong type"),
        (changed(APPLY, options=[1]), "'options' has the wrong type"),
        (changed(protocol.Devices(1, []), devices=[5]), "DeviceInfo must be an object"),
        (changed(APPLY, outputs={"image": 5}), "ArrayRef must be an object"),
        (b"[]", "unexpected"),
        (b"[" * 100000, "unexpected"),
    ],
)
def test_wrong_messages_are_refused_with_the_reason(line, sentence):
    with pytest.raises(WorkerError, match=sentence):
        protocol.decode(line)

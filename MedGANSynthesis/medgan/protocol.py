"""What a client and a worker say to each other: one JSON object per line, voxels never among it.

Requests go to the worker's standard input, events come from its standard output. Every line names its ``kind`` (class)
and the ``protocol`` version, so that a client and a worker of different MedGAN versions part with a clear sentence.
Voxels lie in shared memory; an ``ArrayRef`` tells where.
What a training reports goes as ``Watched``, with an ``event`` such as ``{"EpochDone": {...}}``.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from .devices import DeviceInfo
from .errors import WorkerError
from .training_events import SampleDrawn, TrainingEvent

PROTOCOL_VERSION = 2


@dataclass(frozen=True)
class ArrayRef:
    """An array inside a shared memory block.

    Args:
        block: name of the block.
        offset: bytes from the start of the block to the first element.
        shape: C-contiguous shape, ``(k, j, i)`` or ``(k, j, i, c)``.
        dtype: numpy type string such as ``"<i2"``.
    """

    block: str
    offset: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class VolumeRef:
    """A volume whose voxels lie in shared memory; they are never written to.

    Args:
        array: the voxels.
        geometry: ``Geometry.to_dict()``, RAS, mm.
        units, modality: as in ``Volume``.
        held: number of a volume that is kept from job to job until ``Release``, 0 for one that is sent just once.
    """

    array: ArrayRef
    geometry: dict[str, list]
    units: str
    modality: str
    held: int = 0


@dataclass(frozen=True)
class Ping:
    """Request: answer with a ``Pong`` of the same number once all earlier requests are done."""

    number: int


@dataclass(frozen=True)
class DescribeDevices:
    """Request: answer with ``Devices`` of the same number once all earlier requests are done."""

    number: int


@dataclass(frozen=True)
class Apply:
    """Request: run a generator on a volume in shared memory and write the results into shared memory.

    Args:
        job: number that all events of this job repeat.
        bundle: folder of the generator.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        source: the input. A held one that the worker does not know yet is kept from now on, so that a fresh worker
            needs no other introduction.
        outputs: where each result goes, by name; ``"image"`` is always among them.
        options: ``ApplyOptions.to_dict()``.
        region: the only part of the source's grid to be computed: start k, j, i, then stop k, j, i; None for all.
    """

    job: int
    bundle: str
    device: str
    source: VolumeRef
    outputs: dict[str, ArrayRef]
    options: dict[str, Any] = field(default_factory=dict)
    region: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Drop:
    """Request: give up the job that runs; it is answered as ever, by ``Failed`` if the worker could stop in time."""

    job: int


@dataclass(frozen=True)
class Release:
    """Request: forget a held volume and let go of its memory."""

    held: int


@dataclass(frozen=True)
class Shutdown:
    """Request: end."""


@dataclass(frozen=True)
class Ready:
    """Event: the worker has started and waits for requests."""

    pid: int
    version: str


@dataclass(frozen=True)
class Pong:
    """Event: the answer to ``Ping``."""

    number: int


@dataclass(frozen=True)
class Devices:
    """Event: the answer to ``DescribeDevices``."""

    number: int
    devices: list[DeviceInfo]


@dataclass(frozen=True)
class Progress:
    """Event: ``fraction`` 0..1 of the job is done, ``remaining_s`` seconds are left (None: not known yet)."""

    job: int
    fraction: float
    remaining_s: float | None
    message: str


@dataclass(frozen=True)
class Done:
    """Event: all outputs of the job lie in shared memory.

    ``compute_seconds`` is the time within the network, ``worker_bytes`` the memory the worker now takes (0: unknown).
    """

    job: int
    provenance: dict[str, str]
    applicability: list[str]
    notes: list[str]
    compute_seconds: float
    worker_bytes: int = 0


@dataclass(frozen=True)
class Failed:
    """Event: the job came to nothing.

    Args:
        job: which.
        message: one sentence for the user.
        error: class name of the exception, e.g. ``"InputError"``.
        detail: traceback, for the log.
    """

    job: int
    message: str
    error: str
    detail: str = field(default="")


@dataclass(frozen=True)
class Watched:
    """Event: what a training job reports, see :mod:`medgan.training_events`; it stays a job until ``Done``.

    The images of a ``SampleDrawn`` are ``ArrayRef``s here, as all voxels.
    """

    job: int
    event: TrainingEvent


Request = Ping | DescribeDevices | Apply | Drop | Release | Shutdown
Message = Request | Ready | Pong | Devices | Progress | Done | Failed | Watched
_KINDS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(Message)}
_TRAINING: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(TrainingEvent)}
_HINTS: dict[type, dict[str, Any]] = {
    kind: typing.get_type_hints(kind)
    for kind in (*_KINDS.values(), *_TRAINING.values(), ArrayRef, VolumeRef, DeviceInfo)
}
_HINTS[SampleDrawn]["images"] = dict[str, ArrayRef]


def encode(message: Message) -> bytes:
    """One line of ASCII JSON, newline included."""
    line = {"protocol": PROTOCOL_VERSION, "kind": type(message).__name__, **_plain(message)}
    return json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line.

    Raises:
        WorkerError: the line is no message of this protocol version.
    """
    try:
        content = json.loads(line)
        version, kind = content.pop("protocol"), content.pop("kind")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WorkerError(
            f"MedGAN received something unexpected, {bytes(line[:80])!r}; nothing was changed, try again."
        ) from error
    if version != PROTOCOL_VERSION:
        raise WorkerError(
            f"The computing process speaks protocol version {version}, this MedGAN version {PROTOCOL_VERSION}: "
            "two versions of MedGAN are mixed; reinstall MedGAN and restart."
        )
    if not isinstance(kind, str) or kind not in _KINDS:
        raise WorkerError(f"Unknown kind of MedGAN message: {kind!r}.")
    try:
        return _build(_KINDS[kind], content)
    except (TypeError, ValueError) as error:
        raise WorkerError(f"A MedGAN message of kind {kind} is malformed: {error}.") from error


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        content = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        return {type(value).__name__: content} if type(value) in _TRAINING.values() else content
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _build(kind: type, content: Any) -> Any:
    if not isinstance(content, dict):
        raise TypeError(f"{kind.__name__} must be an object")
    hints = _HINTS[kind]
    if unknown := set(content) - set(hints):
        raise TypeError(f"unknown field {min(unknown)!r}")
    return kind(**{name: _convert(hints[name], value, name) for name, value in content.items()})


def _convert(hint: Any, value: Any, name: str) -> Any:
    """``value`` from JSON as the annotated type; TypeError if it is something else."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint == TrainingEvent:
        return _training_event(value)
    if origin is types.UnionType:
        return None if value is None else _convert(arguments[0], value, name)
    if is_dataclass(hint):
        return _build(hint, value)
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(arguments[0], item, name) for item in value)
    if origin is list and isinstance(value, list):
        return [_convert(arguments[0], item, name) for item in value]
    if origin is dict and isinstance(value, dict):
        return {key: _convert(arguments[1], item, name) for key, item in value.items()}
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is Any or type(value) is hint:
        return value
    raise TypeError(f"field {name!r} has the wrong type")


def _training_event(content: Any) -> TrainingEvent:
    if not isinstance(content, dict) or len(content) != 1 or not content.keys() <= _TRAINING.keys():
        raise TypeError("'event' is no event of a training")
    [(kind, values)] = content.items()
    return _build(_TRAINING[kind], values)

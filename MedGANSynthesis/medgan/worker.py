"""Worker: the process that computes. Serves the requests of one client, keeps generators loaded, ends with its client.

Heavy libraries are imported when a request needs them. The process must never outlive its client: a thread reads the
standard input all the time and ends the process at the end of it, in the middle of a computation if need be.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import __version__, protocol
from .devices import describe_devices, resident_bytes
from .errors import Cancelled, MedGANError, WorkerError, missing_package
from .inbox import Inbox
from .options import ApplyOptions
from .shared_array import AttachedBlocks, view
from .tile_plan import Box
from .volume import Geometry, Volume

Synthesize = Callable[..., Any]
_PROGRESS_INTERVAL_S = 0.05
_KEPT_GENERATORS = 3
_IDLE_S = 130.0


def load_synthesizer(bundle: str, device: str) -> Synthesize:
    """The generator of a bundle folder, on a device."""
    from .bundle import Bundle
    from .synthesizer import Synthesizer

    return Synthesizer(Bundle.load(Path(bundle)), device)


class Worker:
    """Serves requests one after the other.

    Args:
        events: where encoded events go.
        inbox: where requests come from.
        load: makes the callable that computes, from bundle folder and device; see ``Synthesizer`` for its signature.
    """

    def __init__(self, events: BinaryIO, inbox: Inbox, load: Callable[[str, str], Synthesize] = load_synthesizer):
        self._events, self._inbox = events, inbox
        self._load = load
        self._blocks = AttachedBlocks()
        self._loaded: OrderedDict[tuple, Synthesize] = OrderedDict()
        # A generator recognizes a volume it has seen by the object, so each held one is the same from job to job.
        self._held: dict[int, tuple[str, Volume]] = {}

    def send(self, event: protocol.Message) -> None:
        """Write one event to the client."""
        self._events.write(protocol.encode(event))
        self._events.flush()

    def serve(self) -> None:
        """Answer requests until ``Shutdown``."""
        self.send(protocol.Ready(os.getpid(), __version__))
        while True:
            try:
                request = self._inbox.get(_IDLE_S)
            except queue.Empty:
                # By now the client has freed its memory, which goes only when nobody has it mapped any more.
                self._attach()
                continue
            if isinstance(request, protocol.Shutdown):
                return
            self._serve(request)

    def _serve(self, request: protocol.Message | WorkerError) -> None:
        if isinstance(request, protocol.Apply):
            self.send(self._answer(request))
        elif isinstance(request, protocol.Release):
            self._release(request.held)
        elif isinstance(request, protocol.Ping):
            self.send(protocol.Pong(request.number))
        elif isinstance(request, protocol.DescribeDevices):
            self.send(protocol.Devices(request.number, describe_devices()))
        else:
            wrong = request if isinstance(request, WorkerError) else f"A {type(request).__name__} is no request."
            self.send(protocol.Failed(0, str(wrong), "WorkerError"))

    def _answer(self, request: protocol.Apply) -> protocol.Done | protocol.Failed:
        try:
            return self._apply(request)
        except BaseException as error:
            return _failed(request.job, error)

    def _apply(self, request: protocol.Apply) -> protocol.Done:
        self._attach(request.source.array.block, *(ref.block for ref in request.outputs.values()))
        volume = self._volume(request.source)
        out = {name: view(self._blocks[ref.block], ref) for name, ref in request.outputs.items()}
        progress = _Progress(self, self._inbox, request.job)
        synthesizer = self._synthesizer(request, progress)
        progress.begin()
        options = ApplyOptions.from_dict(request.options)
        region = None if request.region is None else Box(request.region[:3], request.region[3:])
        result = synthesizer(volume, options, region=region, progress=progress, out=out)
        written = {"image": result.volume, "spread": result.spread}
        if not all(written[name] and np.may_share_memory(written[name].array, array) for name, array in out.items()):
            raise WorkerError("The generator did not write its result where it was asked to; please report it.")
        return protocol.Done(
            request.job,
            result.provenance,
            result.applicability,
            result.notes,
            float(result.compute_seconds),
            resident_bytes(),
        )

    def _attach(self, *blocks: str) -> None:
        """Have these blocks mapped, and those of the held volumes."""
        self._blocks.attach([*blocks, *(block for block, _ in self._held.values())])

    def _volume(self, ref: protocol.VolumeRef) -> Volume:
        if ref.held in self._held:
            return self._held[ref.held][1]
        array = view(self._blocks[ref.array.block], ref.array)
        array.flags.writeable = False
        volume = Volume(array, Geometry(**ref.geometry), ref.units, ref.modality)
        if ref.held:
            self._held[ref.held] = ref.array.block, volume
        return volume

    def _release(self, held: int) -> None:
        if self._held.pop(held, None) is not None:
            self._attach()

    def _synthesizer(self, request: protocol.Apply, progress: _Progress) -> Synthesize:
        """The generator of the request, loaded unless it is at hand and its files have not changed since."""
        key = (request.bundle, request.device, _stamp(request.bundle))
        # The first event of every job: from here on the client knows that it has begun.
        progress.send(0.0, None, "Computing" if key in self._loaded else "Loading the model")
        if key not in self._loaded:
            while len(self._loaded) >= _KEPT_GENERATORS:
                self._loaded.popitem(last=False)
                _free_device_memory()
            self._loaded[key] = self._load(request.bundle, request.device)
        self._loaded.move_to_end(key)
        return self._loaded[key]


class _Progress:
    """The ``progress`` callback of a job: at most 20 events per second, with the remaining time as estimated so far."""

    def __init__(self, worker: Worker, inbox: Inbox, job: int):
        self._worker, self._inbox, self._job = worker, inbox, job
        self._last_s = -1.0
        self.begin()

    def begin(self) -> None:
        self._stop_if_dropped()
        self._start_s = time.monotonic()

    def __call__(self, fraction: float, message: str = "") -> None:
        self._stop_if_dropped()
        now = time.monotonic()
        if now - self._last_s < _PROGRESS_INTERVAL_S or not self._client_keeps_up():
            return
        self._last_s = now
        elapsed = now - self._start_s
        known = elapsed > 0.5 and fraction > 0.01
        self.send(fraction, elapsed * (1.0 - fraction) / fraction if known else None, message)

    def send(self, fraction: float, remaining_s: float | None, message: str) -> None:
        self._worker.send(protocol.Progress(self._job, float(fraction), remaining_s, str(message)))

    def _stop_if_dropped(self) -> None:
        if self._inbox.is_dropped(self._job):
            raise Cancelled

    def _client_keeps_up(self) -> bool:
        """False while the pipe is full because the client is busy elsewhere: computing goes on, unreported."""
        if sys.platform == "win32":
            return True
        return bool(select.select([], [self._worker._events], [], 0)[1])


def _failed(job: int, error: BaseException) -> protocol.Failed:
    detail = "" if isinstance(error, Cancelled) else "".join(traceback.format_exception(error))
    return protocol.Failed(job, _sentence(error), type(error).__name__, detail)


def _sentence(error: BaseException) -> str:
    """What to tell the user of an exception."""
    if isinstance(error, MedGANError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "The computation ran out of memory: crop the volume, close other data, or choose the CPU."
    if isinstance(error, ImportError):
        return missing_package(error)
    reason = next(iter(str(error).strip().splitlines()), "")
    return f"The computation failed ({type(error).__name__}: {reason}) and nothing was changed; please report it."


def _stamp(bundle: str) -> tuple:
    """Changes when a file of the bundle does."""
    with contextlib.suppress(OSError):
        files = sorted(path for path in Path(bundle).rglob("*") if path.is_file())
        return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    return ()


def _free_device_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _read_requests(inbox: Inbox) -> None:
    """Thread: passes the lines of the standard input on, and ends the process at once when there are no more."""
    while line := sys.stdin.buffer.readline():
        inbox.put(line)
    os._exit(0)


def _claim_standard_output() -> BinaryIO:
    """The pipe to the client, for events alone: whatever else is printed (by C code too) goes to standard error."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


def _settle() -> None:
    """Behave as a process should whose client matters more than itself."""
    # Ctrl+C in a terminal reaches the client too; it is the client who decides what to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    with contextlib.suppress(OSError):
        # When memory runs out, Linux is to end this process rather than the application with the user's work in it.
        Path("/proc/self/oom_score_adj").write_text("500")


def main(load: Callable[[str, str], Synthesize] = load_synthesizer) -> None:
    """Serve the client on standard input and output until it goes; never returns."""
    events = _claim_standard_output()
    _settle()
    inbox = Inbox()
    threading.Thread(target=_read_requests, args=(inbox,), daemon=True).start()
    code = 1
    try:
        Worker(events, inbox, load).serve()
        code = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # No teardown: it takes long with a GPU, and there is nothing to save.
        os._exit(code)


if __name__ == "__main__":
    main()

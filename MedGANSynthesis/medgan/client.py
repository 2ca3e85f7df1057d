"""Client: runs generators in a worker process and hands their results back.

    with Client() as client:
        result = client.apply(volume, bundle).wait()

The worker starts with the first job and stays, with its models loaded. Jobs run one after the other. Everything happens
in the thread that uses the client: callbacks come from ``Job.wait`` or ``Client.pump``, or from Qt's event loop if the
transport is the QProcess one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import protocol
from .call import Call
from .devices import DeviceInfo, cpu
from .dispatcher import Dispatcher
from .errors import InputError, WorkerError
from .held import Held, Keeping
from .job import Job
from .link import weak
from .options import ApplyOptions
from .shared_array import BlockPool
from .transport import Transport
from .volume import Volume

if TYPE_CHECKING:
    from .bundle import Bundle
    from .tile_plan import Box

START_TIMEOUT_S = 60.0


class Client:
    """The one door to the engine for everybody who must not compute in his own process.

    Args:
        transport: how to reach the worker; default ``SubprocessTransport()``.
        start_timeout_s: how long a worker may take to start.

    A client is not for use from several threads at once.
    """

    def __init__(self, transport: Transport | None = None, start_timeout_s: float = START_TIMEOUT_S):
        if transport is None:
            from .subprocess_transport import SubprocessTransport

            transport = SubprocessTransport()
        self._transport = transport
        self._pool = BlockPool()
        self._dispatcher = Dispatcher(transport, self._pool, start_timeout_s)
        self._kept: set[Keeping] = set()
        self._numbers = itertools.count(1)
        # Also runs at exit of the interpreter: neither a process nor shared memory outlives the client.
        self._finalizer = weakref.finalize(self, _release, transport, self._pool)

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, None while none is ready."""
        return self._dispatcher.link.pid

    @property
    def worker_bytes(self) -> int:
        """Memory of the machine that the worker took after its last job; 0 if there is none, or it is not known."""
        return self._dispatcher.worker_bytes if self.worker_pid else 0

    @property
    def busy(self) -> bool:
        """Whether a job is running or queued."""
        return self._dispatcher.busy

    def apply(
        self,
        volume: Volume | Held,
        bundle: Bundle | str | os.PathLike,
        *,
        device: str = "auto",
        options: ApplyOptions | None = None,
        region: Box | None = None,
        urgent: bool = False,
        consume: Callable[[Any], Any] | None = None,
        on_progress: Callable[[Job], None] | None = None,
        on_done: Callable[[Job], None] | None = None,
        **settings: Any,
    ) -> Job:
        """Queue a job and return at once; the voxels are copied now, so ``volume`` may change or vanish afterwards.

        Args:
            volume: the input, or one that was held before: then nothing is copied.
            bundle: the generator, or its folder.
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
            options: how to apply it, see :class:`~medgan.options.ApplyOptions`.
            region: the only part of the volume's grid to be computed, see :class:`~medgan.synthesizer.Synthesizer`.
            urgent: put it before the other queued jobs; one that runs is not interrupted.
            consume: gets the ``Result`` with its voxels still in shared memory (read-only), to be copied from there
                straight to where they belong. They may not be kept: the memory is reused afterwards. What ``consume``
                returns is what ``job.result()`` returns; what it raises fails the job. Default: a ``Result`` of its
                own memory, but for a source that is held.
            on_progress: called with the job whenever ``fraction``, ``remaining_s`` or ``message`` changed.
            on_done: called once with the job when it is done, failed or cancelled.
            settings: fields of ``ApplyOptions``, such as ``strength=0.7``.

        Raises:
            BundleError: the generator cannot be used.
            InputError: the generator cannot take this volume, an option is wrong, or the held volume was released.
            WorkerError: there is not enough shared memory.
        """
        self._dispatcher.sweep()
        if isinstance(bundle, str | os.PathLike):
            from .bundle import Bundle

            bundle = Bundle.load(Path(bundle))
        options = ApplyOptions.of(options, settings)
        held = self._keeping(volume) if isinstance(volume, Held) else None
        source = volume if held is None else held.volume
        outputs = bundle.outputs(source, options, region)
        places = {f"output {name}": (spec.shape, spec.dtype) for name, spec in outputs.items()}
        if held is None:
            places["source"] = (source.array.shape, source.array.dtype)
        arrays = self._pool.acquire(places)
        if held is None:
            np.copyto(arrays["source"], source.array)
        else:
            held.enter()
        request = protocol.Apply(
            job=next(self._numbers),
            bundle=str(Path(bundle.path).absolute()),
            device=device,
            source=_volume_ref(source, arrays.refs["source"]) if held is None else held.ref,
            outputs={name: arrays.refs[f"output {name}"] for name in outputs},
            options=options.to_dict(),
            region=None if region is None else (*region.start, *region.stop),
        )
        job = Job(request.job, _client=self, _consume=consume, _on_progress=on_progress, _on_done=on_done)
        job._call = Call(request, outputs, arrays, held, job)
        self._dispatcher.submit(job._call, urgent)
        return job

    def hold(self, volume: Volume) -> Held:
        """Copy a volume into shared memory of its own, for any number of ``apply`` to use.

        The worker keeps it too, with what a generator found out about it: a second region of it costs its own tiles
        only. It may change or vanish afterwards.

        Raises:
            WorkerError: there is not enough shared memory.
        """
        self._dispatcher.sweep()
        arrays = self._pool.acquire({"source": (volume.array.shape, volume.array.dtype)}, reuse=False)
        array = arrays["source"]
        np.copyto(array, volume.array)
        array.flags.writeable = False
        ref = _volume_ref(volume, arrays.refs["source"], held=next(self._numbers))
        keeping = Keeping(ref, volume.with_array(array), arrays, weak(self._forget))
        self._kept.add(keeping)
        return Held(keeping, self._dispatcher.abandoned)

    def devices(self, on_done: Callable[[list[DeviceInfo]], None]) -> None:
        """Ask the worker what can compute on this machine, the fastest first; starts it if need be.

        Args:
            on_done: called once, unless the client is stopped before: after the jobs that wait or run now have ended,
                or, with the CPU alone, as soon as it turns out that the worker cannot answer.
        """

        def answered(event: protocol.Message | None) -> None:
            on_done(event.devices if isinstance(event, protocol.Devices) else [cpu()])

        try:
            self._dispatcher.ask(protocol.DescribeDevices(next(self._numbers)), answered)
        except WorkerError:
            answered(None)

    def pump(self, timeout_s: float | None = 0.0) -> None:
        """Deliver what has come from the worker; if nothing has, wait for it up to ``timeout_s`` (None: no limit)."""
        self._dispatcher.sweep()
        self._transport.pump(timeout_s)

    def start(self) -> None:
        """Start the worker now instead of with the first job.

        Raises:
            WorkerError: it cannot be started.
        """
        self._dispatcher.start()

    def ping(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the worker if need be and return once it has answered; what it was sent before comes first.

        Raises:
            WorkerError: it cannot be started, ended, or did not answer within ``timeout_s``.
        """
        deadline, answers = time.monotonic() + timeout_s, []
        question = protocol.Ping(next(self._numbers))
        self._dispatcher.ask(question, answers.append)
        while not answers and self._dispatcher.link.running and time.monotonic() < deadline:
            self.pump(max(0.0, deadline - time.monotonic()))
        self._dispatcher.forget(question)
        if not any(answers):
            raise WorkerError(f"The computing process does not answer. {self._dispatcher.link.last_line}".strip())

    def stop(self) -> None:
        """Cancel all jobs, end the worker and free all shared memory, that of held volumes included.

        The client may be used again afterwards.
        """
        for keeping in list(self._kept):
            keeping.release()
        self._dispatcher.stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _cancel(self, job: Job) -> None:
        self._dispatcher.cancel(job)

    def _drop(self, job: Job) -> None:
        self._dispatcher.drop(job)

    def _keeping(self, held: Held) -> Keeping:
        keeping = held.keeping()
        if keeping not in self._kept:
            raise InputError("This volume is held by another client; hold it with the one that is to use it.")
        return keeping

    def _forget(self, keeping: Keeping) -> None:
        """A held volume is not needed any more."""
        self._kept.discard(keeping)
        if self._dispatcher.link.running:
            self._dispatcher.link.send(protocol.Release(keeping.ref.held))
        self._pool.discard(keeping.arrays)


def _volume_ref(volume: Volume, array: protocol.ArrayRef, held: int = 0) -> protocol.VolumeRef:
    return protocol.VolumeRef(array, volume.geometry.to_dict(), volume.units, volume.modality, held)


def _release(transport: Transport, pool: BlockPool) -> None:
    # At exit of an application its Qt objects may be gone already; the memory must go all the same.
    with contextlib.suppress(Exception):
        transport.kill()
    pool.close()

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
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import protocol
from .errors import Cancelled, WorkerError
from .job import CANCELLED, DONE, FAILED, RUNNING, Job, error_of
from .shared_array import BlockPool
from .transport import Transport

if TYPE_CHECKING:
    from .bundle import Bundle
    from .volume import Volume

START_TIMEOUT_S = 60.0
IDLE_MEMORY_S = 120.0
_MAX_LINE_BYTES = 16 << 20


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
        self._start_timeout_s = start_timeout_s
        self._pool = BlockPool()
        self._queue: deque[Job] = deque()
        self._job: Job | None = None
        self._begun = False
        self._may_restart = False
        self._numbers = itertools.count(1)
        self._ready: protocol.Ready | None = None
        self._pong: int | None = None
        self._buffer = bytearray()
        # Also runs at exit of the interpreter: neither a process nor shared memory outlives the client.
        self._finalizer = weakref.finalize(self, _release, transport, self._pool)

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, None while none is ready."""
        return self._ready.pid if self._ready else None

    @property
    def busy(self) -> bool:
        """Whether a job is running or queued."""
        return self._job is not None or bool(self._queue)

    def apply(
        self,
        volume: Volume,
        bundle: Bundle | str | os.PathLike,
        *,
        device: str = "auto",
        strength: float = 1.0,
        target_spacing_mm: tuple[float, float, float] | None = None,
        consume: Callable[[Any], Any] | None = None,
        on_progress: Callable[[Job], None] | None = None,
        on_done: Callable[[Job], None] | None = None,
    ) -> Job:
        """Queue a job and return at once; the voxels are copied now, so ``volume`` may change or vanish afterwards.

        Args:
            volume: the input.
            bundle: the generator, or its folder.
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
            strength: 0 (input) to 1 (generator's output).
            target_spacing_mm: spacing of a super-resolved result along i, j, k, by default what the model makes of it.
            consume: gets the ``Result`` with its voxels still in shared memory (read-only), to be copied from there
                straight to where they belong. They may not be kept: the memory is reused afterwards. What ``consume``
                returns is what ``job.result()`` returns; what it raises fails the job. Default: a ``Result`` of its
                own memory.
            on_progress: called with the job whenever ``fraction``, ``remaining_s`` or ``message`` changed.
            on_done: called once with the job when it is done, failed or cancelled.

        Raises:
            BundleError: the generator cannot be used.
            InputError: the generator cannot take this volume.
            WorkerError: there is not enough shared memory.
        """
        if isinstance(bundle, str | os.PathLike):
            from .bundle import Bundle

            bundle = Bundle.load(Path(bundle))
        wanted = () if target_spacing_mm is None else (tuple(float(value) for value in target_spacing_mm),)
        outputs = bundle.outputs(volume, *wanted)
        places = {"source": (volume.array.shape, volume.array.dtype)}
        places |= {f"output {name}": (spec.shape, spec.dtype) for name, spec in outputs.items()}
        arrays = self._pool.acquire(places)
        np.copyto(arrays["source"], volume.array)
        job = Job(next(self._numbers), _client=self, _outputs=outputs, _arrays=arrays, _consume=consume)
        job._on_progress, job._on_done = on_progress, on_done
        job._request = protocol.Apply(
            job=job.number,
            bundle=str(Path(bundle.path).absolute()),
            device=device,
            strength=float(strength),
            source=arrays.refs["source"],
            geometry=volume.geometry.to_dict(),
            units=volume.units,
            modality=volume.modality,
            outputs={name: arrays.refs[f"output {name}"] for name in outputs},
            target_spacing_mm=wanted[0] if wanted else None,
        )
        self._queue.append(job)
        self._start_next()
        return job

    def pump(self, timeout_s: float | None = 0.0) -> None:
        """Deliver what has come from the worker; if nothing has, wait for it up to ``timeout_s`` (None: no limit)."""
        self._transport.pump(timeout_s)

    def start(self) -> None:
        """Start the worker now instead of with the first job.

        Raises:
            WorkerError: it cannot be started.
        """
        if not self._transport.running:
            self._reset()
            self._transport.start(_weak(self._on_output), _weak(self._on_exit))
            self._transport.set_alarm(self._start_timeout_s, _weak(self._on_start_timeout))

    def ping(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the worker if need be and return once it has answered; earlier jobs come first.

        Raises:
            WorkerError: it cannot be started, ended, or did not answer within ``timeout_s``.
        """
        self.start()
        deadline, number, sent = time.monotonic() + timeout_s, next(self._numbers), False
        while self._pong != number:
            if self._ready and not sent:
                self._transport.write(protocol.encode(protocol.Ping(number)))
                sent = True
            left = deadline - time.monotonic()
            if left <= 0 or not self._transport.running:
                raise WorkerError(f"The computing process does not answer. {_last_line(self._transport)}".strip())
            self.pump(left)

    def stop(self) -> None:
        """Cancel all jobs, end the worker and free all shared memory. The client may be used again afterwards."""
        for job in [*self._queue, *filter(None, [self._job])]:
            job.cancel()
        self._kill()
        self._pool.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # From the queue to the worker.

    def _start_next(self) -> None:
        if self._job is not None or not self._queue:
            return
        job = self._job = self._queue.popleft()
        job.state = RUNNING
        self._may_restart = True
        if self._ready and self._transport.running:
            self._send(job)
        else:
            self._start_for_job()

    def _start_for_job(self) -> None:
        try:
            self.start()
        except WorkerError as error:
            self._fail(error)

    def _send(self, job: Job) -> None:
        self._begun = False
        self._transport.set_alarm(0, None)
        self._transport.write(protocol.encode(job._request))

    def _cancel(self, job: Job) -> None:
        job.error = Cancelled()
        if job is self._job:
            self._kill()
            self._finish(CANCELLED, reuse_memory=False)
        else:
            self._queue.remove(job)
            self._pool.release(job._arrays)
            self._close(job, CANCELLED)

    def _fail(self, error: BaseException, detail: str = "", reuse_memory: bool = True) -> None:
        if detail:
            error.add_note(detail)
        self._job.error, self._job.detail = error, detail
        self._finish(FAILED, reuse_memory)

    def _finish(self, state: str, reuse_memory: bool = True) -> None:
        """The running job is over: give its memory back, tell its owner, go on with the next."""
        job, self._job = self._job, None
        (self._pool.release if reuse_memory else self._pool.discard)(job._arrays)
        try:
            self._close(job, state)
        finally:
            self._start_next()
            if not self.busy:
                self._transport.set_alarm(IDLE_MEMORY_S, _weak(self._pool.trim))

    @staticmethod
    def _close(job: Job, state: str) -> None:
        job.state, job.remaining_s = state, None
        callback = job._on_done
        job._client = job._arrays = job._request = job._outputs = None
        job._consume = job._on_progress = job._on_done = None
        if callback is not None:
            callback(job)

    def _kill(self) -> None:
        self._transport.kill()
        self._reset()

    def _reset(self) -> None:
        self._ready = None
        self._buffer.clear()
        self._transport.set_alarm(0, None)

    # From the worker.

    def _on_output(self, data: bytes) -> None:
        self._buffer += data
        raised: BaseException | None = None
        # A callback may end the worker, which empties the buffer, or raise, which must not lose the lines behind it.
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            try:
                self._on_line(line)
            except BaseException as error:
                raised = raised or error
        if len(self._buffer) > _MAX_LINE_BYTES:
            self._refuse(WorkerError("The computing process sends data without end; nothing was changed, try again."))
        if raised is not None:
            raise raised

    def _on_line(self, line: bytes) -> None:
        try:
            event = protocol.decode(line)
        except WorkerError as error:
            self._refuse(error)
            return
        if isinstance(event, protocol.Ready) and self._ready is None:
            self._ready = event
            self._transport.set_alarm(0, None)
            if self._job is not None:
                self._send(self._job)
        elif isinstance(event, protocol.Pong):
            self._pong = event.number
        elif self._job is not None and getattr(event, "job", None) == self._job.number:
            self._on_job_event(event)
        else:
            message = event.message if isinstance(event, protocol.Failed) else f"Unexpected {type(event).__name__}."
            self._refuse(WorkerError(message))

    def _on_job_event(self, event: protocol.Message) -> None:
        job, self._begun = self._job, True
        if isinstance(event, protocol.Progress):
            job.fraction = min(max(event.fraction, 0.0), 1.0)
            job.remaining_s, job.message = event.remaining_s, event.message
            if job._on_progress is not None:
                job._on_progress(job)
        elif isinstance(event, protocol.Failed):
            self._fail(error_of(event), event.detail)
        elif isinstance(event, protocol.Done):
            try:
                job._value = job._take(event)
            except BaseException as error:
                self._fail(error)
            else:
                job.fraction = 1.0
                self._finish(DONE)
        else:
            self._refuse(WorkerError(f"The computing process sent a {type(event).__name__}, which is no event."))

    def _on_exit(self, reason: str) -> None:
        started = self._ready is not None
        self._reset()
        if self._job is None:
            return
        if started and not self._begun and self._may_restart:
            # It had ended while idle, which nobody noticed until the job was sent: a fresh one gets the job.
            self._may_restart = False
            self._start_for_job()
            return
        if started:
            message = (
                f"The computing process ended unexpectedly ({reason}) and nothing was changed: "
                "try again, or choose the CPU or a smaller volume if memory was short."
            )
        else:
            message = f"The computing process could not start ({reason}). {_last_line(self._transport)}".strip()
        self._fail(WorkerError(message), self._transport.error_output(), reuse_memory=False)

    def _on_start_timeout(self) -> None:
        message = f"The computing process did not start within {self._start_timeout_s:g} s; try again."
        self._refuse(WorkerError(message))

    def _refuse(self, error: WorkerError) -> None:
        """End a worker that does not behave."""
        self._kill()
        if self._job is not None:
            self._fail(error, self._transport.error_output(), reuse_memory=False)


def _last_line(transport: Transport) -> str:
    lines = transport.error_output().strip().splitlines()
    return lines[-1].strip() if lines else ""


def _weak(method: Callable[..., None]) -> Callable[..., None]:
    """A callback that does not keep its object alive, so that a client nobody holds any more is cleaned up."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        target = reference()
        if target is not None:
            target(*arguments)

    return call


def _release(transport: Transport, pool: BlockPool) -> None:
    # At exit of an application its Qt objects may be gone already; the memory must go all the same.
    with contextlib.suppress(Exception):
        transport.kill()
    pool.close()

"""Dispatcher: the client's jobs, one after the other, from the queue to the worker and back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from . import protocol
from .call import Call
from .errors import Cancelled, WorkerError
from .held import Keeping
from .job import CANCELLED, DONE, FAILED, RUNNING, Job, error_of
from .link import Link, weak
from .shared_array import BlockPool
from .transport import Transport

IDLE_MEMORY_S = 120.0
Question = protocol.Ping | protocol.DescribeDevices
Answer = Callable[[protocol.Message | None], None]


class Dispatcher:
    """Keeps the worker busy with calls and its owner informed; a worker that dies takes no more than its call along.

    Args:
        transport, start_timeout_s: see ``Link``.
        pool: the memory of the calls.
    """

    def __init__(self, transport: Transport, pool: BlockPool, start_timeout_s: float):
        self.link = Link(transport, start_timeout_s, weak(self._on_event), weak(self._on_end))
        self.abandoned: deque[Keeping] = deque()
        self._transport, self._pool = transport, pool
        self._queue: deque[Call] = deque()
        self._call: Call | None = None
        self._begun = False
        self._may_restart = False
        self.worker_bytes = 0
        self._questions: dict[int, tuple[Question, Answer]] = {}

    @property
    def busy(self) -> bool:
        """Whether a job is running or queued."""
        return bool(self._queue) or (self._call is not None and self._call.job is not None)

    def submit(self, call: Call, urgent: bool = False) -> None:
        """Queue a call, last or first, and start it if none runs."""
        (self._queue.appendleft if urgent else self._queue.append)(call)
        self._start_next()

    def start(self) -> None:
        """Start the worker unless there is one; the end of one that has a call is to be told first.

        Raises:
            WorkerError: it cannot be started.
        """
        if self._call is None:
            self._start_worker()

    def ask(self, question: Question, answer: Answer) -> None:
        """Have the worker answer after all calls it was sent before; ``answer(None)`` if it ends without.

        Raises:
            WorkerError: it cannot be started.
        """
        self.start()
        self._questions[question.number] = (question, answer)
        self.link.send(question)

    def forget(self, question: Question) -> None:
        """Do not wait for the answer any more."""
        self._questions.pop(question.number, None)

    def sweep(self) -> None:
        """Free held volumes that nobody has any more."""
        while self.abandoned:
            self.abandoned.popleft().release()

    def cancel(self, job: Job) -> None:
        """Stop a job; the worker is ended if it is at it."""
        if job._call is self._call:
            self.link.kill()
            self._finish(CANCELLED, Cancelled(), reuse_memory=False)
            self._ask_again()
        else:
            self._cancel_queued(job)

    def drop(self, job: Job) -> None:
        """Stop a job; the worker lives on, and whatever it still makes of the job is thrown away."""
        if job._call is self._call:
            self.link.send(protocol.Drop(job.number))
            self._call.job = None
            job.close(CANCELLED, Cancelled())
        else:
            self._cancel_queued(job)

    def stop(self) -> None:
        """End the worker, free all memory, then tell the owners of all jobs that these are cancelled."""
        calls = [*self._queue, *filter(None, [self._call])]
        self._call = None
        self._queue.clear()
        self._questions.clear()
        self.link.kill()
        for call in calls:
            call.free(self._pool, reuse=False)
        self._pool.close()
        raised: BaseException | None = None
        for job in [call.job for call in calls if call.job is not None]:
            try:
                job.close(CANCELLED, Cancelled())
            except BaseException as error:
                raised = raised or error
        if raised is not None:
            raise raised

    def _cancel_queued(self, job: Job) -> None:
        call = job._call
        if call in self._queue:  # otherwise its result is being consumed: too late
            self._queue.remove(call)
            call.free(self._pool, reuse=True)
            job.close(CANCELLED, Cancelled())

    def _start_next(self) -> None:
        if self._call is None and self._queue:
            self._call = self._queue.popleft()
            self._call.job.state = RUNNING
            self._may_restart = True
            self._send()

    def _send(self) -> None:
        self._begun = False
        try:
            self._start_worker()
        except WorkerError as error:
            self._fail(error)
        else:
            self.link.send(self._call.request)

    def _start_worker(self) -> None:
        """See ``start``; a fresh one is asked what the one before has not answered."""
        if self.link.start():
            for question, _ in self._questions.values():
                self.link.send(question)

    def _ask_again(self) -> None:
        """The worker that was to answer was ended for another reason."""
        if self._questions:
            try:
                self._start_worker()
            except WorkerError as error:
                self._fail(error)

    def _fail(self, error: WorkerError, detail: str = "", reuse_memory: bool = True) -> None:
        """The running call and all questions come to nothing."""
        questions, self._questions = self._questions, {}
        try:
            if self._call is not None:
                self._finish(FAILED, error, detail, reuse_memory)
        finally:
            for _, answer in questions.values():
                answer(None)

    def _finish(
        self, state: str, error: BaseException | None = None, detail: str = "", reuse_memory: bool = True
    ) -> None:
        """The running call is over: give its memory back, tell its owner, go on with the next."""
        call, self._call = self._call, None
        self._close(call, state, error, detail, reuse_memory)

    def _close(
        self, call: Call, state: str, error: BaseException | None = None, detail: str = "", reuse_memory: bool = True
    ) -> None:
        call.free(self._pool, reuse_memory)
        try:
            if call.job is not None:
                call.job.close(state, error, detail)
        finally:
            self.sweep()
            self._start_next()
            self._rest()

    def _rest(self) -> None:
        if self._call is None and not self._questions:
            self._transport.set_alarm(IDLE_MEMORY_S, weak(self._free_idle_memory))

    def _free_idle_memory(self) -> None:
        self.sweep()
        self._pool.trim()

    def _on_event(self, event: protocol.Message) -> None:
        if isinstance(event, protocol.Pong | protocol.Devices):
            _, answer = self._questions.pop(event.number, (None, None))
            self._rest()
            if answer is not None:
                answer(event)
        elif self._call is not None and getattr(event, "job", None) == self._call.request.job:
            self._on_call_event(event)
        else:
            message = event.message if isinstance(event, protocol.Failed) else f"Unexpected {type(event).__name__}."
            self.link.refuse(WorkerError(message))

    def _on_call_event(self, event: protocol.Message) -> None:
        job, self._begun = self._call.job, True
        if isinstance(event, protocol.Progress):
            if job is not None:
                job.advance(event)
        elif isinstance(event, protocol.Failed):
            self._finish(FAILED, error_of(event), event.detail)
        elif isinstance(event, protocol.Done):
            self._on_done(event)
        else:
            self.link.refuse(WorkerError(f"The computing process sent a {type(event).__name__}, which is no event."))

    def _on_done(self, event: protocol.Done) -> None:
        # What takes the result may do anything, stop the client or wait for another job included.
        call, self._call = self._call, None
        job, self.worker_bytes = call.job, event.worker_bytes
        try:
            if job is not None:
                job._value = call.take(event)
                job.fraction = 1.0
        except BaseException as error:
            self._close(call, FAILED, error)
        else:
            self._close(call, DONE)

    def _on_end(self, error: WorkerError, detail: str, innocent: bool) -> None:
        if self._call is not None and self._call.job is not None and innocent and not self._begun and self._may_restart:
            # It had ended while idle, which nobody noticed until the job was sent: a fresh one gets the job.
            self._may_restart = False
            self._send()
        else:
            self._fail(error, detail, reuse_memory=False)

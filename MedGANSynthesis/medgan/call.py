"""Call: what the client keeps of a job for the worker: the request, the memory, and how the answer is read from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .protocol import Apply, Done
from .shared_array import BlockPool, SharedArrays
from .volume import Geometry, Volume

if TYPE_CHECKING:
    from .bundle import OutputSpec
    from .held import Keeping
    from .job import Job


@dataclass(eq=False)
class Call:
    """One request to the worker and the shared memory it is about.

    Args:
        request: what is sent.
        outputs: what each result will be, by name.
        arrays: ``"output <name>"`` for each of them, and ``"source"`` unless it is held.
        held: the source if it is held.
        job: whose request it is; None once it was dropped: then the answer of the worker is awaited only because it
            tells that the worker will write into the memory no more.
    """

    request: Apply
    outputs: dict[str, OutputSpec]
    arrays: SharedArrays
    held: Keeping | None = None
    job: Job | None = None

    def free(self, pool: BlockPool, reuse: bool) -> None:
        """Give the memory back, to be used again unless a worker may still be writing into it."""
        (pool.release if reuse else pool.discard)(self.arrays)
        if self.held is not None:
            self.held.leave()

    def take(self, event: Done) -> Any:
        """What the owner gets: a ``Result`` of its own memory, or what ``consume`` makes of one in shared memory."""
        from .synthesizer import Result

        consume = self.job._consume
        volumes = {name: self._output(name, copied=consume is None) for name in self.outputs}
        result = Result(
            volume=volumes["image"],
            source=self._source(copied=consume is None),
            spread=volumes.get("spread"),
            provenance=event.provenance,
            applicability=event.applicability,
            notes=event.notes,
            compute_seconds=event.compute_seconds,
        )
        return result if consume is None else consume(result)

    def _output(self, name: str, copied: bool) -> Volume:
        spec = self.outputs[name]
        return Volume(_own(self.arrays[f"output {name}"], copied), spec.geometry, spec.units, spec.modality)

    def _source(self, copied: bool) -> Volume:
        if self.held is not None:
            return self.held.volume
        ref = self.request.source
        return Volume(_own(self.arrays["source"], copied), Geometry(**ref.geometry), ref.units, ref.modality)


def _own(array: np.ndarray, copied: bool) -> np.ndarray:
    if copied:
        return array.copy()
    array.flags.writeable = False
    return array

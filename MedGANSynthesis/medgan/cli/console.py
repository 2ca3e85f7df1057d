"""What the sub-commands print: notes, warnings and a progress bar, all on stderr so that stdout stays for scripts."""

from __future__ import annotations

import sys
from types import TracebackType


def note(text: str, quiet: bool = False) -> None:
    """One line for the user on stderr."""
    if not quiet:
        print(f"medgan: {text}", file=sys.stderr)


class Progress:
    """Progress callback ``(fraction, message)``: a bar with the remaining time on a terminal, else a line per tenth.

    Example:
        >>> with Progress(quiet=True) as progress:
        ...     progress(0.5, "Denoising")
    """

    def __init__(self, quiet: bool = False):
        self._quiet = quiet
        self._bar = None
        self._tenth = -1
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            layout = "{desc}: {percentage:3.0f}% |{bar}| {elapsed} so far, {remaining} to go"
            self._bar = tqdm(total=1.0, file=sys.stderr, bar_format=layout, desc="Starting")

    def __call__(self, fraction: float, message: str) -> None:
        if self._bar is not None:
            self._bar.set_description_str(message, refresh=False)
            self._bar.update(max(0.0, fraction - self._bar.n))
        elif not self._quiet and int(fraction * 10) > self._tenth:
            self._tenth = int(fraction * 10)
            print(f"medgan: {fraction:4.0%} {message}", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

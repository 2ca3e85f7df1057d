"""What a training was asked for: enough to start it, to go on with it, and to show it in a form again."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import InputError

NAME = r"\w[\w .+-]*"
"""What a finished model can be called."""


@dataclass(frozen=True)
class Request:
    """The wishes behind ``medgan train``.

    Args:
        task: such as "denoise-ct". dataset: its folder.
        preset: "recommended", "published" or "" for the default.
        device: "auto", "cpu", "cuda:0", ...
        parameters: those that stand whatever the data says, by name.
        plan: a ``plan.json`` to take as it is, "" for none.
        start_from: bundle (folder, name) whose generator is the start, "" for none.
        name: of the finished bundle, "" for task and preset.
        minutes: time it may take, 0 for as long as the preset takes.
    """

    task: str
    dataset: str
    preset: str = ""
    device: str = "auto"
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    plan: str = ""
    start_from: str = ""
    name: str = ""
    minutes: float = 0.0

    def command(
        self, folder: str | Path, python: str | Sequence[str] = (), resume: bool = True, quiet: bool = True
    ) -> list[str]:
        """Program and arguments of the process that trains in ``folder``.

        Args:
            python: interpreter, or the beginning of the command line; default the running one.
            resume: False starts anew in a folder that holds a run.
            quiet: print nothing but errors.
        """
        start = [python] if isinstance(python, str) and python else list(python) or [sys.executable]
        command = [*start, "-m", "medgan", "train", self.task, self.dataset, str(folder), "--device", self.device]
        options = {
            "--preset": self.preset,
            "--plan": self.plan,
            "--start-from": self.start_from,
            "--name": self.name,
            "--minutes": f"{self.minutes:g}" if self.minutes else "",
        }
        command += [part for option, value in options.items() if value for part in (option, value)]
        command += [part for name, value in self.parameters.items() for part in ("--set", f"{name}={value}")]
        return [*command, *([] if resume else ["--no-resume"]), *(["--quiet"] if quiet else [])]

    def check_name(self) -> None:
        """Raise an InputError if the model cannot be called so."""
        if self.name and not re.fullmatch(NAME, self.name):
            raise InputError(f"'{self.name}' is no name for a model; use letters, digits, blanks and . + - _.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**dataclasses.asdict(self), "parameters": dict(self.parameters)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Request:
        """From :meth:`to_dict`; what it does not know it leaves out."""
        known = {one.name for one in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})

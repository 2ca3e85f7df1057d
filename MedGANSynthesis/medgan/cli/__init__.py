"""The ``medgan`` command: one file per sub-command; what all of them share (exit codes, error sentences) is here."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

from ..errors import BundleError, Cancelled, InputError, sentence
from . import apply, bundle, dataset, evaluate, models, package, plan, runs, train, worker

EXIT_OK, EXIT_INPUT, EXIT_BUNDLE, EXIT_FAILED, EXIT_CANCELLED = 0, 2, 3, 4, 130

_CODES = {InputError: EXIT_INPUT, BundleError: EXIT_BUNDLE, Cancelled: EXIT_CANCELLED}

_EXAMPLES = """\
examples:
  medgan models                                    what is installed
  medgan apply denoise-ct scan.nrrd clean.nrrd     run a model on one image
  medgan apply denoise-ct dicom_folder clean.nrrd --series 4
  medgan dataset build stain tissue --single slides --degrade grey
  medgan plan stain tissue                         what a training would do, and how long it takes here
  medgan train stain tissue run                    a new model from a dataset
  medgan runs                                      the trainings on this computer, and how far they are
  medgan evaluate run/bundle tissue                how good is it, beside the classical methods?
  medgan bundle verify my_model                    is this model intact?
  medgan apply --help                              all options of one command

exit codes:
  0 done   2 wrong usage, input or output   3 model missing or damaged   4 the computation failed   130 cancelled

Images made by MedGAN are SYNTHETIC: computed by a neural network, not acquired. Not for diagnosis.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_INPUT, f"medgan: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = _Parser(
        prog="medgan",
        description="Turn one medical image into another with a trained generator: say, a noisy CT into a clean one.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the Python traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (models, apply, dataset, plan, train, runs, evaluate, package, bundle, worker):
        module.add_parser(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, after one sentence on stderr if it is not 0."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        arguments = build_parser().parse_args(argv)
        with _terminated_as_interrupted():
            return arguments.run(arguments) or EXIT_OK
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in argv:
            raise
        return _report(error)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl+C does, tidying up: what runs in the background never hears of Ctrl+C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        error = Cancelled()
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), EXIT_FAILED)
    print(f"medgan: {sentence(error)}", file=sys.stderr)
    return code

"""``Slicer --testing --python-script`` on the stand-in: ``python Testing/Host/run.py script.py [args]``.

``--test FILE`` runs a unittest file as ``slicer_add_python_unittest`` does. The exit code is Slicer's: 1 after an
uncaught exception, a failed test or an exception in a Qt slot, else what ``slicer.util.exit(code)`` was given, else 0.
"""

import argparse
import os
import runpy
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


def main():
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test", action="store_true", help="the file is a unittest file")
    parser.add_argument("--no-modules", action="store_true", help="do not load the modules of this repository")
    parser.add_argument("file", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    import medgan_host

    host = medgan_host.install()
    code = 1
    try:
        if not options.no_modules:
            for module in sorted(REPOSITORY.glob("MedGAN*/MedGAN*.py")):
                medgan_host.load_module(module)
        code = run(options)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception:
        traceback.print_exc()
    host.close()
    if host.exitCode is not None and code == 0:
        code = host.exitCode
    return 1 if medgan_host.slot_errors() else code


def run(options):
    """Run the script or the tests; 0 when nothing was raised."""
    path = options.file.resolve()
    sys.argv = [str(path), *options.arguments]
    if options.test:
        import slicer.testing

        slicer.testing.runUnitTest([str(path.parent)], path.stem)
    else:
        sys.path.insert(0, str(path.parent))
        runpy.run_path(str(path), run_name="__main__")
    return 0


if __name__ == "__main__":
    exitCode = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exitCode)  # as Slicer, which does not unwind Qt and VTK objects in an order Python could spoil

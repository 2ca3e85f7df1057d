"""``slicer.i18n``, ``slicer.packaging`` and ``slicer.testing``."""

import importlib.metadata
import logging
import sys
import unittest
from pathlib import Path

from packaging.requirements import Requirement

from .module_builder import pythonModule


def tr(text):
    """The text in the user's language; the stand-in speaks English only."""
    return text


def translate(context, text):
    """The text in the user's language; the stand-in speaks English only."""
    return text


def load_requirements(path):
    """Requirements (list of packaging.requirements.Requirement) of a requirements.txt file."""
    lines = (line.partition("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def pip_check(requirements):
    """True when every requirement (text, Requirement or list of them) is installed in a fitting version."""
    if isinstance(requirements, (list, tuple)):
        return all(pip_check(requirement) for requirement in requirements)
    requirement = requirements if isinstance(requirements, Requirement) else Requirement(requirements)
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def pip_ensure(
    requirements,
    constraints=None,
    prompt_install=True,
    requester=None,
    prompt_restart=True,
    skip_in_testing=True,
    show_progress=True,
    **options,
):
    """In testing mode Slicer installs nothing and logs; the stand-in always is in testing mode."""
    if not skip_in_testing:
        raise NotImplementedError("The MedGAN test host never installs packages; leave skip_in_testing at True.")
    if not pip_check(requirements):
        logging.info("Testing mode is enabled: skipping installation of %s", requirements)


def runUnitTest(path, testname):
    """Run a unittest module; raises Exception when a test failed."""
    sys.path.extend([path] if isinstance(path, str) else path)
    suite = unittest.TestLoader().loadTestsFromName(testname)
    if not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful():
        raise Exception("Unit tests failed")


def makeModules():
    """Make the three modules importable."""
    pythonModule("slicer.i18n", tr, translate)
    pythonModule("slicer.packaging", load_requirements, pip_check, pip_ensure)
    pythonModule("slicer.testing", runUnitTest)

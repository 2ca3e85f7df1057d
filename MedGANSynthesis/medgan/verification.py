"""Verifies a bundle: every file, the hash of the weights, the network's halo and the self-test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .errors import BundleError

if TYPE_CHECKING:
    from .bundle import Bundle

FILES = ("configs/metadata.json", "configs/inference.json", "docs/README.md", "LICENSE")


def verify(bundle: Bundle, report: Callable[[str], None]) -> None:
    """See :meth:`medgan.bundle.Bundle.verify`."""
    check_files(bundle)
    report("all files are there")
    if bundle.manifest.is_identity:
        report("the generator is the identity: no weights to check")
        return
    generator = bundle.build_generator()
    if bundle.manifest.is_foreign:
        report(f"the network has the SHA-256 of the metadata ({bundle.sha256[:12]}...)")
    else:
        report(f"the weights have the SHA-256 of the metadata ({bundle.sha256[:12]}...) and fit the network")
        _verify_halo(bundle, generator)
        report(f"the halo of {bundle.manifest.network.halo} voxels (k, j, i) covers the network's receptive field")
    error = _selftest(bundle, generator)
    report(f"the self-test gives the stored output (largest difference {error:.2g} of its range)")


def check_files(bundle: Bundle) -> None:
    """Check what can be checked without torch: that every file is there, and the hash of the weights.

    Raises:
        BundleError: a file is missing, or the weights are not those of the metadata.
    """
    from .bundle import SELFTEST

    for name in FILES if bundle.manifest.is_identity else (*FILES, SELFTEST):
        if not (bundle.path / name).is_file():
            raise BundleError(f"The bundle {bundle.path} lacks {name}; install it again.")
    if not bundle.manifest.is_identity:
        bundle.check_sha256()


def _verify_halo(bundle: Bundle, generator: object) -> None:
    from . import recipes

    found = recipes.recipe_class(bundle.task).from_dict(bundle.manifest.recipe).measured_spec(generator).halo
    stated = bundle.manifest.network.halo
    if (found is None) != (stated is None) or (found and any(a != b for a, b in zip(found, stated, strict=True))):
        raise BundleError(
            f"The metadata of {bundle.path} states a halo of {stated} voxels, but the network has {found}; train or "
            "download the bundle again."
        )


def _selftest(bundle: Bundle, generator: object) -> float:
    """Largest difference from the stored output, as a fraction of its range."""
    from .bundle import SELFTEST_TOLERANCE
    from .synthesizer import generate

    source, expected = bundle.selftest_pair()
    manifest = bundle.manifest
    from .bundle_writer import selftest_geometry
    from .volume import Volume

    volume = Volume(source, selftest_geometry(manifest), manifest.units, manifest.modality)
    output = generate(generator, manifest.network, manifest.source_scale(), manifest.result(), volume, "cpu").array
    error = float(np.abs(output - expected).max() / max(float(np.ptp(expected)), 1e-6))
    if not error <= SELFTEST_TOLERANCE:
        raise BundleError(f"The self-test of {bundle.path} gives another output than stored; install the bundle again.")
    return error

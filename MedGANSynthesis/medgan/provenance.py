"""Provenance: where a synthetic image comes from, as flat text pairs that fit node attributes,
file headers and DICOM.
"""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bundle import Bundle

SYNTHETIC = "SYNTHETIC: computed by a neural network, not acquired"


def describe(bundle: Bundle, parameters: dict[str, Any], device: str) -> dict[str, str]:
    """The provenance of one application of a bundle.

    Args:
        bundle: the generator used.
        parameters: settings of this application.
        device: where it was computed.

    Returns:
        Text pairs: Note, Model, ModelVersion, ModelSHA256, Task, Preset, Parameters (JSON), Device, MedGANVersion,
        Created (UTC, ISO 8601).
    """
    from . import __version__

    now = datetime.datetime.now(datetime.UTC)
    return {
        "Note": SYNTHETIC,
        "Model": bundle.name,
        "ModelVersion": bundle.version,
        "ModelSHA256": bundle.sha256,
        "Task": bundle.task,
        "Preset": bundle.manifest.preset,
        "Parameters": json.dumps(parameters, sort_keys=True),
        "Device": device,
        "MedGANVersion": __version__,
        "Created": now.isoformat(timespec="seconds"),
    }

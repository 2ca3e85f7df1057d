"""Writes bundles: beside first, then renamed, so that a folder either is a whole bundle or is not there."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__
from .applicability import fingerprint
from .bundle import NETWORKS, SELFTEST, WEIGHTS, Bundle
from .dataset import Dataset
from .errors import InputError
from .files import file_sha256, write_json
from .intensity import FixedScale
from .manifest import Manifest
from .model_card import model_card
from .network import NetworkSpec
from .recipes.base import Recipe
from .volume import Geometry, Volume
from .working_grid import canonical

UNSTATED_LICENCE = "No licence has been stated for these weights; ask whoever trained them.\n"


def write_bundle(
    path: Path,
    name: str,
    recipe: Recipe,
    spec: NetworkSpec,
    generator: Any,
    dataset: Dataset,
    results: list[dict[str, Any]],
    **details: Any,
) -> Bundle:
    """Write a trained generator as a bundle with half-precision weights.

    Args:
        path: folder of the bundle; replaced if it exists.
        name: folder-safe name.
        recipe: what it was trained with. spec: how it is fed, halo included.
        generator: torch module on the CPU.
        dataset: what it was trained on. results: rows of :func:`medgan.evaluate`.
        details: title, version, licence (SPDX name), licence_text, schedule, intended_use, limits, authors.
    """
    generator = generator.eval()
    for weight in generator.parameters():  # the self-test must see the weights that are stored
        weight.data = weight.data.half().float()
    cases = [case for case in dataset.split("train") if case.source]
    patients = len({case.patient for case in dataset.split("train")})
    sources = (dataset.volumes(case)[0] for case in cases)
    first = next(sources)
    sources = itertools.chain([first], sources)
    seen = fingerprint((canonical(source) if spec.canonical else source for source in sources), patients)
    manifest = Manifest(
        name=name,
        title=details.get("title", name),
        task=recipe.TASK,
        preset=recipe.preset,
        recipe=recipe.to_dict(),
        network=spec,
        modality=dataset.modality,
        units=dataset.units,
        channels=first.channels,
        intensity=recipe.source_scale().to_dict(),
        target=recipe.target().to_dict(),
        fingerprint=seen,
        training={
            "data": dataset.description,
            "licence": dataset.licence,
            "patients": patients,
            "cases": len(cases),
            "schedule": details.get("schedule", f"{recipe.epochs} epochs of {recipe.steps_per_epoch} steps"),
        },
        results=[{key: None if value != value else value for key, value in row.items()} for row in results],  # no NaN
        intended_use=details.get("intended_use", "Research on images like those it was trained on; not for diagnosis."),
        limits=details.get("limits", [f"Trained on {patients} patient(s) only."]),
    )

    def fill(folder: Path) -> Manifest:
        return _write_weights(folder, generator, manifest)

    return _write(path, manifest, fill, _metadata(manifest, details), details.get("licence_text", UNSTATED_LICENCE))


def write_identity(path: Path, task: str, **fields: Any) -> Bundle:
    """See :meth:`medgan.bundle.Bundle.create_identity`."""
    manifest = Manifest(
        name=fields.pop("name", path.name),
        title=fields.pop("title", "Identity (returns its input)"),
        task=task,
        generator="identity",
        intended_use="Testing that a pipeline changes nothing.",
        **fields,
    )
    return _write(path, manifest, lambda folder: manifest, _metadata(manifest, {"licence": "CC0-1.0"}), "CC0-1.0\n")


def write_foreign(path: Path, manifest: Manifest, network: Path, **details: Any) -> Bundle:
    """Write a network that somebody else made as a bundle; see :mod:`medgan.bundle_import`, which checks it first.

    Args:
        path: folder of the bundle; replaced if it exists.
        manifest: what is known of it. network: its file, which is copied.
        details: version, licence (SPDX name), licence_text, authors, copyright.
    """
    from .foreign import load_network

    def fill(folder: Path) -> Manifest:
        copy = folder / NETWORKS[manifest.generator]
        shutil.copyfile(network, copy)
        _write_selftest(folder, load_network(copy, manifest.network), manifest)
        return dataclasses.replace(manifest, sha256=file_sha256(copy))

    return _write(path, manifest, fill, _metadata(manifest, details), details.get("licence_text", UNSTATED_LICENCE))


def _write(path: Path, manifest: Manifest, fill: Any, metadata: dict[str, Any], licence_text: str) -> Bundle:
    """Fill a folder beside ``path``, then swap it in."""
    beside, before = (path.with_name(f".{os.getpid()}-{word}{path.name}") for word in ("", "before-"))
    try:
        (beside / "models").mkdir(parents=True)
        (beside / "configs").mkdir()
        (beside / "docs").mkdir()
        manifest = fill(beside)
        write_json(beside / "configs" / "metadata.json", {**metadata, "medgan": manifest.to_dict()})
        write_json(beside / "configs" / "inference.json", _inference())
        (beside / "docs" / "README.md").write_text(model_card(manifest, metadata), encoding="utf-8")
        (beside / "LICENSE").write_text(licence_text, encoding="utf-8")
        if path.exists():
            os.replace(path, before)
        os.replace(beside, path)
    except OSError as error:
        raise InputError(
            f"The bundle could not be written to {path} ({error.strerror}); free disk space or choose another folder."
        ) from error
    finally:
        if before.exists() and not path.exists():
            os.replace(before, path)
        for leftover in (beside, before):
            shutil.rmtree(leftover, ignore_errors=True)
    return Bundle.load(path)


def _write_weights(folder: Path, generator: Any, manifest: Manifest) -> Manifest:
    """Weights and self-test pair; returns the manifest with their hash."""
    from safetensors.torch import save

    weights = {name for name, _weight in generator.named_parameters()}
    state = {  # running variances of normalisation layers span more than half precision does
        key: (value.half() if key in weights else value).contiguous() for key, value in generator.state_dict().items()
    }
    (folder / WEIGHTS).write_bytes(save(state))  # save_file would make it readable by its owner alone
    _write_selftest(folder, generator, manifest)
    return dataclasses.replace(manifest, sha256=file_sha256(folder / WEIGHTS))


def _write_selftest(folder: Path, generator: Any, manifest: Manifest) -> None:
    import torch
    from safetensors.torch import save

    from .synthesizer import generate

    source = selftest_source(manifest)
    output = generate(generator, manifest.network, manifest.source_scale(), manifest.result(), source, "cpu")
    pair = {"source": torch.from_numpy(source.array.copy()), "output": torch.from_numpy(output.array)}
    (folder / SELFTEST).write_bytes(save(pair))


def selftest_source(manifest: Manifest) -> Volume:
    """A noisy disc within the training intensities: made up, so that no patient's pixels are in a bundle."""
    generator = np.random.default_rng(0)
    low, middle, high = _levels(manifest)
    spec = manifest.network
    flat = spec.dimensions == 2 and spec.planes == (0,)
    slices, size = (1 + 2 * spec.context, 64) if flat else (12, 40)
    middle_at = (size - 1) / 2
    radius = np.hypot(*np.meshgrid(np.arange(size) - middle_at, np.arange(size) - middle_at)) * 64 / size
    disc = np.where(radius < 26, middle, low) + np.where(radius < 8, high - middle, 0.0)
    shape = (slices, size, size) if manifest.channels == 1 else (slices, size, size, manifest.channels)
    disc = disc if manifest.channels == 1 else disc[..., np.newaxis]
    noisy = (disc + generator.normal(0.0, 0.02 * (high - low), shape)).astype(np.float32)
    return Volume(noisy, selftest_geometry(manifest), manifest.units, manifest.modality)


def _levels(manifest: Manifest) -> tuple[float, float, float]:
    """Values around, within and in the middle of the self-test's disc; nobody need know what a foreign one learnt."""
    if "percentiles" in manifest.fingerprint:
        low, middle, high = (float(manifest.fingerprint["percentiles"][name]) for name in ("5", "95", "99"))
    elif manifest.units == "HU":
        low, middle, high = -1000.0, 40.0, 300.0
    elif isinstance(scale := manifest.source_scale(), FixedScale):
        low, middle, high = (scale.offset + share * scale.divisor for share in (0.0, 0.5, 1.0))
    else:
        low, middle, high = 0.0, 150.0, 250.0
    return low, middle, high


def selftest_geometry(manifest: Manifest) -> Geometry:
    """The grid of the self-test's pair: that of the network, so that nothing is resampled."""
    spacing_mm = manifest.network.spacing_mm
    return Geometry(spacing_mm=spacing_mm) if spacing_mm else Geometry()


def _metadata(manifest: Manifest, details: dict[str, Any]) -> dict[str, Any]:
    """The part of ``metadata.json`` that the MONAI bundle specification asks for."""
    result = manifest.result()
    channels = manifest.network.in_channels
    image = {
        "type": "image",
        "format": "hounsfield" if manifest.units == "HU" else "magnitude",
        "modality": manifest.modality or "n/a",
        "num_channels": channels,
        "spatial_shape": [f"{size}*n" for size in manifest.network.multiple[-manifest.network.dimensions :]],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {str(channel): "image" for channel in range(channels)},
    }
    made = result.channels or manifest.channels
    pred = {
        **image,
        "format": "hounsfield" if (result.units or manifest.units) == "HU" else "magnitude",
        "modality": result.modality or image["modality"],
        "num_channels": made,
        "channel_def": {str(channel): "image" for channel in range(made)},
    }
    version = details.get("version", "1.0.0")
    return {
        "schema": "monai bundle metadata (meta_schema_20240725)",
        "version": version,
        "changelog": {version: details.get("change", "first version")},
        "monai_version": "1.4.0",
        "pytorch_version": "2.4.0",
        "numpy_version": "1.26.0",
        "required_packages_version": {
            "medgan": __version__,
            "safetensors": "0.4.0",
            **({"onnxruntime": "1.18.0"} if manifest.generator == "onnx" else {}),
        },
        "name": manifest.title,
        "task": manifest.task,
        "description": f"{manifest.title}: image-to-image generator of the task {manifest.task}.",
        "authors": details.get("authors", "unknown"),
        "copyright": details.get("copyright", ""),
        "license": details.get("licence", ""),
        "intended_use": manifest.intended_use,
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}},
    }


def _inference() -> dict[str, Any]:
    """A MONAI configuration that applies the bundle: ``synthesizer(volume)``."""
    return {
        "imports": ["$import medgan"],
        "bundle_root": ".",
        "device": "auto",
        "bundle": "$medgan.Bundle.load(@bundle_root)",
        "network_def": "$@bundle.build_generator()",
        "synthesizer": "$medgan.Synthesizer(@bundle, @device)",
    }

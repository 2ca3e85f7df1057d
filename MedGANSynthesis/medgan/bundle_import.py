"""Makes a bundle of a network that somebody else trained, from its TorchScript or ONNX file and a manifest."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from . import foreign, recipes
from .bundle import Bundle
from .errors import BundleError, InputError, MedGANError
from .manifest import CUSTOM, SCHEMA, Manifest, is_folder_safe
from .memory import is_out_of_memory
from .network import NetworkSpec

REQUIRED = ("name", "title", "task", "modality", "units", "intensity", "network")
DETAILS = ("version", "licence", "licence_text", "authors", "copyright")
_OPTIONAL = ("channels", "target", "fingerprint", "training", "results", "intended_use", "limits")
_LARGEST_HALO = 256  # that is tried out
_OF_OTHER_BUNDLES = ("preset", "generator", "recipe", "sha256", "schema")  # a bundle's own section may be given


def import_network(network: str | Path, description: dict[str, Any], folder: str | Path) -> Bundle:
    """Write a network as a bundle, after trying it on small blocks.

    Args:
        network: TorchScript (.ts, .pt) or ONNX (.onnx) file; takes ``(batch, channels, [k,] j, i)`` in network
            numbers and gives the same.
        description: fields of :class:`medgan.manifest.Manifest` (an example: medgan bundle import --help), with
            "network" as :class:`medgan.network.NetworkSpec`, of which only "dimensions" is needed. Unless stated, the
            channels follow from the intensity scaling, the halo is unbounded, and a fixed size is that of the ONNX
            file. Besides: version, licence, licence_text, authors, copyright.
        folder: to be made.

    Raises:
        InputError: the description lacks or mistypes something or does not fit the network, or ``folder`` exists.
        MedGANError: the file cannot be loaded, or the package that runs it is missing.

    Example:
        >>> import_network("denoiser.onnx", read_description("denoiser.json"), "my-denoiser")  # doctest: +SKIP
    """
    network, folder = Path(network), Path(folder)
    if folder.exists():
        raise InputError(f"There is already a folder {folder}; choose another name.")
    kind = foreign.kind_of(network)
    manifest = _manifest(description, kind)
    spec = manifest.network
    if kind == "onnx":
        spec = _with_fixed_sizes(spec, *foreign.onnx_input(network))
    _try(network, spec)
    details = {name: str(description[name]) for name in DETAILS if name in description}
    try:
        return _write(folder, dataclasses.replace(manifest, network=spec), network, details)
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"No result can be made of what the network gives ({foreign.reason(error)}); correct 'channels', 'target' "
            "or 'intensity' in the manifest."
        ) from error


def read_description(path: str | Path) -> dict[str, Any]:
    """The description in a JSON file, which may also be the ``metadata.json`` of the bundle a network is from.

    Raises:
        InputError: there is no such file, or it is no JSON object.
    """
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The manifest {path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InputError(f"The manifest {path} is no JSON ({error}); correct it.") from error
    if not isinstance(values, dict):
        raise InputError(f"The manifest {path} is no JSON object; see medgan bundle import --help for an example.")
    if not isinstance(values.get("medgan"), dict):
        return values
    known = {"version": "version", "license": "licence", "authors": "authors", "copyright": "copyright"}
    return {**{ours: values[theirs] for theirs, ours in known.items() if theirs in values}, **values["medgan"]}


def _write(folder: Path, manifest: Manifest, network: Path, details: dict[str, str]) -> Bundle:
    from .bundle_writer import write_foreign

    return write_foreign(folder, manifest, network, **details)


def _manifest(description: dict[str, Any], kind: str) -> Manifest:
    """The manifest of a description; everything that can be wrong in it without the network is refused here."""
    if not isinstance(description, dict):
        raise InputError("The manifest is no JSON object; see medgan bundle import --help for an example.")
    missing = [name for name in REQUIRED if name not in description]
    if missing:
        raise InputError(f"The manifest lacks {', '.join(missing)}; see medgan bundle import --help for an example.")
    _refuse_unknown(description, {*REQUIRED, *DETAILS, *_OPTIONAL, *_OF_OTHER_BUNDLES})
    if not is_folder_safe(description["name"]):
        raise InputError(
            f"The name {description['name']!r} of the manifest is none for a folder; use letters, digits, - and _."
        )
    tasks = [*recipes.names(), CUSTOM]
    if description["task"] not in tasks:
        raise InputError(f"There is no task '{description['task']}'; the manifest needs one of {', '.join(tasks)}.")
    values = {name: description[name] for name in (*REQUIRED, *_OPTIONAL) if name in description}
    values.setdefault("intended_use", "As stated by whoever made the network; research only, not for diagnosis.")
    stated = values.pop("network")
    if not isinstance(stated, dict):
        raise InputError("The entry 'network' of the manifest must be an object such as {\"dimensions\": 3}.")
    _refuse_unknown(stated, {field.name for field in dataclasses.fields(NetworkSpec)})
    ours = {"generator": kind, "preset": "", "schema": SCHEMA}
    try:
        manifest = Manifest.from_dict({**values, **ours, "network": stated}, "to be imported")
        manifest.source_scale(), manifest.result()
    except BundleError as error:
        cause = error.__cause__ or error
        raise InputError(f"The manifest cannot be used: {str(cause).rstrip('.')}.") from error
    return dataclasses.replace(manifest, network=_completed(stated, manifest))


def _refuse_unknown(entries: dict[str, Any], known: set[str]) -> None:
    """A misspelt entry must not be passed over."""
    for name in entries:
        if name not in known:
            raise InputError(f"The manifest has an entry '{name}' that means nothing here; correct or remove it.")


def _completed(stated: dict[str, Any], manifest: Manifest) -> NetworkSpec:
    """The description of the network with what follows from the rest of the manifest."""
    spec = manifest.network
    made = _scaled_channels(manifest)
    if stated.get("in_channels", made) != made:
        raise InputError(
            f"The manifest says that the network takes {spec.in_channels} channel(s), but its intensity scaling gives "
            f"{made}; correct one of them."
        )
    changes: dict[str, Any] = {"in_channels": made}
    if "out_channels" not in stated:
        changes["out_channels"] = manifest.result().channels or manifest.channels
    if "halo" not in stated:
        changes["halo"] = (spec.context, None, None) if spec.dimensions == 2 and spec.planes == (0,) else None
    return _with_tile(dataclasses.replace(spec, **changes), spec.tile)


def _with_tile(spec: NetworkSpec, tile: tuple[int | None, ...] | None) -> NetworkSpec:
    """Along axes of one size only, a result depends on the whole tile, and tiles may start anywhere."""
    if tile is None:
        return spec
    if spec.dimensions == 2 and (spec.planes != (0,) or tile[0] is not None):
        raise InputError(
            "A 2-D network that takes slices of one size takes them along k; state 'tile' as [null, rows, columns]."
        )
    halo = tuple(None if size else halo for size, halo in zip(tile, spec.footprint.halos, strict=True))
    multiple = tuple(1 if size else step for size, step in zip(tile, spec.multiple, strict=True))
    return dataclasses.replace(spec, tile=tile, halo=halo, multiple=multiple)


def _scaled_channels(manifest: Manifest) -> int:
    """Channels that the intensity scaling, and the coordinates if they are asked for, make of a source."""
    components = manifest.channels
    empty = np.zeros((1, 8, 8) if components == 1 else (1, 8, 8, components), np.float32)
    try:
        block = manifest.source_scale().fit(empty).forward(np.zeros((components, 1, 8, 8), np.float32))
    except (InputError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"The intensity scaling does not fit images of {components} component(s).") from error
    return block.shape[0] + (3 if manifest.network.coordinates else 0)


def _with_fixed_sizes(spec: NetworkSpec, taken: list[int | None], given: list[int | None]) -> NetworkSpec:
    """What an ONNX file says of itself, put in or compared with the manifest."""
    if len(taken) != spec.dimensions + 2:
        raise InputError(
            f"The network takes images of {len(taken) - 2} dimensions, the manifest says {spec.dimensions}; correct it."
        )
    batch, channels, *sizes = taken
    if batch not in (None, 1):
        raise InputError(f"The network takes {batch} images at once; export it for one, or for any number.")
    if channels not in (None, foreign.input_channels(spec)):
        raise InputError(
            f"The network takes {channels} channel(s), the manifest describes {foreign.input_channels(spec)} "
            "(components, slices of 'context' and coordinates); correct it."
        )
    if not any(sizes):
        return spec
    tile = (*(None,) * (3 - spec.dimensions), *sizes)
    if spec.tile not in (None, tile):
        raise InputError(f"The network takes images of {tile} voxels, the manifest says {spec.tile}; leave 'tile' out.")
    return _with_tile(spec, tile)


def _try(path: Path, spec: NetworkSpec) -> None:
    """Run the network on blocks of two sizes.

    Raises:
        InputError: it does not take them, or does not give what the manifest says.
    """
    import torch

    network = foreign.open_network(path, spec)
    generator = torch.Generator().manual_seed(0)
    for times in (1, 2):
        shape = (1, foreign.input_channels(spec), *foreign.block_sizes(spec, times))
        try:
            block = torch.rand(shape, generator=generator)
            with torch.inference_mode():
                result = network(block)
        except BundleError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                size = "x".join(map(str, shape))
                raise InputError(f"There is not enough memory to try the network on an image of {size}.") from error
            if isinstance(error, MedGANError):
                raise InputError(str(error)) from error
            raise
        expected = [size * scale for size, scale in zip(shape[2:], spec.scale[-spec.dimensions :], strict=True)]
        if list(result.shape[2:]) != expected or result.shape[1] < spec.out_channels:
            raise InputError(
                f"The network turns {tuple(block.shape[1:])} into {tuple(result.shape[1:])} (channels and sizes), but "
                f"by its manifest {(spec.out_channels, *expected)} was to be expected; correct 'scale', "
                "'out_channels' or 'tile'."
            )
        if not torch.isfinite(result).all():
            raise InputError("The network gives values that are no number for an image from 0 to 1; export it again.")
    _try_halo(network, spec)


def _try_halo(network: Any, spec: NetworkSpec) -> None:
    """Change what lies beyond the stated halo, and see that a voxel in the middle stays as it is.

    Raises:
        InputError: it does not; images cut into tiles would have seams.
    """
    import torch

    generator = torch.Generator().manual_seed(1)
    for axis, (halo, step) in enumerate(zip(spec.footprint.halos, spec.multiple, strict=True)):
        place = axis - 3 + spec.dimensions + 2  # in a batch; slices of a 2-D network lie beside each other
        if halo is None or place < 2 or halo > _LARGEST_HALO:
            continue
        sizes = list(foreign.block_sizes(spec, 1))
        sizes[place - 2] = size = math.ceil((2 * halo + 17) / step) * step
        block = torch.rand((1, foreign.input_channels(spec), *sizes), generator=generator)
        changed = torch.rand(block.shape, generator=generator)
        middle = size // 2
        within = slice(max(middle - halo, 0), middle + halo + 1)
        seen = [slice(None)] * block.ndim
        seen[place] = within
        changed[tuple(seen)] = block[tuple(seen)]
        scale = spec.scale[axis]
        with torch.inference_mode():
            first, second = (network(image).narrow(place, middle * scale, scale) for image in (block, changed))
        if float((first - second).abs().max()) > 1e-4 * max(float(first.abs().max()), 1e-6):
            raise InputError(
                f"The network looks further than the {halo} voxels along {'kji'[axis]} that the manifest states as its "
                "'halo'; correct it, or leave it out."
            )

"""Exports a bundle's generator for software that knows nothing of MedGAN: TorchScript or ONNX.

What is exported is the network alone: ``(batch, channels, [slices,] rows, columns)`` in network units to the same,
every output channel included. Scaling, tiling and padding are described by the bundle's ``configs/metadata.json``,
which has to go with it.
"""

from __future__ import annotations

import errno
import logging
import warnings
from pathlib import Path
from typing import Any

from .bundle import Bundle
from .errors import InputError, missing_package
from .files import replacing

FORMATS = (".ts", ".onnx")
INPUT, OUTPUT = "image", "pred"


def export(bundle: Bundle, path: str | Path) -> Path:
    """Write the generator of a bundle to ``path``; the suffix decides: ``.ts`` (TorchScript) or ``.onnx``.

    Batch size, rows, columns and slices stay free, in multiples of what the network takes; a network of slabs takes
    slabs of the thickness it learnt from.

    Raises:
        InputError: unknown suffix, the bundle has no network (identity), or a package is missing.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise InputError(f"'{path.name}' is no format to export to; end the name in {' or '.join(FORMATS)}.")
    if bundle.manifest.is_identity:
        raise InputError(f"'{bundle.title}' has no network that could be exported.")
    if bundle.manifest.is_foreign:
        raise InputError(f"'{bundle.title}' is an exported network already; copy its {bundle.weights}.")
    generator = bundle.build_generator()
    example = _example(bundle, generator)
    with replacing(path) as beside, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces its next exporter
        if path.suffix == ".ts":
            _write_torchscript(generator, example, beside)
        else:
            _write_onnx(generator, example, bundle, beside)
    return path


def _example(bundle: Bundle, generator: Any) -> Any:
    import torch

    spec = bundle.manifest.network
    channels = spec.in_channels * (2 * spec.context + 1)
    # large enough for every border handling, and no larger: networks of many levels take multiples of 256
    sizes = [max(2, 8 // max(step // 16, 1)) * step for step in spec.multiple[-spec.dimensions :]]
    if _takes_slabs(generator):
        sizes[0] = spec.multiple[0]
    return torch.zeros(2, channels, *sizes)


def _takes_slabs(generator: Any) -> bool:
    """Whether it blends slabs in a loop, which an exported network cannot adapt to another number of slices."""
    from .generators.slabwise import SlabwisePix2Pix3D

    return isinstance(generator, SlabwisePix2Pix3D)


def _write_torchscript(generator: Any, example: Any, path: Path) -> None:
    import torch

    try:
        torch.jit.trace(generator, example).save(str(path))
    except RuntimeError as error:  # this is what torch makes of a folder or disk that cannot be written to
        raise OSError(errno.EIO, "writing failed") from error


def _write_onnx(generator: Any, example: Any, bundle: Bundle, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401  what torch needs for it; its own message is a page long
    except ImportError as error:
        raise InputError(missing_package(error)) from error
    import torch

    spec = bundle.manifest.network
    axes = ("depth", "height", "width")[-spec.dimensions :]
    steps = spec.multiple[-spec.dimensions :]
    free = {0: torch.export.Dim("batch")}
    free |= {2 + axis: step * torch.export.Dim(name) for axis, (name, step) in enumerate(zip(axes, steps, strict=True))}
    if _takes_slabs(generator):
        del free[2]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it lists operators of torchvision that nobody asked for
    program = torch.onnx.export(
        generator,
        (example,),
        dynamo=True,
        verbose=False,
        dynamic_shapes=(free,),
        input_names=[INPUT],
        output_names=[OUTPUT],
    )
    program.save(str(path))

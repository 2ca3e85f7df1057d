"""Foreign networks: generators that somebody else made, as TorchScript or ONNX files.

ONNX is a list of operators. TorchScript is a program, but one without Python, of operators alone: those that read or
write files are refused. A file made by ``torch.save`` can run any code (it is a pickle) and is refused as well.
"""

from __future__ import annotations

import functools
import json
import re
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import memory
from .errors import BundleError, InputError, MedGANError, missing_package
from .network import NetworkSpec

SUFFIXES = {".onnx": "onnx", ".ts": "torchscript", ".pt": "torchscript", ".pth": "torchscript"}
_ONNX_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_FILE_ACCESS = re.compile(rb"\bfrom_file\b|\b(?:torch|aten)\s*\.\s*save\b")
"""The only operators of TorchScript, in its source, that touch files: ``aten::from_file`` and ``aten::save``."""
_MOST_SOURCE_BYTES = 64 * 2**20
_PROBE = 32  # voxels along an axis of the blocks that networks are tried on


def kind_of(path: Path) -> str:
    """ "torchscript" or "onnx", whichever the file is.

    Raises:
        InputError: there is no such file, its suffix is another, or it can run foreign code.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path.name} is no network to import; choose a TorchScript (.ts, .pt) or ONNX (.onnx) file.")
    if kind == "torchscript" and not _is_torchscript(path):
        raise InputError(
            f"{path.name} is no TorchScript but holds its weights in a format that can run foreign code when opened; "
            "ask for the network as TorchScript or ONNX."
        )
    return kind


def open_network(path: Path, spec: NetworkSpec) -> Any:
    """A foreign network as a torch module in evaluation mode, on ``(batch, channels, [k,] j, i)`` as it takes it.

    The file is opened when the module is first used.
    """
    from .generators.foreign import ForeignNetwork

    kind = SUFFIXES[path.suffix.lower()]
    hidden = functools.partial(_onnx_bytes_per_voxel, path, spec) if kind == "onnx" else float
    return ForeignNetwork(functools.partial(_RUNNERS[kind], path), hidden).eval()


def load_network(path: Path, spec: NetworkSpec) -> Any:
    """The same, also on images smaller than the only size it takes."""
    network = open_network(path, spec)
    if spec.tile is None:
        return network
    from .generators.fixed_size import FixedSize

    return FixedSize(network, spec.tile[-spec.dimensions :], spec.scale[-spec.dimensions :]).eval()


def block_sizes(spec: NetworkSpec, times: int = 1) -> tuple[int, ...]:
    """Sizes of a small block that a network takes: ``(k, j, i)``, or ``(j, i)`` for a network of two dimensions."""
    tile = spec.tile or (None, None, None)
    sizes = [fixed or max(1, _PROBE // step) * times * step for fixed, step in zip(tile, spec.multiple, strict=True)]
    return tuple(sizes[-spec.dimensions :])


def input_channels(spec: NetworkSpec) -> int:
    """Channels of the network's input; neighboring slices of a 2-D network count."""
    return spec.in_channels * (2 * spec.context + 1)


def onnx_input(path: Path) -> tuple[list[int | None], list[int | None]]:
    """Shape of the image an ONNX network takes and of the one it gives, None where it is free.

    Raises:
        BundleError: it cannot be loaded, or has several inputs or one that is no image.
    """
    session = _onnx_session(path, "cpu")
    inputs, output = session.get_inputs(), session.get_outputs()[0]
    if len(inputs) != 1 or inputs[0].type not in _ONNX_TYPES or len(inputs[0].shape) not in (4, 5):
        found = ", ".join(f"{one.name} {one.type}" for one in inputs)
        raise BundleError(f"{path.name} takes {found}; only networks that take one image of floats can be used.")
    return tuple([size if isinstance(size, int) else None for size in one.shape] for one in (inputs[0], output))


def _onnx_bytes_per_voxel(path: Path, spec: NetworkSpec) -> float:
    """Memory of everything an ONNX network computes, per voxel of its input, as its runtime reports it."""
    sizes = block_sizes(spec)
    with tempfile.TemporaryDirectory() as folder:
        session = _onnx_session(path, "cpu", profile=Path(folder) / "profile")
        _run_onnx(session, np.zeros((1, input_channels(spec), *sizes), np.float32))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        del session
    kernels = (event["args"] for event in events if event["name"].endswith("_kernel_time"))
    return sum(int(kernel.get("output_size", 0)) for kernel in kernels) / float(np.prod(sizes))


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _refuse_file_access(path: Path) -> None:
    """Raise BundleError for a TorchScript that could overwrite what its user has on disk; before it is loaded."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                with archive.open(name) as stream:
                    source = stream.read(_MOST_SOURCE_BYTES + 1)
                if len(source) > _MOST_SOURCE_BYTES or _FILE_ACCESS.search(source):
                    raise BundleError(f"The network {path.name} reads or writes files on its own; do not trust it.")


def _torchscript_runner(path: Path, device: Any) -> Callable[[Any], Any]:
    import torch

    try:
        _refuse_file_access(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch announces the end of TorchScript
            network = torch.jit.load(str(path), map_location=device).float().eval()
    except (RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BundleError(f"{path.name} cannot be loaded as TorchScript ({reason(error)}); export it again.") from error

    def run(image: Any) -> Any:
        result = network(image)
        return result[0] if isinstance(result, tuple | list) else result

    return run


def _onnx_runner(path: Path, device: Any) -> Callable[[Any], Any]:
    import torch

    session = _onnx_session(path, device)
    one_by_one = session.get_inputs()[0].shape[0] == 1

    def run(image: Any) -> Any:
        parts = image.split(1) if one_by_one else (image,)
        results = [_run_onnx(session, part.cpu().numpy()) for part in parts]
        return torch.from_numpy(np.concatenate(results)).to(image.device)

    return run


_RUNNERS = {"torchscript": _torchscript_runner, "onnx": _onnx_runner}


def _onnx_session(path: Path, device: Any, profile: Path | None = None) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MedGANError(missing_package(error)) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings about operators that nobody asked for
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    providers: list[Any] = ["CPUExecutionProvider"]
    if str(device).startswith("cuda") and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": getattr(device, "index", None) or 0}))
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # of classes that onnxruntime does not publish
        raise BundleError(
            f"{path.name} cannot be loaded as ONNX ({reason(error)}); export it again, as a single file."
        ) from error


def _run_onnx(session: Any, image: np.ndarray) -> np.ndarray:
    """The first output for an image, float32; an error of onnxruntime as one that the tiling understands."""
    entry = session.get_inputs()[0]
    try:
        (result,) = session.run([session.get_outputs()[0].name], {entry.name: image.astype(_ONNX_TYPES[entry.type])})
    except Exception as error:
        if any(
            sign in str(error).lower() for sign in ("allocate memory", "bad_alloc", "bad allocation", "out of memory")
        ):
            raise memory.OutOfMemory from error
        raise
    return result.astype(np.float32)


def reason(error: BaseException) -> str:
    """The line of an error that tells most: TorchScript puts it last, behind where it happened."""
    lines = [line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error:" in line]
    return (told[-1:] or lines or [type(error).__name__])[0][:200]

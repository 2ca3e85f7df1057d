"""Bundle: a trained generator on disk, a valid MONAI bundle with MedGAN's own section in its metadata.

``configs/metadata.json``, ``configs/inference.json``, ``models/model.safetensors``, ``models/selftest.safetensors``,
``docs/README.md``, ``LICENSE``. Loading reads the metadata only; torch is imported by the calls that need the weights.
A network that somebody else made is ``models/model.ts`` or ``models/model.onnx`` instead of weights.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import applicability
from .errors import BundleError, InputError, MedGANError, missing_package
from .files import file_sha256
from .manifest import Manifest
from .options import ApplyOptions
from .tile_plan import Box
from .volume import Geometry, Volume

WEIGHTS = "models/model.safetensors"
NETWORKS = {"torchscript": "models/model.ts", "onnx": "models/model.onnx"}
SELFTEST = "models/selftest.safetensors"
PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".bin")
SELFTEST_TOLERANCE = 0.02  # of the output's range: half precision kernels differ between processors


@dataclass(frozen=True)
class OutputSpec:
    """Array, grid and meaning of one output, known before anything is computed.

    ``keeps_source`` tells whether it is the same kind of image as the source, so that both can be compared and blended.
    """

    shape: tuple[int, ...]
    dtype: str
    geometry: Geometry
    units: str
    modality: str
    keeps_source: bool = True

    def is_like(self, other: OutputSpec) -> bool:
        """Whether both are images of the same meaning on the same grid."""
        same_grid = self.shape == other.shape and self.geometry.is_close(other.geometry)
        return same_grid and (self.units, self.modality) == (other.units, other.modality)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained generator on disk; make one with :meth:`load`.

    Args:
        path: folder. metadata: content of ``configs/metadata.json``. manifest: its MedGAN section.
    """

    path: Path
    metadata: dict[str, Any]
    manifest: Manifest

    @classmethod
    def load(cls, path: str | Path) -> Bundle:
        """Read the metadata of a bundle folder (not the weights).

        Raises:
            BundleError: it is no bundle, damaged, of a newer schema, or its weights are missing or pickled.

        Example:
            >>> Bundle.load("Resources/Models/denoise-ct-multi").task  # doctest: +SKIP
            'denoise-ct'
        """
        path = Path(path)
        if not path.is_dir():
            raise BundleError(f"There is no bundle at {path}; a bundle is a folder with configs/metadata.json.")
        try:
            metadata = json.loads((path / "configs" / "metadata.json").read_text(encoding="utf-8"))
            section = metadata["medgan"]
        except FileNotFoundError:
            raise BundleError(f"{path} is no bundle: it holds no configs/metadata.json.") from None
        except OSError as error:
            raise BundleError(
                f"The metadata of the bundle {path} cannot be read ({error.strerror}); check its permissions."
            ) from error
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BundleError(f"{path} is no MedGAN bundle: its metadata has no readable 'medgan' section.") from None
        manifest = Manifest.from_dict(section, str(path))
        bundle = cls(path, metadata, manifest)
        if not manifest.is_identity and not bundle.weights.is_file():
            raise BundleError(bundle._missing_weights())
        return bundle

    @staticmethod
    def create_identity(path: str | Path, task: str = "denoise-ct", **fields: Any) -> Bundle:
        """Write a bundle whose generator returns its input, to test a pipeline with; needs no torch."""
        from .bundle_writer import write_identity

        return write_identity(Path(path), task, **fields)

    @property
    def name(self) -> str:
        """Folder-safe name."""
        return self.manifest.name

    @property
    def title(self) -> str:
        """Name for people."""
        return self.manifest.title

    @property
    def version(self) -> str:
        """Version of the generator."""
        return str(self.metadata.get("version", ""))

    @property
    def task(self) -> str:
        """Task it does, such as "denoise-ct"."""
        return self.manifest.task

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights as the metadata states it."""
        return self.manifest.sha256

    @property
    def licence(self) -> str:
        """Licence of the weights."""
        return str(self.metadata.get("license", ""))

    @property
    def weights(self) -> Path:
        """The weights file; of a foreign generator the whole network."""
        return self.path / NETWORKS.get(self.manifest.generator, WEIGHTS)

    def outputs(
        self, volume: Volume, options: ApplyOptions | None = None, region: Box | None = None
    ) -> dict[str, OutputSpec]:
        """What applying the bundle to ``volume`` will give: "image", and "spread" if the options ask for one.

        Integers stay integers of the same type where the result has the units of the source; otherwise float32, as the
        spread always is, which is scalar also for colors. The grid is that of the region.

        Args:
            options, region: see :class:`~medgan.synthesizer.Synthesizer`.

        Raises:
            InputError: the volume has the wrong number of components, the region does not lie within it, or the
                options ask for something that this generator cannot do.
        """
        manifest, target = self.manifest, self.manifest.result()
        options = options or ApplyOptions()
        if volume.channels != manifest.channels:
            raise InputError(applicability.wrong_components(volume, manifest))
        options.check_for(manifest)
        grid, box = self.input_region(volume, options, region)
        scale = manifest.network.scale
        shape = tuple(size * factor for size, factor in zip(box.shape, scale, strict=True))
        geometry = grid.geometry
        if any(box.start) or scale != (1, 1, 1):
            geometry = geometry.shifted(box.start[::-1], scale[::-1])
        units = target.units or manifest.units or volume.units
        same_units = target.keeps_source and (units == volume.units or not volume.units)
        dtype = volume.array.dtype if same_units and volume.array.dtype.kind in "iu" else np.dtype(np.float32)
        modality = target.modality or manifest.modality or volume.modality
        channels = target.channels or volume.channels
        full = shape if channels == 1 else (*shape, channels)
        specs = {"image": OutputSpec(full, dtype.name, geometry, units, modality, target.keeps_source)}
        if options.spread != "none":
            specs["spread"] = OutputSpec(shape, "float32", geometry, units, modality, keeps_source=False)
        return specs

    def input_region(self, volume: Volume, options: ApplyOptions, region: Box | None) -> tuple[Volume, Box]:
        """The grid that the network is given (the volume's own, or an empty one of the spacing asked for), and the box
        of it to be computed for a region of the volume (None: all).

        Raises:
            InputError: the region does not lie within the volume, or there is no such grid.
        """
        from .working_grid import covering

        whole = Box((0, 0, 0), volume.grid_shape)
        if region is not None and region.overlap(whole) != region:
            raise InputError(
                f"The region from {region.start} to {region.stop} (k, j, i) is empty or does not lie within the "
                f"volume of {volume.grid_shape} voxels; choose another one."
            )
        if options.target_spacing_mm is None:
            return volume, region or whole
        grid = self.input_grid(volume, options.target_spacing_mm)
        return grid, Box((0, 0, 0), grid.grid_shape) if region is None else covering(region, volume, grid)

    def input_grid(self, volume: Volume, target_spacing_mm: tuple[float, float, float]) -> Volume:
        """The empty grid that a super-resolving network has to be given to yield exactly this spacing.

        Raises:
            InputError: a spacing is not positive or wider than the volume.
        """
        from .working_grid import grid_of_spacing

        factor = self.manifest.network.scale[::-1]
        spacing_mm = ApplyOptions(target_spacing_mm=target_spacing_mm).target_spacing_mm
        extent_mm = volume.geometry.spacing_mm * volume.grid_shape[::-1]
        if any(step > extent for step, extent in zip(spacing_mm, extent_mm, strict=True)):
            raise InputError(f"The target spacing {spacing_mm} mm is wider than the whole volume; choose a finer one.")
        return grid_of_spacing(volume, tuple(step * f for step, f in zip(spacing_mm, factor, strict=True)))

    def applicability(self, volume: Volume) -> list[str]:
        """One sentence for each way in which ``volume`` is unlike the training data; empty if it is alike.

        Raises:
            InputError: it cannot be used at all (NaN or infinite values).
        """
        return applicability.check(volume, self.manifest)

    def judge(self, volume: Volume) -> applicability.Verdict:
        """Whether ``volume`` suits the generator, with the reasons; never raises, see :mod:`medgan.applicability`."""
        return applicability.judge(volume, self.manifest)

    def build_generator(self) -> Any:
        """The generator with its weights, a torch module in evaluation mode on the CPU, float32.

        Raises:
            BundleError: the weights are missing, altered, or do not fit the network.
            MedGANError: PyTorch is not installed.
        """
        from . import recipes
        from .device import require_torch

        self.check_sha256()
        require_torch()
        if self.manifest.is_foreign:
            from .foreign import load_network

            return load_network(self.weights, self.manifest.network)
        try:
            recipe = recipes.recipe_class(self.task).from_dict(self.manifest.recipe)
        except (InputError, KeyError) as error:
            raise BundleError(
                f"The network of '{self.title}' is not known to this version of MedGAN ({str(error).rstrip('.')}); "
                "update MedGAN, or install the bundle again."
            ) from error
        self._check_network(recipe.network_spec())
        state = {key: value.float() for key, value in self._tensors(self.weights).items()}
        generator = recipe.build_generator()
        try:
            generator.load_state_dict(state)
        except RuntimeError as error:
            raise BundleError(
                f"The weights of '{self.title}' do not fit its network; install the bundle again."
            ) from error
        return generator.eval()

    def _check_network(self, spec: Any) -> None:
        """What the metadata says of the network has to be what its recipe builds."""
        stated = self.manifest.network
        names = ("dimensions", "in_channels", "out_channels", "context", "scale", "coordinates")
        wrong = [name for name in names if getattr(stated, name) != getattr(spec, name)]
        if min(stated.multiple) < 1:
            wrong.append("multiple")
        if wrong:
            raise BundleError(
                f"The metadata of '{self.title}' describes another network than its own ({', '.join(wrong)}); "
                "install the bundle again."
            )

    @functools.cached_property
    def measured_sha256(self) -> str:
        """SHA-256 of the weights file as it is."""
        if not self.weights.is_file():
            raise BundleError(self._missing_weights())
        try:
            return file_sha256(self.weights)
        except OSError as error:
            raise BundleError(f"{self.weights} cannot be read ({error.strerror}); check its permissions.") from error

    def check_sha256(self) -> None:
        """Check that the weights are those of the metadata.

        Raises:
            BundleError: they are missing, unreadable or others.
        """
        if self.sha256 != self.measured_sha256:
            raise BundleError(
                f"The weights of '{self.title}' are not the ones its metadata describes (SHA-256 differs); "
                "install it again."
            )

    def verify(self, report: Callable[[str], None] | None = None) -> None:
        """Check everything that can be checked: files, hash, network, halo, self-test.

        Args:
            report: called with a line for every check that passed.

        Raises:
            BundleError: the first check that failed.
        """
        from .verification import verify

        verify(self, report or (lambda line: None))

    def selftest_pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Small physical input and the output it must give, both ``(k, j, i)`` float32."""
        tensors = self._tensors(self.path / SELFTEST)
        return tensors["source"].numpy(), tensors["output"].numpy()

    def _tensors(self, path: Path) -> dict[str, Any]:
        try:
            from safetensors import SafetensorError
            from safetensors.torch import load_file
        except ImportError as error:
            raise MedGANError(missing_package(error)) from error
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise BundleError(f"{path} cannot be read as safetensors; install the bundle again.") from error

    def _missing_weights(self) -> str:
        pickled = [file.name for file in self.path.glob("models/*") if file.suffix in PICKLES]
        if pickled:
            return (
                f"The bundle {self.path} holds its weights as {pickled[0]}, a format that can run foreign code "
                "when opened; ask for a bundle with safetensors weights."
            )
        return f"The bundle {self.path} lacks its weights (models/{self.weights.name}); install it again."

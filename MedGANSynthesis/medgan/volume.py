"""Volume: an image array that never travels without its grid.

Axes. ``Volume.array`` is indexed ``[k, j, i]`` (slice, row, column) or ``[k, j, i, component]``, the order in which
both ``slicer.util.arrayFromVolume`` and ``SimpleITK.GetArrayFromImage`` deliver. Geometry is given for
``(i, j, k)``, the order of ``vtkMRMLVolumeNode`` and SimpleITK.

World. Matrices map voxel indices to millimetres; both conventions are offered under their own names: RAS (right,
anterior, superior: Slicer) and LPS (left, posterior, superior: DICOM, SimpleITK). Converting between them flips two
signs, which is exact. Origin, spacing and axis directions are stored apart, as MRML and SimpleITK store them, so
that a round trip through either returns the same bits instead of a rounded matrix product.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import InputError

_RAS_LPS = np.array([-1.0, -1.0, 1.0])


class _ImageMemory:
    """Keeps a SimpleITK image alive for as long as numpy looks at its voxels (a bare array view would dangle)."""

    def __init__(self, image: Any):
        import SimpleITK as sitk

        self.image = image
        self.__array_interface__ = dict(sitk.GetArrayViewFromImage(image).__array_interface__)


def _vector(values: Any) -> np.ndarray:
    vector = np.array(values, dtype=np.float64).reshape(3)
    vector.flags.writeable = False
    return vector


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the voxels of a grid lie in the patient.

    Args:
        origin_mm: RAS position in mm of the centre of voxel (0, 0, 0).
        spacing_mm: distance in mm between voxel centres along i, j, k; each > 0.
        directions: 3x3, the columns are the RAS unit vectors of the i, j and k axis.

    Raises:
        InputError: a spacing is not positive or the axes are not linearly independent.

    Example:
        >>> Geometry(spacing_mm=(0.8, 0.8, 2.0)).ijk_to_ras[2, 2]
        np.float64(2.0)
    """

    origin_mm: np.ndarray = field(default_factory=lambda: np.zeros(3))
    spacing_mm: np.ndarray = field(default_factory=lambda: np.ones(3))
    directions: np.ndarray = field(default_factory=lambda: np.eye(3))

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin_mm", _vector(self.origin_mm))
        object.__setattr__(self, "spacing_mm", _vector(self.spacing_mm))
        directions = np.array(self.directions, dtype=np.float64).reshape(3, 3)
        directions.flags.writeable = False
        object.__setattr__(self, "directions", directions)
        numbers = np.concatenate([self.origin_mm, self.spacing_mm, directions.ravel()])
        if not np.isfinite(numbers).all() or not (self.spacing_mm > 0).all() or abs(np.linalg.det(directions)) < 1e-6:
            raise InputError(
                f"The image grid is not valid (spacing {self.spacing_mm.tolist()} mm): spacings must be positive "
                "and the three axes independent; correct the geometry in the Volumes module."
            )

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """4x4 matrix from voxel index (i, j, k, 1) to RAS millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.directions * self.spacing_mm
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def ijk_to_lps(self) -> np.ndarray:
        """4x4 matrix from voxel index (i, j, k, 1) to LPS millimetres (DICOM, SimpleITK)."""
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.ijk_to_ras

    @classmethod
    def from_ijk_to_ras(cls, matrix: Any) -> Geometry:
        """Geometry of a 4x4 ijk-to-RAS matrix in mm (column lengths become the spacing)."""
        matrix = np.asarray(matrix, dtype=np.float64).reshape(4, 4)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if not (spacing > 0).all():
            raise InputError("The ijk-to-RAS matrix has a column of zero length, so it describes no grid.")
        return cls(matrix[:3, 3], spacing, matrix[:3, :3] / spacing)

    def shifted(self, ijk: Any, factor: Any = (1, 1, 1)) -> Geometry:
        """The grid whose voxel 0 lies at index ``ijk`` (fractions allowed) and whose voxels are ``factor`` times finer.

        Half-voxel centres are kept: with ``factor`` f a voxel is cut into f equal parts, so the first new centre
        moves by ``-(1 - 1/f) / 2`` old voxels along each axis. This is the exact grid of an f-fold
        super-resolved volume.
        """
        factor = np.asarray(factor, dtype=np.float64)
        index = np.asarray(ijk, dtype=np.float64) - (1.0 - 1.0 / factor) / 2.0
        origin = self.origin_mm + (self.directions * self.spacing_mm) @ index
        return Geometry(origin, self.spacing_mm / factor, self.directions)

    def is_close(self, other: Geometry, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids put every axis within ``tolerance_mm`` per voxel and the origin within
        ``tolerance_mm``.
        """
        return bool(np.allclose(self.ijk_to_ras, other.ijk_to_ras, rtol=0.0, atol=tolerance_mm))

    def to_dict(self) -> dict[str, list]:
        """JSON-ready form; ``Geometry(**geometry.to_dict())`` gives the same bits back."""
        return {
            "origin_mm": self.origin_mm.tolist(),
            "spacing_mm": self.spacing_mm.tolist(),
            "directions": self.directions.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Volume:
    """An image on a grid, in stated units.

    Args:
        array: ``(k, j, i)`` scalar or ``(k, j, i, c)`` multi-component image, any integer or floating type. Not copied.
        geometry: where the voxels lie.
        units: unit of the values, ``"HU"`` for CT, ``""`` where the scale is arbitrary (MR, colour).
        modality: DICOM modality code (``"CT"``, ``"MR"``, ``"SM"`` for slides), ``""`` if unknown.

    Raises:
        InputError: the array is not 3-D or 4-D, is empty, or is not numeric.
    """

    array: np.ndarray
    geometry: Geometry = field(default_factory=Geometry)
    units: str = ""
    modality: str = ""

    def __post_init__(self) -> None:
        if self.array.ndim not in (3, 4) or 0 in self.array.shape:
            raise InputError(f"The image has shape {self.array.shape}; a volume of at least one voxel is needed.")
        if self.array.dtype.kind not in "iuf":
            raise InputError(
                f"Images of type {self.array.dtype} cannot be used; convert it to integers or floats first."
            )

    @property
    def channels(self) -> int:
        """Number of components per voxel: 1 for scalar, 3 for RGB."""
        return 1 if self.array.ndim == 3 else self.array.shape[3]

    @property
    def grid_shape(self) -> tuple[int, int, int]:
        """Voxels along (k, j, i), without the component axis."""
        return self.array.shape[:3]

    @property
    def non_finite(self) -> int:
        """How many values are no number (NaN or infinite)."""
        return 0 if self.array.dtype.kind != "f" else int(self.array.size - np.count_nonzero(np.isfinite(self.array)))

    def with_array(self, array: np.ndarray, **changes: Any) -> Volume:
        """A volume of the same grid, units and modality (unless given) with other voxels."""
        return dataclasses.replace(self, array=array, **changes)

    @classmethod
    def from_sitk(cls, image: Any, units: str = "", modality: str = "") -> Volume:
        """Wrap a SimpleITK image without copying its voxels (the array is a read-only view; 2-D becomes one slice)."""
        array = np.asarray(_ImageMemory(image))
        dimension = image.GetDimension()
        if dimension == 2:
            array = array[np.newaxis]
        elif dimension != 3:
            raise InputError(f"The image has {dimension} dimensions; only 2-D and 3-D images can be used.")
        origin, spacing, directions = np.zeros(3), np.ones(3), np.eye(3)
        origin[:dimension] = image.GetOrigin()
        spacing[:dimension] = image.GetSpacing()
        directions[:dimension, :dimension] = np.reshape(image.GetDirection(), (dimension, dimension))
        geometry = Geometry(origin * _RAS_LPS, spacing, directions * _RAS_LPS[:, np.newaxis])
        return cls(array, geometry, units, modality)

    def to_sitk(self) -> Any:
        """A 3-D SimpleITK image of the same grid and values (copied)."""
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(np.ascontiguousarray(self.array), isVector=self.array.ndim == 4)
        image.SetOrigin((self.geometry.origin_mm * _RAS_LPS).tolist())
        image.SetSpacing(self.geometry.spacing_mm.tolist())
        image.SetDirection((self.geometry.directions * _RAS_LPS[:, np.newaxis]).ravel().tolist())
        return image

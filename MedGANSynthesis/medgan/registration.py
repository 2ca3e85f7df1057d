"""Registration: lay one image of a patient onto another one of another modality or day.

Mattes mutual information (IEEE Trans Med Imaging 2003) maximized from coarse to fine with SimpleITK: rigid first, then,
if asked, affine or a cubic B-spline. Every start is deterministic and everything runs in one thread, so the same images
give the same transform on every machine of a kind.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .alignment import Alignment, clip_range, coarse, measure, shrink_factors
from .body_mask import body_mask
from .errors import InputError
from .volume import Volume

KINDS = ("rigid", "affine", "bspline")
BINS = 32
START_ANGLE = np.radians(20.0)
STARTS_FOLLOWED = 3
SAMPLES = 50_000
SPLINE_MM = 40.0
"""Distance of the control points of the B-spline."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Registration:
    """Where the moving image lies in the fixed one.

    Args:
        kind: "rigid", "affine" or "bspline".
        transform: SimpleITK transform from points of the fixed image to points of the moving image, LPS mm.
        moved: the moving image on the fixed grid (linear interpolation, lowest value outside).
        inside: bool ``(k, j, i)``, where the moving image has voxels.
        mutual_information, body_dice, quality, reason: as of :class:`~medgan.alignment.Alignment`.
    """

    kind: str
    transform: Any
    moved: Volume
    inside: np.ndarray
    mutual_information: float
    body_dice: float
    quality: float
    reason: str

    @property
    def ok(self) -> bool:
        """Whether the result may be used; else ``reason`` says why not."""
        return not self.reason


def register(
    fixed: Volume,
    moving: Volume,
    kind: str = "rigid",
    mask: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Registration:
    """Find the transform that lays ``moving`` onto ``fixed``.

    Starts from the centers of both bodies and from the grids as they are, each with turns of 20 degrees about every
    axis; the best few are followed. Turns much beyond 30 degrees are not found: such pairs come back with ``ok`` False.

    Args:
        fixed: scalar volume, CT in HU or any MR.
        moving: scalar volume, on any grid.
        kind: "rigid", "affine" (scales and shears as well) or "bspline" (then elastic, with control points every
            40 mm).
        mask: bool ``(k, j, i)`` on the fixed grid; only there images are compared while registering.
        progress: called with (fraction, message); an exception it raises stops the registration.

    Raises:
        InputError: an image is no scalar volume of at least four slices or has voxels that are no number, the kind is
            unknown, or the mask is not on the fixed grid.

    Example:
        >>> found = register(mr, ct)  # doctest: +SKIP
        >>> found.ok, found.quality, found.moved  # doctest: +SKIP
    """
    if kind not in KINDS:
        raise InputError(f"There is no registration {kind}; choose one of {', '.join(KINDS)}.")
    if mask is not None and mask.shape != fixed.grid_shape:
        raise InputError(f"The mask has {mask.shape} voxels, the fixed image {fixed.grid_shape}; they must agree.")
    tell = progress or (lambda fraction, message: None)
    small = coarse(fixed), coarse(moving)
    try:
        with _one_thread():
            transform = _find(small, kind, _mask_image(fixed, mask), tell)
    except RuntimeError:  # the metric finds too few common voxels, or nothing but one value
        return _failed(fixed, moving, kind)
    tell(0.85, "Measuring the alignment")
    moved, inside = resample(moving, fixed, transform)
    return _result(kind, transform, moved, inside, measure(fixed, moved, inside))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in another order would give another transform; the metric only heeds the number set for all of ITK."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def resample(moving: Volume, fixed: Volume, transform: Any = None) -> tuple[Volume, np.ndarray]:
    """A volume on the grid of another one.

    Args:
        moving: scalar or multi-component volume.
        fixed: its grid is taken; its values do not matter.
        transform: SimpleITK transform from fixed to moving points; by default the headers are believed.

    Returns:
        the volume (linear interpolation; the lowest value outside; integers rounded), and a bool ``(k, j, i)`` that
        says where it has voxels.
    """
    import SimpleITK as sitk

    transform = sitk.Transform(3, sitk.sitkIdentity) if transform is None else transform
    grid = fixed.with_array(np.zeros(fixed.grid_shape, np.uint8)).to_sitk()
    as_float = moving.with_array(moving.array.astype(np.float32))
    lowest = float(moving.array.min())
    values = sitk.GetArrayFromImage(sitk.Resample(as_float.to_sitk(), grid, transform, sitk.sitkLinear, lowest))
    if moving.array.dtype.kind in "iu":
        values = np.rint(values)
    ones = moving.with_array(np.ones(moving.grid_shape, np.uint8)).to_sitk()
    inside = sitk.GetArrayFromImage(sitk.Resample(ones, grid, transform, sitk.sitkNearestNeighbor, 0.0)) > 0
    return moving.with_array(values.astype(moving.array.dtype), geometry=fixed.geometry), inside


def _result(kind: str, transform: Any, moved: Volume, inside: np.ndarray, found: Alignment) -> Registration:
    return Registration(
        kind, transform, moved, inside, found.mutual_information, found.body_dice, found.quality, found.reason
    )


def _failed(fixed: Volume, moving: Volume, kind: str) -> Registration:
    """The images as they lie, with what is wrong with them."""
    import SimpleITK as sitk

    moved, inside = resample(moving, fixed)
    found = measure(fixed, moved, inside)
    reason = found.reason or "the images have too little in common to be registered"
    return _result(
        kind, sitk.Transform(3, sitk.sitkIdentity), moved, inside, Alignment(0.0, found.body_dice, 0.0, reason)
    )


def _mask_image(fixed: Volume, mask: np.ndarray | None) -> Any:
    return None if mask is None else fixed.with_array(mask.astype(np.uint8)).to_sitk()


def _find(small: tuple[Volume, Volume], kind: str, mask: Any, tell: Progress) -> Any:
    import SimpleITK as sitk

    clipped = [volume.with_array(np.clip(volume.array, *clip_range(volume))) for volume in small]
    levels = {mm: [_level(volume.to_sitk(), mm) for volume in clipped] for mm in (8.0, 4.0, 2.0)}
    tell(0.05, "Looking for a start")
    transform = _best_start(levels[8.0], _starts(*small), mask)
    tell(0.3, "Rigid registration")
    for mm in (4.0, 2.0):
        _optimize(levels[mm], transform, mask, step_mm=mm / 2)
    if kind == "rigid":
        return transform
    tell(0.45, "Affine registration")
    affine = sitk.AffineTransform(3)
    affine.SetCenter(transform.GetCenter())
    affine.SetMatrix(transform.GetMatrix())
    affine.SetTranslation(transform.GetTranslation())
    for mm in (4.0, 2.0):
        _optimize(levels[mm], affine, mask, step_mm=mm / 2)
    if kind == "affine":
        return affine
    tell(0.6, "Elastic registration")
    return _spline(levels[4.0], affine, mask)


def _level(image: Any, spacing_mm: float) -> Any:
    """An image smoothed and shrunk to about this spacing."""
    import SimpleITK as sitk

    factors = shrink_factors(image, spacing_mm)
    if max(factors) == 1:
        return image
    return sitk.BinShrink(sitk.SmoothingRecursiveGaussian(image, 0.35 * spacing_mm), factors)


def _starts(fixed: Volume, moving: Volume) -> list[Any]:
    """Rigid transforms to begin with: bodies center on center or as the headers say, each turned in 27 ways."""
    import SimpleITK as sitk

    center, target = _body_center(fixed), _body_center(moving)
    starts = []
    for shift in (target - center, np.zeros(3)):
        for angles in itertools.product((0.0, -START_ANGLE, START_ANGLE), repeat=3):
            starts.append(sitk.Euler3DTransform(center.tolist(), *angles, shift.tolist()))
    return starts


def _body_center(volume: Volume) -> np.ndarray:
    """Center of the body in LPS mm; of the grid where no body is found."""
    body = body_mask(volume)
    index = np.mean(np.nonzero(body), axis=1) if body.any() else (np.array(volume.grid_shape) - 1) / 2
    return (volume.geometry.ijk_to_lps @ np.append(index[::-1], 1.0))[:3]


def _best_start(images: list[Any], starts: list[Any], mask: Any) -> Any:
    """The start that leads to the highest mutual information on the coarsest level; it is already optimized there.

    Raises:
        RuntimeError: the images overlap in none of the starts.
    """
    scored = []
    for start in starts:
        try:
            method = _method(mask)
            method.SetInitialTransform(start)
            scored.append((method.MetricEvaluate(*images), start))
        except RuntimeError:  # no overlap
            continue
    scored.sort(key=lambda pair: pair[0])
    followed = [(_optimize(images, start, mask, step_mm=8.0), start) for _, start in scored[:STARTS_FOLLOWED]]
    if not followed:
        raise RuntimeError("no overlap")
    return min(followed, key=lambda pair: pair[0])[1]


def _method(mask: Any) -> Any:
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetInterpolator(sitk.sitkLinear)
    if mask is not None:
        method.SetMetricFixedMask(mask)
    return method


def _sample(method: Any, fixed: Any, count: float) -> None:
    """Compare at about ``count`` places only, regularly spread over the fixed image."""
    share = count / fixed.GetNumberOfPixels()
    if share < 1:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(share, 1)


def _optimize(images: list[Any], transform: Any, mask: Any, step_mm: float) -> float:
    """Improve a transform in place; returns the metric (the lower, the better)."""
    method = _method(mask)
    _sample(method, images[0], max(SAMPLES, 0.2 * images[0].GetNumberOfPixels()))
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0,
        minStep=1e-4,
        numberOfIterations=150,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-8,
        estimateLearningRate=method.Once,  # so that no voxel moves further in the first step
        maximumStepSizeInPhysicalUnits=step_mm,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(*images)
    return method.GetMetricValue()


def _spline(images: list[Any], affine: Any, mask: Any) -> Any:
    """The affine transform after an elastic one."""
    import SimpleITK as sitk

    fixed, moving = images
    extent = np.array(fixed.GetSize()) * np.array(fixed.GetSpacing())
    mesh = [int(max(1, round(length / SPLINE_MM))) for length in extent]
    spline = sitk.BSplineTransformInitializer(fixed, mesh, order=3)
    method = _method(mask)
    _sample(method, fixed, SAMPLES)
    method.SetMovingInitialTransform(affine)
    method.SetInitialTransform(spline, inPlace=True)
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=25)
    method.Execute(fixed, moving)
    return sitk.CompositeTransform([affine, spline])

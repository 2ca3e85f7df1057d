"""Registration finds known displacements, and its quality tells good pairs from failed ones."""

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_fixtures import body
from medgan.alignment import measure
from medgan.body_mask import body_mask, dice
from medgan.errors import Cancelled, InputError
from medgan.image_io import read_volume
from medgan.registration import register, resample
from medgan.volume import Geometry, Volume
from shared_data import dataFile


def center_lps(volume: Volume) -> np.ndarray:
    middle = (np.array(volume.grid_shape[::-1]) - 1) / 2
    return (volume.geometry.ijk_to_lps @ np.append(middle, 1.0))[:3]


def displacement(volume: Volume, seed: int, degrees: float = 15.0, millimetres: float = 20.0) -> sitk.Transform:
    """A random rigid transform about the middle of a volume."""
    generator = np.random.default_rng(seed)
    angles = np.radians(generator.uniform(-degrees, degrees, 3))
    shift = generator.uniform(-millimetres, millimetres, 3)
    return sitk.Euler3DTransform(center_lps(volume).tolist(), *angles.tolist(), shift.tolist())


def displaced(volume: Volume, transform: sitk.Transform) -> Volume:
    return resample(volume, volume, transform)[0]


def mean_error_mm(fixed: Volume, applied: sitk.Transform, found: sitk.Transform) -> float:
    """Mean distance by which the points of the body miss their place after both transforms."""
    index = np.argwhere(body_mask(fixed))[::211, ::-1]
    points = (fixed.geometry.ijk_to_lps @ np.column_stack([index, np.ones(len(index))]).T)[:3].T
    landed = np.array([applied.TransformPoint(found.TransformPoint(point.tolist())) for point in points])
    return float(np.linalg.norm(landed - points, axis=1).mean())


@pytest.fixture(scope="module")
def heads() -> tuple[Volume, Volume]:
    """MR and CT of the average head, aligned to about 1 mm."""
    names = (("mr_ct/template_t1_mni_2mm.nii.gz", "MR"), ("mr_ct/template_ct_hu_mni_2mm.nii.gz", "CT"))
    return tuple(read_volume(dataFile(name), modality=modality)[0] for name, modality in names)


@pytest.fixture(scope="module")
def small_heads(heads) -> tuple[Volume, Volume]:
    """The same with voxels of 4 mm, to be quick."""

    def halved(volume: Volume) -> Volume:
        k, j, i = (size // 2 for size in volume.grid_shape)
        means = volume.array[: 2 * k, : 2 * j, : 2 * i].reshape(k, 2, j, 2, i, 2).mean(axis=(1, 3, 5))
        return volume.with_array(means, geometry=volume.geometry.shifted((0, 0, 0), (0.5, 0.5, 0.5)))

    return halved(heads[0]), halved(heads[1])


@pytest.mark.parametrize("seed", [0, 113])
def test_heads_are_laid_onto_each_other_within_two_millimetres(heads, seed):
    mr, ct = heads
    applied = displacement(mr, seed)
    found = register(mr, displaced(ct, applied))
    assert mean_error_mm(mr, applied, sitk.Transform(3, sitk.sitkIdentity)) > 10
    assert mean_error_mm(mr, applied, found.transform) < 2.0
    assert found.ok and found.quality > 0.3 and found.body_dice > 0.9 and found.mutual_information > 0.3


def test_a_head_upside_down_or_back_to_front_is_told(small_heads):
    mr, ct = small_heads
    for axis in (0, 1):
        found = register(mr, ct.with_array(np.ascontiguousarray(np.flip(ct.array, axis))))
        assert not found.ok and found.quality < 0.1
        assert "same anatomy" in found.reason


def test_another_part_of_the_body_is_told(small_heads):
    abdomen = read_volume(dataFile("ct/abdomen_3mm_small_totalseg.nii.gz"), modality="CT")[0]
    found = register(small_heads[0], abdomen)
    assert not found.ok and found.quality == 0.0


def test_small_displacements_cost_quality(small_heads):
    mr, ct = small_heads
    qualities = []
    for shift in (0.0, 3.0, 8.0):
        push = sitk.TranslationTransform(3, (shift, 0.0, 0.0))
        qualities.append(measure(mr, displaced(ct, push)).quality)
    assert qualities[0] > qualities[1] > 0.25 > qualities[2]


def test_phantom_of_any_number_type_on_another_grid_and_twice_the_same():
    mr, ct = body(1, (24, 36, 32), Geometry((-60.0, -70.0, -50.0), (4.0, 4.0, 4.5)))
    applied = displacement(mr, 3, degrees=10, millimetres=12)
    turned = np.ascontiguousarray(displaced(ct, applied).array.transpose(1, 2, 0))[::-1]
    grid = ct.geometry
    axes = np.array([[0.0, 1, 0], [0, 0, -1], [1, 0, 0]])  # i along superior, j along right, k along posterior
    origin = grid.origin_mm + np.array([0, grid.spacing_mm[1] * (ct.grid_shape[1] - 1), 0])
    moving = Volume(turned.astype(np.float64), Geometry(origin, grid.spacing_mm[[2, 0, 1]], axes), "HU", "CT")
    found, again = register(mr, moving), register(mr, moving)
    assert mean_error_mm(mr, applied, found.transform) < 2.0 and found.ok
    assert found.transform.GetParameters() == again.transform.GetParameters()
    np.testing.assert_array_equal(found.moved.array, again.moved.array)
    assert found.moved.geometry.is_close(mr.geometry) and found.moved.array.dtype == np.float64
    assert (found.moved.units, found.moved.modality) == ("HU", "CT")
    assert (found.moved.array[~found.inside] == moving.array.min()).all()


def test_affine_and_elastic_follow_what_rigid_cannot():
    mr, ct = body(2, (24, 36, 32), Geometry((-60.0, -70.0, -50.0), (4.0, 4.0, 4.5)))
    applied = sitk.AffineTransform(3)
    applied.SetCenter(center_lps(ct).tolist())
    applied.SetMatrix((1.12, 0.05, 0, 0, 0.9, 0, 0.04, 0, 1.08))
    stretched = displaced(ct, applied)
    found = {kind: register(mr, stretched, kind) for kind in ("rigid", "affine", "bspline")}
    errors = {kind: mean_error_mm(mr, applied, result.transform) for kind, result in found.items()}
    assert errors["affine"] < 2.0 < 4.0 < errors["rigid"] and errors["bspline"] < 2.0
    assert found["bspline"].body_dice > found["rigid"].body_dice


def test_images_that_cannot_be_registered_fail_with_a_reason():
    mr, ct = body(0)
    empty = ct.with_array(np.full_like(ct.array, -1000))
    assert "moving image: it is empty" in register(mr, empty).reason
    assert not register(empty, ct).ok
    noise = np.random.default_rng(0).normal(0, 300, ct.array.shape).astype(np.float32)
    found = register(mr, ct.with_array(noise))
    assert not found.ok and found.quality < 0.1


def test_wrong_arguments_are_named():
    mr, ct = body(0)
    broken = ct.with_array(np.where(ct.array > 0, np.nan, 0.0))
    cases = (
        ((mr, ct, "warp"), "choose one of rigid, affine, bspline"),
        ((mr, broken), "no number"),
        ((mr, ct.with_array(ct.array[:2])), "at least 4 slices"),
        ((mr, ct.with_array(np.zeros((8, 8, 8, 3), np.uint8))), "Only scalar volumes"),
        ((mr, ct, "rigid", np.ones((2, 2, 2), bool)), r"The mask has \(2, 2, 2\) voxels"),
    )
    for arguments, words in cases:
        with pytest.raises(InputError, match=words):
            register(*arguments)
    with pytest.raises(InputError, match="same grid"):
        measure(mr, ct.with_array(ct.array[:-1]))


def test_it_can_be_stopped():
    def stop(fraction, message):
        if fraction > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        register(*body(0), progress=stop)


def test_mask_limits_what_is_compared():
    """With half of the moving body displaced, the mask says which half is followed."""
    mr, ct = body(1, (24, 36, 32), Geometry((-60.0, -70.0, -50.0), (4.0, 4.0, 4.5)))
    shift = sitk.TranslationTransform(3, (8.0, 0.0, 0.0))
    mixed, half = ct.array.copy(), ct.grid_shape[0] // 2
    mixed[half:] = displaced(ct, shift).array[half:]
    lower, upper = np.zeros(ct.grid_shape, bool), np.zeros(ct.grid_shape, bool)
    lower[:half], upper[half:] = True, True
    moves = [register(mr, ct.with_array(mixed), mask=mask) for mask in (lower, upper)]
    middle = center_lps(mr)
    steps = []
    for found, k in zip(moves, (half // 2, half + half // 2), strict=True):
        point = middle + np.array([0, 0, (k - (ct.grid_shape[0] - 1) / 2) * ct.geometry.spacing_mm[2]])
        steps.append(found.transform.TransformPoint(point.tolist())[0] - point[0])
    assert abs(steps[0]) < 2.0 and abs(steps[1] + 8.0) < 2.0


def test_resampling_keeps_number_type_colors_and_units():
    pixels = np.random.default_rng(0).integers(0, 255, (3, 6, 5, 3)).astype(np.uint8)
    color = Volume(pixels, Geometry((1, 2, 3), (1, 1, 2)), "", "SM")
    same, inside = resample(color, color)
    np.testing.assert_array_equal(same.array, pixels)
    assert inside.all() and same.modality == "SM"
    half, _ = resample(color, Volume(pixels[..., 0], color.geometry.shifted((0, 0.5, 0))))
    expected = np.rint(pixels[:, :-1].astype(np.float64) / 2 + pixels[:, 1:].astype(np.float64) / 2)
    np.testing.assert_allclose(half.array[:, :-1], expected, atol=1)
    assert half.array.dtype == np.uint8


def test_body_of_phantoms():
    mr, ct = body(0)
    assert dice(body_mask(mr), ct.array > -500) > 0.97 and dice(body_mask(ct), ct.array > -500) > 0.99
    table = ct.array.copy()
    table[:, 28, 4:22] = 0  # a table under the body is not the body
    assert dice(body_mask(ct.with_array(table)), body_mask(ct)) > 0.99
    hollow = ct.array.copy()
    hollow[8:12, 12:17, 10:15] = -1000  # what the body encloses is
    np.testing.assert_array_equal(body_mask(ct.with_array(hollow)), body_mask(ct))
    assert not body_mask(ct.with_array(np.full_like(ct.array, -1000))).any()
    assert not body_mask(mr.with_array(np.zeros_like(mr.array))).any()
    inside = mr.with_array(np.random.default_rng(0).integers(90, 110, (6, 8, 8)).astype(np.int16))
    assert body_mask(inside).shape == (6, 8, 8)
    slide = np.full((1, 40, 40, 3), 245, np.uint8)
    slide[0, 10:30, 10:30] = (200, 120, 180)
    expected = (slide < 220).any(axis=-1)
    assert dice(body_mask(Volume(slide)), expected) > 0.97
    with pytest.raises(InputError, match="no number"):
        body_mask(ct.with_array(np.where(ct.array > 0, np.nan, 0.0)))
    assert dice(np.zeros(3, bool), np.zeros(3, bool)) == 0.0

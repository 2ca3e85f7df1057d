"""DICOM reading: every series ends as a right volume or as one clear sentence."""

import re

import numpy as np
import pytest
import SimpleITK as sitk
from medgan.dicom import read_dicom
from synthetic_dicom import Plane, axialPlanes, refusal, rotated, writeEnhanced, writeSeries

OBLIQUE = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])


def test_regular_series_is_sorted_rescaled_and_placed_in_ras(tmp_path):
    planes = axialPlanes()
    uid = writeSeries(tmp_path, planes, SeriesDescription="Thorax", SeriesNumber=4)
    image = read_dicom(tmp_path)
    expected = np.stack([p.stored.astype(int) - 1024 for p in planes])
    np.testing.assert_array_equal(image.volume.array, expected)
    assert image.volume.array.dtype == np.int16
    assert (image.volume.units, image.volume.modality, image.notes) == ("HU", "CT", [])
    assert image.source == {"Modality": "CT", "SeriesInstanceUID": uid, "SeriesDescription": "Thorax"}
    np.testing.assert_allclose(image.volume.geometry.spacing_mm, [0.5, 0.7, 2.0])
    np.testing.assert_allclose(image.volume.geometry.origin_mm, [-10, -20, 30])
    np.testing.assert_allclose(image.volume.geometry.directions, np.diag([-1.0, -1, 1]))


@pytest.mark.parametrize("flip", [1, -1])
def test_oblique_series_agrees_with_simpleitk(tmp_path, flip):
    turned = rotated(axialPlanes(), OBLIQUE)
    for plane in turned:  # flip -1: columns run the other way, so the stack order along the normal is reversed
        plane.orientation = np.concatenate([plane.orientation[:3] * flip, plane.orientation[3:]])
    writeSeries(tmp_path, turned)
    volume = read_dicom(tmp_path).volume
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    reference = reader.Execute()
    for ijk in [(0, 0, 0), (3, 5, 4), (1, 2, 3)]:
        lps = (volume.geometry.ijk_to_lps @ [*ijk, 1.0])[:3]
        index = reference.TransformPhysicalPointToIndex(lps.tolist())
        np.testing.assert_allclose(reference.TransformIndexToPhysicalPoint(index), lps, atol=1e-6)
        assert reference[index] == volume.array[ijk[::-1]]


def test_missing_slices_are_named_with_their_gap(tmp_path):
    planes = axialPlanes(9)
    writeSeries(tmp_path, [p for k, p in enumerate(planes) if k not in (3, 6, 7)])
    text = refusal(tmp_path)
    assert "3 slices are missing" in text and "2 mm apart" in text
    assert "4 mm after 34.00 mm" in text and "6 mm after 40.00 mm" in text


def test_duplicate_positions_are_refused_but_copies_of_a_file_are_not(tmp_path):
    planes = axialPlanes()
    writeSeries(tmp_path / "copied", planes)
    first = next((tmp_path / "copied").iterdir())
    first.with_name("copy.dcm").write_bytes(first.read_bytes())
    image = read_dicom(tmp_path / "copied")
    assert image.volume.grid_shape == (5, 6, 4) and any("copies" in note for note in image.notes)
    writeSeries(tmp_path / "double", [*planes, Plane(planes[2].stored, planes[2].position_mm, planes[2].orientation)])
    assert "duplicate positions (34.00 mm" in refusal(tmp_path / "double")


def test_two_images_everywhere_are_called_time_points_or_echoes(tmp_path):
    writeSeries(tmp_path, axialPlanes() + axialPlanes(seed=1))
    assert "2 images at each of its 5 positions" in refusal(tmp_path)


def test_variable_gaps_are_named(tmp_path):
    planes = axialPlanes(6)
    for plane, z in zip(planes, (0, 2, 4, 6.7, 9.4, 12.1), strict=True):
        plane.position_mm[2] = z
    writeSeries(tmp_path, planes)
    assert "vary from 2 to 2.7 mm" in refusal(tmp_path)


def test_positions_rounded_by_the_header_are_accepted(tmp_path):
    planes = axialPlanes(40, distance_mm=0.625)
    exact = [p.position_mm[2] for p in planes]
    for plane in planes:
        plane.position_mm[2] = round(plane.position_mm[2], 1)
    writeSeries(tmp_path, planes)
    image = read_dicom(tmp_path)
    k_mm = [(image.volume.geometry.ijk_to_ras @ [0, 0, k, 1])[2] for k in range(40)]
    np.testing.assert_allclose(k_mm, exact, atol=0.1)
    assert any("off a regular grid" in note for note in image.notes)


@pytest.mark.parametrize("degrees", [-20.0, 1.5, 12.5])
def test_gantry_tilt_is_measured(tmp_path, degrees):
    planes = axialPlanes(12)
    angle = np.radians(degrees)
    for plane in planes:
        plane.orientation = np.array([1, 0, 0, 0, np.cos(angle), np.sin(angle)])
    writeSeries(tmp_path, planes)
    assert f"gantry tilt of {abs(degrees):.1f} degrees" in refusal(tmp_path)


def test_slices_moved_sideways_are_refused(tmp_path):
    planes = axialPlanes()
    planes[2].position_mm[0] += 3.0
    writeSeries(tmp_path, planes)
    assert "moved sideways" in refusal(tmp_path)


def test_mixed_orientations_sizes_and_spacings_are_refused(tmp_path):
    planes = axialPlanes()
    planes[0].orientation = np.array([0.0, 1, 0, 0, 0, -1])
    writeSeries(tmp_path / "turned", planes)
    assert "4 axial, 1 sagittal" in refusal(tmp_path / "turned")
    writeSeries(tmp_path / "sized", axialPlanes(3) + axialPlanes(1, rows=8))
    assert "different sizes (3 of 4x6 pixels, 1 of 4x8 pixels)" in refusal(tmp_path / "sized")
    planes = axialPlanes()
    planes[4].extra["PixelSpacing"] = [0.9, 0.9]
    writeSeries(tmp_path / "spaced", planes)
    assert "pixel spacings" in refusal(tmp_path / "spaced")


def test_two_series_are_listed_and_chosen(tmp_path):
    first, second = axialPlanes(3), axialPlanes(4, seed=1)
    uid = writeSeries(tmp_path / "a", first, SeriesNumber=2, SeriesDescription="soft")
    writeSeries(tmp_path / "b", second, SeriesNumber=3, SeriesDescription="bone")
    text = refusal(tmp_path)
    assert 'Series 2 "soft" (CT, 3 images); Series 3 "bone" (CT, 4 images)' in text and "--series" in text
    for wanted, planes in ((uid, first), ("2", first), ("bone", second)):
        array = read_dicom(tmp_path, series=wanted).volume.array
        np.testing.assert_array_equal(array, [p.stored.astype(int) - 1024 for p in planes])
    assert "no series 9" in refusal(tmp_path, series="9")


def test_series_of_equal_number_are_told_apart_by_uid(tmp_path):
    uids = [writeSeries(tmp_path, axialPlanes(3, seed=n), SeriesNumber=1) for n in range(2)]
    for text in (refusal(tmp_path), refusal(tmp_path, series="1")):
        assert uids[0] in text and uids[1] in text


def test_localizers_and_reports_are_left_out_with_a_note(tmp_path):
    writeSeries(tmp_path, axialPlanes())
    writeSeries(tmp_path / "scout", axialPlanes(2), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    writeSeries(tmp_path / "seg", axialPlanes(1), Modality="SEG")
    (tmp_path / "notes.txt").write_text("not an image")
    image = read_dicom(tmp_path)
    assert image.volume.grid_shape == (5, 6, 4)
    assert image.notes[0] == "2 localizer images were ignored." and image.notes[1].startswith("1 DICOM objects")
    assert "2 localizers" in refusal(tmp_path / "scout")


def test_every_slice_has_its_own_rescale(tmp_path):
    planes = axialPlanes()
    for k, plane in enumerate(planes):
        plane.extra.update(RescaleSlope=k + 1, RescaleIntercept=-100 * k)
    writeSeries(tmp_path / "whole", planes)
    array = read_dicom(tmp_path / "whole").volume.array
    expected = np.stack([p.stored.astype(float) * (k + 1) - 100 * k for k, p in enumerate(planes)])
    assert array.dtype.kind == "i"
    np.testing.assert_array_equal(array, expected)
    for k, plane in enumerate(planes):
        plane.extra.update(RescaleSlope=f"0.{k + 1}25")
    writeSeries(tmp_path / "fraction", planes)
    array = read_dicom(tmp_path / "fraction").volume.array
    expected = np.stack([p.stored * float(p.extra["RescaleSlope"]) - 100 * k for k, p in enumerate(planes)])
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, rtol=1e-6)


def test_signed_values_and_unused_bits(tmp_path):
    planes = axialPlanes()
    for plane in planes:
        plane.stored = plane.stored.astype(np.int16) - 2048
    writeSeries(tmp_path / "signed", planes, RescaleIntercept=0)
    image = read_dicom(tmp_path / "signed")
    np.testing.assert_array_equal(image.volume.array, [p.stored for p in planes])
    assert image.volume.units == "HU"
    overlaid = axialPlanes()
    clean = np.stack([p.stored.astype(int) - 1024 for p in overlaid])
    for plane in overlaid:
        plane.stored = plane.stored | np.uint16(0x8000)
    writeSeries(tmp_path / "overlay", overlaid, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_dicom(tmp_path / "overlay").volume.array, clean)


@pytest.mark.parametrize(
    "header", [{"RescaleSlope": None, "RescaleIntercept": None}, {"RescaleIntercept": 0}], ids=["absent", "zero"]
)
def test_unsigned_ct_without_rescale_is_not_called_hu(tmp_path, header):
    writeSeries(tmp_path, axialPlanes(), **header)
    image = read_dicom(tmp_path)
    assert (image.volume.units, image.volume.modality) == ("", "CT")
    assert any("raw" in note and "HU" in note for note in image.notes)
    assert image.volume.array.dtype == np.uint16


def test_ct_of_another_rescale_type_and_mr_are_not_called_hu(tmp_path):
    writeSeries(tmp_path / "perfusion", axialPlanes(), RescaleType="ML/100ML/S")
    assert read_dicom(tmp_path / "perfusion").volume.units == ""
    writeSeries(tmp_path / "mr", axialPlanes(), Modality="MR")
    image = read_dicom(tmp_path / "mr")
    assert (image.volume.units, image.volume.modality, image.notes) == ("", "MR", [])


def test_enhanced_multi_frame_has_positions_and_rescale_per_frame(tmp_path):
    planes = rotated(axialPlanes(), OBLIQUE)
    order = [3, 0, 4, 1, 2]
    rescales = [(1.0, -1024.0), (2.0, -1000.0), (1.0, 0.0), (3.0, -5.0), (1.0, -1.0)]
    writeEnhanced(tmp_path / "e.dcm", [planes[k] for k in order], [rescales[k] for k in order])
    volume = read_dicom(tmp_path / "e.dcm").volume
    expected = np.stack([p.stored * slope + offset for p, (slope, offset) in zip(planes, rescales, strict=True)])
    np.testing.assert_array_equal(volume.array, expected)
    assert volume.units == "HU"
    np.testing.assert_allclose(volume.geometry.spacing_mm, [0.5, 0.7, 2.0])
    np.testing.assert_allclose(volume.geometry.origin_mm * [-1, -1, 1], planes[0].position_mm)
    writeEnhanced(tmp_path / "gap.dcm", [planes[k] for k in (0, 1, 4)], rescales[:3])
    assert "2 slices are missing" in refusal(tmp_path / "gap.dcm")


def test_single_slice_takes_its_thickness_and_says_so(tmp_path):
    writeSeries(tmp_path, axialPlanes(1))
    np.testing.assert_allclose(read_dicom(tmp_path).volume.geometry.spacing_mm, [0.5, 0.7, 3.0])
    writeSeries(tmp_path / "bare", axialPlanes(1), SliceThickness=None)
    assert any("thickness" in note for note in read_dicom(tmp_path / "bare").notes)


def test_file_without_the_standard_prefix_is_read(tmp_path):
    planes = axialPlanes()
    writeSeries(tmp_path, planes, prefix=False)
    np.testing.assert_array_equal(read_dicom(tmp_path).volume.array, [p.stored.astype(int) - 1024 for p in planes])


def test_damaged_missing_and_empty(tmp_path):
    writeSeries(tmp_path / "cut", axialPlanes(3, rows=64, columns=64))
    victim = next((tmp_path / "cut").iterdir())
    victim.write_bytes(victim.read_bytes()[:-3000])
    assert victim.name in refusal(tmp_path / "cut")
    (tmp_path / "empty").mkdir()
    assert "no DICOM image" in refusal(tmp_path / "empty")
    assert "There is no file or folder" in refusal(tmp_path / "nowhere")
    writeSeries(tmp_path / "lost", axialPlanes(3), ImagePositionPatient=None)
    assert "3 of them state no position" in refusal(tmp_path / "lost")


def test_nothing_of_the_patient_is_kept(tmp_path):
    writeSeries(tmp_path, axialPlanes())
    image = read_dicom(tmp_path)
    assert not re.search("secret", repr(image) + repr(vars(image.volume)), re.IGNORECASE)

"""DICOM reading: every series ends as a right volume or as one clear sentence."""

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from medgan.dicom import read_dicom
from medgan.errors import InputError
from shared_data import unpacked
from synthetic_dicom import Plane, axialPlanes, rotated, writeEnhanced, writeSeries

OBLIQUE = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])


def refusal(path: Path, **arguments) -> str:
    """The sentence with which a series is refused."""
    with pytest.raises(InputError) as caught:
        read_dicom(path, **arguments)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


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


@pytest.fixture(scope="module")
def unpackFolder(tmp_path_factory):
    return tmp_path_factory.mktemp("dicom")


def test_real_head_with_tilt_is_refused(unpackFolder):
    text = refusal(unpacked("dicom_edge/ge_head_ct_gantry_tilt_variable_spacing.tar.xz", unpackFolder))
    assert "gantry tilt of 18.5 degrees" in text and "1.081 to 6.999 mm" in text


def test_real_series_in_five_transfer_syntaxes_has_the_same_voxels(unpackFolder):
    root = unpacked("dicom_edge/dicom2nifti_compressed_mr.tar.xz", unpackFolder)
    images = {folder.name: read_dicom(folder).volume for folder in sorted(root.rglob("compressed*")) if folder.is_dir()}
    assert set(images) == {
        "compressed", "compressed_j2k", "compressed_jpeg", "compressed_jpegls", "compressed_rle"
    }  # fmt: skip
    first = images["compressed"]
    assert first.grid_shape == (4, 256, 256) and first.array.max() == 254 and first.modality == "MR"
    for volume in images.values():
        np.testing.assert_array_equal(volume.array, first.array)
        assert volume.geometry.is_close(first.geometry, 0.0)


def test_real_series_with_fractional_slopes_of_their_own(unpackFolder):
    root = unpacked("dicom_edge/dicom2nifti_compressed_mr.tar.xz", unpackFolder)
    folder = next(root.rglob("002_non_isotropic"))
    volume = read_dicom(folder).volume
    slices = [sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0] for path in sorted(folder.iterdir())]
    np.testing.assert_allclose(volume.array, slices, rtol=1e-5)
    np.testing.assert_allclose(volume.geometry.spacing_mm, [6.4, 4.0, 0.5], atol=1e-4)


def test_real_mosaic_is_refused_in_every_transfer_syntax(unpackFolder):
    folder = unpacked("dicom_edge/dcm_qa_ts_transfer_syntaxes.tar.xz", unpackFolder)
    files = sorted(folder.rglob("*.dcm"))
    assert len(files) == 9
    for file in files:
        assert "mosaic" in refusal(file)


def test_real_mosaic_pixels_decode_alike_in_nine_transfer_syntaxes(unpackFolder):
    from medgan.dicom_pixels import read_stored

    folder = unpacked("dicom_edge/dcm_qa_ts_transfer_syntaxes.tar.xz", unpackFolder)
    arrays = [read_stored(file) for file in sorted(folder.rglob("*.dcm"))]
    assert arrays[0].max() == 2362
    for array in arrays:
        assert array.dtype.isnative
        np.testing.assert_array_equal(array, arrays[0])


def test_real_odd_files_end_in_a_volume_or_a_sentence(unpackFolder):
    folder = unpacked("dicom_edge/pydicom_data_enhanced_bigendian_etc.tar.xz", unpackFolder)
    read, refused = {}, {}
    for file in sorted(folder.rglob("*.dcm")):
        try:
            read[file.stem] = read_dicom(file).volume
        except InputError:
            refused[file.stem] = refusal(file)
    assert set(read) == {"693_J2KR", "JPEG-LL", "MR2_J2KI", "bad_sequence", "eCT_Supplemental", "explicit_VR-UN"}
    assert all("no position for each" in text for stem, text in refused.items() if stem.startswith("emri"))
    assert all("no DICOM image" in text for stem, text in refused.items() if stem.startswith("liver"))
    for stem in ("693_J2KR", "bad_sequence", "explicit_VR-UN", "JPEG-LL"):
        reference = sitk.ReadImage(str(next(folder.rglob(f"{stem}.dcm"))))
        np.testing.assert_array_equal(read[stem].array, sitk.GetArrayFromImage(reference))
    perfusion = read["eCT_Supplemental"]
    assert (perfusion.grid_shape, perfusion.units) == ((2, 512, 512), "")
    assert perfusion.geometry.spacing_mm[2] == pytest.approx(10.0)
    assert "7 series" in refusal(folder)


def test_real_jpeg_2000_head_is_read_right(unpackFolder):
    folder = unpacked("ct/head_neck_contrast_1mm_weasis_dicom_j2k_185.tar.xz", unpackFolder)
    image = read_dicom(folder)
    assert image.volume.grid_shape == (185, 512, 512) and image.volume.units == "HU"
    assert any("lossy" in note for note in image.notes)
    np.testing.assert_allclose(image.volume.geometry.spacing_mm, [0.541015625, 0.541015625, 1.0])
    reader = sitk.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(str(next(p for p in folder.rglob("*") if p.is_file()).parent))
    for k in (0, 100, 184):  # GDCM orders by position; it decodes with its own JPEG 2000
        reference = sitk.ReadImage(files[k])
        np.testing.assert_array_equal(image.volume.array[k], sitk.GetArrayFromImage(reference)[0])
        lps = (image.volume.geometry.ijk_to_lps @ [0, 0, k, 1.0])[:3]
        np.testing.assert_allclose(lps, reference.GetOrigin(), atol=1e-4)

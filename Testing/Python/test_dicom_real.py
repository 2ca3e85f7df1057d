"""DICOM reading on real series (see shared_data.py): each ends as a right volume or as one clear sentence."""

import numpy as np
import pytest
import SimpleITK as sitk
from medgan.dicom import read_dicom
from medgan.dicom_pixels import read_stored
from medgan.errors import InputError
from shared_data import unpacked
from synthetic_dicom import refusal


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


@pytest.mark.parametrize("kind", ["compressed_jpeg", "compressed_jpegls", "compressed_j2k", "compressed_rle"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_real_compressed_file_cut_short_is_refused(unpackFolder, tmp_path, kind, kept):
    root = unpacked("dicom_edge/dicom2nifti_compressed_mr.tar.xz", unpackFolder)
    for number, file in enumerate(sorted(next(root.rglob(kind)).rglob("*.dcm"))):
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[: int(len(content) * kept)] if number == 0 else content)
    assert "IM-0001-0001-0001.dcm" in refusal(tmp_path)

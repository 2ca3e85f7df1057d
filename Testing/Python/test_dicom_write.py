"""A synthetic volume as a derived DICOM series: what is read back, and what its header tells."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from client_fixtures import oblique_volume
from medgan.dicom import read_dicom
from medgan.dicom_write import write_derived_series
from medgan.errors import InputError
from medgan.provenance import SYNTHETIC
from medgan.volume import Geometry, Volume
from synthetic_dicom import axialPlanes, writeSeries

FACTS = {
    "Note": SYNTHETIC,
    "Model": "denoise-ct-multi",
    "ModelVersion": "1.0.0",
    "ModelSHA256": "ab" * 32,
    "Task": "denoise-ct",
    "Parameters": '{"strength": 0.7}',
    "MedGANVersion": "0.3.0",
}


def headers(paths):
    return [pydicom.dcmread(path) for path in paths]


def source_series(folder, **common):
    writeSeries(folder, axialPlanes(count=6, distance_mm=2.0), **common)
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.iterdir())]


def physical_points(volume):
    """Value by RAS position, whatever the order of the slices."""
    shape = volume.grid_shape
    k, j, i = np.indices(shape).reshape(3, -1)
    points = (volume.geometry.ijk_to_ras @ np.stack([i, j, k, np.ones_like(i)]))[:3].T
    order = np.lexsort(np.round(points, 3).T)
    return points[order], volume.array.reshape(-1)[order]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_roundTripKeepsGridAndValues(tmp_path, dtype, seed):
    volume = oblique_volume(np.int16, seed=seed)
    array = volume.array.astype(dtype) / (8 if dtype is np.float32 else 1)
    volume = volume.with_array(array.astype(dtype))
    write_derived_series(volume, tmp_path / "series", FACTS)
    back = read_dicom(tmp_path / "series").volume
    assert (back.units, back.modality) == ("HU", "CT")
    (points, values), (points2, values2) = physical_points(volume), physical_points(back)
    assert np.abs(points - points2).max() < 1e-4
    assert np.abs(values.astype(float) - values2).max() <= (0 if dtype is np.int16 else 0.5)


def test_arbitraryUnitsKeepSixteenBits(tmp_path):
    rng = np.random.default_rng(3)
    volume = Volume(rng.normal(300, 90, (4, 9, 7)).astype(np.float32), Geometry(), "", "MR")
    paths = write_derived_series(volume, tmp_path / "mr", FACTS)
    back = read_dicom(tmp_path / "mr").volume
    assert np.abs(back.array - volume.array).max() <= np.ptp(volume.array) / 65535
    first = pydicom.dcmread(paths[0])
    assert first.SOPClassUID == pydicom.uid.MRImageStorage
    assert float(first.SpacingBetweenSlices) == 1.0


def test_otherReadersSeeTheSame(tmp_path):
    """GDCM, through SimpleITK, reads what Slicer reads with."""
    volume = oblique_volume(np.int16, seed=5)
    paths = write_derived_series(volume, tmp_path / "series", FACTS)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    back = Volume.from_sitk(reader.Execute(), "HU", "CT")
    (points, values), (points2, values2) = physical_points(volume), physical_points(back)
    assert np.abs(points - points2).max() < 1e-3
    assert np.array_equal(values, values2)


def test_belongsToTheSourceButIsNew(tmp_path):
    sources = source_series(tmp_path / "source", PatientName="Doe^Jane", StudyInstanceUID="1.2.3.4", SeriesNumber=4)
    frame = sources[0].get("FrameOfReferenceUID")
    volume = read_dicom(tmp_path / "source").volume
    paths = write_derived_series(volume, tmp_path / "made", FACTS, sources, description="Thorax denoised")
    made = headers(paths)
    assert {str(one.PatientName) for one in made} == {"Doe^Jane"}
    assert {one.StudyInstanceUID for one in made} == {"1.2.3.4"}
    assert frame is None or {one.FrameOfReferenceUID for one in made} == {frame}
    series, instances = {one.SeriesInstanceUID for one in made}, {one.SOPInstanceUID for one in made}
    assert len(series) == 1 and len(instances) == len(made)
    assert not series & {one.SeriesInstanceUID for one in sources}
    assert not instances & {one.SOPInstanceUID for one in sources}
    assert made[0].SeriesNumber == 1004 and made[0].SeriesDescription == "Thorax denoised"


def test_headerSaysThatItIsSynthetic(tmp_path):
    sources = source_series(tmp_path / "source")
    volume = read_dicom(tmp_path / "source").volume
    for made in headers(write_derived_series(volume, tmp_path / "made", FACTS, sources, window=(50, 350))):
        assert list(made.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        assert made.SyntheticData == "YES"
        assert made.DerivationDescription.startswith("SYNTHETIC") and "denoise-ct-multi" in made.DerivationDescription
        assert made.DerivationCodeSequence[0].CodingSchemeDesignator == "99MEDGAN"
        equipment = made.ContributingEquipmentSequence[-1]
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"  # CT to CT: processing
        assert (made.RescaleSlope, made.RescaleIntercept, made.RescaleType) == (1, 0, "HU")
        assert (made.WindowCenter, made.WindowWidth) == (50, 350)
        (used,) = made.SourceImageSequence  # the source has its slices in the same places
        source = next(one for one in sources if one.SOPInstanceUID == used.ReferencedSOPInstanceUID)
        assert source.ImagePositionPatient == made.ImagePositionPatient
        assert used.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_anotherModalityIsSynthesized(tmp_path):
    sources = source_series(tmp_path / "source", Modality="MR")
    volume = read_dicom(tmp_path / "source").volume.with_array(
        np.zeros((6, 6, 4), np.float32), units="HU", modality="CT"
    )
    made = pydicom.dcmread(write_derived_series(volume, tmp_path / "made", FACTS, sources)[0])
    assert made.Modality == "CT" and made.SOPClassUID == pydicom.uid.CTImageStorage
    assert made.ContributingEquipmentSequence[-1].PurposeOfReferenceCodeSequence[0].CodeValue == "109100"


def test_finerSlicesNameTheSourcesAroundThem(tmp_path):
    sources = source_series(tmp_path / "source")
    coarse = read_dicom(tmp_path / "source").volume
    fine = Volume(np.repeat(coarse.array, 4, axis=0), coarse.geometry.shifted((0, 0, 0), (1, 1, 4)), "HU", "CT")
    made = headers(write_derived_series(fine, tmp_path / "made", {**FACTS, "Task": "superres-mr"}, sources))
    assert len(made) == 24 and all(1 <= len(one.SourceImageSequence) <= 2 for one in made)
    assert [code.CodeValue for code in made[0].DerivationCodeSequence] == ["SYNTHESIS", "113085"]


def test_colors(tmp_path):
    array = np.random.default_rng(1).integers(0, 256, (1, 5, 7, 3), dtype=np.uint8)
    (path,) = write_derived_series(Volume(array, Geometry(), "", "SM"), tmp_path / "made", FACTS)
    made = pydicom.dcmread(path)
    assert made.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage and made.Modality == "SM"
    assert np.array_equal(made.pixel_array, array[0])


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", "GB18030"])
def test_textsOfTheSourceKeepTheirLetters(tmp_path, charset):
    """Those within a sequence too, which pydicom keeps as the bytes they are in the file."""
    (first, *_others) = source_series(tmp_path / "source")
    first.SpecificCharacterSet, first.PatientName = charset, "Müller^Änne"
    machine = pydicom.Dataset()
    machine.Manufacturer, machine.InstitutionName = "Größe", "Universität"
    first.ContributingEquipmentSequence = [machine]
    first.save_as(tmp_path / "first.dcm")
    (path, *_) = write_derived_series(
        oblique_volume(), tmp_path / "made", FACTS, [pydicom.dcmread(tmp_path / "first.dcm")]
    )
    made = pydicom.dcmread(path)
    earlier, ours = made.ContributingEquipmentSequence
    assert (str(made.PatientName), earlier.InstitutionName, ours.Manufacturer) == (
        "Müller^Änne",
        "Universität",
        "MedGAN",
    )


def test_sourcesAgainstTheStandard(tmp_path):
    """What scanners and anonymizers leave out or get wrong is left out; the rest is exported."""
    volume = oblique_volume()
    for number, (keyword, value) in enumerate(
        (("PatientWeight", b"80 kg "), ("PatientSize", b"1,80"), ("ImagePositionPatient", b"1\\\\3 "),
         ("ImagePositionPatient", b"a\\b\\c "), ("SOPClassUID", None), ("SeriesNumber", b"2147483647"),
         ("PatientPosition", None), ("SeriesNumber", b"first "))
    ):  # fmt: skip
        (first, *_others) = source_series(tmp_path / f"source{number}", PatientName="Doe^Jane")
        tag = pydicom.tag.Tag(keyword)
        first.pop(tag, None)
        if value is not None:
            kind = pydicom.datadict.dictionary_VR(tag)
            first._dict[tag] = pydicom.dataelem.RawDataElement(tag, kind, len(value), value, 0, False, True)
        (path, *_) = write_derived_series(volume, tmp_path / f"made{number}", FACTS, [first], description="a\\b\nc")
        made = pydicom.dcmread(path)
        assert (str(made.PatientName), made.SeriesDescription) == ("Doe^Jane", "a/b c")
        assert "PatientPosition" in made and ("SourceImageSequence" in made) == (keyword != "SOPClassUID")
        assert 0 < made.SeriesNumber < 2**31


def test_tagsThatDicomCannotHoldAreOneSentence(tmp_path):
    for tags in ({"SeriesNumber": "first"}, {"PatientWeight": "80 kg"}):
        with pytest.raises(InputError, match="that DICOM can hold; correct it"):
            write_derived_series(oblique_volume(), tmp_path / "made", FACTS, tags=tags)
    assert list(tmp_path.iterdir()) == []


def test_everyValueIsWhatTheStandardTakes(tmp_path):
    """pydicom's own check of every value against its value representation, on reading."""
    sources = source_series(tmp_path / "source", PatientName="Müller^Änne")
    volume = read_dicom(tmp_path / "source").volume
    long = {**FACTS, "Parameters": "x" * 2000}
    (path, *_others) = write_derived_series(volume, tmp_path / "made", long, sources, description="d" * 100)
    validation, pydicom.config.settings.reading_validation_mode = (
        pydicom.config.settings.reading_validation_mode,
        pydicom.config.RAISE,
    )
    try:
        made = pydicom.dcmread(path)
        text = str(made)
    finally:
        pydicom.config.settings.reading_validation_mode = validation
    assert "Müller" in text and len(made.DerivationDescription) == 1024 and len(made.SeriesDescription) == 64
    for keyword in ("ReferringPhysicianName", "AccessionNumber", "StudyID", "PositionReferenceIndicator", "KVP"):
        assert keyword in made


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (Volume(np.full((2, 3, 4), np.nan, np.float32)), "no number"),
        (Volume(np.full((2, 3, 4), 4e4, np.float32), units="HU", modality="CT"), None),
        (Volume(np.full((2, 3, 4), -4e4, np.float32), units="HU", modality="CT"), "16 bits"),
        (Volume(np.array([[[-1.7e308, 1.7e308]]])), "too far apart"),
        (Volume(np.zeros((2, 3, 4, 3), np.float32) + 300), "0 to 255"),
        (Volume(np.zeros((2, 3, 4, 2), np.float32)), "components"),
        (Volume(np.zeros((2, 3, 4)), Geometry(directions=[[1, 0, 0], [0, 1, 0.3], [0, 0, 0.954]])), "perpendicular"),
    ],
)
def test_whatDicomCannotHoldIsOneSentence(tmp_path, volume, words):
    if words is None:
        write_derived_series(volume, tmp_path / "made", FACTS)
        assert np.array_equal(read_dicom(tmp_path / "made").volume.array, volume.array)
        return
    with pytest.raises(InputError, match=words):
        write_derived_series(volume, tmp_path / "made", FACTS)
    assert list(tmp_path.iterdir()) == []


def test_datesAsPeopleWriteThem(tmp_path):
    tags = {"PatientBirthDate": "1990-01-31", "StudyID": "7"}
    made = pydicom.dcmread(write_derived_series(oblique_volume(), tmp_path / "made", FACTS, tags=tags)[0])
    assert (made.PatientBirthDate, made.StudyID) == ("19900131", "7")
    for keyword, value in (("PatientBirthDate", "31 January"), ("StudyID", "7" * 17), ("StudyInstanceUID", "1.a")):
        with pytest.raises(InputError, match=keyword):
            write_derived_series(oblique_volume(), tmp_path / "no", FACTS, tags={keyword: value})
    assert not (tmp_path / "no").exists()


def test_aWindowThatIsNoneIsReplaced(tmp_path):
    paths = write_derived_series(oblique_volume(), tmp_path / "made", FACTS, window=(float("nan"), 1.0))
    assert pydicom.dcmread(paths[0]).WindowWidth == 400


def test_aFolderInUseIsLeftAlone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(InputError, match="empty folder"):
        write_derived_series(oblique_volume(), tmp_path / "mine", FACTS)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_halfWrittenIsNothing(tmp_path):
    def stop(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_derived_series(oblique_volume(), tmp_path / "made", FACTS, progress=stop)
    assert list(tmp_path.iterdir()) == []

"""Reading and writing image files: exact round trips, honest metadata, never half a file."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medgan.errors import InputError
from medgan.image_io import check_output, read_volume, sidecar_path, write_volume
from medgan.volume import Geometry, Volume
from shared_data import dataFile
from synthetic_dicom import axialPlanes, writeSeries

OBLIQUE = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
PROVENANCE = {"Model": "m", "Parameters": '{"strength": 1.0, "s": "a := b"}', "Task": "denoise-ct"}


def makeVolume(shape=(3, 4, 5), dtype=np.int16, units="HU", modality="CT", seed=0) -> Volume:
    rng = np.random.default_rng(seed)
    low, high = (-1000, 2000) if np.dtype(dtype).kind in "if" and dtype != np.int8 else (0, 200)
    geometry = Geometry((1 / 3, -200.1, 7e-5), (0.7, 1 / 3, 2.2), OBLIQUE)
    return Volume(rng.integers(low, high, shape).astype(dtype), geometry, units, modality)


def assertSameBits(read: Volume, written: Volume) -> None:
    np.testing.assert_array_equal(read.array, written.array)
    assert read.array.dtype == written.array.dtype
    assert read.geometry.to_dict() == written.geometry.to_dict()
    assert (read.units, read.modality) == (written.units, written.modality)


@pytest.mark.parametrize("extension", [".nrrd", ".mha", ".nii", ".nii.gz", ".tif", ".png"])
def test_round_trip_gives_the_same_bits(tmp_path, extension):
    volume = makeVolume(dtype=np.uint16, units="", modality="MR") if extension == ".tif" else makeVolume()
    if extension == ".png":
        volume = makeVolume((1, 4, 5), np.uint16, "", "DX")
    path = write_volume(volume, tmp_path / f"image{extension}", PROVENANCE)
    read, notes = read_volume(path)
    assertSameBits(read, volume)
    assert notes == ["The image is itself synthetic: made by the MedGAN model m."]
    assert {p.name for p in tmp_path.iterdir()} <= {path.name, sidecar_path(path).name}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    origin=st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3),
    spacing=st.lists(st.floats(1e-3, 50.0), min_size=3, max_size=3),
    angle=st.floats(-3.1, 3.1),
    shape=st.tuples(*[st.integers(1, 4)] * 3),
)
def test_any_grid_survives_nrrd_bit_by_bit(tmp_path, origin, spacing, angle, shape):
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    volume = Volume(
        np.arange(np.prod(shape), dtype=np.float32).reshape(shape), Geometry(origin, spacing, turn @ OBLIQUE)
    )
    read, _ = read_volume(write_volume(volume, tmp_path / "grid.nrrd"))
    assertSameBits(read, volume)


def test_provenance_lies_in_the_header_or_beside(tmp_path):
    header = sitk.ReadImage(str(write_volume(makeVolume(), tmp_path / "a.nrrd", PROVENANCE)))
    for key, value in PROVENANCE.items():
        assert header.GetMetaData(f"MedGAN.{key}") == value
    assert not sidecar_path(tmp_path / "a.nrrd").exists()
    path = write_volume(makeVolume(), tmp_path / "a.nii.gz", PROVENANCE)
    assert PROVENANCE.items() <= json.loads(sidecar_path(path).read_text()).items()


def test_grid_that_another_program_changed_wins_over_the_noted_one(tmp_path):
    path = write_volume(makeVolume(), tmp_path / "a.nrrd")
    image = sitk.ReadImage(str(path))
    image.SetOrigin((1.0, 2.0, 3.0))
    for noted in (image.GetMetaData("MedGAN.Geometry"), "{}", "not JSON"):
        image.SetMetaData("MedGAN.Geometry", noted)
        sitk.WriteImage(image, str(path))
        np.testing.assert_allclose(read_volume(path)[0].geometry.origin_mm, [-1.0, -2.0, 3.0])


def test_sidecar_of_another_image_is_not_believed(tmp_path):
    path = write_volume(makeVolume(), tmp_path / "a.nii")
    sitk.WriteImage(makeVolume(seed=1).to_sitk(), str(path))
    read, _ = read_volume(path)
    assert (read.units, read.modality) == ("", "")


def test_nothing_is_guessed_but_an_argument_is_believed(tmp_path):
    image = makeVolume().to_sitk()
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    read, _ = read_volume(tmp_path / "a.nii.gz")
    assert (read.units, read.modality) == ("", "")
    read, notes = read_volume(tmp_path / "a.nii.gz", modality="ct")
    assert (read.units, read.modality, notes) == ("HU", "CT", [])
    image.SetMetaData("modality", "MR")
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    assert read_volume(tmp_path / "a.nrrd")[0].modality == "MR"
    read, notes = read_volume(tmp_path / "a.nrrd", modality="CT")
    assert read.modality == "CT" and "says MR" in notes[0]


def test_dicom_header_knows_better_than_the_argument_what_is_hu(tmp_path):
    writeSeries(tmp_path / "raw", axialPlanes(), RescaleIntercept=0)
    read, notes = read_volume(tmp_path / "raw", modality="CT")
    assert (read.units, read.modality) == ("", "CT") and "raw" in notes[0]
    writeSeries(tmp_path / "ct", axialPlanes())
    one_file = next((tmp_path / "ct").iterdir())
    read, notes = read_volume(one_file)
    assert read.grid_shape == (1, 6, 4) and "Only this one file" in notes[0]


@pytest.mark.parametrize("extension", [".png", ".tif", ".nrrd", ".mha", ".nii.gz"])
def test_color_round_trip(tmp_path, extension):
    volume = makeVolume((1, 6, 7, 3), np.uint8, "", "SM")
    read, _ = read_volume(write_volume(volume, tmp_path / f"slide{extension}"))
    assertSameBits(read, volume)


def test_transparency_is_dropped_and_told_if_it_matters(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 7, 4)).astype(np.uint8)
    for alpha, told in ((255, 0), (100, 1)):
        pixels[..., 3] = alpha
        sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(tmp_path / "a.png"))
        read, notes = read_volume(tmp_path / "a.png")
        np.testing.assert_array_equal(read.array[0], pixels[..., :3])
        assert len(notes) == told


def test_real_slide_is_read_as_rgb():
    volume, _ = read_volume(dataFile("histology/torchstain_source.png"))
    assert volume.array.shape == (1, 438, 584, 3) and (volume.units, volume.modality) == ("", "")


def test_flat_and_four_dimensional_images(tmp_path):
    flat = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    flat.SetSpacing((0.5, 0.25))
    sitk.WriteImage(flat, str(tmp_path / "flat.nrrd"))
    volume, _ = read_volume(tmp_path / "flat.nrrd")
    assert volume.array.shape == (1, 3, 4)
    np.testing.assert_allclose(volume.geometry.spacing_mm, [0.5, 0.25, 1.0])
    one = sitk.JoinSeries([makeVolume().to_sitk()])
    sitk.WriteImage(one, str(tmp_path / "one.nii"))
    assert read_volume(tmp_path / "one.nii")[0].grid_shape == (3, 4, 5)
    sitk.WriteImage(sitk.JoinSeries([makeVolume().to_sitk()] * 3), str(tmp_path / "many.nrrd"))
    with pytest.raises(InputError, match="3 volumes"):
        read_volume(tmp_path / "many.nrrd")


def test_single_oblique_slice_keeps_its_place(tmp_path):
    volume = makeVolume((1, 4, 5))
    for name in ("a.nrrd", "a.mha", "a.nii", "a.nii.gz"):
        path = write_volume(volume, tmp_path / name)
        sidecar_path(path).unlink(missing_ok=True)
        read, _ = read_volume(path)
        assert read.geometry.is_close(volume.geometry, 1e-4), name


def test_unreadable_inputs_are_one_sentence(tmp_path):
    (tmp_path / "text.nrrd").write_text("this is no image")
    (tmp_path / "empty.nii.gz").touch()
    for name, words in (("text.nrrd", "cannot be read"), ("empty.nii.gz", "cannot be read"), ("absent.nii", "no file")):
        with pytest.raises(InputError, match=words) as caught:
            read_volume(tmp_path / name)
        assert "\n" not in str(caught.value)
    path = write_volume(makeVolume(), tmp_path / "a.nrrd")
    with pytest.raises(InputError, match="not DICOM"):
        read_volume(path, series="2")


def test_outputs_that_cannot_be_are_refused_before_anything_is_written(tmp_path):
    source = write_volume(makeVolume(), tmp_path / "in.nrrd")
    before = source.read_bytes()
    (tmp_path / "link.nrrd").symlink_to(source)
    cases = {
        "in.nrrd": "the input itself",
        "link.nrrd": "the input itself",
        "out.jpg": "no extension MedGAN writes",
        ".nrrd": "no extension",
        "nowhere/out.nrrd": "does not exist",
    }
    for name, words in cases.items():
        with pytest.raises(InputError, match=words):
            check_output(tmp_path / name, source)
        with pytest.raises(InputError, match=words):
            write_volume(makeVolume(), tmp_path / name, source=source)
    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path)
    for name, words in (("a.png", "single slice"), ("a.tif", "not int32")):
        with pytest.raises(InputError, match=words):
            write_volume(makeVolume(dtype=np.int32), tmp_path / name)
    skewed = Volume(makeVolume().array, Geometry(directions=[[1, 0.3, 0], [0, 1, 0], [0, 0, 1]]))
    with pytest.raises(InputError, match="skewed"):
        write_volume(skewed, tmp_path / "a.nii")
    assert source.read_bytes() == before and {p.name for p in tmp_path.iterdir()} == {"in.nrrd", "link.nrrd"}


FULL_DISK = """
    import resource, signal, sys
    import numpy as np
    from medgan.errors import InputError
    from medgan.image_io import write_volume
    from medgan.volume import Volume
    volume = Volume(np.random.default_rng(0).integers(0, 255, (1, 300, 700)).astype(np.uint8))
    write_volume(volume, sys.argv[1], {"Task": "first"})
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing beyond the limit then fails as it does on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        write_volume(volume.with_array(255 - volume.array), sys.argv[1], {"Task": "second"})
    except InputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are a POSIX feature")
@pytest.mark.parametrize("extension", [".nrrd", ".mha", ".nii", ".nii.gz", ".tif", ".png"])
def test_full_disk_is_one_sentence_and_the_old_file_stays_whole(tmp_path, extension):
    path = tmp_path / f"image{extension}"
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(path)], capture_output=True, text=True, env=environment()
    )
    assert run.returncode == 0, run.stderr
    assert (
        len(run.stdout.splitlines()) == 1 and "could not be written" in run.stdout and "free disk space" in run.stdout
    )
    assert {p.name for p in tmp_path.iterdir()} <= {path.name, sidecar_path(path).name}
    expected = np.random.default_rng(0).integers(0, 255, (1, 300, 700)).astype(np.uint8)
    np.testing.assert_array_equal(read_volume(path)[0].array, expected)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs permissions that bind this user")
def test_folder_without_permission_is_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="could not be written"):
            write_volume(makeVolume(), tmp_path / "a.nrrd")
    finally:
        tmp_path.chmod(0o700)


def environment() -> dict[str, str]:
    """The environment of this process, with the engine of this checkout importable."""
    engine = str(Path(__file__).resolve().parents[2] / "MedGANSynthesis")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([engine, os.environ.get("PYTHONPATH", "")])}

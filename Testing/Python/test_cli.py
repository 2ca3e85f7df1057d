"""The ``medgan`` command, run as a user runs it: in a process of its own."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from engine_fixtures import slide
from medgan.bundle import Bundle
from medgan.cli.models import measured_gain
from medgan.image_io import read_volume, write_volume
from medgan.network import NetworkSpec
from medgan.options import ApplyOptions
from medgan.stain_reference import StainReference
from medgan.volume import Geometry, Volume
from synthetic_dicom import axialPlanes, writeSeries

ENGINE = str(Path(__file__).resolve().parents[2] / "MedGANSynthesis")
OBLIQUE = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([ENGINE, os.environ.get("PYTHONPATH", "")]), **extra}


def medgan(*arguments, **extra: str) -> subprocess.CompletedProcess:
    """Run the command with some environment variables changed."""
    command = [sys.executable, "-m", "medgan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(**extra), check=False)


def assertOneSentence(run: subprocess.CompletedProcess, code: int, words: str) -> None:
    lines = run.stderr.splitlines()
    assert (run.returncode, len(lines), run.stdout) == (code, 1, ""), run.stderr
    assert lines[0].startswith("medgan: ") and words in lines[0], lines[0]


@pytest.fixture(scope="module")
def identity(tmp_path_factory) -> Path:
    """Folder of a bundle that returns its input."""
    return Path(Bundle.create_identity(tmp_path_factory.mktemp("bundles") / "identity", task="denoise-ct").path)


@pytest.fixture
def scan(tmp_path) -> Path:
    """An oblique anisotropic CT in HU."""
    values = np.random.default_rng(0).integers(-1024, 3071, (5, 33, 47)).astype(np.int16)
    volume = Volume(values, Geometry((1 / 3, -7.1, 20), (0.7, 1 / 3, 2.2), OBLIQUE), "HU", "CT")
    return write_volume(volume, tmp_path / "scan.nrrd")


def test_help_is_quick_to_load_and_names_every_command():
    for arguments in ([], ["models"], ["apply"], ["train"], ["bundle"], ["bundle", "verify"], ["worker"]):
        run = medgan(*arguments, "--help")
        assert run.returncode == 0 and "usage: medgan" in run.stdout and not run.stderr
    text = medgan("--help").stdout
    assert all(word in text for word in ("models", "apply", "train", "bundle", "worker", "130", "examples:"))
    probe = "import sys; from medgan.cli import build_parser; build_parser().format_help(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=environment(), check=True)
    assert not {"torch", "monai", "SimpleITK", "pydicom", "numpy"} & set(run.stdout.split())


def test_wrong_usage_is_one_sentence():
    assertOneSentence(medgan(), 2, "required")
    assertOneSentence(medgan("aply"), 2, "aply")
    assertOneSentence(medgan("apply", "denoise-ct"), 2, "INPUT, OUTPUT")
    assertOneSentence(medgan("apply", "m", "a.nrrd", "b.nrrd", "--strength", "much"), 2, "--strength")


def test_identity_model_gives_every_voxel_back_on_the_same_grid(identity, scan, tmp_path):
    run = medgan("apply", identity, scan, tmp_path / "out.nrrd", "--second-output", tmp_path / "removed.nrrd")
    assert run.returncode == 0, run.stderr
    assert "100%" in run.stderr and "wrote" in run.stderr and run.stdout == ""
    source, _ = read_volume(scan)
    result, notes = read_volume(tmp_path / "out.nrrd")
    np.testing.assert_array_equal(result.array, source.array)
    assert result.geometry.to_dict() == source.geometry.to_dict()
    assert (result.units, result.modality) == ("HU", "CT")
    assert any("synthetic" in note for note in notes)
    removed, _ = read_volume(tmp_path / "removed.nrrd")
    assert not removed.array.any() and removed.geometry.to_dict() == source.geometry.to_dict()
    header = sitk.ReadImage(str(tmp_path / "out.nrrd"))
    assert header.GetMetaData("MedGAN.Task") == "denoise-ct"
    assert header.GetMetaData("MedGAN.Source") == "scan.nrrd"
    assert json.loads(header.GetMetaData("MedGAN.Parameters"))["strength"] == 1.0


def test_spread_is_written_beside_the_image(identity, scan, tmp_path):
    for method, more in (("flips", ()), ("ensemble", ("--ensemble", identity))):
        image, spread = tmp_path / f"{method}.nrrd", tmp_path / f"{method}-spread.nii.gz"
        run = medgan("apply", identity, scan, image, "--spread", method, "--spread-output", spread, *more)
        assert run.returncode == 0 and str(spread) in run.stderr, run.stderr
        source, _ = read_volume(scan)
        np.testing.assert_array_equal(read_volume(image)[0].array, source.array)
        written = read_volume(spread)[0]
        assert written.array.dtype == np.float32 and written.grid_shape == source.grid_shape
        assert not written.array.any() and written.geometry.is_close(source.geometry)
        parameters = json.loads(sitk.ReadImage(str(image)).GetMetaData("MedGAN.Parameters"))
        assert parameters["spread"] == method
    wanted = ("apply", identity, scan, image, "--spread-output", spread, "--spread")
    assertOneSentence(medgan(*wanted, "dropout", "--spread-samples", "3"), 2, "no dropout layers")
    assertOneSentence(medgan(*wanted, "ensemble"), 2, "needs at least one further model")


def test_a_result_that_only_adds_and_orientations(scan, tmp_path):
    turned = Bundle.create_identity(tmp_path / "turned", task="denoise-ct", network=NetworkSpec(canonical=True))
    output = tmp_path / "out.nrrd"
    run = medgan("apply", turned.path, scan, output, "--enhancement-only", "--orientations", "all", "--strength", "0.5")
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(read_volume(output)[0].array, read_volume(scan)[0].array)
    parameters = json.loads(sitk.ReadImage(str(output)).GetMetaData("MedGAN.Parameters"))
    assert parameters == {"strength": 0.5, "enhancement_only": True, "orientations": "all"}


def test_a_stain_takes_the_colors_of_a_reference(tmp_path):
    model = Bundle.create_identity(tmp_path / "model", task="stain", channels=3, modality="SM").path
    for name, shift in (("slide", 0), ("reference", 35)):
        volume = slide((1, 96, 128))
        array = volume.array.copy()
        array[:, :, :80, 1] = np.minimum(array[:, :, :80, 1] + shift, 215)
        write_volume(volume.with_array(array), tmp_path / f"{name}.png")
    files = [tmp_path / name for name in ("slide.png", "out.png", "reference.png")]
    run = medgan("apply", model, files[0], files[1], "--reference", files[2])
    assert run.returncode == 0, run.stderr
    before, after, wanted = (np.array(StainReference.of(read_volume(path)[0])[:3]) for path in files)
    assert np.abs(after - wanted).max() < 0.3 * np.abs(before - wanted).max()
    absent = tmp_path / "absent.png"
    assertOneSentence(medgan("apply", model, files[0], files[1], "--reference", absent), 2, "absent.png")


def test_help_tells_ranges_and_defaults_of_the_options():
    text = " ".join(medgan("apply", "--help").stdout.split())
    for field in dataclasses.fields(ApplyOptions):
        assert f"--{field.name.removesuffix('_mm').replace('_', '-')}" in text
        assert field.metadata["help"] in text
    assert "From 2 to 32. Default: 8." in text and "{none,flips,dropout,ensemble}" in text


def test_dicom_folder_in_nifti_out(identity, tmp_path):
    planes = axialPlanes(3, rows=40, columns=30)
    writeSeries(tmp_path / "study", planes, SeriesNumber=4)
    writeSeries(tmp_path / "study" / "scout", axialPlanes(1), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    output = tmp_path / "out.nii.gz"
    run = medgan("apply", identity, tmp_path / "study", output)
    assert run.returncode == 0 and "localizer" in run.stderr, run.stderr
    result, _ = read_volume(output)
    np.testing.assert_array_equal(result.array, [p.stored.astype(int) - 1024 for p in planes])
    assert json.loads(Path(f"{output}.medgan.json").read_text())["Task"] == "denoise-ct"
    writeSeries(tmp_path / "study" / "more", axialPlanes(2, rows=40, columns=30), SeriesNumber=5)
    assertOneSentence(medgan("apply", identity, tmp_path / "study", output), 2, "2 series")
    assert medgan("apply", identity, tmp_path / "study", output, "--series", "5", "--quiet").stderr == ""
    assert read_volume(output)[0].grid_shape == (2, 40, 30)


def test_mr_given_to_a_ct_model_is_warned_about_but_done(tmp_path):
    model = Bundle.create_identity(tmp_path / "model", task="denoise-ct", modality="CT", units="HU").path
    writeSeries(tmp_path / "mr", axialPlanes(3, rows=40, columns=30), Modality="MR")
    run = medgan("apply", model, tmp_path / "mr", tmp_path / "out.nrrd")
    assert run.returncode == 0 and "warning" in run.stderr and "MR" in run.stderr, run.stderr
    assert (tmp_path / "out.nrrd").exists()


def test_bad_inputs_are_one_sentence_and_write_nothing(identity, scan, tmp_path):
    before = scan.read_bytes()
    (tmp_path / "text.nrrd").write_text("no image")
    planes = axialPlanes(6)
    writeSeries(tmp_path / "gap", [p for k, p in enumerate(planes) if k != 3])
    output = tmp_path / "out.nrrd"
    cases = [
        ((identity, tmp_path / "absent.nrrd", output), 2, "no file or folder"),
        ((identity, tmp_path / "text.nrrd", output), 2, "cannot be read"),
        ((identity, tmp_path / "gap", output), 2, "1 slice is missing"),
        ((identity, scan, scan), 2, "input itself"),
        ((identity, scan, tmp_path / "out.jpg"), 2, "extension"),
        ((identity, scan, tmp_path / "nowhere" / "out.nrrd"), 2, "does not exist"),
        ((identity, scan, output, "--strength", "1.5"), 2, "between 0 and 1"),
        ((identity, scan, output, "--second-output", output), 2, "same file"),
        ((identity, scan, output, "--target-spacing", "1", "1", "1"), 2, "keeps the grid"),
        ((identity, scan, output, "--orientations", "all"), 2, "leave the orientations at 'model'"),
        ((identity, scan, output, "--spread", "flips"), 2, "--spread-output FILE belong together"),
        ((identity, scan, output, "--ensemble", identity), 2, "--ensemble is for --spread ensemble"),
        ((identity, scan, output, "--series", "4"), 2, "not DICOM"),
        (("no-such-model", scan, output), 3, "no-such-model"),
    ]
    for arguments, code, words in cases:
        assertOneSentence(medgan("apply", *arguments), code, words)
    assert scan.read_bytes() == before and not output.exists()


def test_debug_shows_the_traceback(identity, tmp_path):
    run = medgan("--debug", "apply", identity, tmp_path / "absent.nrrd", tmp_path / "out.nrrd")
    assert run.returncode != 0 and "Traceback" in run.stderr and "InputError" in run.stderr


def test_models_are_listed_as_table_and_json(identity):
    run = medgan("models", "--json", MEDGAN_MODELS=str(identity.parent))
    assert run.returncode == 0, run.stderr
    rows = {row["path"]: row for row in json.loads(run.stdout)}
    row = rows[str(identity)]
    bundle = Bundle.load(identity)
    assert (row["name"], row["task"], row["version"]) == (bundle.name, "denoise-ct", bundle.version)
    table = medgan("models", MEDGAN_MODELS=str(identity.parent)).stdout.splitlines()
    assert table[0].split()[:3] == ["NAME", "TASK", "VERSION"]
    assert any(bundle.name in line and str(identity) in line for line in table[1:])
    run = medgan("models", "--task", "no-such-task")
    assert run.returncode == 0 and "no model for the task no-such-task" in run.stdout


def test_verify_passes_a_whole_bundle_and_fails_a_damaged_one(identity, tmp_path):
    run = medgan("bundle", "verify", identity)
    assert run.returncode == 0 and run.stdout.splitlines()[-1].endswith("is intact."), run.stderr
    assert len([line for line in run.stdout.splitlines() if line.startswith("ok ")]) >= 2
    assertOneSentence(medgan("bundle", "verify", tmp_path), 3, str(tmp_path))
    metadata = identity / "configs" / "metadata.json"
    whole = metadata.read_text()
    metadata.write_text(whole[: len(whole) // 2])
    try:
        assertOneSentence(medgan("bundle", "verify", identity), 3, "metadata")
    finally:
        metadata.write_text(whole)


def test_gain_is_the_mean_over_the_measured_cases():
    rows = [{"input_psnr_db": 40.0, "output_psnr_db": 44.0}, {"input_psnr_db": 42.0, "output_psnr_db": 45.0}]
    assert measured_gain(rows) == "+3.5 dB PSNR (2 cases)"
    assert measured_gain([]) == "not measured"
    rows.append({"learnt_from": True, "input_psnr_db": 10.0, "output_psnr_db": 90.0})
    assert measured_gain(rows) == "+3.5 dB PSNR (2 cases)"  # a patient it has learnt from tells nothing
    assert measured_gain([{"output_mae_hu_body": 13.0, "input_mae_hu_body": 6.0}]) == (
        "7.0 HU MAE worse than its input (1 case)"
    )


def test_train_checks_its_arguments_before_it_starts(tmp_path):
    train = ("train", "denoise-ct", tmp_path / "absent", tmp_path / "out")
    assertOneSentence(medgan("train", "no-such-task", *train[2:]), 2, "no-such-task")
    assertOneSentence(medgan(*train), 2, "no dataset folder")
    assertOneSentence(medgan(*train, "--set", "base_width=1000000"), 2, "base_width must lie between")
    assertOneSentence(medgan(*train, "--set", "base_width"), 2, "name=value")
    assertOneSentence(medgan(*train, "--set", "no_such=1"), 2, "no_such")
    assert not (tmp_path / "out").exists()
    run = medgan("train", "--parameters", "denoise-ct")
    assert run.returncode == 0 and "base_width=" in run.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_interrupt_ends_with_130_and_leaves_no_output(identity, tmp_path):
    fifo = tmp_path / "slow.nrrd"  # reading a pipe that nobody fills waits until the interrupt
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "medgan", "apply", str(identity), str(fifo), str(tmp_path / "out.nrrd")]
    # A test run in the background of a shell ignores the interrupt, and its children would inherit that.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        writer = _open_when_read(fifo, process)
        errors = _interrupt(process)
        os.close(writer)
    finally:
        process.kill()
    assert process.returncode == 130 and errors == "medgan: Cancelled. Nothing was changed.\n"
    assert not (tmp_path / "out.nrrd").exists()


def _interrupt(process: subprocess.Popen) -> str:
    """Press Ctrl-C; again while ITK waits in the pipe, where one that came just before the wait goes unnoticed."""
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=3)[1]
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("The command did not end when it was interrupted.")


def _open_when_read(fifo: Path, process: subprocess.Popen) -> int:
    """File descriptor of the writing end, as soon as the process waits at the reading end."""
    while process.poll() is None:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"The command ended before it read its input: {process.stderr.read()}")

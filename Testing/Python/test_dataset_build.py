"""``medgan dataset build``: pairs of every origin, degradations, what is set aside, and builds that are stopped."""

import csv
import gzip
import json
import shutil

import numpy as np
import pytest
from dataset_fixtures import GEOMETRY, body, pair_folders
from medgan.cli import main
from medgan.dataset import Dataset
from medgan.dataset_builder import BuildOptions, build_dataset, case_options
from medgan.errors import Cancelled, InputError
from medgan.image_io import read_volume, write_volume
from medgan.pairs import from_folders
from medgan.volume import Geometry, Volume
from synthetic_dicom import axialPlanes, writeSeries

SPLITS = {"train", "validation", "test"}


def build(*arguments) -> int:
    return main(["dataset", "build", *map(str, arguments)])


def built(out) -> Dataset:
    """The dataset, after checking that its folder holds what it names and nothing else."""
    dataset = Dataset.load(out)
    named = {path for case in dataset.cases for path in (*case.images().values(), case.mask) if path}
    assert {f"images/{path.name}" for path in (out / "images").iterdir()} == named
    assert {path.name for path in out.iterdir()} == {"dataset.json", "images"}
    return dataset


def test_pairs_of_two_folders(tmp_path, capsys):
    mr, ct = pair_folders(tmp_path)
    assert build("mr-to-ct", tmp_path / "out", "--sources", mr, "--targets", ct, "--licence", "CC0-1.0") == 0
    printed = capsys.readouterr()
    assert "train          1 cases of 1 patients" in printed.out and "100% Done" in printed.err
    dataset = built(tmp_path / "out")
    assert (dataset.modality, dataset.units) == ("MR", "")
    assert (dataset.target_modality, dataset.target_units, dataset.licence) == ("CT", "HU", "CC0-1.0")
    assert {case.split for case in dataset.cases} == SPLITS
    for number, case in enumerate(dataset.cases):
        source, target = dataset.volumes(case)
        for volume, expected in zip((source, target), body(number), strict=True):
            np.testing.assert_array_equal(volume.array, expected.array)
        inside = target.array > -500  # the cavities of this body hold fat or bone, no air
        assert np.count_nonzero(dataset.mask(case) != inside) < 0.01 * inside.sum()
        expected = np.percentile(source.array[dataset.mask(case)], (0.5, 50, 99.5))
        assert [case.fingerprint["source"][key] for key in ("0.5", "50", "99.5")] == pytest.approx(expected, rel=1e-4)
        assert case.registration["method"] == "as given" and case.registration["quality"] > 0.3
        assert case.registration["body_dice"] > 0.9 and case.registration["mutual_information"] > 0.1
        assert case.spacing_mm == (4.0, 4.0, 5.0)
    assert main(["dataset", "check", str(tmp_path / "out")]) == 0
    assert build("mr-to-ct", tmp_path / "out", "--sources", mr, "--targets", ct) == 2
    assert "already holds a dataset" in capsys.readouterr().err


def test_target_on_another_grid_is_brought_onto_the_source(tmp_path):
    mr, ct = pair_folders(tmp_path, patients=1)
    finer = body(0, (40, 60, 52), GEOMETRY.shifted((0, 0, 0), (2, 2, 2)))[1]
    write_volume(finer, ct / "p0.nrrd")
    assert build("mr-to-ct", tmp_path / "out", "--sources", mr, "--targets", ct, "--quiet") == 0
    dataset = built(tmp_path / "out")
    source, target = dataset.volumes(dataset.cases[0])
    assert target.geometry.is_close(source.geometry) and dataset.cases[0].registration["method"] == "resampled"
    assert np.corrcoef(target.array.ravel(), body(0)[1].array.ravel())[0, 1] > 0.9
    assert build("superres-mr", tmp_path / "fine", "--sources", mr, "--targets", ct, "--quiet") == 0
    dataset = built(tmp_path / "fine")
    assert dataset.factor(dataset.cases[0]) == (2, 2, 2)
    np.testing.assert_array_equal(dataset.volumes(dataset.cases[0])[1].array, finer.array)


def test_misplaced_pairs_are_registered_or_set_aside(tmp_path, capsys):
    mr, ct = pair_folders(tmp_path, patients=2)
    volume = body(0)[1]
    far = Geometry(GEOMETRY.origin_mm + 300.0, GEOMETRY.spacing_mm, GEOMETRY.directions)
    write_volume(volume.with_array(volume.array, geometry=far), ct / "p0.nrrd")
    inputs = ("--sources", mr, "--targets", ct)
    assert build("mr-to-ct", tmp_path / "plain", *inputs) == 0
    assert "--register rigid" in capsys.readouterr().out
    dataset = built(tmp_path / "plain")
    assert [case.id for case in dataset.cases] == ["p1"]
    assert dataset.failed[0]["id"] == "p0" and "share less than 30% of the body" in dataset.failed[0]["reason"]
    assert build("mr-to-ct", tmp_path / "registered", *inputs, "--register", "rigid", "--quiet") == 0
    dataset = built(tmp_path / "registered")
    assert [case.id for case in dataset.cases] == ["p0", "p1"] and not dataset.failed
    assert all(case.registration["method"] == "rigid" for case in dataset.cases)
    target = dataset.volumes(dataset.cases[0])[1].array
    assert np.corrcoef(target.ravel(), volume.array.ravel())[0, 1] > 0.95


def test_table_with_masks_splits_and_two_scans_of_a_patient(tmp_path):
    pair_folders(tmp_path, patients=4)
    inside = np.zeros(body(0)[0].grid_shape, np.uint8)
    inside[5:9, 5:9, 5:9] = 1
    write_volume(Volume(inside, GEOMETRY), tmp_path / "mask.nrrd")
    with (tmp_path / "pairs.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("patient", "source", "target", "mask", "split"))
        for number, (patient, split) in enumerate((("a", "test"), ("a", "test"), ("b", ""), ("c", "train"))):
            mask = "mask.nrrd" if number == 0 else ""
            writer.writerow((patient, f"mr/p{number}.nrrd", f"ct/p{number}.nrrd", mask, split))
    assert build("mr-to-ct", tmp_path / "out", "--csv", tmp_path / "pairs.csv", "--no-masks", "--quiet") == 0
    dataset = built(tmp_path / "out")
    assert [(case.patient, case.split) for case in dataset.cases] == [
        ("a", "test"), ("a", "test"), ("b", "train"), ("c", "train"),
    ]  # fmt: skip
    np.testing.assert_array_equal(dataset.mask(dataset.cases[0]), inside)
    assert dataset.mask(dataset.cases[1]) is None


def test_dicom_studies_leave_no_trace_of_the_patient(tmp_path):
    for number, name in enumerate(("Alice", "Bob", "Carl")):
        planes = axialPlanes(6, rows=16, columns=16, seed=number)
        for modality, shift in (("MR", 0), ("CT", 100)):
            for plane in planes:
                plane.stored = (plane.stored + shift).astype(np.uint16)
            writeSeries(tmp_path / "in" / name, planes, Modality=modality, PatientID=name)
    writeSeries(tmp_path / "in" / "Dora", axialPlanes(), Modality="MR", PatientID="Dora")
    inputs = ("--studies", tmp_path / "in", "--source-series", "MR", "--target-series", "CT", "--quiet")
    assert build("mr-to-ct", tmp_path / "out", *inputs) == 0
    dataset = built(tmp_path / "out")
    assert len({case.patient for case in dataset.cases}) == 3 and {case.split for case in dataset.cases} == SPLITS
    assert [one["id"] for one in dataset.failed] == ["study-004"]
    source, target = dataset.volumes(dataset.cases[0])
    assert (source.units, target.units) == ("", "HU")
    for file in (tmp_path / "out").rglob("*.*"):
        content = file.read_bytes()
        assert not any(word in content for word in (b"Alice", b"Bob", b"Carl", b"Dora", b"Secret"))


def test_simulated_low_dose(tmp_path):
    (tmp_path / "ct").mkdir()
    for number in range(2):
        write_volume(body(number)[1], tmp_path / "ct" / f"p{number}.nrrd")
    inputs = ("--single", tmp_path / "ct", "--degrade", "low-dose", "--dose", "0.1", "--quiet")
    assert build("denoise-ct", tmp_path / "out", *inputs) == 0
    dataset = built(tmp_path / "out")
    noises = []
    for number, case in enumerate(dataset.cases):
        source, target = dataset.volumes(case)
        np.testing.assert_array_equal(target.array, body(number)[1].array)
        noises.append((source.array - target.array)[dataset.mask(case)])
        assert noises[-1].std() > 1 and case.registration == {}
    assert build("denoise-ct", tmp_path / "again", *inputs) == 0
    assert Dataset.load(tmp_path / "again").cases == dataset.cases


def test_low_resolution(tmp_path):
    (tmp_path / "mr").mkdir()
    fine = body(0, (22, 30, 26))[0]
    write_volume(fine, tmp_path / "mr" / "p.nrrd")
    inputs = ("--single", tmp_path / "mr", "--degrade", "low-resolution", "--factor", "1x2x4", "--quiet")
    assert build("superres-mr", tmp_path / "out", *inputs) == 0
    dataset = built(tmp_path / "out")
    source, target = dataset.volumes(dataset.cases[0])
    assert source.grid_shape == (5, 15, 26) and dataset.factor(dataset.cases[0]) == (4, 2, 1)
    np.testing.assert_array_equal(target.array, fine.array[:20])
    assert dataset.mask(dataset.cases[0]).shape == source.grid_shape
    assert dataset.cases[0].spacing_mm == (4.0, 8.0, 20.0) and dataset.cases[0].split == "train"


@pytest.mark.parametrize("kind", ["luma", "optical-density"])
def test_grey_slides(tmp_path, kind):
    from medgan.colour import grey

    (tmp_path / "slides").mkdir()
    pixels = np.random.default_rng(0).integers(20, 250, (1, 24, 24, 3)).astype(np.uint8)
    write_volume(Volume(pixels), tmp_path / "slides" / "one.png")
    inputs = ("--single", tmp_path / "slides", "--degrade", "grey", "--grey", kind, "--quiet")
    assert build("stain", tmp_path / "out", *inputs) == 0
    dataset = built(tmp_path / "out")
    source, target = dataset.volumes(dataset.cases[0])
    np.testing.assert_array_equal(target.array, pixels)
    assert source.array.shape == pixels.shape and (source.array == source.array[..., :1]).all()
    # the picture of the grey, looked at in the same grey, is that grey
    np.testing.assert_allclose(grey(source, kind).array, grey(target, kind).array, atol=0.6 if kind == "luma" else 0.03)


def test_same_image_on_both_sides_is_stored_once(tmp_path):
    mr, _ = pair_folders(tmp_path, patients=3)
    assert build("superres-mr", tmp_path / "out", "--single", mr, "--degrade", "none", "--quiet") == 0
    dataset = built(tmp_path / "out")
    assert all(case.source == case.target for case in dataset.cases)


def test_unpaired(tmp_path):
    mr, ct = pair_folders(tmp_path, patients=3)
    (ct / "p0.nrrd").rename(ct / "q0.nrrd")
    assert build("mr-to-ct-unpaired", tmp_path / "out", "--unpaired", "--sources", mr, "--targets", ct, "--quiet") == 0
    dataset = built(tmp_path / "out")
    assert not dataset.paired and len(dataset.cases) == 6
    source, target = dataset.volumes(dataset.cases[-1])
    assert source is None and target.units == "HU" and dataset.mask(dataset.cases[-1]).shape == target.grid_shape
    assert {case.split for case in dataset.cases if case.patient == "p1"} != SPLITS  # both images of p1 in one split


def test_images_that_cannot_be_used_are_set_aside(tmp_path, capsys):
    mr, ct = pair_folders(tmp_path, patients=6, suffix=".nii.gz")
    whole = (mr / "p0.nii.gz").read_bytes()
    (mr / "p0.nii.gz").write_bytes(whole[: len(whole) // 2])
    volume = read_volume(mr / "p1.nii.gz")[0]
    values = volume.array.astype(np.float32)
    values[3, 3, 3] = np.nan
    (mr / "p1.nii.gz").unlink()  # NIfTI readers turn NaN into 0
    write_volume(volume.with_array(values), mr / "p1.nrrd")
    write_volume(volume.with_array(np.zeros_like(volume.array)), mr / "p2.nii.gz")
    (ct / "p3.nii.gz").write_bytes(gzip.compress(b"no image"))
    (ct / "p4.nii.gz").write_bytes(b"")
    assert build("mr-to-ct", tmp_path / "out", "--sources", mr, "--targets", ct) == 0
    reasons = {one["id"]: one["reason"] for one in built(tmp_path / "out").failed}
    assert list(reasons) == ["p0", "p1", "p2", "p3", "p4"]
    assert "NaN" in reasons["p1"] and "p2.nii.gz is empty: every voxel is 0" in reasons["p2"]
    assert all("is damaged" in reasons[name] for name in ("p0", "p3", "p4"))
    assert "All images are of one patient" in capsys.readouterr().err


def test_nothing_that_can_be_used(tmp_path, capsys):
    mr, ct = pair_folders(tmp_path, patients=1)
    (ct / "p0.nrrd").write_bytes(b"")
    assert build("mr-to-ct", tmp_path / "out", "--sources", mr, "--targets", ct, "--quiet") == 2
    assert "None of the 1 cases can be used (p0: p0.nrrd cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pictures_of_different_size_are_not_guessed_into_place(tmp_path):
    for name, rows in (("a", 20), ("b", 24)):
        (tmp_path / name).mkdir()
        pixels = np.random.default_rng(0).integers(0, 255, (1, rows, 24, 3)).astype(np.uint8)
        write_volume(Volume(pixels), tmp_path / name / "one.png")
    candidates, _ = from_folders(tmp_path / "a", tmp_path / "b")
    with pytest.raises(InputError, match="24 x 20 x 1 and 24 x 24 x 1 pixels"):
        build_dataset(tmp_path / "out", candidates, BuildOptions("stain", case_options("stain")))


def test_patients_that_share_an_image_are_kept_together(tmp_path, capsys):
    mr, ct = pair_folders(tmp_path, patients=6)
    shutil.copy(ct / "p0.nrrd", ct / "p5.nrrd")
    shutil.copy(mr / "p0.nrrd", mr / "p5.nrrd")
    assert build("mr-to-ct", tmp_path / "out", "--sources", mr, "--targets", ct) == 0
    splits = {case.id: case.split for case in built(tmp_path / "out").cases}
    assert splits["p0"] == splits["p5"] and set(splits.values()) == SPLITS
    assert "Patients p0 and p5 have an image in common" in capsys.readouterr().err


def test_splits_fixed_by_hand_that_leak_are_refused(tmp_path, capsys):
    _, ct = pair_folders(tmp_path, patients=2)
    shutil.copy(ct / "p0.nrrd", ct / "other.nrrd")
    lines = ["patient,source,target,split", "a,mr/p0.nrrd,ct/p0.nrrd,train", "b,mr/p1.nrrd,ct/other.nrrd,test"]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    assert build("mr-to-ct", tmp_path / "out", "--csv", tmp_path / "pairs.csv", "--quiet") == 2
    text = capsys.readouterr().err
    assert "Cases a-p0 and b-other use the same image" in text or "Cases a-p0 and b-p1 use the same image" in text
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_a_stopped_build_goes_on(tmp_path):
    mr, ct = pair_folders(tmp_path, patients=3)
    candidates, _ = from_folders(mr, ct)
    options = BuildOptions("mr-to-ct", case_options("mr-to-ct"))
    out = tmp_path / "out"

    def stop_in_second_case(fraction, message):
        if message.startswith("Finding the body: p1"):
            raise Cancelled

    with pytest.raises(Cancelled):
        build_dataset(out, candidates, options, progress=stop_in_second_case)
    assert not (out / "dataset.json").exists()
    (out / "images" / ".123-p1-source.nrrd").write_bytes(b"half")  # as a kill leaves it
    done = {path.name: path.stat().st_mtime_ns for path in (out / "images").glob("p0*")}
    read = []
    dataset = build_dataset(
        out, candidates, options, progress=lambda f, text: read.append(text.split()[-4]) if "Finding" in text else None
    )
    assert len(done) == 3 and read == ["p1", "p2"]
    assert {path.name: path.stat().st_mtime_ns for path in (out / "images").glob("p0*")} == done
    assert built(out) == Dataset.load(out) and len(dataset.cases) == 3
    straight = build_dataset(tmp_path / "straight", candidates, options)
    assert straight.cases == built(out).cases


def test_other_options_make_a_case_anew(tmp_path):
    mr, ct = pair_folders(tmp_path, patients=2)
    candidates, _ = from_folders(mr, ct)
    out = tmp_path / "out"

    def stop(fraction, message):
        if message.startswith("Reading: p1"):
            raise Cancelled

    with pytest.raises(Cancelled):
        build_dataset(out, candidates, BuildOptions("mr-to-ct", case_options("mr-to-ct")), progress=stop)
    plain = BuildOptions("mr-to-ct", case_options("mr-to-ct", find_masks=False))
    assert [case.mask for case in build_dataset(out, candidates, plain).cases] == ["", ""]


def test_seed_moves_patients(tmp_path):
    mr, ct = pair_folders(tmp_path, patients=8)
    inputs = ("--sources", mr, "--targets", ct, "--no-masks", "--quiet")
    splits = []
    for number, seed in enumerate((0, 0, 1)):
        assert build("mr-to-ct", tmp_path / f"out{number}", *inputs, "--seed", seed) == 0
        splits.append([case.split for case in built(tmp_path / f"out{number}").cases])
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mr-to-ct", "out"), "one of --sources, --csv, --studies and --single"),
        (("mr-to-ct", "out", "--sources", "mr", "--csv", "x.csv"), "one of --sources"),
        (("mr-to-ct", "out", "--sources", "mr"), "--sources needs --targets"),
        (("mr-to-ct", "out", "--single", "mr"), "--single needs --degrade"),
        (("mr-to-ct", "out", "--sources", "mr", "--targets", "ct", "--degrade", "grey"), "makes the sources itself"),
        (("mr-to-ct", "out", "--studies", "mr"), "--studies needs --source-series"),
        (("mr-to-ct", "out", "--single", "mr", "--degrade", "sepia"), "no degradation sepia"),
        (("mr-to-ct", "out", "--sources", "mr", "--targets", "ct", "--register", "warp"), "no registration warp"),
        (("superres-mr", "out", "--single", "mr", "--degrade", "low-resolution", "--factor", "2"), "1x1x4"),
        (("sharpen", "out", "--sources", "mr", "--targets", "ct"), "no task 'sharpen'"),
        (("mr-to-ct", "out", "--sources", "gone", "--targets", "ct"), "no folder gone"),
    ],
)
def test_wrong_use(tmp_path, capsys, monkeypatch, arguments, words):
    pair_folders(tmp_path, patients=1)
    monkeypatch.chdir(tmp_path)
    assert build(*arguments) == 2
    text = capsys.readouterr().err
    assert words in text and len(text.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_check_names_what_was_changed(tmp_path, capsys):
    mr, ct = pair_folders(tmp_path, patients=1)
    assert build("mr-to-ct", tmp_path / "out", "--sources", mr, "--targets", ct, "--quiet") == 0
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["schema"] == 2
    write_volume(body(3)[0], tmp_path / "out" / "images" / "p0-source.nrrd")
    assert main(["dataset", "check", str(tmp_path / "out"), "--quiet"]) == 2
    assert "p0-source.nrrd was changed since" in capsys.readouterr().err

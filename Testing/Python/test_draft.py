"""A dataset in the making: cases are added, prepared, corrected by a person, and become a dataset."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_fixtures import GEOMETRY, body, pair_folders
from head_phantoms import head, stored
from medgan.cli import main
from medgan.dataset import Dataset
from medgan.dataset_check import check_content
from medgan.draft import Draft
from medgan.errors import Cancelled, InputError
from medgan.image_io import write_volume
from medgan.pair_thumbnail import pair_thumbnail
from medgan.pairs import from_csv, from_folders, unpaired
from medgan.studies import from_studies
from medgan.volume import Geometry, Volume
from synthetic_dicom import axialPlanes, writeSeries

SPLITS = {"train", "validation", "test"}


def draft_of_bodies(folder, count: int = 3, **settings) -> Draft:
    """A draft of pairs that lie on each other."""
    draft = Draft.create(folder, "mr-to-ct", **{"register": "", **settings})
    for number in range(count):
        draft.add(*body(number), patient=f"p{number}", name=f"Body {number}")
    return draft


def moved(volume: Volume, millimetres) -> Volume:
    geometry = volume.geometry
    return volume.with_array(
        volume.array, geometry=Geometry(geometry.origin_mm + millimetres, geometry.spacing_mm, geometry.directions)
    )


def files(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_whose_a_volume_is_stays_known_when_it_becomes_the_target(tmp_path):
    """Where sources are made of targets a volume may be given as either; its DICOM identity goes with it."""
    draft = Draft.create(tmp_path / "draft", "denoise-ct", degrade="low-dose")
    cts = [body(number)[1] for number in range(2)]
    first = draft.add(cts[0], None, patient="", identity={"source": {"PatientID": "Alice"}})
    second = draft.add(None, cts[1], patient="", identity={"target": {"PatientID": "Alice"}})
    assert first.patient == second.patient != ""
    assert first.identity == second.identity and set(first.identity) == {"target"}


def test_from_volumes_to_a_dataset(tmp_path):
    draft = draft_of_bodies(tmp_path / "draft", licence="CC0-1.0", description="bodies")
    case = draft.case("case-001")
    assert (case.state, case.patient, case.name, case.used) == ("waiting", "p0", "Body 0", False)
    assert case.sizes == {"source": (26, 30, 20), "target": (26, 30, 20)} and case.spacing_mm == (4.0, 4.0, 5.0)
    assert any("not prepared yet" in sentence for sentence in draft.problems())
    told = []
    draft.build_all(lambda fraction, text: told.append((fraction, text)))
    assert [f for f, _ in told] == sorted(f for f, _ in told)
    assert told[0] == (0.0, "Reading: case-001 (1 of 3)") and told[-1][1] == "Writing: case-003 (3 of 3)"
    for number, case in enumerate(Draft.load(tmp_path / "draft").cases):
        assert (case.state, case.used, case.accepted, case.problems) == ("ready", True, None, ())
        assert case.registration["method"] == "as given" and case.quality > 0.3
        np.testing.assert_array_equal(case.transform, np.eye(4))
        for role, expected in zip(("source", "target"), body(number), strict=True):
            np.testing.assert_array_equal(draft.volume(case.id, role).array, expected.array)
            np.testing.assert_array_equal(draft.volume(case.id, role, raw=True).array, expected.array)
            mask = draft.volume(case.id, "mask").array != 0
            histogram = case.histograms[role]
            values = expected.array[mask]
            counts = np.histogram(values, 64, (histogram["low"], histogram["high"]))[0]
            assert histogram["counts"] == counts.tolist() and sum(counts) > 0.99 * values.size
    dataset = draft.finish()
    assert dataset == Dataset.load(tmp_path / "draft") and (dataset.licence, dataset.description) == (
        "CC0-1.0",
        "bodies",
    )
    assert {case.split for case in dataset.cases} == SPLITS == {case.split for case in draft.cases}
    assert [case.patient for case in dataset.cases] == ["p0", "p1", "p2"]
    assert (dataset.modality, dataset.target_modality, dataset.target_units) == ("MR", "CT", "HU")
    check_content(dataset)


def test_registered_by_default_and_the_transform_says_where(tmp_path):
    mr, ct = head(0)
    draft = Draft.create(tmp_path / "draft", "mr-to-ct")
    assert draft.settings.register == "rigid"
    shift = np.array((9.0, -6.0, 14.0))
    draft.add(mr, moved(ct, shift), patient="p")
    case = draft.build("case-001")
    assert case.registration["method"] == "rigid" and case.used
    np.testing.assert_allclose(np.array(case.transform)[:3, 3], shift, atol=1.5)
    np.testing.assert_allclose(np.array(case.transform)[:3, :3], np.eye(3), atol=0.03)
    target = draft.volume("case-001", "target")
    assert target.geometry.is_close(mr.geometry)
    assert np.corrcoef(target.array.ravel(), ct.array.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_adjusting_by_a_transform_in_ras(tmp_path, angle):
    mr, ct = head(1)
    matrix = np.eye(4)
    matrix[:2, :2] = (np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))
    matrix[:3, 3] = 21.0, -13.0, 8.0
    geometry = ct.geometry
    there = Geometry.from_ijk_to_ras(matrix @ geometry.ijk_to_ras)  # a CT that lies where the matrix puts the MR
    draft = Draft.create(tmp_path / "draft", "mr-to-ct", register="")
    draft.add(mr, ct.with_array(ct.array, geometry=there), patient="p")
    before = draft.build("case-001")
    assert not before.used and before.state == "ready" and "do not seem to lie on each other" in before.problems[0]
    assert any("will be left out" in sentence for sentence in draft.problems())
    case = draft.adjust("case-001", matrix)
    assert case.used and case.registration["method"] == "adjusted" and case.quality > 0.4 > before.quality
    np.testing.assert_allclose(draft.volume("case-001", "target").array, ct.array, atol=1e-2)
    np.testing.assert_allclose(case.transform, matrix, atol=1e-12)
    later = draft.adjust("case-001", None, build=False)
    assert later.state == "waiting" and draft.build("case-001").registration["method"] == "resampled"
    for wrong in (np.zeros((4, 4)), np.eye(3), "matrix"):
        with pytest.raises(InputError, match="no 4x4 matrix"):
            draft.adjust("case-001", wrong)


def test_score_threshold_and_a_persons_word(tmp_path):
    draft = draft_of_bodies(tmp_path / "draft", 1)
    quality = draft.build("case-001").quality
    draft.threshold = quality + 0.01
    case = draft.case("case-001")
    assert (case.state, case.used, case.accepted) == ("ready", False, None)
    assert f"quality {quality:.2f}" in case.problems[0]
    with pytest.raises(InputError, match="No case is ready and accepted"):
        draft.finish()
    assert draft.accept("case-001").used and draft.case("case-001").problems == ()
    case = draft.reject("case-001", "The patient has moved.")
    assert (case.state, case.used, case.reason) == ("rejected", False, "The patient has moved.")
    assert draft.undecide("case-001").state == "ready" and not draft.case("case-001").used
    draft.threshold = quality - 0.01
    assert Draft.load(tmp_path / "draft").case("case-001").used
    with pytest.raises(InputError, match="between 0 and 1"):
        draft.threshold = 1.5


def test_a_mask_of_another_grid_replaces_the_body(tmp_path):
    draft = draft_of_bodies(tmp_path / "draft", 1)
    assert draft.build("case-001").mask
    inside = np.zeros((40, 60, 52), np.uint8)
    inside[10:20, 12:40, 10:30] = 3
    fine = Volume(inside, GEOMETRY.shifted((0, 0, 0), (2, 2, 2)))
    assert draft.set_mask("case-001", fine).state == "waiting"
    draft.build("case-001")
    found = draft.volume("case-001", "mask").array
    expected = np.zeros((20, 30, 26), bool)
    expected[5:10, 6:20, 5:15] = True
    np.testing.assert_array_equal(found != 0, expected)
    assert len(list((tmp_path / "draft" / "images" / "case-001").iterdir())) == 3  # nothing of the former one is left
    with pytest.raises(InputError, match="The mask is empty"):
        draft.set_mask("case-001", fine.with_array(np.zeros_like(inside)))
    draft.set_mask("case-001", moved(fine, 500.0))
    failed = draft.build("case-001")
    assert failed.state == "failed" and "covers no voxel" in failed.reason
    draft.set_mask("case-001", None)
    assert np.count_nonzero(draft.volume(draft.build("case-001").id, "mask").array) > 5000


def test_splits_go_by_patient(tmp_path):
    draft = Draft.create(tmp_path / "draft", "mr-to-ct", register="")
    for number, patient in enumerate(("a", "a", "b", "c", "c", "d")):
        draft.add(*body(number), patient=patient)
    draft.set_split("case-001", "test")
    assert [case.split for case in draft.cases] == ["test", "test", "", "", "", ""]
    draft.assign_splits(seed=3)
    first = [case.split for case in draft.cases]
    assert first[0] == first[1] and first[3] == first[4] and set(first) == SPLITS
    draft.assign_splits(seed=3)
    assert [case.split for case in draft.cases] == first
    draft.assign_splits(seed=3, fractions=(1, 0, 0))
    assert {case.split for case in draft.cases} == {"train"}
    with pytest.raises(InputError, match="no split 'tset'"):
        draft.set_split("case-001", "tset")


def test_one_patient_by_header_or_by_image_stays_in_one_split(tmp_path):
    draft = Draft.create(tmp_path / "draft", "mr-to-ct", register="")
    identity = {role: {"PatientID": "4711"} for role in ("source", "target")}
    draft.add(*body(0), patient="before", identity=identity)
    draft.add(*body(1), patient="after", identity=identity)
    draft.add(body(2)[0], body(1)[1], patient="other")  # the CT of case 2 again
    draft.add(*body(3), patient="free")
    draft.set_split("case-001", "train")
    assert [case.split for case in draft.cases] == ["train", "train", "train", ""]


def test_a_leak_made_by_hand_is_told_and_refused(tmp_path):
    draft = draft_of_bodies(tmp_path / "draft", 3)
    draft.build_all()
    draft.set_split("case-001", "train")
    draft.set_split("case-002", "test")
    file = tmp_path / "draft" / "cases" / "case-002" / "case.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"patient": "p0"}))
    assert draft.problems()[0].startswith("Cases case-001 and case-002 are of the same patient")
    with pytest.raises(InputError, match="are of the same patient, but are in the splits train and test"):
        draft.finish()
    assert not (tmp_path / "draft" / "dataset.json").exists()


def test_finishing_again_replaces_and_the_old_dataset_stays_whole_meanwhile(tmp_path):
    draft = draft_of_bodies(tmp_path / "draft", 4)
    draft.build_all()
    first = draft.finish()
    draft.remove("case-004")
    draft.change(find_masks=False)
    draft.set_mask("case-001", body(0)[1].with_array((body(0)[1].array > 0).astype(np.uint8)))
    draft.build_all()
    assert Dataset.load(tmp_path / "draft") == first
    check_content(first)
    second = draft.finish()
    assert [case.id for case in second.cases] == ["case-001", "case-002", "case-003"]
    assert [bool(case.mask) for case in second.cases] == [True, False, False]
    named = {path for case in second.cases for path in (*case.images().values(), case.mask) if path}
    assert {name for name in files(tmp_path / "draft") if name.startswith("images/")} == named


def test_the_folder_may_be_moved(tmp_path):
    draft = draft_of_bodies(tmp_path / "draft", 3)
    draft.build("case-001")
    shutil.move(tmp_path / "draft", tmp_path / "elsewhere")
    there = Draft.load(tmp_path / "elsewhere")
    there.build_all()
    dataset = there.finish()
    assert len(dataset.cases) == 3 and dataset.folder == tmp_path / "elsewhere"
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*.json"))


def test_low_dose_needs_one_volume_and_is_the_same_again(tmp_path):
    made = []
    for name in ("one", "two"):
        draft = Draft.create(tmp_path / name, "denoise-ct", degrade="low-dose", dose=0.1)
        case = draft.add(None, body(0)[1], patient="p")
        assert set(case.raw) == {"target"} and draft.build(case.id).state == "ready"
        np.testing.assert_array_equal(draft.volume(case.id, "target").array, body(0)[1].array)
        made.append(draft.volume(case.id, "source").array)
    np.testing.assert_array_equal(*made)
    assert (made[0] - body(0)[1].array).std() > 1
    with pytest.raises(InputError, match="give one volume per case"):
        draft.add(*body(1)[:1] * 2, patient="p")


def test_low_resolution_and_grey(tmp_path):
    draft = Draft.create(tmp_path / "mr", "superres-mr", degrade="low-resolution", factor="1x2x4")
    draft.add(body(0)[0], patient="p")
    assert draft.build("case-001").spacing_mm == (4.0, 8.0, 20.0) and draft.factor("case-001") == (4, 2, 1)
    assert draft.finish().factor(draft.finish().cases[0]) == (4, 2, 1)
    draft = Draft.create(tmp_path / "slides", "stain", degrade="grey")
    pixels = np.random.default_rng(0).integers(20, 250, (1, 24, 24, 3)).astype(np.uint8)
    write_volume(Volume(pixels), tmp_path / "slide.png")
    draft.add(tmp_path / "slide.png", patient="p")
    case = draft.build("case-001")
    grey = draft.volume("case-001", "source").array
    assert case.used and case.quality is None and (grey == grey[..., :1]).all()
    np.testing.assert_array_equal(draft.volume("case-001", "target").array, pixels)


def test_unpaired_images(tmp_path):
    mr, ct = pair_folders(tmp_path, patients=3)
    draft = Draft.create(tmp_path / "draft", "mr-to-ct-unpaired")
    assert not draft.settings.paired
    added, failed = draft.add_candidates(unpaired(mr, ct))
    assert len(added) == 6 and not failed
    draft.build_all()
    dataset = draft.finish()
    assert not dataset.paired and {tuple(case.images()) for case in dataset.cases} == {("source",), ("target",)}
    train = dataset.split("train")
    assert any(case.source for case in train) and any(case.target for case in train)
    with pytest.raises(InputError, match="one image only"):
        draft.adjust(added[0].id, np.eye(4))
    for case in train:
        if case.target:
            draft.reject(case.id)
    with pytest.raises(InputError, match="No target image is in the train split"):
        draft.finish()


def test_candidates_of_folders_and_tables(tmp_path):
    mr, ct = pair_folders(tmp_path, patients=3)
    (mr / "p2.nrrd").write_bytes(b"no image")
    draft = Draft.create(tmp_path / "draft", "mr-to-ct", register="")
    added, failed = draft.add_candidates(from_folders(mr, ct)[0])
    assert [case.id for case in added] == ["p0", "p1"] and [one["id"] for one in failed] == ["p2"]
    lines = ["id,patient,source,target,split", "x,p1,mr/p1.nrrd,ct/p1.nrrd,", "y,p0,mr/p1.nrrd,ct/p0.nrrd,test"]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    added, failed = draft.add_candidates(from_csv(tmp_path / "pairs.csv"))
    assert failed == [{"id": "x", "reason": "These images are already in the draft, as case p1."}]
    assert [(case.id, case.split) for case in added] == [("y", "test")]

    def stop(fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        draft.add_candidates(from_folders(mr, ct)[0], stop)
    assert [case.id for case in draft.cases] == ["p0", "p1", "y"]


def test_dicom_leaves_pseudonyms_only(tmp_path):
    for number, name in enumerate(("Alice", "Bob")):
        planes = axialPlanes(6, rows=16, columns=16, seed=number)
        for modality, shift in (("MR", 0), ("CT", 100)):
            for plane in planes:
                plane.stored = (plane.stored + shift).astype(np.uint16)
            writeSeries(tmp_path / "in" / name, planes, Modality=modality, PatientID=name)
    draft = Draft.create(tmp_path / "draft", "mr-to-ct", register="")
    candidates, _ = from_studies(tmp_path / "in", "MR", "CT", draft.salt)
    added, failed = draft.add_candidates(candidates)
    assert [case.patient for case in added] == [draft.pseudonym("Alice"), draft.pseudonym("Bob")] and not failed
    assert added[0].identity["source"]["PatientID"] == draft.pseudonym("Alice")
    draft.add(*body(0), patient="Alice Secret", identity={"source": {"PatientID": "Alice", "PatientName": "Secret"}})
    draft.build_all()
    for case in draft.cases:
        draft.accept(case.id)
    draft.finish()
    content = (tmp_path / "draft" / "dataset.json").read_bytes()
    assert not any(word in content for word in (b"Alice", b"Bob", b"Secret"))
    assert {case.patient for case in Dataset.load(tmp_path / "draft").cases} == {
        draft.pseudonym("Alice"),
        draft.pseudonym("Bob"),
    }
    assert len({case.split for case in draft.cases if case.patient != draft.pseudonym("Bob")}) == 1


def test_thumbnail_shows_the_same_place_nose_up(tmp_path):
    mr, ct = head(0)
    marked = ct.array.copy()
    marked[:, -12:, :8] = 3000.0  # anterior left of the image: i runs to the right, so at the patient's left
    ct = ct.with_array(marked)
    for volume in (ct, stored(ct, (1, 2, 0), flips=(0, 2))):
        picture = pair_thumbnail(mr, volume)
        assert picture.dtype == np.uint8 and picture.shape == (160, 3 * 133 + 2 * 4, 3)
        target = picture[:, 133 + 4 : 2 * 133 + 4, 0]
        rows, columns = np.nonzero(target == 255)
        corner = target[:30, -20:]
        assert (corner == 255).all() and (target[:30, :20] == 0).all() and (target[-30:, -20:] == 0).all()
        board = picture[:, -133:, 0]
        np.testing.assert_array_equal(board[:20, :20], picture[:20, :20, 0])
        np.testing.assert_array_equal(board[:20, 20:40], target[:20, 20:40])
        assert len(rows) == len(columns) > 600
    draft = Draft.create(tmp_path / "draft", "mr-to-ct", register="")
    draft.add(mr, ct, patient="p")
    file = draft.path(draft.build("case-001").thumbnail)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    np.testing.assert_array_equal(written, pair_thumbnail(mr, ct))


def test_command_prepares_lists_and_finishes(tmp_path, capsys):
    draft = draft_of_bodies(tmp_path / "draft", 3)
    folder = str(tmp_path / "draft")
    assert main(["dataset", "draft", folder, "--build", "--case", "case-002"]) == 0
    assert "Finding the body" in capsys.readouterr().err
    assert [case.state for case in draft.cases] == ["waiting", "ready", "waiting"]
    assert main(["dataset", "draft", folder, "--finish"]) == 2
    assert "2 cases (case-001, case-003) are not prepared yet" in capsys.readouterr().err
    assert main(["dataset", "draft", folder, "--build", "--finish", "--list", "--json", "--quiet"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [case["id"] for case in listed["cases"]] == ["case-001", "case-002", "case-003"]
    assert listed["cases"][0] == json.loads(json.dumps(dataclasses.asdict(draft.case("case-001"))))
    assert len(Dataset.load(folder).cases) == 3
    assert main(["dataset", "draft", folder, "--list"]) == 0
    assert "case-001" in capsys.readouterr().out
    assert main(["dataset", "draft", folder]) == 2 and main(["dataset", "draft", folder, "--case", "x"]) == 2
    assert main(["dataset", "draft", str(tmp_path), "--list"]) == 2
    assert "is no draft of a dataset" in capsys.readouterr().err

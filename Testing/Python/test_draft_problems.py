"""What cannot become part of a draft is refused with one sentence, and nothing is lost or left behind."""

import json
import shutil

import numpy as np
import pytest
from dataset_fixtures import GEOMETRY, body
from medgan.disk_space import DiskFull
from medgan.draft import Draft
from medgan.draft_checks import DifferentPatients, UnitsUnknown, shared_view
from medgan.errors import InputError
from medgan.image_io import write_volume
from medgan.volume import Geometry, Volume


@pytest.fixture
def draft(tmp_path):
    return Draft.create(tmp_path / "draft", "mr-to-ct", register="")


def at(volume: Volume, millimetres: float) -> Volume:
    geometry = Geometry(GEOMETRY.origin_mm + millimetres, GEOMETRY.spacing_mm, GEOMETRY.directions)
    return volume.with_array(volume.array, geometry=geometry)


def refused(draft: Draft, *arguments, kind=InputError, **settings) -> str:
    """The sentence with which a case is refused, after checking that it left nothing behind."""
    before = sorted(draft.folder.rglob("*"))
    with pytest.raises(kind) as caught:
        draft.add(*arguments, **{"patient": "p", **settings})
    assert sorted(path for path in draft.folder.rglob("*") if path.name not in (".lock", "cases")) == [
        path for path in before if path.name not in (".lock", "cases")
    ]
    text = str(caught.value)
    assert text[0].isupper() and text.endswith(".") and "\n" not in text
    return text


def test_images_that_are_no_pair(draft):
    mr, ct = body(0)
    assert "no target; choose one" in refused(draft, mr)
    assert "no source; choose one" in refused(draft, None, ct)
    assert "is MR, but this task takes CT" in refused(draft, mr, mr)
    assert "is CT, but this task takes MR" in refused(draft, ct, mr)
    assert "is CT, but" in refused(draft, Volume(ct.array, GEOMETRY, "HU"), ct)
    plain = Volume(ct.array, GEOMETRY)
    assert "are the same image; choose two" in refused(draft, plain, plain, assume_hu=True)
    assert "is empty: every voxel is 0" in refused(draft, mr.with_array(np.zeros_like(mr.array)), ct)
    assert "is empty: every voxel is -1000" in refused(draft, mr, ct.with_array(np.full_like(ct.array, -1000)))
    assert "no number" in refused(draft, mr.with_array(np.where(mr.array > 800, np.nan, 1.0)), ct)
    assert "3 component(s)" in refused(draft, mr.with_array(np.zeros((4, 5, 6, 3), np.uint8)), ct)
    assert "Nothing says whose images" in refused(draft, mr, ct, patient="")
    assert "no split 'tset'" in refused(draft, mr, ct, split="tset")
    assert "no file or folder" in refused(draft, draft.folder / "mr.nrrd", ct)
    assert "The mask is empty" in refused(draft, mr, ct, mask=mr.with_array(np.zeros_like(mr.array)))
    assert draft.cases == ()


def test_fields_of_view(draft, tmp_path):
    mr, ct = body(0)
    assert "do not overlap; have the pairs registered" in refused(draft, mr, at(ct, 300.0))
    registering = Draft.create(tmp_path / "registering", "mr-to-ct", register="rigid")
    case = registering.add(mr, at(ct, 300.0), patient="p")  # two scanners, two coordinate systems
    assert any("do not overlap; look at the result" in sentence for sentence in case.problems)
    case = registering.build(case.id)
    center = mr.geometry.ijk_to_ras @ (12.5, 14.5, 9.5, 1.0)
    assert case.used and np.allclose((case.transform @ center - center)[:3], 300.0, atol=2.0)
    quarter = np.array((13 * 4.0, 15 * 4.0, 0.0))
    moved = Geometry(GEOMETRY.origin_mm + quarter, GEOMETRY.spacing_mm)
    assert shared_view(mr, Volume(ct.array, moved)) == pytest.approx(0.25, abs=0.04)


def test_different_patients_are_asked_for(draft):
    mr, ct = body(0)
    identity = {"source": {"PatientID": "1"}, "target": {"PatientID": "2 "}}
    assert "two patients" in refused(draft, mr, ct, identity=identity, kind=DifferentPatients)
    case = draft.add(mr, ct, patient="p", identity=identity, allow_different_patients=True)
    assert any("paired on request" in sentence for sentence in case.problems)
    same = {"source": {"PatientID": "1"}, "target": {"PatientID": "1 "}}
    assert draft.add(*body(1), patient="p", identity=same).problems == ()
    draft.add(*body(2), patient="q", identity={"source": {"PatientID": "1"}, "target": {"PatientID": None}})


def test_units_of_a_ct_are_asked_for_where_they_cannot_be_told(draft, tmp_path):
    mr, ct = body(0)
    stored = Volume((ct.array + 1024).astype(np.int16), GEOMETRY)  # as the scanner stores it, without the rescale
    assert "are Hounsfield units; confirm it" in refused(draft, mr, stored, kind=UnitsUnknown)
    write_volume(Volume(ct.array, GEOMETRY), tmp_path / "ct.nii.gz")
    case = draft.add(mr, tmp_path / "ct.nii.gz", patient="p")
    assert any("ct.nii.gz states no units" in sentence for sentence in case.problems)
    draft.build(case.id)
    assert draft.volume(case.id, "target").units == "HU"
    case = draft.add(mr, stored, patient="p", assume_hu=True)
    assert draft.volume(case.id, "target", raw=True).units == "HU" and case.problems == ()


def test_the_same_pair_twice(draft):
    draft.add(*body(0), patient="p")
    assert "already in the draft, as case case-001" in refused(draft, *body(0))
    draft.remove("case-001")
    assert draft.add(*body(0), patient="p").id == "case-001"


def test_pictures_that_nothing_lays_onto_each_other(tmp_path):
    draft = Draft.create(tmp_path / "draft", "stain")
    pixels = np.random.default_rng(0).integers(0, 255, (1, 24, 20, 3)).astype(np.uint8)
    draft.add(Volume(pixels), Volume(pixels[:, :20] // 2), patient="p")
    case = draft.build("case-001")
    assert case.state == "failed" and "20 x 24 x 1 and 20 x 20 x 1 pixels" in case.reason
    assert draft.problems()[0].startswith("No case is ready and accepted")


def test_too_few_patients_for_a_split(draft):
    draft.add(*body(0), patient="a")
    draft.build_all()
    text = "The validation and the test split stays empty"
    assert draft.problems()[0].startswith(text) and "only one patient; add 2 more" in draft.problems()[0]
    assert draft.obstacles() == [] and [case.split for case in draft.finish().cases] == ["train"]
    draft.set_split("case-001", "test")
    assert draft.obstacles()[0].startswith("No case is in the train split")
    draft.add(*body(1), patient="b")
    draft.build_all()
    draft.finish()
    assert any("The validation split stays empty" in sentence for sentence in draft.problems())
    draft.add(*body(2), patient="c")
    draft.build_all()
    for case, split in zip(draft.cases, ("train", "validation", "test"), strict=True):
        draft.set_split(case.id, split)
    assert draft.problems() == []


def test_targets_of_super_resolution_are_finer_by_one_factor(tmp_path):
    draft = Draft.create(tmp_path / "draft", "superres-mr")
    coarse = body(0)[0]
    for factor in ((1, 1, 1), (2, 2, 2), (1, 2, 2)):
        shape = tuple(size * step for size, step in zip(coarse.grid_shape, factor, strict=True))
        fine = body(0, shape, GEOMETRY.shifted((0, 0, 0), factor[::-1]))[0]
        values = fine.array + np.arange(fine.array.size, dtype=np.int16).reshape(shape) % 3
        draft.add(coarse, fine.with_array(values), patient="p")
    draft.build_all()
    draft.accept("case-001")
    assert "1 target (case-001) is not finer" in draft.obstacles()[0]
    draft.reject("case-001")
    assert "different factors (2x2x1, 2x2x2)" in draft.obstacles()[0]
    draft.reject("case-003")
    assert draft.finish().factor(draft.finish().cases[0]) == (2, 2, 2)


def test_a_full_disk_is_known_before_anything_is_written(draft, monkeypatch):
    draft.add(*body(0), patient="p")
    usage = shutil.disk_usage(draft.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=200 * 2**20))
    assert "MB left, but" in refused(draft, *body(1), kind=DiskFull)
    with pytest.raises(DiskFull, match="free disk space or choose another folder"):
        draft.build_all()
    assert draft.case("case-001").state == "waiting"
    monkeypatch.undo()
    assert draft.build("case-001").state == "ready"


def test_damage_by_hand_costs_one_case_only(draft):
    for number in range(4):
        draft.add(*body(number), patient=f"p{number}")
    draft.build_all()
    cases = draft.folder / "cases"
    (cases / "case-001" / "case.json").write_text("{")
    (cases / "case-002" / "case.json").write_text(json.dumps({"schema": 1, "split": "train"}))
    newer = json.loads((cases / "case-003" / "case.json").read_text()) | {"schema": 99}
    (cases / "case-003" / "case.json").write_text(json.dumps(newer))
    (cases / "case-004" / "result.json").write_text("[]")
    reasons = {case.id: case.reason for case in Draft.load(draft.folder).cases if case.state == "failed"}
    assert list(reasons) == ["case-001", "case-002", "case-003"]
    assert all("is damaged" in reasons[id] and "remove the case" in reasons[id] for id in ("case-001", "case-002"))
    assert "newer MedGAN (schema 99)" in reasons["case-003"]
    assert draft.build("case-004").state == "ready"
    with pytest.raises(InputError, match="is damaged"):
        draft.build("case-001")
    for id in list(reasons):
        draft.remove(id)
    assert [case.id for case in draft.finish().cases] == ["case-004"]


def test_images_deleted_by_hand(draft):
    draft.add(*body(0), patient="p")
    case = draft.build("case-001")
    draft.path(case.target).unlink()
    assert draft.case("case-001").state == "waiting" and draft.build("case-001").state == "ready"
    draft.path(case.raw["source"]).unlink()
    case = draft.build("case-001")
    assert case.state == "failed" and "source.nrrd" in case.reason


def test_folders_that_are_no_draft_or_of_another_version(tmp_path, draft):
    with pytest.raises(InputError, match="holds no draft"):
        Draft.load(tmp_path)
    with pytest.raises(InputError, match="already holds a dataset"):
        Draft.create(draft.folder, "mr-to-ct")
    (tmp_path / "finished").mkdir()
    (tmp_path / "finished" / "dataset.json").write_text("{}")
    with pytest.raises(InputError, match="finished dataset that was not made from a draft"):
        Draft.load(tmp_path / "finished")
    head = draft.folder / "draft.json"
    whole = json.loads(head.read_text())
    for content, words in (
        (whole | {"schema": 2}, "newer MedGAN"),
        (whole | {"settings": whole["settings"] | {"task": "sharpen"}}, "is damaged"),
        (whole | {"settings": {"paired": True}}, "is damaged"),
        (whole | {"settings": whole["settings"] | {"dose": "much"}}, "is damaged"),
        ([], "is damaged"),
    ):
        head.write_text(json.dumps(content))
        with pytest.raises(InputError, match=words):
            Draft.load(draft.folder)
    with pytest.raises(InputError, match="no case case-009"):
        head.write_text(json.dumps(whole))
        draft.case("case-009")


@pytest.mark.parametrize(
    ("task", "settings", "words"),
    [
        ("sharpen", {}, "no task 'sharpen'"),
        ("mr-to-ct", {"register": "warp"}, "no registration warp"),
        ("mr-to-ct", {"degrade": "low-dose"}, "cannot be made by the degradation"),
        ("superres-mr", {"degrade": "grey"}, "cannot be made by the degradation"),
        ("superres-mr", {"degrade": "low-resolution", "factor": "2"}, "1x1x4"),
        ("denoise-ct", {"degrade": "low-dose", "dose": 0}, "between 0 and 1"),
        ("denoise-ct", {"degrade": "sepia"}, "no degradation sepia"),
        ("denoise-ct", {"degrade": "low-dose", "register": "rigid"}, "nothing to register"),
        ("denoise-ct", {"paired": False}, "learns from pairs"),
        ("denoise-ct", {"colour": "red"}, "no setting colour"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, task, settings, words):
    with pytest.raises(InputError, match=words):
        Draft.create(tmp_path / "draft", task, **settings)
    assert not (tmp_path / "draft").exists()


def test_other_settings_have_cases_prepared_again(draft):
    draft.add(*body(0), patient="p")
    draft.build_all()
    draft.change(licence="CC0-1.0", seed=5)
    assert draft.case("case-001").state == "ready"
    draft.change(find_masks=False)
    assert draft.case("case-001").state == "waiting" and not draft.build("case-001").mask
    for wrong in ({"task": "denoise-ct"}, {"colour": 1}, {"register": "warp"}):
        with pytest.raises(InputError):
            draft.change(**wrong)
    assert draft.task == "mr-to-ct"

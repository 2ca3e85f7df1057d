"""Pairs are found by file names, in tables and in DICOM studies; what does not fit is named."""

from dataclasses import replace

import pytest
from medgan.errors import InputError
from medgan.pairs import from_csv, from_folders, unpaired
from medgan.studies import from_studies
from synthetic_dicom import axialPlanes, writeSeries


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def refusal(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    text = str(caught.value)
    assert "\n" not in text and text.endswith("."), text
    return text


def test_files_of_the_same_name(tmp_path):
    low = touch(tmp_path / "low", "a.nii.gz", "b.nrrd", "c.nrrd", "c.nrrd.medgan.json", ".d.nrrd", "notes.txt")
    full = touch(tmp_path / "full", "a.nrrd", "b.nrrd", "e.mha")
    masks = touch(tmp_path / "masks", "a.nrrd")
    found, notes = from_folders(low, full, masks)
    assert [(one.id, one.patient, one.source.name, one.target.name) for one in found] == [
        ("a", "a", "a.nii.gz", "a.nrrd"),
        ("b", "b", "b.nrrd", "b.nrrd"),
    ]
    assert found[0].mask == masks / "a.nrrd" and found[1].mask is None
    text = " ".join(notes)
    assert "1 source files have no partner and are left out: c.nrrd" in text and "e.mha" in text
    assert "1 pairs have no mask: b" in text


def test_patterns_name_patient_and_partner(tmp_path):
    folder = touch(tmp_path, "P1/mr.nii.gz", "P1/ct.nii.gz", "P2/mr.nii.gz", "P2/ct.nii.gz", "P2/mask.nii.gz")
    pattern = ("{patient}/mr.nii.gz", "{patient}/ct.nii.gz", "{patient}/mask*")
    found, _ = from_folders(folder, folder, folder, pattern)
    assert [(one.patient, one.mask is not None) for one in found] == [("P1", False), ("P2", True)]
    flat = touch(tmp_path / "flat", "P1_a_low.nrrd", "P1_a_full.nrrd", "P1_b_low.nrrd", "P1_b_full.nrrd")
    found, _ = from_folders(flat, flat, pattern=("{patient}_{scan}_low.nrrd", "{patient}_{scan}_full.nrrd"))
    assert [(one.id, one.patient) for one in found] == [("P1-a", "P1"), ("P1-b", "P1")]


def test_unpaired_folders(tmp_path):
    found = unpaired(touch(tmp_path / "mr", "x.nrrd", "y.nrrd"), touch(tmp_path / "ct", "x.nrrd"))
    assert [(one.id, one.source is None, one.target is None) for one in found] == [
        ("source-x", False, True),
        ("source-y", False, True),
        ("target-x", True, False),
    ]


def test_folders_that_give_no_pairs(tmp_path):
    low, full = touch(tmp_path / "low", "p_low.nrrd"), touch(tmp_path / "full", "p_full.nrrd")
    (tmp_path / "empty").mkdir()
    assert "p_low.nrrd here and p_full.nrrd there" in refusal(from_folders, low, full)
    assert "holds no image file" in refusal(from_folders, tmp_path / "empty", full)
    assert "no folder" in refusal(from_folders, tmp_path / "gone", full)
    assert "fits the pattern" in refusal(from_folders, low, full, pattern=("{patient}.nii", "{patient}.nii"))
    assert "not understood" in refusal(from_folders, low, full, pattern=("*.nrrd", "*.nrrd"))
    assert "not understood" in refusal(from_folders, low, full, pattern=("{a}{a}", "{a}"))
    assert "same name" in refusal(from_folders, touch(low, "p_low.nii"), full)


def table(tmp_path, text, encoding="utf-8"):
    touch(tmp_path, "s1.nrrd", "t1.nrrd", "s2.nrrd", "t2.nrrd")
    (tmp_path / "pairs.csv").write_text(text, encoding=encoding)
    return tmp_path / "pairs.csv"


def test_table_with_all_columns(tmp_path):
    rows = "Patient;Source;Target;Split;Stratum\nMüller; s1.nrrd ;t1.nrrd;train;3 T\n\nb;s2.nrrd;t2.nrrd;test;\n"
    found = from_csv(table(tmp_path, rows, "utf-8-sig"))
    assert [(one.patient, one.split, one.stratum) for one in found] == [("Müller", "train", "3 T"), ("b", "test", "")]
    assert found[0].source == tmp_path / "s1.nrrd" and found[0].id == "Müller-s1"
    same = from_csv(table(tmp_path, "id,patient,source,target\nx,a,s1.nrrd,t1.nrrd\nX,a,s2.nrrd,t2.nrrd\n"))
    assert [one.id for one in same] == ["x", "X-2"]


def test_table_of_single_images(tmp_path):
    path = table(tmp_path, "patient,source\na,s1.nrrd\n")
    assert from_csv(path, needs_target=False)[0].target is None
    assert "no column target (there is patient, source)" in refusal(from_csv, path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient,image\na,b\n", "no column source and target (there is patient, image)"),
        ("patient,source,target\na,s1.nrrd,gone.nrrd\n", "Row 2 of pairs.csv names the target gone.nrrd"),
        ("patient,source,target\n,s1.nrrd,t1.nrrd\n", "Row 2 of pairs.csv names no patient"),
        ("patient,source,target\na,s1.nrrd\n", "Row 2 of pairs.csv names no target"),
        ("patient,source,target,split\na,s1.nrrd,t1.nrrd,holdout\n", "split 'holdout'"),
        ("patient,source,target,split\na,s1.nrrd,t1.nrrd,train\na,s2.nrrd,t2.nrrd,test\n", "Rows 2 and 3 of pairs.csv"),
        ("", "lists no images"),
        ("patient,source,target\n", "lists no images"),
    ],
)
def test_tables_with_mistakes(tmp_path, text, words):
    assert words in refusal(from_csv, table(tmp_path, text))


def test_table_that_is_none(tmp_path):
    assert "cannot be read" in refusal(from_csv, tmp_path / "gone.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    assert "no table in UTF-8" in refusal(from_csv, tmp_path / "binary.csv")


def test_series_of_studies_are_chosen_by_modality_or_name(tmp_path):
    for number, patient in enumerate(("Alice", "Bob")):
        common = {"PatientID": patient, "PatientName": patient}
        for name, modality in (("T1 tra", "MR"), ("CT planning", "CT"), ("T2 tra", "MR")):
            planes = axialPlanes(seed=number)
            folder = tmp_path / patient / "export"
            writeSeries(folder, planes, Modality=modality, SeriesDescription=name, **common)
    found, failed = from_studies(tmp_path, "t1", "CT", b"secret")
    assert [one.id for one in found] == ["study-001", "study-002"] and not failed
    assert found[0].source_series != found[0].target_series and found[0].patient != found[1].patient
    text = repr([replace(one, source=None, target=None) for one in found])
    assert "Alice" not in text and "Bob" not in text
    assert from_studies(tmp_path, "t1", "CT", b"secret")[0] == found
    assert from_studies(tmp_path, "t1", "CT", b"another")[0][0].patient != found[0].patient


def test_studies_without_the_right_series_are_set_aside_nameless(tmp_path):
    writeSeries(tmp_path / "Alice^A" / "mr", axialPlanes(), Modality="MR", SeriesDescription="T1")
    writeSeries(tmp_path / "Bob" / "one", axialPlanes(), Modality="MR", SeriesDescription="T1 a")
    writeSeries(tmp_path / "Bob" / "two", axialPlanes(), Modality="MR", SeriesDescription="T1 b")
    writeSeries(tmp_path / "Carl" / "mr", axialPlanes(), Modality="MR", PatientID="1")
    writeSeries(tmp_path / "Carl" / "ct", axialPlanes(), PatientID="2")
    (tmp_path / "Dora").mkdir()
    found, failed = from_studies(tmp_path, "MR", "CT", b"")
    reasons = {one["id"]: one["reason"] for one in failed}
    assert found == [] and list(reasons) == [f"study-00{n}" for n in (1, 2, 3, 4)]
    assert "'CT' (there is Series" in reasons["study-001"] and "2 series fit 'MR'" in reasons["study-002"]
    assert "two patients" in reasons["study-003"] and "study-004 holds no DICOM" in reasons["study-004"]
    assert not any(name in repr(failed) for name in ("Alice", "Bob", "Carl", "Dora", str(tmp_path)))


def test_a_folder_that_is_one_study_and_one_that_is_none(tmp_path):
    writeSeries(tmp_path / "flat", axialPlanes())
    found, _ = from_studies(tmp_path / "flat", "CT", None, b"")
    assert len(found) == 1 and found[0].target is None
    (tmp_path / "empty").mkdir()
    assert "no sub-folders" in refusal(from_studies, tmp_path / "empty", "MR", "CT", b"")

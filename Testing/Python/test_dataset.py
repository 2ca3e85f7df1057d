"""dataset.json: read back as written, older ones too, and refused where it is damaged or leaks."""

import json
from dataclasses import replace
from pathlib import Path

import medgan
import numpy as np
import pytest
from dataset_fixtures import GEOMETRY, body
from medgan.dataset import Case, Dataset, grid_factor
from medgan.dataset_check import check_content, voxel_sha256
from medgan.errors import InputError
from medgan.image_io import read_volume, write_volume
from medgan.volume import Geometry, Volume

SPLITS = ("train", "validation", "test")


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Three patients with MR and CT; the first with a mask."""
    cases = []
    for number, split in enumerate(SPLITS):
        for role, volume in zip(("mr", "ct"), body(number), strict=True):
            (tmp_path / "images").mkdir(exist_ok=True)
            write_volume(volume, tmp_path / "images" / f"{number}-{role}.nrrd")
        cases.append(Case(f"c{number}", f"p{number}", f"images/{number}-mr.nrrd", f"images/{number}-ct.nrrd", split))
    mask = Volume((body(0)[1].array > -500).astype(np.uint8), GEOMETRY)
    write_volume(mask, tmp_path / "images" / "mask.nrrd")
    facts = {"registration": {"method": "rigid", "quality": 0.5}, "spacing_mm": (4.0, 4.0, 5.0)}
    cases[0] = replace(cases[0], mask="images/mask.nrrd", fingerprint={"source": {"50": 3.0}}, **facts)
    made = Dataset(
        tmp_path, "mr-to-ct", "MR", "", "bodies", "CC0-1.0", tuple(cases), "CT", "HU",
        failed=({"id": "c9", "reason": "empty"},),
    )  # fmt: skip
    made.save()
    return Dataset.load(tmp_path)


def edit(dataset: Dataset, change) -> Path:
    file = dataset.folder / "dataset.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return dataset.folder


def refusal(function, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    text = str(caught.value)
    assert "\n" not in text and text.endswith("."), text
    return text


def test_round_trip(dataset):
    again = Dataset.load(dataset.folder)
    again.save()
    assert Dataset.load(dataset.folder) == dataset == again
    assert hash(dataset.cases[0]) == hash(again.cases[0])
    assert dataset.cases[0].spacing_mm == (4.0, 4.0, 5.0) and dataset.failed[0]["reason"] == "empty"
    source, target = dataset.volumes(dataset.cases[0])
    assert (source.modality, source.units, target.modality, target.units) == ("MR", "", "CT", "HU")
    np.testing.assert_array_equal(target.array, body(0)[1].array)
    assert dataset.cases[0].sha256["target"] == voxel_sha256(body(0)[1])


def test_it_is_as_the_schema_says(dataset):
    import jsonschema

    schema = json.loads((Path(medgan.__file__).parent / "dataset.schema.json").read_text())
    content = json.loads((dataset.folder / "dataset.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)
    for change in ({"cases": [{"id": "x"}]}, {"paired": "no"}, {"colour": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**content, **change}, schema)
    described = schema["properties"]["cases"]["items"]["properties"]
    assert set(described) == set(Case.__dataclass_fields__)
    assert set(schema["properties"]) == set(Dataset.__dataclass_fields__) - {"folder"} | {"schema"}


def test_it_is_readable(dataset):
    lines = (dataset.folder / "dataset.json").read_text().splitlines()
    assert '      "registration": {"method": "rigid", "quality": 0.5},' in lines
    assert not any("mask" in line for line in lines[lines.index('      "id": "c1",') :])  # nothing is said of nothing


def test_first_schema_still_loads(dataset):
    def older(content):
        content["schema"] = 1
        for name in ("target_modality", "target_units", "paired", "failed"):
            del content[name]
        content["modality"], content["units"] = "CT", "HU"
        keep = ("id", "patient", "source", "target", "split")
        content["cases"] = [{key: case[key] for key in keep} for case in content["cases"]]

    loaded = Dataset.load(edit(dataset, older))
    assert (loaded.target_modality, loaded.target_units, loaded.paired, loaded.failed) == ("CT", "HU", True, ())
    assert loaded.mask(loaded.cases[0]) is None and loaded.volumes(loaded.cases[0])[0].units == "HU"


def test_units_of_the_target_may_be_none_at_all():
    made = Dataset(Path(), "t", "CT", "HU", "", "", (), target_modality="MR", target_units="")
    assert made.target_units == "" and replace(made, target_units=None).target_units == "HU"


def test_mask_lies_on_the_source(dataset):
    mask = dataset.mask(dataset.cases[0])
    assert mask.dtype == bool and mask.shape == body(0)[0].grid_shape and dataset.mask(dataset.cases[1]) is None
    np.testing.assert_array_equal(mask, body(0)[1].array > -500)


def test_refined_targets(dataset):
    case = dataset.cases[1]
    source = dataset.volumes(case)[0]
    fine = np.repeat(np.repeat(source.array, 4, axis=0), 2, axis=2)
    grid = source.geometry.shifted((0, 0, 0), (2, 1, 4))
    write_volume(Volume(fine, grid, "HU", "CT"), dataset.folder / case.target)
    assert dataset.factor(case) == (4, 1, 2) and dataset.factor(dataset.cases[0]) == (1, 1, 1)
    moved = Geometry(grid.origin_mm + 0.5, grid.spacing_mm, grid.directions)
    write_volume(Volume(fine, moved, "HU", "CT"), dataset.folder / case.target)
    assert "Case c1: source and target lie on different grids (their origin" in refusal(dataset.volumes, case)
    assert "(20, 30, 26) and (20, 30, 25) voxels" in refusal(grid_factor, source, Volume(source.array[:, :, :-1]))
    assert "different grids" in refusal(grid_factor, Volume(fine, grid), source)  # the target is the coarser one


def test_color_pictures(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 9, 7, 3)).astype(np.uint8)
    write_volume(Volume(pixels[0]), tmp_path / "a.png")
    write_volume(Volume(pixels[1]), tmp_path / "b.tif")
    Dataset(tmp_path, "stain", "SM", "", "", "", (Case("c", "p", "a.png", "b.tif", "train"),)).save()
    dataset = Dataset.load(tmp_path)
    for volume, expected in zip(dataset.volumes(dataset.cases[0]), pixels, strict=True):
        np.testing.assert_array_equal(volume.array, expected)


def test_unpaired_images(dataset):
    def part(content):
        content["cases"][0]["target"] = ""
        content["cases"][1]["source"] = ""

    assert "Case c0 has no target" in refusal(Dataset.load, edit(dataset, part))
    loaded = Dataset.load(edit(dataset, lambda content: content.update(paired=False)))
    assert loaded.volumes(loaded.cases[0])[1] is None and loaded.volumes(loaded.cases[1])[0] is None
    assert loaded.volumes(loaded.cases[1])[1].units == "HU" and loaded.factor(loaded.cases[0]) == (1, 1, 1)
    assert "Case c0 has no source" in refusal(
        Dataset.load, edit(dataset, lambda content: content["cases"][0].update(source=""))
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(schema=3), "newer MedGAN"),
        (lambda c: c.pop("schema"), "damaged ('schema')"),
        (lambda c: c["cases"][0].pop("id"), "damaged"),
        (lambda c: c["cases"][0].update(patient=5), "damaged (patient is 5)"),
        (lambda c: c["cases"][0].update(registration=[]), "damaged (registration is [])"),
        (lambda c: c["cases"][0].update(spacing_mm=["x"]), "damaged"),
        (lambda c: c["cases"][0].update(colour="red"), "damaged"),
        (lambda c: c.update(paired="yes"), "damaged (paired is 'yes')"),
        (lambda c: c.update(cases={"a": 1}), "damaged"),
        (lambda c: c["cases"][1].update(id="c0"), "Two cases are called c0"),
        (lambda c: c["cases"][0].update(mask="images/gone.nrrd"), "names images/gone.nrrd"),
    ],
)
def test_damaged_descriptions(dataset, change, words):
    assert words in refusal(Dataset.load, edit(dataset, change))


def test_description_cut_short_or_absent(dataset):
    file = dataset.folder / "dataset.json"
    text = file.read_text()
    for content in (text[:-20], "", "[]", "null", "\x00\x01"):
        file.write_text(content)
        assert "is damaged" in refusal(Dataset.load, dataset.folder)
    file.unlink()
    assert "holds no dataset.json" in refusal(Dataset.load, dataset.folder)
    assert "holds no dataset.json" in refusal(Dataset.load, dataset.folder / "images" / "mask.nrrd")


def test_a_patient_is_in_one_split(dataset):
    text = refusal(Dataset.load, edit(dataset, lambda c: c["cases"][2].update(patient="p0")))
    assert "Cases c0 and c2 are of the same patient (p0) but in the splits train and test" in text
    assert "same patient" in refusal(replace(dataset, cases=(*dataset.cases[:2], leaking(dataset))).save)


def leaking(dataset: Dataset) -> Case:
    return replace(dataset.cases[2], patient="p0")


def test_a_file_is_in_one_split(dataset):
    text = refusal(Dataset.load, edit(dataset, lambda c: c["cases"][2].update(target=c["cases"][1]["target"])))
    assert "Cases c1 and c2 use images/1-ct.nrrd in the splits validation and test" in text


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("copy", ["copy.nrrd", "copy.nii.gz", "float.mha", "flipped.nrrd"])
def test_an_image_is_in_one_split_whatever_its_file_is_called(dataset, copy, recorded):
    original = dataset.volumes(dataset.cases[0])[1]
    if copy.startswith("float"):
        original = original.with_array(original.array.astype(np.float64))
    if copy.startswith("flipped"):  # the same scan, its rows and slices stored in another order
        axes = np.diag([1.0, -1.0, -1.0])
        original = original.with_array(original.array[::-1, ::-1], geometry=Geometry((0, 0, 0), (4, 4, 5), axes))
    write_volume(original, dataset.folder / "images" / copy)

    def use(content):
        content["cases"][2]["target"] = f"images/{copy}"
        for case in content["cases"][0 if not recorded else 2 :]:
            case.pop("sha256")

    text = refusal(Dataset.load, edit(dataset, use))
    assert f"Cases c0 and c2 use the same image (images/0-ct.nrrd and images/{copy}) in the splits" in text


def test_hash_is_of_values_not_of_files():
    volume = body(0)[1]
    values = volume.array
    assert voxel_sha256(volume) == voxel_sha256(volume.with_array(values.astype(np.float32)))
    turned = np.ascontiguousarray(values.transpose(2, 0, 1))  # k along right, j along superior, i along anterior
    axes = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
    assert voxel_sha256(volume) == voxel_sha256(Volume(turned, Geometry((0, 0, 0), (4, 5, 4), axes)))
    assert voxel_sha256(volume) != voxel_sha256(volume.with_array(values[::-1]))
    changed = values.copy()
    changed[3, 4, 5] += 1
    assert voxel_sha256(volume) != voxel_sha256(volume.with_array(changed))


def test_content_that_was_changed_is_noticed(dataset):
    check_content(dataset)
    path = dataset.folder / dataset.cases[1].source
    volume = read_volume(path)[0]
    write_volume(volume.with_array(volume.array + 1), path)
    assert "Case c1: images/1-mr.nrrd was changed" in refusal(check_content, dataset)
    write_volume(volume.with_array(np.where(volume.array > 100, np.nan, 0)), path)
    assert "no number" in refusal(check_content, dataset)
    write_volume(volume, path)
    write_volume(Volume(np.ones((2, 2, 2), np.uint8)), dataset.folder / "images" / "mask.nrrd")
    assert "Case c0: the mask has (2, 2, 2) voxels" in refusal(check_content, dataset)

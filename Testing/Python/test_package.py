"""Training packages: what is packed is trained elsewhere, and what was altered on the way is refused."""

import json
import shutil
import zipfile
from types import SimpleNamespace

import pytest
from medgan import model_store
from medgan.cli import main
from medgan.dataset import Dataset
from medgan.errors import Cancelled, InputError
from medgan.package import CONTENTS, export_package, import_package
from medgan.plan import Plan, make_plan
from medgan.recipes import recipe_class
from medgan.run_folder import Run
from training_fixtures import TINY, tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    dataset = tiny_dataset(tmp_path_factory.mktemp("package") / "dataset")
    (dataset.folder / "raw").mkdir()
    (dataset.folder / "raw" / "patient.nrrd").write_bytes(b"nobody asked for it")
    return dataset


@pytest.fixture(scope="module")
def plan(dataset):
    parameters = {name: value for name, value in TINY.items() if name != "patch_size"} | {"epochs": 1}
    return make_plan(recipe_class("denoise-ct"), dataset, overrides=parameters)


@pytest.fixture
def package(dataset, plan, tmp_path):
    return export_package(dataset, plan, tmp_path / "package.zip")


def rewritten(path, change):
    """A copy of a zip file whose files, ``{name: bytes}``, were changed."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    other = path.with_name("other.zip")
    with zipfile.ZipFile(other, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return other


def test_a_package_holds_the_dataset_the_plan_and_how_to_train_it(package, dataset, plan, tmp_path):
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert "medgan train --package package.zip my_model" in archive.read("README.txt").decode()
        assert not [name for name in archive.namelist() if "raw" in name]
    shares = []
    found = import_package(package, tmp_path / "there", lambda share, message: shares.append(share))
    assert found.task == "denoise-ct" and Plan.load(found.plan).to_dict() == plan.to_dict()
    assert shares == sorted(shares) and len(shares) > 5
    there = Dataset.load(found.dataset)
    assert there.cases == dataset.cases
    for case in dataset.cases:
        for path in case.images().values():
            assert (there.folder / path).read_bytes() == (dataset.folder / path).read_bytes()


def test_it_is_trained_elsewhere_and_the_model_comes_back(package, dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MEDGAN_RUNS", str(tmp_path / "runs.json"))
    monkeypatch.setenv("MEDGAN_MODELS", str(tmp_path / "models"))
    server = tmp_path / "server"
    server.mkdir()
    sent = shutil.copy(package, server / "package.zip")
    run = Run(server / "run")
    assert main(["train", "--package", str(sent), str(run.folder), "--device", "cpu", "--name", "from-afar"]) == 0
    assert run.state == "finished" and "training denoise-ct" in capsys.readouterr().err
    assert run.plan().recipe.base_width == TINY["base_width"]
    assert main(["train", "--package", str(sent), str(run.folder), "--device", "cpu", "--set", "epochs=2"]) == 0
    assert "resumed after epoch 1" in capsys.readouterr().err
    installed = model_store.install_folder(run.bundle)
    assert installed.bundle.manifest.training["patients"] == 1
    with pytest.raises(SystemExit):
        main(["train", "denoise-ct", str(dataset.folder), str(server / "b"), "--package", str(sent), str(run.folder)])
    assert "takes the place of TASK DATASET OUT" in capsys.readouterr().err


def test_the_command_packs(dataset, plan, tmp_path, capsys):
    plan.save(tmp_path / "plan.json")
    assert main(["package", str(dataset.folder), str(tmp_path / "plan.json"), str(tmp_path / "a.zip")]) == 0
    assert "medgan train --package a.zip OUT" in capsys.readouterr().err
    assert import_package(tmp_path / "a.zip", tmp_path / "a").task == "denoise-ct"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: files.update({"dataset/images/train.nrrd": b"other"}), "altered: dataset/images/train.nrrd"),
        (lambda files: files.update({"plan.json": files["plan.json"] + b" "}), "altered: plan.json"),
        (lambda files: files.pop("dataset/images/test.nrrd"), "altered: it does not hold"),
        (lambda files: files.update({"more.txt": b""}), "altered: it does not hold"),
        (lambda files: files.update({"../outside.txt": b""}), "outside of its folder"),
        (lambda files: files.update({"/etc/outside": b""}), "outside of its folder"),
        (lambda files: files.update({"C:\\outside": b""}), "outside of its folder"),
        (lambda files: files.pop(CONTENTS), "is no training package"),
        (lambda files: files.update({CONTENTS: b"[1]"}), "no training package of MedGAN, or damaged"),
        (lambda files: files.update({CONTENTS: json.dumps({"medgan_package": 9}).encode()}), "newer MedGAN"),
    ],
)
def test_what_was_altered_is_refused_and_nothing_is_left(package, tmp_path, change, words):
    folder = tmp_path / "deep" / "there"
    with pytest.raises(InputError, match=words) as caught:
        import_package(rewritten(package, change), folder)
    assert "\n" not in str(caught.value) and not folder.exists()
    assert not list(tmp_path.rglob("*outside*"))
    assert not (tmp_path / "deep").exists() or not list((tmp_path / "deep").iterdir())


def test_what_is_no_package_is_refused(package, tmp_path):
    cut = tmp_path / "cut.zip"
    cut.write_bytes(package.read_bytes()[:-2000])
    (tmp_path / "text.zip").write_text("no zip")
    for path, words in ((cut, "or damaged"), (tmp_path / "text.zip", "or damaged"), (tmp_path / "no.zip", "no file")):
        with pytest.raises(InputError, match=words):
            import_package(path, tmp_path / "there")
    import_package(package, tmp_path / "there")
    with pytest.raises(InputError, match="another package already"):
        import_package(rewritten(package, _other_readme), tmp_path / "there")


def _other_readme(files):
    import hashlib

    contents = json.loads(files[CONTENTS])
    files["README.txt"] = b"Hello"
    contents["files"]["README.txt"] = hashlib.sha256(b"Hello").hexdigest()
    files[CONTENTS] = json.dumps(contents).encode()


def test_a_plan_of_other_cases_or_another_task_is_refused(dataset, plan, tmp_path):
    other = Plan(plan.recipe, plan.fingerprint | {"case_list": "other"}, plan.decisions)
    with pytest.raises(InputError, match="not those that the plan was made for"):
        export_package(dataset, other, tmp_path / "a.zip")
    content = plan.to_dict() | {"task": "stain", "recipe": recipe_class("stain").from_preset("recommended").to_dict()}
    with pytest.raises(InputError, match="plan is for the task stain, the dataset for denoise-ct"):
        export_package(dataset.folder, content, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_cancelling_and_a_full_disk_leave_nothing(dataset, plan, package, tmp_path, monkeypatch):
    def stop(share, message):
        if share > 0.5:
            raise Cancelled

    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Cancelled):
        export_package(dataset, plan, tmp_path / "a.zip", stop)
    with pytest.raises(Cancelled):
        import_package(package, tmp_path / "there", stop)
    monkeypatch.setattr("medgan.package.shutil", SimpleNamespace(disk_usage=lambda folder: SimpleNamespace(free=1000)))
    for attempt in (
        lambda: export_package(dataset, plan, tmp_path / "a.zip"),
        lambda: import_package(package, tmp_path / "there"),
    ):
        with pytest.raises(InputError, match="free disk space"):
            attempt()
    assert sorted(tmp_path.rglob("*")) == before

"""``medgan plan``: every parameter with its reason, measured on this machine, readable without torch."""

import dataclasses
import json
import subprocess
import sys

import pytest
from client_fixtures import python_environment
from medgan.cli import main
from medgan.errors import InputError
from medgan.plan import Plan
from medgan.plan_report import PlanReport
from medgan.recipes import recipe_class
from training_fixtures import TINY, tiny_dataset

SETTINGS = [f"--set={name}={value}" for name, value in TINY.items() if name not in ("patch_size", "batch_size")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("plan") / "dataset").folder


@pytest.fixture(scope="module")
def printed(dataset, tmp_path_factory):
    """What ``medgan plan --json`` prints, and the plan it saves."""
    saved = tmp_path_factory.mktemp("saved") / "plan.json"
    command = [sys.executable, "-m", "medgan", "plan", "denoise-ct", str(dataset), "--device", "cpu", *SETTINGS]
    run = subprocess.run(
        [*command, "--json", "--save", str(saved)], env=python_environment(), capture_output=True, text=True, check=True
    )
    assert "Measuring a few steps" in run.stderr
    return run.stdout, saved


def test_every_parameter_has_its_value_and_what_people_need(printed):
    report = PlanReport.parse(printed[0])
    described = {one.name: one for one in dataclasses.fields(recipe_class("denoise-ct")) if "label" in one.metadata}
    assert {one.name for one in report.parameters} == set(described)
    for one in report.parameters:
        assert (one.label, one.help, one.unit) == tuple(
            described[one.name].metadata[k] for k in ("label", "help", "unit")
        )
        assert one.choices == tuple(described[one.name].metadata["choices"])
    parameters = {one.name: one for one in report.parameters}
    assert parameters["base_width"].reason == "set by the user" and parameters["base_width"].default == 24
    assert "smallest training image is 64x64x6" in parameters["patch_size"].reason
    assert parameters["beta1"].reason == "" and parameters["beta1"].value == parameters["beta1"].default
    assert report.value("patch_size") == 64 and {"device", "images"} <= {one["parameter"] for one in report.notes}


def test_it_is_measured(printed):
    report = PlanReport.parse(printed[0])
    assert (report.task, report.preset, report.device) == ("denoise-ct", "recommended", "cpu")
    assert report.total_s > report.seconds_per_epoch > 0
    assert report.memory_bytes > 50e6 and report.free_bytes > 0
    assert report.fingerprint["cases"] == {"train": 1, "validation": 1, "test": 1}


def test_the_saved_plan_is_the_one_that_was_printed(printed, dataset, tmp_path, monkeypatch):
    report, plan = PlanReport.parse(printed[0]), Plan.load(printed[1])
    assert plan.to_dict() == report.plan == json.loads(printed[1].read_text())
    monkeypatch.setenv("MEDGAN_RUNS", str(tmp_path / "runs.json"))
    out = tmp_path / "run"
    command = ["train", "denoise-ct", str(dataset), str(out), "--plan", str(printed[1]), "--quiet", "--device", "cpu"]
    assert main([*command, "--set", "epochs=1", "--set", "steps_per_epoch=1"]) == 0
    assert Plan.load(out / "plan.json").recipe.base_width == report.value("base_width") == TINY["base_width"]


def test_it_is_read_without_torch(printed, tmp_path):
    (tmp_path / "plan.txt").write_text(printed[0], encoding="utf-8")
    code = (
        "import sys\nfrom pathlib import Path\nfrom medgan import package, plan_report, run_folder, runs\n"
        "report = plan_report.PlanReport.parse(Path(sys.argv[1]).read_text(encoding='utf-8'))\n"
        "heavy = {'torch', 'monai', 'SimpleITK', 'scipy', 'lightning_fabric', 'pydicom'} & set(sys.modules)\n"
        "print(report.value('depth'), sorted(heavy))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "plan.txt")],
        env=python_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == "2 []\n"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"parameters": [{"name": "a"}]}', "Traceback"])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(InputError, match="plan again"):
        PlanReport.parse(text)


def test_for_people_it_is_a_table(dataset, capsys):
    assert main(["plan", "denoise-ct", str(dataset), "--device", "cpu", "--quiet", *SETTINGS]) == 0
    printed = capsys.readouterr()
    assert "patch_size" in printed.out and "An epoch takes" in printed.out and printed.err == ""


def test_a_wrong_request_is_one_sentence(dataset, tmp_path, capsys):
    for more, words in (
        (["denoise-ct", str(tmp_path / "none")], "no dataset folder"),
        (["stain", str(dataset)], "made for the task denoise-ct, not stain"),
        (["denoise-ct", str(dataset), "--start-from", "nothing-of-that-name"], "no model 'nothing-of-that-name'"),
        (["denoise-ct", str(dataset), "--set", "depth=77"], "depth must lie between"),
    ):
        assert main(["plan", *more, "--quiet"]) in (2, 3)
        printed = capsys.readouterr().err
        assert words in printed and len(printed.splitlines()) == 1

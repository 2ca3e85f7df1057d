"""``medgan train`` as a user runs it: what it prints, what it leaves behind, how it stops and goes on."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from matplotlib.image import imread
from medgan.bundle import Bundle
from medgan.cli import main
from medgan.run_folder import Run
from training_fixtures import TINY, tiny_dataset

ENGINE = str(Path(__file__).resolve().parents[2] / "MedGANSynthesis")
SETTINGS = {name: value for name, value in TINY.items() if name not in ("patch_size", "epochs")}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("cli") / "dataset").folder


def arguments(dataset, out, *more, **settings):
    texts = [part for name, value in (SETTINGS | settings).items() for part in ("--set", f"{name}={value}")]
    return ["train", "denoise-ct", str(dataset), str(out), "--device", "cpu", *texts, *map(str, more)]


def history(out):
    return json.loads((out / "history.json").read_text())


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """Folder of a training of two epochs, and what it printed."""
    out, printed, results = tmp_path_factory.mktemp("trained") / "run", io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(results):
        assert main(arguments(dataset, out, epochs=2)) == 0
    assert results.getvalue() == ""
    return out, printed.getvalue().splitlines()


def environment(**extra):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([ENGINE, os.environ.get("PYTHONPATH", "")]), **extra}


def test_a_training_leaves_plan_pictures_history_and_a_model(trained):
    out, lines = trained
    assert any("plan: patch_size = 64 (the smallest training image is 64x64x6" in line for line in lines)
    assert sum(line.startswith("medgan: epoch ") and "baseline" in line for line in lines) == 2
    assert "medgan apply" in lines[-1]
    plan = json.loads((out / "plan.json").read_text())
    assert plan["recipe"]["batch_size"] == SETTINGS["batch_size"] and plan["dataset"]["cases"]["train"] == 1
    assert len(history(out)) == 2
    for name in ("curves.png", "samples.png"):
        assert imread(out / name).shape[1] > 300
    Bundle.load(out / "bundle").verify()
    assert not [path for path in out.rglob(".*") if path.is_file()]  # no temporary file


def test_the_same_command_with_more_epochs_goes_on(trained, dataset, capsys):
    out, _lines = trained
    before = history(out)
    assert main(arguments(dataset, out, epochs=3)) == 0
    after, printed = history(out), capsys.readouterr().err
    assert after[:2] == before and len(after) == 3
    assert "resumed after epoch 2" in printed and "planning" not in printed
    decisions = json.loads((out / "plan.json").read_text())["decisions"]
    assert {"parameter": "epochs", "value": 3, "reason": "set by the user"} in decisions


def test_another_setting_does_not_go_on_and_changes_nothing(trained, dataset, capsys):
    out, _lines = trained
    before, kept = {path: path.stat().st_mtime_ns for path in out.rglob("*")}, Run(out).status
    for more, words in (
        (arguments(dataset, out, batch_size=2), "batch_size=4, so it cannot go on with batch_size=2"),
        (arguments(dataset, out, "--preset", "published"), "preset=recommended"),
    ):
        assert main(more) == 2
        printed = capsys.readouterr().err
        assert len(printed.splitlines()) == 1 and words in printed and "--no-resume" in printed
        status = Run(out).status  # where those look who started it without a terminal
        assert words in status.message
        assert status.changed(message=kept.message, updated=kept.updated, warnings=kept.warnings) == kept
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert {path for path in before | after if before.get(path) != after.get(path)} == {out / "status.json"}


def test_a_plan_is_taken_over_and_quiet_prints_nothing(trained, dataset, tmp_path, capsys):
    out, _lines = trained
    plan = json.loads((out / "plan.json").read_text())
    plan["recipe"]["steps_per_epoch"] = 2
    (tmp_path / "mine.json").write_text(json.dumps(plan))
    base = ["train", "denoise-ct", str(dataset), str(tmp_path / "run"), "--plan", str(tmp_path / "mine.json")]
    assert main([*base, "--set", "epochs=1", "--quiet", "--name", "mine"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and [line for line in captured.err.splitlines() if "medgan" in line] == []
    used = json.loads((tmp_path / "run" / "plan.json").read_text())["recipe"]
    assert used == plan["recipe"] | {"epochs": 1}
    assert Bundle.load(tmp_path / "run" / "bundle").name == "mine"
    assert main([*base, "--set", "epochs=1", "--quiet"]) == 0  # the same command finds it finished


def test_a_wrong_request_is_one_sentence_before_anything_is_written(dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    out = tmp_path / "run"
    for more, words in (
        (["--tensorboard"], "pip install tensorboard"),
        (["--minutes", "-3"], "--minutes"),
        (["--minutes", "soon"], "--minutes"),
        (["--plan", str(tmp_path / "absent.json")], "cannot be read"),
        (["--set", "patch_size=4096"], "patch_size must lie between"),
    ):
        try:
            code = main(arguments(dataset, out, *more))
        except SystemExit as left:
            code = left.code
        printed = capsys.readouterr().err
        assert code == 2 and words in printed and len(printed.splitlines()) == 1
    assert not out.exists()


def test_parameters_are_listed_for_the_task_wherever_it_stands(capsys):
    texts = []
    for command in (["train", "--parameters", "denoise-ct"], ["train", "denoise-ct", "--parameters"]):
        with pytest.raises(SystemExit) as left:
            main(command)
        assert left.value.code == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert "patch_size=96 pixels  [from 32 to 1024]" in texts[0] and "[none, batch, instance]" in texts[0]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_an_interrupt_keeps_the_checkpoint_and_says_how_to_go_on(dataset, tmp_path, capsys):
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "medgan", *arguments(dataset, out, epochs=500)],
        stderr=subprocess.PIPE, text=True, env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        while not (out / "curves.png").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "medgan: Cancelled; the same command goes on from the last checkpoint."
    done = len(history(out))
    imread(out / "curves.png")
    assert main(arguments(dataset, out, epochs=done + 1)) == 0
    assert len(history(out)) == done + 1 and f"resumed after epoch {done}" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun's rendezvous")
def test_of_several_processes_one_prints_and_writes(dataset, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "medgan", *arguments(dataset, tmp_path / "run", epochs=1, steps_per_epoch=2)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment(OMP_NUM_THREADS="1"), check=False)
    assert run.returncode == 0, run.stderr
    lines = [line for line in run.stderr.splitlines() if line.startswith("medgan:")]
    assert len(lines) == len(set(lines)) and any("2 x cpu" in line for line in lines)
    assert sum(line.startswith("medgan: epoch 1:") for line in lines) == 1
    assert len(history(tmp_path / "run")) == 1

"""The files of a training run: read while they are written, after a crash, by several processes, on a full disk."""

import json
import os
import shutil
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from client_fixtures import python_environment
from medgan import runs
from medgan.cli import main
from medgan.errors import Cancelled, InputError
from medgan.file_lock import FileLock, is_held, locked
from medgan.run_folder import LOCK, Run
from medgan.run_request import Request
from medgan.run_status import RunStatus, read_status, write_status
from medgan.run_steps import FILE, StepReader, StepWriter
from medgan.run_watch import RunRecorder, note_refusal
from medgan.training_events import SampleDrawn, StepDone, TrainingEnded, TrainingStarted, TrainingWarning
from run_fixtures import tiny_request
from training_fixtures import tiny_dataset

GEOMETRY = {"origin_mm": [1.0, 2.0, 3.0], "spacing_mm": [1.0, 1.0, 2.0], "directions": np.eye(3).tolist()}


@pytest.fixture(autouse=True)
def registry(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_RUNS", str(tmp_path / "registry" / "runs.json"))


def step(number, **losses):
    rates = {"generator": 1e-3, "discriminator": 1e-4}
    return StepDone(number, 100, 1 + number // 10, {"l1": 1.0 / number} | losses, rates, 5.0, 60.0)


def request(folder):
    return Request("denoise-ct", str(folder), parameters={"epochs": 3})


def test_steps_are_read_as_they_come_and_a_torn_line_is_passed_over(tmp_path):
    writer, reader = StepWriter(tmp_path), StepReader(tmp_path)
    assert list(reader.table()["step"]) == []
    writer.begin(0)
    for number in (1, 2, 3):
        writer.add(step(number))
    assert list(reader.table()["step"]) == [1, 2, 3]
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + b'{"step": 4, "ep')
    assert list(reader.table()["step"]) == [1, 2, 3] == list(StepReader(tmp_path).table()["step"])
    with (tmp_path / FILE).open("ab") as stream:
        stream.write(b'och": 1, "l1": 0.25}\n')
    writer.add(step(5, discriminator=0.5))
    table = reader.table()
    assert list(table["step"]) == [1, 2, 3, 4, 5] and table["l1"][3] == 0.25
    np.testing.assert_array_equal(table["discriminator"], [np.nan] * 4 + [0.5])
    assert all(column.dtype == np.float64 and len(column) == 5 for column in table.values())


def test_a_resumed_curve_has_nothing_beyond_the_checkpoint(tmp_path):
    writer, reader = StepWriter(tmp_path), StepReader(tmp_path)
    writer.begin(0)
    for number in range(1, 9):
        writer.add(step(number))
    assert len(reader.table()["step"]) == 8
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])  # killed while writing
    writer.begin(5)
    writer.add(step(6))
    assert list(reader.table()["step"]) == [1, 2, 3, 4, 5, 6]
    writer.begin(0)
    assert list(reader.table()["step"]) == []


def test_a_long_curve_can_be_thinned_and_ends_where_it_ends(tmp_path):
    writer = StepWriter(tmp_path)
    writer.begin(0)
    for number in range(1, 1001):
        writer.add(step(number))
    thinned = StepReader(tmp_path).table(most=30)["step"]
    assert 15 < len(thinned) <= 30 and thinned[-1] == 1000 and set(np.diff(thinned)) == {34}


def test_a_status_survives_the_file_and_damage_is_no_status(tmp_path):
    status = RunStatus("running", "Grüße", 0.5, 2, 4, warnings=("Look.",), remaining_s=None, request=request(tmp_path))
    write_status(tmp_path, status)
    read = read_status(tmp_path)
    assert read.changed(updated=0.0) == status and read.age_s < 10
    (tmp_path / "status.json").write_text('{"state": "running", "of a later version": 1}')
    assert read_status(tmp_path).state == "running"
    for damage in ('{"state"', "[]", "", '{"request": 3}'):
        (tmp_path / "status.json").write_text(damage)
        assert read_status(tmp_path) == RunStatus()


def test_a_lock_is_of_one_process_and_ends_with_it(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom medgan.file_lock import FileLock\n"
        "lock = FileLock(Path(sys.argv[1]))\nassert lock.acquire()\nprint('locked', flush=True)\ntime.sleep(60)"
    )
    path = tmp_path / "lock"
    assert not is_held(path)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], env=python_environment(), stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "locked\n"
        assert is_held(path) and not FileLock(path).acquire(0.1)
        with pytest.raises(InputError, match="in use by another process"), locked(path, 0.1):
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert not is_held(path)
    with locked(path):
        assert is_held(path)
    assert not is_held(path)


def test_registering_in_many_processes_loses_none(tmp_path):
    folders = [tmp_path / f"run-{number}" for number in range(40)]
    for folder in folders:
        write_status(folder, RunStatus("finished"))
    threads = [threading.Thread(target=lambda part=n: [runs.register(f) for f in folders[part::4]]) for n in range(3)]
    for thread in threads:
        thread.start()
    code = "import sys\nfrom medgan import runs\nfor folder in sys.argv[1:]: runs.register(folder)"
    environment = python_environment() | {"MEDGAN_RUNS": os.environ["MEDGAN_RUNS"]}
    subprocess.run([sys.executable, "-c", code, *map(str, folders[3::4])], env=environment, check=True)
    for thread in threads:
        thread.join()
    assert {run.folder for run in runs.known_runs()} == set(folders)


def test_runs_that_are_gone_are_passed_over_and_the_latest_is_first(tmp_path):
    for name in ("a", "b", "c"):
        write_status(tmp_path / name, RunStatus("stopped"))
        runs.register(tmp_path / name)
    runs.register(tmp_path / "a")
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "c").rename(tmp_path / "d")
    assert runs.known_runs() == [Run(tmp_path / "a")]
    (tmp_path / "d").rename(tmp_path / "c")  # its disk is back
    assert runs.known_runs() == [Run(tmp_path / "a"), Run(tmp_path / "c")]
    runs.forget(tmp_path / "a")
    assert runs.known_runs() == [Run(tmp_path / "c")]
    runs.registry().write_text("damaged")
    assert runs.known_runs() == []


def test_the_recorder_tells_of_every_end(tmp_path):
    ends = (
        (None, "finished", "finished", "The model is finished"),
        (None, "early stop", "early stop", "no longer got better"),
        (Cancelled(), "cancelled", "stopped", "Stopped before the first checkpoint"),
        (KeyboardInterrupt(), "cancelled", "stopped", "Stopped"),
        (InputError("It diverged."), "diverged", "diverged", "It diverged."),
        (InputError("No room."), None, "failed", "No room."),
        (RuntimeError("odd"), None, "failed", "unexpected RuntimeError: odd"),
    )
    for number, (error, reason, state, words) in enumerate(ends):
        folder = tmp_path / str(number)
        try:
            with RunRecorder(folder, request(tmp_path)) as recorder:
                assert Run(folder).state == "running" and is_held(folder / LOCK)
                recorder(TrainingStarted("denoise-ct", "recommended", "cpu", 1, 4, 10, 0))
                recorder(step(7))
                for _ in range(2):
                    recorder(TrainingWarning("odd", "Look at it."))
                if reason is not None:
                    recorder(TrainingEnded(reason, 1, None))
                if error is not None:
                    raise error
        except (InputError, Cancelled, KeyboardInterrupt, RuntimeError) as raised:
            assert raised is error
        status = Run(folder).status
        assert status.state == state and words in status.message and not is_held(folder / LOCK)
        assert (status.step, status.epochs, status.warnings) == (7, 4, ("Look at it.",))
        assert Run(folder) in runs.known_runs() and status.request == request(tmp_path)


def test_a_wish_to_a_process_that_is_gone_does_not_stop_the_next(tmp_path):
    write_status(tmp_path, RunStatus("running"))
    (tmp_path / "control.json").write_text('{"want": "stop"}')
    (tmp_path / ".123-checkpoint.pt").write_bytes(b"half")
    assert Run(tmp_path).state == "interrupted"
    with RunRecorder(tmp_path, request(tmp_path)) as recorder:
        recorder.progress(0.5, "Working")
    assert not (tmp_path / ".123-checkpoint.pt").exists()
    write_status(tmp_path, RunStatus("starting"))
    Run(tmp_path).stop()  # asked for before the process has come up
    with pytest.raises(Cancelled), RunRecorder(tmp_path, request(tmp_path)) as recorder:
        recorder.progress(0.5, "Working")
    assert Run(tmp_path).state == "stopped"


def test_a_start_that_is_refused_says_why_in_the_folder(tmp_path):
    note_refusal(tmp_path, "Never.")
    assert list(tmp_path.iterdir()) == []  # no run's folder
    write_status(tmp_path, RunStatus("starting"))
    note_refusal(tmp_path, "No torch.")
    assert (Run(tmp_path).state, Run(tmp_path).status.message) == ("failed", "No torch.")
    with RunRecorder(tmp_path, request(tmp_path)):
        note_refusal(tmp_path, "Never.")
        assert Run(tmp_path).state == "running"


def test_a_process_that_never_came_up_is_told_after_a_while(tmp_path, monkeypatch):
    write_status(tmp_path, RunStatus("starting"))
    assert Run(tmp_path).state == "starting"
    monkeypatch.setattr("medgan.run_folder.START_S", 0.0)
    status = Run(tmp_path).status
    assert status.state == "interrupted" and "log.txt may say why" in status.message


def test_a_sample_that_cannot_be_written_is_a_warning(tmp_path):
    images = {"input": np.zeros((4, 5), np.float32)}
    sample = SampleDrawn(1, 10, "p1", images, "HU", (0.0, 1.0), None, "HU", {"input": GEOMETRY})
    with RunRecorder(tmp_path, request(tmp_path)) as recorder:
        (tmp_path / "sample").write_text("in the way")
        recorder(sample)
        recorder(sample)
        (tmp_path / "sample").unlink()
        recorder(sample)
    assert len(Run(tmp_path).status.warnings) == 1 and Run(tmp_path).sample()["case"] == "p1"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("files") / "dataset").folder


def test_a_full_disk_before_and_during_a_training_is_one_sentence(dataset, tmp_path, monkeypatch, capsys):
    run, free = Run(tmp_path / "run"), [1_000]
    monkeypatch.setattr(
        "medgan.checkpoint.shutil", SimpleNamespace(disk_usage=lambda folder: SimpleNamespace(free=free[0]))
    )
    arguments = tiny_request(dataset, steps_per_epoch=1, epochs=3).command(run.folder, quiet=True)
    arguments = arguments[arguments.index("train") :]
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert "nearly full: 0.0 MiB are free" in printed and len(printed.splitlines()) == 1
    assert run.state == "failed" and "nearly full" in run.status.message and not run.has_checkpoint

    class Filling(list):
        def __getitem__(self, index):  # room at the start and for two checkpoints
            self.append(0)
            return 10**9 if len(self) < 4 else 1_000

    free = Filling()
    assert main(arguments) == 2
    assert "the last checkpoint is kept" in run.status.message and run.state == "failed"
    assert [row["epoch"] for row in run.history()] == [1, 2]
    monkeypatch.undo()
    assert main(arguments) == 0
    assert run.state == "finished" and len(run.history()) == 3


def test_starting_anew_leaves_nothing_of_the_run_before(dataset, tmp_path):
    run = Run(tmp_path / "run")
    command = tiny_request(dataset, steps_per_epoch=1, epochs=2).command(run.folder)
    assert main(command[command.index("train") :]) == 0
    anew = tiny_request(dataset, steps_per_epoch=2, epochs=1).command(run.folder, resume=False)
    assert main(anew[anew.index("train") :]) == 0
    assert len(run.history()) == 1 and list(run.steps()["step"]) == [2]
    assert json.loads((run.folder / "plan.json").read_text())["recipe"]["steps_per_epoch"] == 2

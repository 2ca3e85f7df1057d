"""A training in another process: found again, followed, paused, stopped, killed, and exact all the same."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import SimpleITK as sitk
import torch
from client_fixtures import python_environment
from medgan import runs
from medgan.bundle import Bundle
from medgan.cli import main
from medgan.dataset import Dataset
from medgan.errors import InputError
from medgan.image_io import read_volume
from medgan.run_folder import Run
from medgan.run_status import read_status, write_status
from run_fixtures import kill, tiny_request, wait_for, wait_for_end
from training_fixtures import tiny_dataset

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("runs") / "dataset").folder


@pytest.fixture(scope="module", autouse=True)
def registry(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDGAN_RUNS", str(tmp_path_factory.mktemp("registry") / "runs.json"))
        patch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
        yield


@contextlib.contextmanager
def started(folder, dataset):
    """A run that has just been started, of more epochs than anybody waits for."""
    run = Run(folder)
    run.start(tiny_request(dataset, epochs=500))
    try:
        yield run
    finally:
        if run.status.live:
            kill(run)


@pytest.fixture(scope="module")
def running(dataset, tmp_path_factory):
    """A run that has drawn a sample and goes on; nobody may end it."""
    with started(tmp_path_factory.mktemp("running") / "run", dataset) as run:
        wait_for(run, lambda status: run.sample() is not None)
        yield run


@pytest.fixture
def run(dataset, tmp_path):
    """A run of which there is a checkpoint."""
    with started(tmp_path / "run", dataset) as run:
        wait_for(run, lambda status: run.has_checkpoint)
        yield run


def outcome(run):
    """What has to be equal whatever came between; times are not."""
    state = torch.load(run.folder / "checkpoint.pt", weights_only=True)
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in run.history()]
    return state, rows


def test_paused_stopped_and_killed_runs_equal_a_straight_one(dataset, tmp_path):
    request = tiny_request(dataset, epochs=4, label_smoothing=0.1)
    straight, other = Run(tmp_path / "straight"), Run(tmp_path / "other")
    assert train_here(straight, request) == 0
    chance = random.Random()
    other.start(request)
    wait_for(other, lambda status: status.step > 0)
    other.pause()
    wait_for(other, lambda status: status.state == "paused")
    other.resume()
    wait_for(other, lambda status: other.has_checkpoint)
    other.stop()
    assert wait_for_end(other).state == "stopped"
    other.start()
    begun = wait_for(other, lambda status: status.state == "running" and status.device).step
    wait_for(other, lambda status: status.step > begun)
    time.sleep(chance.uniform(0.0, 0.2))
    kill(other)
    assert other.state == "interrupted"
    assert train_here(other, request) == 0
    assert other.state == "finished"
    (left, rows), (right, other_rows) = outcome(straight), outcome(other)
    assert other_rows == rows and len(rows) == 4 and right["best"] == left["best"]
    for part in ("generator", "discriminator", "average"):
        for name, value in left[part].items():
            torch.testing.assert_close(right[part][name], value, rtol=0, atol=0)
    ends, other_ends = ({step: column(each, step) for step in range(6, 25, 6)} for each in (straight, other))
    assert other_ends == ends  # the live curve is that of the weights
    steps = list(other.steps()["step"])
    assert steps == sorted(set(steps))
    assert not [path for path in other.folder.rglob(".*") if path.is_file()]


def train_here(run, request):
    """Exit code of the same command in this process."""
    command = request.command(run.folder)
    return main(command[command.index("train") :])


def column(run, step):
    table = run.steps()
    return float(table["l1"][list(table["step"]).index(step)])


def test_a_fresh_process_finds_the_run_and_follows_it(running):
    code = (
        "import json, sys\nfrom medgan.runs import known_runs\nrun = known_runs()[0]\n"
        "print(json.dumps([str(run.folder), run.state, len(run.history()), float(run.steps()['step'][-1]), "
        "sorted(run.sample()), run.plan().recipe.epochs, 'torch' in sys.modules]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], env=python_environment() | {"MEDGAN_RUNS": os.environ["MEDGAN_RUNS"]},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder, state, epochs, step, sample, planned, heavy = json.loads(found.stdout)
    assert (folder, state, planned, heavy) == (str(running.folder), "running", 500, False)
    assert epochs >= 1 and step >= 6 and {"input", "output", "truth", "case"} <= set(sample)


def test_a_pause_lasts_and_can_be_ended_by_a_stop(run):
    run.pause()
    paused = wait_for(run, lambda status: status.state == "paused")
    wait_for(run, lambda status: status.updated > paused.updated)  # its heart goes on beating
    checkpoint = (run.folder / "checkpoint.pt").read_bytes()
    again = wait_for(run, lambda status: status.updated > paused.updated + 1.0)
    assert (again.state, again.step) == ("paused", paused.step)
    assert (run.folder / "checkpoint.pt").read_bytes() == checkpoint
    run.stop()
    assert wait_for_end(run).message == "Stopped; the last checkpoint is kept."
    for ask in (run.pause, run.resume, run.stop):
        with pytest.raises(InputError, match="is not running; start it first"):
            ask()


def test_the_sample_lies_where_its_case_lies(running, dataset):
    sample = running.sample()
    source, truth = Dataset.load(dataset).volumes(Dataset.load(dataset).split("validation")[0])
    assert sample["case"] == "validation" and sample["epoch"] >= 1 and sample["window"] == (-160.0, 240.0)
    for role, whole in (("input", source), ("truth", truth)):
        image = sitk.ReadImage(str(sample[role]))
        assert image.GetSize() == (64, 64, 1) and image.GetSpacing() == (0.8, 0.8, 3.0)
        assert image.GetOrigin() == whole.to_sitk().TransformIndexToPhysicalPoint((0, 0, 1))
        assert (sitk.GetArrayFromImage(image)[0] == whole.array[1]).all()
    output = read_volume(sample["output"])[0]
    assert output.geometry.is_close(read_volume(sample["truth"])[0].geometry) and output.units == "HU"


def test_a_second_process_is_refused_and_changes_nothing(running, capsys):
    before = running.status
    with pytest.raises(InputError, match="running already; stop it first"):
        running.start(before.request)
    assert train_here(running, before.request) == 2
    printed = capsys.readouterr().err
    assert "Another process is training in" in printed and len(printed.splitlines()) == 1
    assert running.status.state == "running" and running.status.pid == before.pid


def test_a_process_that_is_gone_is_told_from_one_that_is_silent(run):
    process = run.status.pid
    os.kill(process, signal.SIGSTOP)  # a machine that sleeps
    try:
        time.sleep(0.2)
        write_status(run.folder, read_status(run.folder).changed(message="Long ago"))
        assert run.state == "running"
    finally:
        os.kill(process, signal.SIGCONT)
    kill(run)
    interrupted = run.status
    assert interrupted.state == "interrupted" and "goes on from the last checkpoint" in interrupted.message
    write_status(run.folder, read_status(run.folder).changed(pid=os.getpid()))  # the number belongs to another now
    assert run.state == "interrupted"


def test_a_run_can_be_finished_from_the_command_line(run, capsys):
    assert main(["runs", "pause", str(run.folder)]) == 0
    wait_for(run, lambda status: status.state == "paused")
    assert main(["runs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)[0]  # the latest
    assert (listed["folder"], listed["state"]) == (str(run.folder), "paused")
    assert main(["runs", "stop", str(run.folder)]) == 0
    wait_for_end(run)
    done = len(run.history())
    assert train_here(run, tiny_request(listed["request"]["dataset"], epochs=done)) == 0
    assert run.state == "finished"
    Bundle.load(run.bundle).verify()
    assert main(["runs"]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["runs", "forget", str(run.folder)]) == 0
    assert run not in runs.known_runs() and run.exists


def test_a_dataset_that_moved_or_changed_is_named(run, dataset, tmp_path):
    run.stop()
    request = wait_for_end(run).request
    moved = dataset.rename(dataset.with_name("elsewhere"))
    try:
        with pytest.raises(InputError, match="is no dataset"):
            run.start()
        assert train_here(run, request) == 2
        assert "was it moved" in run.status.message and run.state == "stopped"
    finally:
        moved.rename(dataset)
    image = dataset / "images" / "train.nrrd"
    before = image.read_bytes()
    volume = sitk.ReadImage(str(image))
    volume[0, 0, 0] = 7
    sitk.WriteImage(volume, str(image))
    try:
        run.start()
        failed = wait_for_end(run)
        assert failed.state == "failed" and "train.nrrd was changed since the dataset was built" in failed.message
    finally:
        image.write_bytes(before)
    content = (dataset / "dataset.json").read_text()
    (dataset / "dataset.json").write_text(content.replace('"patient": "test"', '"patient": "else"'))
    try:
        with pytest.raises(InputError, match="are not those that the training began with"):
            run.start()
    finally:
        (dataset / "dataset.json").write_text(content)

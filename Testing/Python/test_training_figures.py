"""What people see of a training: curves, sample grids, the TensorBoard log and the lines on the terminal."""

import io
import json
import math

import numpy as np
import pytest
from matplotlib.image import imread
from medgan.errors import InputError
from medgan.tensorboard_log import TensorBoardLog, require_tensorboard
from medgan.training_console import TrainingConsole, duration
from medgan.training_events import EpochDone, SampleDrawn, StepDone, TrainingStarted, TrainingWarning
from medgan.training_figures import COLUMNS, Samples, TrainingPictures, curves, history_panels, shown

STARTED = TrainingStarted("denoise-ct", "recommended", "cpu", 1, 20, 100, 0)


def history(epochs, adversarial_from=3):
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "l1": 0.1 / epoch, "learning_rate": 1e-4, "seconds": 9.0 * epoch}
        if epoch >= adversarial_from:
            row |= {"generator_adversarial": 0.5, "discriminator": 0.25, "real_score": 0.6, "fake_score": 0.4}
        row |= {"validation_output_psnr_db": 30.0 + epoch, "validation_input_psnr_db": 31.5}
        rows.append(row)
    return rows


def sample(epoch, case="case", size=(24, 32), step=None, **changes):
    """Columns of the output get brighter with the epochs; rows of the input do not."""
    truth = np.broadcast_to(np.linspace(-160, 240, size[1], dtype=np.float32), size)
    images = {"input": truth.T.copy().T * 0.5, "output": np.full(size, 10.0 * epoch, np.float32), "truth": truth}
    step = 100 * epoch if step is None else step
    return SampleDrawn(epoch, step, case, images | changes.pop("images", {}), "HU", (-160.0, 240.0), **changes)


def test_panels_hold_both_networks_the_baseline_and_the_rates():
    panels = {panel.title: panel for panel in history_panels(history(6))}
    assert panels["Likeness (generator)"].lines == {"L1": pytest.approx([0.1 / epoch for epoch in range(1, 7)])}
    game = panels["Adversarial"].lines
    assert set(game) == {"generator adversarial", "discriminator"}
    assert np.isnan(game["discriminator"][:2]).all() and game["discriminator"][2:] == [0.25] * 4
    validation = panels["Validation: PSNR (dB)"]
    assert validation.lines["generated"][-1] == 36.0 and validation.baselines["generated"] == [31.5] * 6
    assert panels["Learning rate"].lines == {"generator": [1e-4] * 6}


def test_panels_leave_out_what_there_is_nothing_of():
    assert history_panels([]) == []
    titles = [panel.title for panel in history_panels([{"epoch": 1, "l1": 0.2}])]
    assert titles == ["Likeness (generator)"]


@pytest.mark.parametrize("rows", [[], history(1), history(40), [{"epoch": 1, "l1": math.nan}]])
def test_curves_are_drawn_whatever_the_history_holds(rows, tmp_path):
    curves(rows, tmp_path / "curves.png", "title")
    picture = imread(tmp_path / "curves.png")
    assert (
        picture.ndim == 3 and (picture[..., :3].min() < 0.5) and [p.name for p in tmp_path.iterdir()] == ["curves.png"]
    )


def test_curves_change_with_the_history_and_a_failed_write_leaves_the_old_ones(tmp_path):
    path = tmp_path / "curves.png"
    curves(history(3), path)
    first = path.read_bytes()
    curves(history(4), path)
    second = path.read_bytes()
    assert first != second
    with pytest.raises(InputError, match="could not be written"):
        curves(history(3), path / "below-a-file" / "curves.png")
    assert path.read_bytes() == second


def test_a_window_maps_to_the_grey_of_a_screen():
    image = np.float32([[-2000.0, -160.0, 40.0, 240.0, 3000.0, np.nan, np.inf]])
    assert shown(image, (-160.0, 240.0)).tolist() == [[0, 0, 128, 255, 255, 0, 255]]
    color = np.float32([[[0.0, 127.6, 255.0]]])
    assert shown(color, (0.0, 255.0)).tolist() == [[[0, 128, 255]]]
    assert max(shown(np.zeros((1500, 700)), (0.0, 1.0)).shape) <= 512


def test_one_case_is_a_column_per_time_and_few_of_many_are_kept(tmp_path):
    samples = Samples(tmp_path)
    for epoch in range(41):
        samples.add(sample(epoch))
    steps = [entry["step"] for entry in samples.columns()]
    assert len(steps) == COLUMNS and steps == sorted(steps) and (steps[0], steps[-1]) == (0, 4000)
    gaps = np.diff(steps)[:-1]  # the last one grows until it is split
    assert gaps.max() <= 4 * gaps.min()


def test_several_cases_are_a_column_each_with_the_latest(tmp_path):
    samples = Samples(tmp_path)
    for epoch in (1, 2):
        for case in ("first", "second"):
            samples.add(sample(epoch, case))
    assert [(entry["case"], entry["epoch"]) for entry in samples.columns()] == [("first", 2), ("second", 2)]


def test_the_grid_has_input_above_generated_above_truth(tmp_path):
    samples = Samples(tmp_path)
    levels = {"input": -160.0, "output": 40.0, "truth": 240.0}  # black, grey, white
    for epoch in (1, 2):
        flat = {name: np.full((24, 24), level, np.float32) for name, level in levels.items()}
        samples.add(sample(epoch, images=flat))
    samples.draw(tmp_path / "samples.png")
    picture = imread(tmp_path / "samples.png")[..., 0]
    rows, columns = picture.shape
    strip = picture[:, columns // 3]
    runs = [float(strip[rows * at // 16]) for at in (5, 9, 13)]
    assert runs[0] < 0.05 and 0.4 < runs[1] < 0.6 and runs[2] > 0.95


@pytest.mark.parametrize(
    "event",
    [
        sample(1),
        sample(1, images={name: np.zeros((16, 16, 3), np.float32) for name in ("input", "output", "truth")}),
        sample(1, images={"input": np.zeros((12, 16), np.float32)}),  # coarser than the output
        sample(1, input_window=(0.0, 900.0)),
        SampleDrawn(1, 1, "unpaired", {n: np.zeros((8, 8), np.float32) for n in ("input", "output")}, "HU", (0.0, 0.0)),
    ],
)
def test_every_kind_of_image_is_drawn(event, tmp_path):
    samples = Samples(tmp_path)
    samples.add(event)
    samples.draw(tmp_path / "samples.png")
    assert imread(tmp_path / "samples.png").shape[0] > 200


def test_samples_survive_a_resume_and_a_damaged_store_is_no_reason_to_stop(tmp_path):
    samples = Samples(tmp_path)
    samples.draw(tmp_path / "nothing.png")
    assert not (tmp_path / "nothing.png").exists()
    for epoch in (1, 2, 3):
        samples.add(sample(epoch))
    samples.save()
    again = Samples(tmp_path)
    assert [entry["epoch"] for entry in again.columns()] == [1, 2, 3]
    for name, image in samples.columns()[1]["images"].items():
        np.testing.assert_array_equal(again.columns()[1]["images"][name], image)
    again.forget_after(200)
    assert [entry["epoch"] for entry in again.columns()] == [1, 2]
    (tmp_path / "samples.npz").write_bytes(b"not an archive")
    assert Samples(tmp_path).columns() == []


def test_the_pictures_of_a_resumed_training_hold_the_epochs_before(tmp_path):
    rows = history(3)
    pictures = TrainingPictures(tmp_path)
    pictures(STARTED)
    for row in rows:
        pictures(EpochDone(row["epoch"], row))
        pictures(sample(row["epoch"]))
    (tmp_path / "history.json").write_text(json.dumps(rows))
    straight = {name: (tmp_path / name).read_bytes() for name in ("curves.png", "samples.png")}
    resumed = TrainingPictures(tmp_path)  # from a checkpoint of epoch 2, although epoch 3 had been drawn
    resumed(TrainingStarted("denoise-ct", "recommended", "cpu", 1, 20, 100, 2))
    resumed(EpochDone(3, rows[2]))
    resumed(sample(3))
    assert straight == {name: (tmp_path / name).read_bytes() for name in straight}


def test_tensorboard_log_or_a_sentence(tmp_path):
    pytest.importorskip("torch.utils.tensorboard", exc_type=ImportError)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(tmp_path)
    for event in (
        STARTED,
        StepDone(1, 9, 1, {"l1": 0.5}, {"generator": 1e-4}, 20.0, None),
        EpochDone(1, history(1)[0]),
        sample(1, images={"input": np.zeros((12, 16), np.float32)}),
        TrainingWarning("kind", "text"),
    ):
        log(event)
    log.close()
    stored = EventAccumulator(str(tmp_path)).Reload()
    assert stored.Scalars("loss/l1")[0].value == 0.5
    assert stored.Scalars("validation psnr_db/baseline")[0].value == 31.5
    assert stored.Images("samples/case")[0].width == 16 + 2 * 32


def test_without_tensorboard_there_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        require_tensorboard()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run_through(console):
    with console:
        console(STARTED)
        console(StepDone(142, 2000, 2, {"l1": 0.0148, "discriminator": 0.25}, {"generator": 5e-4}, 20.7, 3725.0))
        console(TrainingWarning("kind", "The generator sleeps."))
        console(EpochDone(2, history(2)[1]))
        console(StepDone(143, 2000, 2, {"l1": 0.0147}, {"generator": 5e-4}, 20.7, 3700.0))
    return console


def test_a_log_file_gets_plain_lines():
    stream = io.StringIO()
    run_through(TrainingConsole(stream=stream))
    lines = stream.getvalue().splitlines()
    assert lines == [
        "medgan: training denoise-ct (recommended) on cpu: 20 epochs of 100 steps",
        "medgan: epoch 2/20, step 42/100, L1 0.0148, D 0.25, lr 5.0e-04, 20.7 samples/s, 1 h 02 min left",
        "medgan: warning: The generator sleeps.",
        "medgan: epoch 2: L1 0.05; PSNR (dB) 32 (baseline 31.5)",
    ]


def test_a_terminal_gets_one_live_line_and_the_others_on_their_own():
    stream = Terminal()
    run_through(TrainingConsole(stream=stream))
    pieces = stream.getvalue().replace("\n", "\r").split("\r")
    live = [piece for piece in pieces if "samples/s" in piece]
    assert live and all("medgan:" not in piece for piece in live) and "step 43/100" in live[-1]
    assert "medgan: warning: The generator sleeps." in [piece.strip() for piece in pieces]
    assert stream.getvalue().count("\n") == 3  # start, warning, epoch: the live line is wiped


def test_quiet_prints_nothing():
    for stream in (io.StringIO(), Terminal()):
        run_through(TrainingConsole(quiet=True, stream=stream))
        assert stream.getvalue() == ""


def test_durations_are_read_at_a_glance():
    assert [duration(s) for s in (0.2, 59.6, 3599.6, 86400)] == ["0 s", "1 min 00 s", "1 h 00 min", "24 h 00 min"]

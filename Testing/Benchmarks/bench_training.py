"""Training throughput: samples per second beside the plain loop, and how long the network waits for data.

The recommended ``denoise-ct`` recipe on a small synthetic dataset: the same network, the same losses, the same batch
size, on the same device in the same run. The plain loop is what a training script usually is: a ``Dataset`` that reads
and crops its files anew for every sample, a ``DataLoader``, float32. The trainer holds the volumes on the device, crops
and augments there, and computes in half precision where the device does so natively. Both take turns; medians of steps
are compared. Time is wall time, with the device synchronised.

    python Testing/Benchmarks/bench_training.py --json bench_training.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "MedGANSynthesis"))

import medgan.recipes
import numpy as np
import torch
from medgan.dataset import Case, Dataset
from medgan.device import choose_device
from medgan.image_io import read_volume, write_volume
from medgan.recipes.base import Recipe
from medgan.sampling import Batch
from medgan.trainer import Trainer
from medgan.training_step import TrainingStep
from medgan.volume import Geometry, Volume

GOAL_SPEED, GOAL_WAIT = 1.0, 0.1
SLICES, SIDE, CASES = 24, 256, 2


def make_dataset(folder: Path) -> Dataset:
    """Noisy discs, as large as a small chest scan."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    cases = []
    for number in range(CASES):
        clean = np.full((SLICES, SIDE, SIDE), -1000.0)
        for image in clean:
            image[np.hypot(rows - 0.5, columns - 0.5) < 0.45] = 40.0
            for _ in range(12):
                row, column, radius = generator.uniform((0.2, 0.2, 0.02), (0.8, 0.8, 0.08))
                image[np.hypot(rows - row, columns - column) < radius] = generator.uniform(-800, 800)
        pair = {"low": clean + generator.normal(0, 60, clean.shape), "full": clean}
        for name, array in pair.items():
            volume = Volume(np.rint(array).astype(np.int16), Geometry(spacing_mm=(0.8, 0.8, 2.0)), "HU", "CT")
            write_volume(volume, folder / f"{number}-{name}.nrrd")
        cases.append(Case(str(number), str(number), f"{number}-low.nrrd", f"{number}-full.nrrd", "train"))
    Dataset(folder, "denoise-ct", "CT", "HU", "discs", "CC0-1.0", tuple(cases)).save()
    return Dataset.load(folder)


class FromDisk(torch.utils.data.Dataset):
    """Reads both files of a case and crops them, every time."""

    def __init__(self, dataset: Dataset, recipe: Recipe):
        self.dataset, self.side, self.cases = dataset, recipe.patch_shape()[-1], dataset.split("train")
        self.scale, self.target = recipe.source_scale(), recipe.target()

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = np.random.default_rng(index)
        case = self.cases[generator.integers(len(self.cases))]
        paths = (case.source, case.target)
        source, target = (read_volume(self.dataset.folder / path, modality="CT")[0].array for path in paths)
        k, j, i = (int(generator.integers(size - n + 1)) for size, n in zip(source.shape, self._shape(), strict=True))
        crop = (slice(k, k + 1), slice(j, j + self.side), slice(i, i + self.side))
        source, target = (np.ascontiguousarray(array[crop], np.float32)[None] for array in (source, target))
        fitted = self.scale.fit(source[0])
        network = fitted.forward(source), self.target.encode(target, source, fitted)
        return tuple(torch.from_numpy(array[:, 0]) for array in network)

    def _shape(self) -> tuple[int, int, int]:
        return (1, self.side, self.side)


class PlainLoop:
    """Float32, a DataLoader, no cache: the same players, losses and optimizers."""

    def __init__(self, recipe: Recipe, dataset: Dataset, device: torch.device, workers: int):
        self.recipe, self.device, self.objective = recipe, device, recipe.objective().to(device)
        torch.manual_seed(0)
        self.generator, self.discriminator = (player.to(device) for player in recipe.build_players())
        loader = torch.utils.data.DataLoader(FromDisk(dataset, recipe), recipe.batch_size, num_workers=workers)
        self.batches = iter(loader)
        self.optimizers = [
            torch.optim.Adam(player.parameters(), rate, (recipe.beta1, recipe.beta2))
            for player, rate in (
                (self.generator, recipe.learning_rate_generator),
                (self.discriminator, recipe.learning_rate_discriminator),
            )
        ]

    def step(self) -> None:
        """Both players once."""
        source, target = (tensor.to(self.device) for tensor in next(self.batches))
        batch = Batch(source, target)
        output = self.objective.generate(self.generator, batch)
        self.discriminator.requires_grad_(False)
        terms, _ = self.objective.generator_terms(output, self.discriminator, batch)
        self._update(0, sum(terms.values()))
        self.discriminator.requires_grad_(True)
        terms, _ = self.objective.discriminator_terms(output, self.discriminator, batch)
        self._update(1, sum(terms.values()))

    def _update(self, player: int, loss: torch.Tensor) -> None:
        self.optimizers[player].zero_grad()
        loss.backward()
        self.optimizers[player].step()


class TrainerLoop:
    """Steps of MedGAN's trainer, the time in its sampler apart."""

    def __init__(self, recipe: Recipe, dataset: Dataset, folder: Path, device: str):
        self.trainer = Trainer(recipe, dataset, folder, device, lambda fraction, message: None)
        self.device, self.number, self.waits = self.trainer.device, 0, []
        self.draw = self.trainer.sampler.batch
        self.trainer.sampler.batch = self._timed_batch
        self.trainer.generator.train()
        self.trainer.discriminator.train()

    def step(self) -> None:
        """Both players once."""
        TrainingStep(self.trainer, self.number).run()
        self.number += 1

    def _timed_batch(self, step: int) -> Any:
        synchronise(self.device)
        started = time.perf_counter()
        batch = self.draw(step)
        synchronise(self.device)
        self.waits.append(time.perf_counter() - started)
        return batch


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(loops: dict[str, Any], device: torch.device, warm_up: int, seconds: float) -> dict[str, list[float]]:
    """Duration of single steps in turns, after some of each to warm up, until the time is over."""
    durations: dict[str, list[float]] = {name: [] for name in loops}
    begun, done = time.perf_counter(), 0
    while done <= warm_up + 1 or time.perf_counter() - begun < seconds:
        for name, loop in loops.items():
            synchronise(device)
            started = time.perf_counter()
            loop.step()
            synchronise(device)
            if done >= warm_up:
                durations[name].append(time.perf_counter() - started)
        done += 1
    return durations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--seconds", type=float, default=30.0, help="time to measure for (default: 30)")
    parser.add_argument("--warm-up", type=int, default=2, help="steps of each loop that do not count (default: 2)")
    parser.add_argument("--workers", type=int, default=0, help="processes of the plain loop's DataLoader (default: 0)")
    parser.add_argument("--batch-size", type=int, default=8, help="patches per step (default: 8)")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    recipe = medgan.recipes.get("denoise-ct", batch_size=arguments.batch_size, adversarial_start=0)
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(Path(folder))
        trained = TrainerLoop(recipe, dataset, Path(folder) / "run", str(device))
        loops = {"plain loop": PlainLoop(recipe, dataset, device, arguments.workers), "MedGAN": trained}
        durations = measure(loops, device, arguments.warm_up, arguments.seconds)
    waits = trained.waits[-len(durations["MedGAN"]) :]
    report(arguments, device, recipe, durations, waits, str(trained.trainer.fabric._precision.precision))


def report(
    arguments: argparse.Namespace,
    device: torch.device,
    recipe: Recipe,
    durations: dict[str, list[float]],
    waits: list[float],
    precision: str,
) -> None:
    """Print and keep the figures."""
    median = {name: statistics.median(values) for name, values in durations.items()}
    rate = {name: recipe.batch_size / value for name, value in median.items()}
    share = sum(waits) / sum(durations["MedGAN"])
    ratio = rate["MedGAN"] / rate["plain loop"]
    print(
        f"denoise-ct on {device}, {recipe.batch_size} patches of {recipe.patch_size} pixels a step; MedGAN {precision}"
    )
    for name, value in rate.items():
        print(f"  {name:10} {value:9.2f} samples/s   {median[name] * 1e3:9.1f} ms/step   {len(durations[name])} steps")
    print(f"times the plain loop                  {ratio:.2f}   goal > {GOAL_SPEED:g}")
    print(f"share of a step spent on data         {share:.1%}   goal < {GOAL_WAIT:.0%}")
    if arguments.json:
        result = {
            "device": str(device), "torch": torch.__version__, "precision": precision, "samples_per_s": rate,
            "ratio": ratio, "data_share": share, "steps": len(waits), "arguments": vars(arguments),
        }  # fmt: skip
        arguments.json.write_text(json.dumps(result, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()

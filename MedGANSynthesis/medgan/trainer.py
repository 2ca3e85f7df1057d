"""Adversarial training of a recipe on a dataset, with checkpoints that a stop loses nothing by.

``out_dir`` receives ``checkpoint.pt`` (after every epoch, read with ``weights_only=True``), ``best.pt`` (averaged
generator of the best epoch), ``history.json`` (one row per epoch) and, at the end, ``bundle/``. Batches and random
numbers are functions of seed and step, so N + M epochs equal N, stop, M. Under ``torchrun`` every process trains its
part of each batch and gradients are averaged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import checkpoint, fine_tuning, schedules, training_validation
from .audience import Audience
from .dataset import Dataset
from .device import require_torch
from .errors import Cancelled, InputError
from .files import make_folder
from .memory import OutOfMemory, is_out_of_memory
from .recipes.base import Recipe
from .training_events import EpochDone, StepDone, TrainingEnded, TrainingStarted
from .training_health import divergence_message

if TYPE_CHECKING:
    from .bundle import Bundle

Progress = Callable[[float, str], None]
Watch = Callable[[Any], None]
REPORT_INTERVAL_S = 0.5


def train(
    recipe: Recipe,
    dataset: Dataset | str | Path,
    out_dir: str | Path,
    resume: bool = True,
    device: str = "auto",
    progress: Progress | None = None,
    name: str | None = None,
    watchers: Iterable[Watch] = (),
    start_from: Bundle | str | Path | None = None,
) -> Bundle:
    """Train a generator and write it as a bundle.

    Args:
        recipe: what to train, see :func:`medgan.recipes.get`.
        dataset: a :class:`~medgan.dataset.Dataset` or its folder.
        out_dir: where checkpoint, history and bundle go.
        resume: continue from ``checkpoint.pt`` if there is one; False starts anew and deletes it.
        device: "auto", "cpu", "cuda" or "mps".
        progress: called with (fraction, message) several times per epoch; may raise
            :class:`~medgan.errors.Cancelled`, which keeps the last checkpoint.
        name: name of the bundle (default: task and preset).
        watchers: called with each event of :mod:`medgan.training_events`, on the first process only.
        start_from: bundle whose generator is the start (fine-tuning), of the same networks; no longer needed once
            there is a checkpoint.

    Returns:
        The finished bundle, ``out_dir / "bundle"``.

    Raises:
        InputError: the dataset does not fit the recipe, the checkpoint belongs to another recipe, the disk is nearly
            full (the last checkpoint is kept), or the training diverged.
        OutOfMemory: a step takes more than there is.

    Example:
        >>> bundle = train(medgan.recipes.get("denoise-ct"), "my-dataset", "run-1")  # doctest: +SKIP
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset)
    if dataset.task != recipe.TASK:
        raise InputError(
            f"The dataset was made for the task {dataset.task}, the recipe is for {recipe.TASK}; choose one."
        )
    require_torch()
    run = Trainer(recipe, dataset, Path(out_dir), device, progress, watchers)
    make_folder(Path(out_dir))  # not only after the first epoch, which may take hours
    run.find_start(resume, start_from)
    if run.leads:
        checkpoint.check_room(run, checkpoint.COPIES)
    try:
        run.begin()
        while not run.finished:
            run.train_epoch()
        return run.write_bundle(name or f"{recipe.TASK}-{recipe.preset}")
    except (Cancelled, KeyboardInterrupt):
        run.end("cancelled")
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(
                f"There is not enough memory on {run.device} for this training; lower batch_size or the size of the "
                "patches, or close other programs."
            ) from error
        raise


class Trainer:
    """State of one training run: both players, their optimizers, the averaged generator and the history."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        out_dir: Path,
        device: str,
        progress: Progress | None = None,
        watchers: Iterable[Watch] = (),
    ):
        import lightning_fabric  # noqa: F401  its import sets the level of its log anew
        import torch

        from .device import choose_device
        from .processes import make_fabric, precision_for
        from .sampling import PatchSampler

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision of every run
        self.recipe, self.dataset, self.out_dir = recipe, dataset, out_dir
        chosen = choose_device(device)
        self.fabric = make_fabric(chosen, precision_for(recipe, chosen))
        self.device = self.fabric.device
        if self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # as validation sets it; a resumed run must not begin otherwise
        self.leads = self.fabric.global_rank == 0
        self.audience = Audience(recipe, watchers if self.leads else (), progress)
        self.sampler = PatchSampler(dataset, recipe, self.device, self.fabric.global_rank, self.fabric.world_size)
        self.objective = recipe.objective().to(self.device)
        torch.manual_seed(recipe.seed)
        generator, discriminator = recipe.build_players()
        self.generator, self.generator_optimiser = self._setup(generator, recipe.learning_rate_generator)
        self.discriminator, self.discriminator_optimiser = self._setup(
            discriminator, recipe.learning_rate_discriminator
        )
        self.spec = recipe.measured_spec(recipe.build_generator())
        self.average = {key: value.detach().clone() for key, value in self.generator.state_dict().items()}
        self.epoch = 0
        self.seconds = 0.0
        self.validation_s = 0.0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self.started_from = ""
        self.fixed_slice: Any = None

    def _setup(self, network: Any, rate: float) -> tuple[Any, Any]:
        import torch

        network = network.to(self.device)
        if self.recipe.network_spec().dimensions == 2:
            network = network.to(memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(network.parameters(), lr=rate, betas=(self.recipe.beta1, self.recipe.beta2))
        return network, self.fabric.setup_optimizers(optimiser)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the score has not risen for ``patience`` epochs."""
        waited = self.epoch - int(self.best.get("epoch", self.epoch))
        return self.epoch >= self.recipe.epochs or 0 < self.recipe.patience <= waited

    def begin(self) -> None:
        """Tell the watchers what starts."""
        recipe = self.recipe
        self.audience.tell(
            TrainingStarted(
                recipe.TASK, recipe.preset, str(self.device), self.fabric.world_size, recipe.epochs,
                recipe.steps_per_epoch, self.epoch,
            )
        )  # fmt: skip
        self.audience.say("Training", self.epoch / recipe.epochs)
        if self.audience:
            from .training_sample import FixedSlice

            self.fixed_slice = FixedSlice(self.dataset, recipe, self.spec)

    def train_epoch(self) -> None:
        """One epoch of steps, a validation with the averaged weights, a checkpoint."""
        import torch

        from .training_step import TrainingStep

        started = reported = self.audience.seconds
        self.generator.train()
        self.discriminator.train()
        steps = self.recipe.steps_per_epoch
        sums: dict[str, Any] = {}
        counts: dict[str, int] = {}  # adversarial terms may join in the middle of an epoch
        for index in range(steps):
            step = self.epoch * steps + index
            # dropout and labels: the same after a resume, others in every process
            torch.manual_seed((self.recipe.seed * 1_000_003 + step) * self.fabric.world_size + self.fabric.global_rank)
            self._set_learning_rates(step)
            report = TrainingStep(self, step).run()
            for key, value in report.items():
                sums[key] = sums[key] + value if key in sums else value
                counts[key] = counts.get(key, 0) + 1
            if self.recipe.sample_interval and (step + 1) % self.recipe.sample_interval == 0:
                self._draw_sample(step + 1)
            if self.audience.seconds - reported > REPORT_INTERVAL_S or index == steps - 1:
                reported = self.audience.seconds
                self._report(step, index, report, reported - started)
        losses = {key: float(self.fabric.all_reduce(value)) / counts[key] for key, value in sums.items()}
        self._check_finite(losses, (self.epoch + 1) * steps)
        rates = {f"learning_rate_{player}": rate for player, rate in self._rates().items()}
        stepped = self.audience.seconds
        row = {"epoch": self.epoch + 1, **losses, **rates, **training_validation.validate(self)}
        self.epoch += 1
        self.validation_s = self.audience.seconds - stepped
        self.seconds += self.audience.seconds - started
        row["seconds"] = round(self.seconds, 1)
        self.history.append(row)
        if self.leads and (self.epoch % self.recipe.checkpoint_interval == 0 or self.finished):
            checkpoint.save(self)
        self.fabric.barrier()
        self.audience.tell(EpochDone(self.epoch, row))
        if not self.recipe.sample_interval:
            self._draw_sample(self.epoch * steps)

    def _draw_sample(self, step: int) -> None:
        if self.fixed_slice is not None:
            sample = self.fixed_slice.draw(self.averaged_generator(), self.epoch, step, str(self.device))
            self.audience.tell(sample)

    def _report(self, step: int, index: int, report: dict[str, Any], elapsed_s: float) -> None:
        """Losses so far to whoever watches; also where a training that went astray is stopped."""
        losses = {key: float(value) for key, value in report.items()}
        self._check_finite(losses, step + 1)
        total = self.recipe.epochs * self.recipe.steps_per_epoch
        pace_s = elapsed_s / (index + 1)
        samples = self.recipe.batch_size * self.fabric.world_size / pace_s
        remaining_s = pace_s * (total - step - 1) + self.validation_s * (self.recipe.epochs - self.epoch)
        self.audience.tell(StepDone(step + 1, total, self.epoch + 1, losses, self._rates(), samples, remaining_s))
        where = f"Epoch {self.epoch + 1} of {self.recipe.epochs}, step {index + 1} of {self.recipe.steps_per_epoch}"
        self.audience.say(where, (step + 1) / total)

    def _check_finite(self, losses: dict[str, float], step: int) -> None:
        kept = self.epoch // self.recipe.checkpoint_interval * self.recipe.checkpoint_interval
        message = divergence_message(losses, step, kept, self.recipe)
        if message is not None:
            self.end("diverged")
            raise InputError(message)

    def end(self, reason: str, bundle: Path | None = None) -> None:
        """Tell the watchers how it ended, see :class:`~medgan.training_events.TrainingEnded`."""
        best = self.best.get("epoch")
        self.audience.tell(
            TrainingEnded(reason, None if best is None else int(best), None if bundle is None else str(bundle))
        )

    def _rates(self) -> dict[str, float]:
        return {
            "generator": self.generator_optimiser.param_groups[0]["lr"],
            "discriminator": self.discriminator_optimiser.param_groups[0]["lr"],
        }

    def _set_learning_rates(self, step: int) -> None:
        recipe = self.recipe
        column = f"validation_{recipe.SCORE}"
        scores = [row[column] for row in self.history if column in row]
        factor = schedules.factor(
            recipe.schedule, step, recipe.steps_per_epoch, recipe.epochs, recipe.schedule_start, recipe.schedule_rate,
            scores,
        )  # fmt: skip
        rates = (recipe.learning_rate_generator, recipe.learning_rate_discriminator)
        for optimiser, rate in zip((self.generator_optimiser, self.discriminator_optimiser), rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def update_average(self, step: int) -> None:
        """Take the generator's weights into the running average."""
        # Early weights are worse than none, so the average starts short and lengthens to the decay asked for.
        decay = min(self.recipe.averaging, (1 + step) / (10 + step)) if self.recipe.averaging else 0.0
        for key, value in self.generator.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value.detach(), 1.0 - decay)
            else:
                self.average[key].copy_(value)

    def averaged_generator(self, average: dict[str, Any] | None = None) -> Any:
        """A copy of the shipped generator with the averaged weights, in evaluation mode."""
        generator = self.recipe.build_generator()
        generator.load_state_dict(self.recipe.shipped(self.average if average is None else average))
        return generator.to(self.device).eval()

    def find_start(self, resume: bool, bundle: Bundle | str | Path | None) -> None:
        """Continue from the checkpoint if there is one and it is wanted, else begin with a bundle's generator or anew.

        Raises:
            InputError: see :func:`medgan.checkpoint.load` and :func:`medgan.fine_tuning.start_from`.
        """
        if resume:
            self.load_checkpoint()
        elif self.leads:
            checkpoint.discard(self.out_dir)
        if bundle is not None and self.epoch == 0:
            fine_tuning.start_from(self, bundle)

    def load_checkpoint(self) -> None:
        """Continue where ``checkpoint.pt`` left off, if there is one; see :func:`medgan.checkpoint.load`."""
        checkpoint.load(self)
        checkpoint.check_agreement(self)

    def write_bundle(self, name: str) -> Bundle:
        """The generator of the best epoch as a bundle, with the fingerprint of the data and the results on it."""
        from .bundle import Bundle
        from .bundle_writer import write_bundle

        path = self.out_dir / "bundle"
        if self.leads:
            generator = self.averaged_generator(checkpoint.load_best(self))
            cases = self.dataset.split("test") or self.dataset.split("validation")
            results = training_validation.evaluate(self, generator, cases) if cases else []
            schedule = f"{self.epoch} epochs of {self.recipe.steps_per_epoch} steps"
            schedule += f", starting from the generator of {self.started_from}" if self.started_from else ""
            self.audience.say("Writing the model")
            write_bundle(path, name, self.recipe, self.spec, generator.cpu(), self.dataset, results, schedule=schedule)
            self.end("finished" if self.epoch >= self.recipe.epochs else "early stop", path)
        self.fabric.barrier()
        return Bundle.load(path)

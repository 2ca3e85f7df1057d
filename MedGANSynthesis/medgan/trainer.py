"""Adversarial training of a recipe on a dataset, with checkpoints that a stop loses nothing by.

``out_dir`` receives ``checkpoint.pt`` (after every epoch, read with ``weights_only=True``), ``history.json``
(one row per epoch) and, at the end, ``bundle/``. Batches are a function of seed and step, so N + M epochs
equal N, stop, M.
"""

from __future__ import annotations

import errno
import logging
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .dataset import Dataset
from .device import require_torch
from .errors import InputError
from .files import make_folder, replacing, write_json
from .recipes.base import Recipe

if TYPE_CHECKING:
    from .bundle import Bundle

Progress = Callable[[float, str], None]


def train(
    recipe: Recipe,
    dataset: Dataset | str | Path,
    out_dir: str | Path,
    resume: bool = True,
    device: str = "auto",
    progress: Progress | None = None,
    name: str | None = None,
) -> Bundle:
    """Train a generator and write it as a bundle.

    Args:
        recipe: what to train, see :func:`medgan.recipes.get`.
        dataset: a :class:`~medgan.dataset.Dataset` or its folder.
        out_dir: where checkpoint, history and bundle go.
        resume: continue from ``checkpoint.pt`` if there is one; False starts anew and replaces it.
        device: "auto", "cpu", "cuda" or "mps".
        progress: called with (fraction, message) several times per epoch; may raise
            :class:`~medgan.errors.Cancelled`, which keeps the last checkpoint.
        name: name of the bundle (default: task and preset).

    Returns:
        The finished bundle, ``out_dir / "bundle"``.

    Raises:
        InputError: the dataset does not fit the recipe, or the checkpoint belongs to another recipe.

    Example:
        >>> bundle = train(medgan.recipes.get("denoise-ct"), "my-dataset", "run-1")  # doctest: +SKIP
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset)
    if dataset.task != recipe.TASK:
        raise InputError(
            f"The dataset was made for the task {dataset.task}, the recipe is for {recipe.TASK}; choose one."
        )
    require_torch()
    run = Trainer(recipe, dataset, Path(out_dir), device, progress or (lambda fraction, message: None))
    make_folder(Path(out_dir))  # not only after the first epoch, which may take hours
    if resume:
        run.load_checkpoint()
    while run.epoch < recipe.epochs:
        run.train_epoch()
    return run.write_bundle(name or f"{recipe.TASK}-{recipe.preset}")


class Trainer:
    """State of one training run: both networks, their optimisers, the averaged generator and the history."""

    def __init__(self, recipe: Recipe, dataset: Dataset, out_dir: Path, device: str, progress: Progress):
        import torch
        from lightning_fabric import Fabric

        from .device import choose_device
        from .sampling import PatchSampler

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision of every run
        self.recipe, self.dataset, self.out_dir, self.progress = recipe, dataset, out_dir, progress
        self.device = choose_device(device)
        accelerator = {"cuda": "cuda", "mps": "mps"}.get(self.device.type, "cpu")
        devices = [self.device.index or 0] if accelerator == "cuda" else 1
        self.fabric = Fabric(accelerator=accelerator, devices=devices, precision=_precision(self.device))
        self.sampler = PatchSampler(dataset, recipe)
        torch.manual_seed(recipe.seed)
        self.generator, self.generator_optimiser = self._setup(recipe.build_generator(), recipe.learning_rate_generator)
        self.discriminator, self.discriminator_optimiser = self._setup(
            recipe.build_discriminator(), recipe.learning_rate_discriminator
        )
        self.spec = recipe.measured_spec(self.generator.module)
        self.average = {key: value.detach().clone() for key, value in self.generator.module.state_dict().items()}
        self.epoch = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []

    def _setup(self, network: Any, rate: float) -> tuple[Any, Any]:
        import torch

        network = network.to(self.device, memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(network.parameters(), lr=rate, betas=(self.recipe.beta1, self.recipe.beta2))
        return self.fabric.setup(network, optimiser)

    def train_epoch(self) -> None:
        """One epoch of steps, a validation with the averaged weights, a checkpoint."""
        import torch

        started = time.monotonic()
        torch.manual_seed(self.recipe.seed + 1 + self.epoch)  # dropout; so that a resumed run repeats a straight one
        self.generator.train()
        losses: dict[str, float] = {}
        steps = self.recipe.steps_per_epoch
        for index in range(steps):
            step = self.epoch * steps + index
            self._set_learning_rates(step)
            for key, value in self._step(step).items():
                losses[key] = losses.get(key, 0.0) + value / steps
            if not all(math.isfinite(value) for value in losses.values()):
                raise InputError("The training diverged (a loss is no number); lower the learning rates and resume.")
            done = (step + 1) / (self.recipe.epochs * steps)
            self.progress(done, f"Epoch {self.epoch + 1} of {self.recipe.epochs}, step {index + 1} of {steps}")
        row = {"epoch": self.epoch + 1, **losses, **self.validate()}
        self.epoch += 1
        self.seconds += time.monotonic() - started
        row["seconds"] = round(self.seconds, 1)
        self.history.append(row)
        self.save_checkpoint()

    def _step(self, step: int) -> dict[str, float]:
        """Generator first, then discriminator, once each, as in the source."""
        import torch

        from .losses import balancing_weights, channel_weighted_l1, least_squares

        recipe = self.recipe
        source, target = (
            torch.from_numpy(array).to(self.device, memory_format=torch.channels_last)
            for array in self.sampler.batch(step)
        )
        centre = source[:, recipe.context_slices : recipe.context_slices + 1]
        truth = torch.cat([target, centre - target], dim=1)
        adversarial = self.epoch >= recipe.adversarial_start and recipe.weight_adversarial > 0
        output = self.generator(source).float()
        balance = balancing_weights(truth[:, 1:]) if recipe.balance_noise else None
        l1 = channel_weighted_l1(output, truth, (1.0, recipe.weight_noise_channel), balance)
        loss = recipe.weight_l1 * l1
        report = {"l1": l1.item()}
        if adversarial:
            self.discriminator.requires_grad_(False)
            deceit = least_squares(self.discriminator(output, source).float(), real=True)
            loss = loss + recipe.weight_adversarial * deceit
            report["generator_adversarial"] = deceit.item()
        self.generator_optimiser.zero_grad()
        self.fabric.backward(loss)
        self.generator_optimiser.step()
        self._update_average(step)
        if adversarial:
            self.discriminator.requires_grad_(True)
            judged_real = self.discriminator(truth, source).float()
            judged_fake = self.discriminator(output.detach(), source).float()
            judgement = 0.5 * (least_squares(judged_real, real=True) + least_squares(judged_fake, real=False))
            self.discriminator_optimiser.zero_grad()
            self.fabric.backward(judgement)
            self.discriminator_optimiser.step()
            report["discriminator"] = judgement.item()
        return report

    def _set_learning_rates(self, step: int) -> None:
        total = self.recipe.epochs * self.recipe.steps_per_epoch
        factor = 0.5 * (1 + math.cos(math.pi * step / total)) if self.recipe.learning_rate_decay else 1.0
        rates = (self.recipe.learning_rate_generator, self.recipe.learning_rate_discriminator)
        for optimiser, rate in zip((self.generator_optimiser, self.discriminator_optimiser), rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def _update_average(self, step: int) -> None:
        # Early weights are worse than none, so the average starts short and lengthens to the decay asked for.
        decay = min(self.recipe.averaging, (1 + step) / (10 + step)) if self.recipe.averaging else 0.0
        for key, value in self.generator.module.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value.detach(), 1.0 - decay)
            else:
                self.average[key].copy_(value)

    def averaged_generator(self) -> Any:
        """A copy of the generator with the averaged weights, in evaluation mode."""
        generator = self.recipe.build_generator()
        generator.load_state_dict(self.average)
        return generator.to(self.device).eval()

    def validate(self) -> dict[str, float]:
        """Metrics of the averaged generator on the validation split, beside those of the untouched input."""
        from .evaluation import evaluate_generator

        cases = self.dataset.split("validation")
        if not cases:
            return {}
        rows = evaluate_generator(
            self.averaged_generator(), self.spec, self.recipe.intensity_scale(), self.dataset, cases, str(self.device)
        )
        keys = [key for key in rows[0] if key != "case"]
        return {f"validation_{key}": sum(row[key] for row in rows) / len(rows) for key in keys}

    def save_checkpoint(self) -> None:
        """Write the whole state beside, then rename."""
        import torch

        state = {
            "recipe": self.recipe.to_dict(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
            "average": self.average,
            "generator": self.generator.module.state_dict(),
            "discriminator": self.discriminator.module.state_dict(),
            "generator_optimiser": self.generator_optimiser.state_dict(),
            "discriminator_optimiser": self.discriminator_optimiser.state_dict(),
        }
        with replacing(self.out_dir / "checkpoint.pt") as beside:
            try:
                torch.save(state, beside)
            except RuntimeError as error:  # this is what torch makes of a full disk
                raise OSError(errno.EIO, "writing stopped half way") from error
        write_json(self.out_dir / "history.json", self.history)

    def load_checkpoint(self) -> None:
        """Continue where ``checkpoint.pt`` left off, if there is one.

        Raises:
            InputError: it cannot be read or was made with other parameters (only ``epochs`` may be raised).
        """
        import torch

        path = self.out_dir / "checkpoint.pt"
        if not path.exists():
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state = torch.load(path, map_location=self.device, weights_only=True)
            recipe = dict(state["recipe"])
        except Exception as error:  # torch raises whatever its parser stumbles over
            raise self._damaged(path, error) from error
        wanted = {key: value for key, value in self.recipe.to_dict().items() if key != "epochs"}
        different = [key for key, value in wanted.items() if recipe.get(key) != value]
        if different:
            raise InputError(
                f"{path} was made with another {', '.join(different)}; use the same value, "
                "or resume=False (--no-resume) to start anew."
            )
        try:
            self._restore(state)
        except Exception as error:
            raise self._damaged(path, error) from error

    @staticmethod
    def _damaged(path: Path, error: Exception) -> InputError:
        return InputError(
            f"{path} cannot be read ({type(error).__name__}); start anew with resume=False (--no-resume)."
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.epoch, self.seconds, self.history = state["epoch"], state["seconds"], state["history"]
        self.average = state["average"]
        self.generator.module.load_state_dict(state["generator"])
        self.discriminator.module.load_state_dict(state["discriminator"])
        self.generator_optimiser.load_state_dict(state["generator_optimiser"])
        self.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])

    def write_bundle(self, name: str) -> Bundle:
        """The averaged generator as a bundle, with the fingerprint of the data and the results measured on it."""
        from .bundle_writer import write_bundle
        from .evaluation import evaluate_generator

        generator = self.averaged_generator()
        cases = self.dataset.split("test") or self.dataset.split("validation")
        scale = self.recipe.intensity_scale()
        results = evaluate_generator(generator, self.spec, scale, self.dataset, cases, str(self.device))
        return write_bundle(
            self.out_dir / "bundle", name, self.recipe, self.spec, generator.cpu(), self.dataset, results
        )


def _precision(device: Any) -> Any:
    """Mixed precision where the device computes it natively."""
    import torch

    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    # builds without oneDNN (macOS on Apple silicon) lack the operator
    if device.type == "cpu" and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "bf16-mixed"
    return "32-true"

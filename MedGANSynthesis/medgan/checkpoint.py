"""Checkpoints of a training: written beside and renamed, read without pickle's dangers, exact to the bit."""

from __future__ import annotations

import contextlib
import errno
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .files import replacing, write_json

if TYPE_CHECKING:
    from .trainer import Trainer

COPIES = 3
"""Checkpoints that a disk needs room for: the last one, the one that takes its place, and the best weights."""

MAY_CHANGE = ("epochs", "patience", "checkpoint_interval", "sample_interval")
"""Parameters that may change when a training goes on."""


def save(trainer: Trainer) -> None:
    """Write ``checkpoint.pt`` (everything) and ``history.json``.

    Raises:
        InputError: the disk is nearly full; the checkpoint before is kept.
    """
    check_room(trainer, 1)
    state = {
        "recipe": trainer.recipe.to_dict(),
        "processes": trainer.fabric.world_size,
        "epoch": trainer.epoch,
        "seconds": trainer.seconds,
        "history": trainer.history,
        "best": trainer.best,
        "started_from": trainer.started_from,
        "average": trainer.average,
        "generator": trainer.generator.state_dict(),
        "discriminator": trainer.discriminator.state_dict(),
        "generator_optimiser": trainer.generator_optimiser.state_dict(),
        "discriminator_optimiser": trainer.discriminator_optimiser.state_dict(),
        "objective": trainer.objective.state_dict(),
    }
    scaler = _scaler(trainer)
    if scaler is not None:
        state["scaler"] = scaler.state_dict()
    _write(trainer.out_dir / "checkpoint.pt", state)
    write_json(trainer.out_dir / "history.json", trainer.history)


def save_best(trainer: Trainer) -> None:
    """Write ``best.pt``: the averaged generator as it is now."""
    _write(trainer.out_dir / "best.pt", {"average": trainer.average, **trainer.best})


def check_room(trainer: Trainer, copies: int) -> None:
    """Refuse to go on where the disk has no room for so many checkpoints, those that are there included.

    Raises:
        InputError: how much is free and needed.
    """
    there = sum(path.stat().st_size for path in _files(trainer.out_dir) if copies > 1 and path.exists())
    needed = copies * _expected_bytes(trainer) - there
    free = shutil.disk_usage(trainer.out_dir).free
    if free >= needed:
        return
    kept = "the last checkpoint is kept" if (trainer.out_dir / "checkpoint.pt").exists() else "nothing is lost"
    raise InputError(
        f"The disk of {trainer.out_dir} is nearly full: {_size(free)} are free and the checkpoints need "
        f"{_size(needed)}; {kept}, free disk space and start again, or choose another folder."
    )


def discard(folder: Path) -> None:
    """Delete what an earlier training left to go on from."""
    for path in (*_files(folder), folder / "history.json"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def load(trainer: Trainer) -> None:
    """Continue where ``checkpoint.pt`` left off, if there is one.

    Raises:
        InputError: it cannot be read or was made with other parameters (only ``epochs`` and ``patience`` may change).
    """
    path = trainer.out_dir / "checkpoint.pt"
    if not path.exists():
        return
    state = _read(path, trainer.device)
    try:
        recipe = dict(state["recipe"])
    except (KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    wanted = {key: value for key, value in trainer.recipe.to_dict().items() if key not in MAY_CHANGE}
    different = [key for key, value in wanted.items() if recipe.get(key) != value]
    if different:
        raise InputError(
            f"{path} was made with another {', '.join(different)}; use the same value, "
            "or resume=False (--no-resume) to start anew."
        )
    processes = state.get("processes", 1)
    if processes != trainer.fabric.world_size:
        raise InputError(
            f"{path} was made by {processes} process(es), now there are {trainer.fabric.world_size}, so the batches "
            "would be others; start as many as before, or anew with resume=False (--no-resume)."
        )
    try:
        _restore(trainer, state)
    except Exception as error:  # whatever state is missing or does not fit
        raise _damaged(path, error) from error
    if trainer.leads:
        write_json(trainer.out_dir / "history.json", trainer.history)  # a kill may have come between both files


def check_agreement(trainer: Trainer) -> None:
    """All processes have to begin with the same epoch.

    Raises:
        InputError: the checkpoint was found by some of them only.
    """
    import torch

    epochs = trainer.fabric.all_gather(torch.tensor(trainer.epoch)).flatten().tolist()
    if len(set(epochs)) > 1:
        raise InputError(
            f"The processes found checkpoints of different epochs ({sorted(set(epochs))}); give all nodes the same "
            "output folder on a shared disk."
        )


def load_best(trainer: Trainer) -> dict[str, Any] | None:
    """The averaged weights of the best epoch; None where no validation chose one.

    Also None where ``best.pt`` is of another run: one begun anew and stopped before its first checkpoint leaves one.
    """
    path = trainer.out_dir / "best.pt"
    if not trainer.best or not path.exists():
        return None
    try:
        state = _read(path, trainer.device)
        average = state.pop("average")
    except KeyError as error:
        raise _damaged(path, error) from error
    return average if state == {key: trainer.best[key] for key in state} else None


def _restore(trainer: Trainer, state: dict[str, Any]) -> None:
    trainer.epoch, trainer.seconds, trainer.history = state["epoch"], state["seconds"], state["history"]
    trainer.best, trainer.started_from = state["best"], state.get("started_from", "")
    trainer.average = state["average"]
    trainer.generator.load_state_dict(state["generator"])
    trainer.discriminator.load_state_dict(state["discriminator"])
    trainer.generator_optimiser.load_state_dict(state["generator_optimiser"])
    trainer.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])
    trainer.objective.load_state_dict(state["objective"])
    scaler = _scaler(trainer)
    if scaler is not None and "scaler" in state:
        scaler.load_state_dict(state["scaler"])


def _scaler(trainer: Trainer) -> Any:
    """The gradient scaler of fp16 training, None otherwise."""
    return getattr(trainer.fabric.strategy.precision, "scaler", None)


def _write(path: Path, state: dict[str, Any]) -> None:
    import torch

    with replacing(path) as beside:
        try:
            torch.save(state, beside)
        except RuntimeError as error:  # this is what torch makes of a full disk
            raise OSError(errno.EIO, "writing stopped half way") from error


def _read(path: Path, device: Any) -> dict[str, Any]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dict(torch.load(path, map_location=device, weights_only=True))
    except Exception as error:  # torch raises whatever its parser stumbles over
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read ({type(error).__name__}); start anew with resume=False (--no-resume).")


def _files(folder: Path) -> tuple[Path, ...]:
    return folder / "checkpoint.pt", folder / "best.pt"


def _expected_bytes(trainer: Trainer) -> int:
    """Of a checkpoint: weights of both players, their moments (Adam has two for each) and the average."""
    generator, discriminator = (
        sum(value.numel() * value.element_size() for value in player.state_dict().values())
        for player in (trainer.generator, trainer.discriminator)
    )
    return 4 * generator + 3 * discriminator


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"

"""Starting a training from a generator that is trained already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import recipes
from .bundle import Bundle
from .bundle_search import resolve
from .errors import InputError

if TYPE_CHECKING:
    from .recipes.base import Recipe
    from .trainer import Trainer

_OF_THE_GENERATOR = ("build_generator", "network_spec", "source_scale", "target")


def start_from(trainer: Trainer, bundle: Bundle | str | Path) -> None:
    """Take the weights of a bundle's generator as the start of a training; of a CycleGAN the one that is shipped.

    Args:
        bundle: itself, its folder or its name.

    Raises:
        InputError: its networks are others, or no recipe made it.
    """
    bundle = _trained(bundle)
    weights, state = bundle.build_generator().state_dict(), trainer.generator.state_dict()
    places = trainer.recipe.shipped({name: name for name in state})
    if {name: value.shape for name, value in weights.items()} != {at: state[to].shape for at, to in places.items()}:
        raise InputError(
            f"The generator of '{bundle.title}' has other layers than this recipe; take over its parameters."
        )
    trainer.generator.load_state_dict(state | {places[name]: value for name, value in weights.items()})
    trainer.average = {key: value.detach().clone() for key, value in trainer.generator.state_dict().items()}
    trainer.started_from = bundle.name


def inherited(bundle: Bundle | str | Path, task: str) -> dict[str, Any]:
    """The parameters that make a generator what it is (layers, scales, target), for a training that starts from it.

    Raises:
        InputError: it is for another task, or no recipe made it.
    """
    bundle = _trained(bundle)
    if bundle.task != task:
        raise InputError(f"The model '{bundle.title}' is for the task {bundle.task}, not {task}; choose another start.")
    recipe = recipes.recipe_class(task).from_dict(bundle.manifest.recipe)
    return {name: getattr(recipe, name) for name in generator_parameters(recipe)}


def generator_parameters(recipe: Recipe) -> list[str]:
    """Names of the parameters on which the generator of a recipe and its scales depend: those that they read."""
    described = {name for name, one in type(recipe).__dataclass_fields__.items() if "label" in one.metadata}
    read: set[str] = set()

    class Observed(type(recipe)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    observed = Observed(**recipe.to_dict())
    read.clear()  # what the check of the values has read
    for method in _OF_THE_GENERATOR:
        getattr(observed, method)()
    return sorted(read & described)


def _trained(bundle: Bundle | str | Path) -> Bundle:
    bundle = bundle if isinstance(bundle, Bundle) else resolve(bundle)
    if not bundle.manifest.recipe:
        raise InputError(f"The model '{bundle.title}' was not trained with MedGAN, so no training can start from it.")
    return bundle

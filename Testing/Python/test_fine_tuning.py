"""Training that starts from a finished generator: the same layers and scales, its weights, and a card that says so."""

import dataclasses
import json

import medgan
import pytest
import torch
from medgan.bundle import Bundle
from medgan.cli import main
from medgan.errors import InputError
from medgan.fine_tuning import generator_parameters, inherited
from medgan.recipes import names, recipe_class
from medgan.run_folder import Run
from training_fixtures import TINY, tiny_bundle, tiny_recipe


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("start") / "first")


@pytest.mark.parametrize("task", names())
def test_what_is_inherited_makes_the_same_generator_and_scales(task):
    kind = recipe_class(task)
    for preset in kind.PRESETS:
        there = kind.from_preset(preset)
        taken = generator_parameters(there)
        assert not {"epochs", "batch_size", "learning_rate_generator", "seed"} & set(taken)
        other = kind.from_preset("recommended", **{name: getattr(there, name) for name in taken})
        with torch.device("meta"):
            left, right = (
                {k: v.shape for k, v in each.build_generator().state_dict().items()} for each in (there, other)
            )
        assert left == right and there.network_spec() == other.network_spec()
        assert there.source_scale().to_dict() == other.source_scale().to_dict()
        assert there.target().to_dict() == other.target().to_dict()


def test_it_goes_on_from_the_weights_and_the_card_says_so(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_RUNS", str(tmp_path / "runs.json"))
    dataset, run = bundle.path.parent / "first-dataset", Run(tmp_path / "run")
    command = ["train", "denoise-ct", str(dataset), str(run.folder), "--start-from", str(bundle.path), "--quiet"]
    settings = {"epochs": 2, "steps_per_epoch": 1, "learning_rate_generator": 0.0, "discriminator_width": 8}
    assert main([*command, "--device", "cpu", *(f"--set={name}={value}" for name, value in settings.items())]) == 0
    reasons = {one["parameter"]: one["reason"] for one in run.plan().decisions}
    assert reasons["base_width"] == "as in the model it starts from" and run.plan().recipe.base_width == 8
    first, second = (each.build_generator().state_dict() for each in (bundle, Bundle.load(run.bundle)))
    for name, value in first.items():  # nothing was learnt, as the learning rate is 0
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)
    assert second.keys() == first.keys() and any(value.abs().max() > 0 for value in first.values())
    card = Bundle.load(run.bundle).manifest.training["schedule"]
    assert card == "2 epochs of 1 steps, starting from the generator of first"
    assert run.status.request.start_from == str(bundle.path)


def test_of_a_cycle_the_shipped_generator_is_the_start():
    recipe = medgan.recipes.get("mr-to-ct-unpaired", base_width=4)
    generator, _discriminator = recipe.build_players()
    state = generator.state_dict()
    places = recipe.shipped({name: name for name in state})
    assert set(places) == set(recipe.build_generator().state_dict()) and len(places) == len(state) // 2


def test_what_does_not_fit_is_one_sentence(bundle, tmp_path):
    dataset = bundle.path.parent / "first-dataset"
    with pytest.raises(InputError, match="other layers than this recipe"):
        medgan.train(tiny_recipe(base_width=12), dataset, tmp_path / "a", device="cpu", start_from=bundle)
    with pytest.raises(InputError, match="is for the task denoise-ct, not stain"):
        inherited(bundle, "stain")
    identity = Bundle.create_identity(tmp_path / "identity")
    with pytest.raises(InputError, match="not trained with MedGAN"):
        medgan.train(tiny_recipe(), dataset, tmp_path / "b", device="cpu", start_from=identity)


def test_the_start_is_not_needed_any_more_once_there_is_a_checkpoint(bundle, tmp_path):
    dataset = bundle.path.parent / "first-dataset"
    recipe = tiny_recipe(residual=False, epochs=1, steps_per_epoch=1)
    medgan.train(recipe, dataset, tmp_path / "run", device="cpu", start_from=bundle)
    longer = dataclasses.replace(recipe, epochs=2)
    medgan.train(longer, dataset, tmp_path / "run", device="cpu", start_from=tmp_path / "gone")
    rows = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [row["epoch"] for row in rows] == [1, 2] and TINY["epochs"] == 2

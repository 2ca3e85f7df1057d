"""Plans: data and memory decide what they should, the user's word stands, and a resumed run keeps its plan."""

import dataclasses
import json
import math
from typing import ClassVar

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from medgan import fingerprint, memory, plan, recipes, training_memory, training_time
from medgan.dataset import Case, Dataset
from medgan.errors import InputError
from medgan.patch_size import common_extent, limited, size_parameters
from medgan.plan import BY_USER, Plan, make_plan
from training_fixtures import TINY, tiny_dataset, tiny_recipe

DENOISE = recipes.recipe_class("denoise-ct")
SMALL = {name: TINY[name] for name in ("base_width", "depth", "discriminator_width")}


def write(folder, name, size, spacing=(1.0, 1.0, 2.0)):
    """A ramp of integers, ``size`` along i, j, k."""
    values = np.arange(math.prod(size), dtype=np.int16).reshape(size[::-1])
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(folder / name))
    return values


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Two training cases of different size and spacing, of one patient, and one of validation."""
    folder = tmp_path_factory.mktemp("uneven")
    write(folder, "a.nrrd", (70, 50, 4))
    write(folder, "b.nrrd", (60, 90, 6), (0.5, 0.5, 3.0))
    write(folder, "v.nrrd", (64, 64, 2))
    for name in "abv":
        write(folder, f"{name}-low.nrrd", {"a": (70, 50, 4), "b": (60, 90, 6), "v": (64, 64, 2)}[name],
              (0.5, 0.5, 3.0) if name == "b" else (1.0, 1.0, 2.0))  # fmt: skip
    splits = {"a": ("anna", "train"), "b": ("anna", "train"), "v": ("vera", "validation")}
    cases = [Case(n, patient, f"{n}-low.nrrd", f"{n}.nrrd", split) for n, (patient, split) in splits.items()]
    Dataset(folder, "denoise-ct", "CT", "HU", "ramps", "CC0-1.0", tuple(cases)).save()
    return Dataset.load(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("tiny") / "dataset")


def reason(made, parameter):
    [found] = [decision["reason"] for decision in made.decisions if decision["parameter"] == parameter]
    return found


def test_the_fingerprint_says_what_the_training_images_are(uneven):
    facts = fingerprint.fingerprint(uneven, tiny_recipe())
    assert facts["cases"] == {"train": 2, "validation": 1, "test": 0} and facts["patients"] == 1
    assert (facts["smallest"], facts["largest"]) == ([60, 50, 4], [70, 90, 6])
    assert facts["spacing_mm"] == [[0.5, 0.5, 2.0], [1.0, 1.0, 3.0]]
    voxels = 70 * 50 * 4 + 60 * 90 * 6
    assert facts["voxels"] == voxels and facts["bytes"] == 2 * 2 * voxels
    values = np.concatenate([np.arange(70 * 50 * 4), np.arange(60 * 90 * 6)])
    assert facts["percentiles"]["source"]["50"] == pytest.approx(np.percentile(values, 50), rel=0.1)
    assert json.loads(json.dumps(facts)) == facts


def test_extents_are_those_of_the_grid_the_network_works_on(uneven):
    @dataclasses.dataclass(frozen=True)
    class Resampled(DENOISE):
        def network_spec(self):
            return dataclasses.replace(super().network_spec(), spacing_mm=(2.0, 1.0, 1.0))

    facts = fingerprint.fingerprint(uneven, Resampled.from_preset("recommended"))
    assert facts["smallest"] == [min(35, 15), min(50, 45), min(8, 18)]


def test_a_patch_fits_the_smallest_image_and_the_network(uneven):
    made = make_plan(DENOISE, uneven, overrides=SMALL | {"depth": 4})
    assert made.recipe.patch_size == 48  # 50 pixels, multiples of 16
    assert "60x50x4" in reason(made, "patch_size")


def test_what_the_user_sets_stands(uneven):
    given_by_user = SMALL | {"patch_size": 96, "batch_size": 3, "steps_per_epoch": 7, "epochs": 5}
    made = make_plan(DENOISE, uneven, overrides=given_by_user)
    assert {name: getattr(made.recipe, name) for name in given_by_user} == given_by_user
    assert all(reason(made, name) == BY_USER for name in given_by_user)


def test_texts_of_three_sizes_are_fitted_axis_by_axis():
    recipe = recipes.get("superres-mr", patch_size="24x20x16")
    assert size_parameters(recipe) == {"patch_size": (0, 1, 2)}
    assert limited(recipe, "patch_size", (0, 1, 2), (10, 30, 12)) == "12x20x10"
    assert limited(recipe, "patch_size", (0, 1, 2), (0, 30, 12)) is None


def test_planes_across_other_axes_need_room_too():
    spec = recipes.get("denoise-ct").network_spec()
    smallest = [5, 60, 80]  # k, j, i
    assert [common_extent(axis, smallest, spec) for axis in (1, 2)] == [60, 80]
    spec = dataclasses.replace(spec, planes=(0, 2))  # patches across i lie along k and j
    assert [common_extent(axis, smallest, spec) for axis in (1, 2)] == [5, 60]


@pytest.mark.parametrize("task", recipes.names())
def test_every_task_can_be_planned(task):
    recipe = recipes.get(task)
    shape, sizes = recipe.patch_shape(), size_parameters(recipe)
    free = {axis for axes in sizes.values() for axis in axes}
    assert free == {axis for axis in range(3) if shape[axis] > 1}
    one, four = (training_memory.step_bytes(recipe, batch) for batch in (1, 4))
    weights = sum(p.numel() for player in recipe.build_players() for p in player.parameters())
    assert one > 16 * weights and four > one
    smaller, steps = recipe, 0
    while reduction := plan._smaller(smaller, {}):
        smaller, steps = dataclasses.replace(smaller, **reduction), steps + 1
        multiple = smaller.network_spec().multiple
        axes = slice(3 - smaller.network_spec().dimensions, None)  # slices are taken one by one
        assert all(s % step == 0 for s, step in zip(smaller.patch_shape()[axes], multiple[axes], strict=True))
    assert steps and smaller.batch_size == 1 and math.prod(smaller.patch_shape()) < math.prod(shape)
    recipes.recipe_class(task).from_dict(smaller.to_dict())  # is within its ranges


def test_the_batch_fits_the_memory(tiny, monkeypatch):
    whole = training_memory.step_bytes(tiny_recipe(patch_size=64, batch_size=16), 16)
    overrides = SMALL | {"patch_size": 64, "adversarial_start": 1}

    def planned(share, **more):
        monkeypatch.setattr(memory, "free_bytes", lambda device="cpu": whole * share / (1 - memory.MARGIN))
        return make_plan(DENOISE, tiny, overrides=overrides | more)

    preset = recipes.get("denoise-ct").batch_size
    assert planned(2.0).recipe.batch_size == preset
    made = planned(0.3)
    assert 1 <= made.recipe.batch_size < preset
    assert training_memory.step_bytes(made.recipe, made.recipe.batch_size) <= 0.3 * whole
    assert "MiB" in reason(made, "batch_size")
    assert planned(0.3, batch_size=8).recipe.batch_size == 8
    del overrides["patch_size"]
    made = planned(0.08)
    assert made.recipe.batch_size == 1 and made.recipe.patch_size < 64


def test_an_epoch_goes_once_through_the_data_within_limits(tiny):
    base = SMALL | {"patch_size": 32, "batch_size": 1}
    patches = 6 * 64 * 64 / 32**2

    def steps(preset_steps, processes=1):
        class Other(DENOISE):
            PRESETS: ClassVar = {"recommended": {"steps_per_epoch": preset_steps}}

        return make_plan(Other, tiny, overrides=base, processes=processes).recipe.steps_per_epoch

    assert steps(20) == patches and steps(10, processes=2) == patches / 2
    assert steps(1000) == 500 and steps(2) == 8  # a schedule is stretched, not replaced


def test_a_plan_is_read_as_it_was_written_and_may_be_edited(tiny, tmp_path):
    made = make_plan(DENOISE, tiny, overrides=SMALL)
    path = tmp_path / "plan.json"
    made.save(path)
    assert Plan.load(path) == made
    content = json.loads(path.read_text())
    assert all(set(decision) == {"parameter", "value", "reason"} for decision in content["decisions"])
    for decision in content["decisions"]:
        assert content["recipe"].get(decision["parameter"], "auto") in (decision["value"], "auto")
    content["recipe"]["batch_size"] = 5
    path.write_text(json.dumps(content))
    assert Plan.load(path).recipe.batch_size == 5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.update(schema=9), "newer MedGAN"),
        (lambda c: c.pop("recipe"), "no plan of a training"),
        (lambda c: c["recipe"].update(batch_size=0), "batch_size must lie between"),
        (lambda c: c["recipe"].update(nonsense=1), "nonsense"),
        (lambda c: c.update(task="no-task"), "no-task"),
        (lambda c: c.update(recipe=[]), "no plan of a training"),
    ],
)
def test_a_plan_that_is_none_is_one_sentence(change, sentence, tmp_path):
    path = tmp_path / "plan.json"
    Plan(tiny_recipe(), {}, []).save(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=sentence) as caught:
        Plan.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_there_is_no_plan(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Plan.load(tmp_path / "plan.json")
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(InputError, match="no plan"):
        Plan.load(tmp_path / "plan.json")


def test_a_resumed_run_keeps_its_plan(tiny, uneven):
    made = Plan(tiny_recipe(), fingerprint.fingerprint(tiny, tiny_recipe()), [])
    assert made.resumed(tiny, None, {}) == made
    assert made.resumed(tiny, "recommended", {"batch_size": 4}) == made  # the same command again
    longer = made.resumed(tiny, None, {"epochs": 9})
    assert longer.recipe == dataclasses.replace(made.recipe, epochs=9) and reason(longer, "epochs") == BY_USER
    with pytest.raises(InputError, match="batch_size=4, so it cannot go on with batch_size=2"):
        made.resumed(tiny, None, {"epochs": 9, "batch_size": 2})
    with pytest.raises(InputError, match="preset=recommended"):
        made.resumed(tiny, "published", {})
    with pytest.raises(InputError, match="not those that the training began with"):
        made.resumed(uneven, None, {})


positive = st.floats(1e-3, 1e3)


@settings(deadline=None)
@given(positive, positive, positive, st.floats(1.0, 1e6), st.integers(1, 400), st.integers(0, 400), st.integers(1, 500))
def test_a_fitted_schedule_takes_no_longer(regression, adversarial, validation, budget, epochs, start, steps):
    recipe = tiny_recipe(epochs=epochs, adversarial_start=min(start, epochs), steps_per_epoch=steps)
    times = training_time.Times(regression, max(regression, adversarial), validation)
    try:
        changes, why = training_time.fit(recipe, times, budget, {})
    except InputError:
        least = dataclasses.replace(recipe, epochs=1, steps_per_epoch=1, adversarial_start=0)
        assert training_time.planned_s(least, times) > 0.5 * budget  # there was hardly room for a single step
        return
    assume(changes)
    fitted = dataclasses.replace(recipe, **changes)
    assert training_time.planned_s(fitted, times) <= budget and why
    assert fitted.epochs <= recipe.epochs
    share = recipe.adversarial_start / recipe.epochs
    assert abs(fitted.adversarial_start - share * fitted.epochs) <= 0.5


def test_a_length_that_was_set_is_not_changed_and_one_that_fits_neither():
    recipe, times = tiny_recipe(epochs=100, steps_per_epoch=100), training_time.Times(1.0, 1.0, 1.0)
    assert training_time.fit(recipe, times, 1e6, {}) == ({}, "")
    with pytest.raises(InputError, match="take about 168 minutes"):
        training_time.fit(recipe, times, 60.0, {"epochs": 100})
    with pytest.raises(InputError, match="nothing can be trained"):
        training_time.fit(recipe, training_time.Times(30.0, 30.0, 30.0), 60.0, {})


def test_minutes_are_measured_on_real_steps(tiny):
    overrides = SMALL | {"patch_size": 32, "batch_size": 1, "adversarial_start": 50}
    made = make_plan(DENOISE, tiny, overrides={**overrides}, minutes=0.1)
    assert made.recipe.epochs * made.recipe.steps_per_epoch < 68 * 50
    assert "fits 0.1 minutes" in reason(made, "epochs")
    assert made.recipe.adversarial_start == 50 and reason(made, "adversarial_start") == BY_USER

"""The fixed slice that is shown while a network learns: the right place, the right values, the right shades."""

import dataclasses

import numpy as np
import pytest
import torch
from medgan.dataset import Dataset
from medgan.network import NetworkSpec
from medgan.synthesizer import generate
from medgan.target import Target
from medgan.training_sample import FixedSlice, window_of
from medgan.volume import Geometry
from training_fixtures import tiny_dataset, tiny_recipe


class Same(torch.nn.Module):
    def forward(self, x):
        return x


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("sample") / "dataset")


def test_an_identity_shows_the_input_beside_the_truth_of_the_middle_slice(dataset):
    recipe = tiny_recipe()
    event = FixedSlice(dataset, recipe, NetworkSpec()).draw(Same(), 3, 300, "cpu")
    source, target = dataset.volumes(dataset.split("validation")[0])
    assert (event.epoch, event.step, event.case, event.units) == (3, 300, "validation", "HU")
    assert event.input_units == "HU"
    np.testing.assert_array_equal(event.images["input"], source.array[1])
    np.testing.assert_allclose(event.images["output"], source.array[1], atol=0.01)
    np.testing.assert_array_equal(event.images["truth"], target.array[1])
    assert all(image.dtype == np.float32 for image in event.images.values())
    assert event.window == (-160.0, 240.0) and event.input_window is None


def test_the_slice_is_what_the_whole_volume_gives(dataset):
    only_train = dataclasses.replace(dataset, cases=tuple(dataset.split("train")))
    recipe = tiny_recipe(context_slices=1, residual=False)
    torch.manual_seed(0)
    generator = recipe.build_generator().eval()
    spec = recipe.measured_spec(generator)
    fixed = FixedSlice(only_train, recipe, spec)
    drawn = fixed.draw(generator, 1, 1, "cpu").images["output"]
    source, _target = dataset.volumes(dataset.split("train")[0])
    whole = generate(generator, spec, recipe.source_scale(), recipe.target(), source, "cpu")
    np.testing.assert_allclose(drawn, whole.array[3], atol=0.5)
    np.testing.assert_array_equal(fixed.draw(generator, 2, 2, "cpu").images["output"], drawn)


def test_a_finer_result_is_shown_where_the_coarse_slice_lies(dataset):
    class Finer(torch.nn.Module):
        def forward(self, x):
            for axis in (2, 3, 4):
                x = x.repeat_interleave(2, dim=axis)
            return x

    spec = NetworkSpec(dimensions=3, scale=(2, 2, 2), halo=(0, 0, 0))
    case = dataset.split("validation")[0]
    source, _truth = dataset.volumes(case)
    alone = _WithoutTruth(**{f.name: getattr(dataset, f.name) for f in dataclasses.fields(dataset)})
    event = FixedSlice(alone, tiny_recipe(), spec).draw(Finer(), 1, 1, "cpu")
    assert set(event.images) == {"input", "output"} == set(event.geometries)
    places = {name: Geometry(**geometry) for name, geometry in event.geometries.items()}
    assert places["input"].is_close(source.geometry.shifted((0, 0, 1)))
    assert places["output"].is_close(source.geometry.shifted((0, 0, 0), (2, 2, 2)).shifted((0, 0, 3)))
    shown = np.maximum(source.array[1], -1024.0)  # a network takes far lower values for padding
    np.testing.assert_allclose(np.maximum(event.images["output"][::2, ::2], -1024.0), shown, atol=0.01)


class _WithoutTruth(Dataset):
    """Unpaired images."""

    def volumes(self, case):
        return super().volumes(case)[0], None


def test_another_kind_of_image_has_its_own_window(dataset):
    @dataclasses.dataclass(frozen=True)
    class Other(type(tiny_recipe())):
        def target(self):
            return Target(modality="MR", units="au")

    recipe = Other(**tiny_recipe().to_dict())
    event = FixedSlice(dataset, recipe, NetworkSpec()).draw(Same(), 1, 1, "cpu")
    assert event.units == "au" and event.input_window == (-160.0, 240.0)
    truth = event.images["truth"]
    assert event.window == (truth.min(), truth.max())


def test_windows_show_something_of_every_image():
    assert window_of("", np.zeros((4, 4, 3)), True) == (0.0, 255.0)
    low, high = window_of("au", np.full((4, 4), 7.0), True)
    assert low == 7.0 < high

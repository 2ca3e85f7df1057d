"""Generators and discriminators of all source systems: sizes, receptive fields, and that tiles equal the whole."""

import itertools
from pathlib import Path

import pytest
import torch
from medgan.bundle import Bundle
from medgan.discriminators import (
    CNCLDiscriminator,
    MRCTDiscriminator,
    PatchGAN,
    Pix2Pix3DDiscriminator,
    PixelGAN,
    SRGAN3DDiscriminator,
    StainDiscriminator,
    STSTDiscriminator,
)
from medgan.errors import InputError
from medgan.generators.cncl import CNCLGenerator
from medgan.generators.layers import PadSame, ScalarNorm
from medgan.generators.pix2pix3d import Pix2Pix3DGenerator
from medgan.generators.residual_unet import ResidualBlock, ResidualUNet
from medgan.generators.resnet import ResNetGenerator
from medgan.generators.slicewise import SliceBySlice
from medgan.generators.srgan3d import SRGAN3DGenerator, SubPixel, SubPixelNearest, shuffle
from medgan.generators.unet256 import UNet256
from medgan.generators.unet_mrct import UNetMRCT
from medgan.losses import initialise
from medgan.receptive_field import probe
from torch import nn
from torch.nn import functional

MODELS = Path(__file__).resolve().parents[2] / "MedGANSynthesis" / "Resources" / "Models"


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def cubic(factor, kind, width=32, blocks=6):
    return SRGAN3DGenerator(1, width, blocks, (factor,) * 3, kind)


# name: (build, parameters as systems.md gives them, input shape, output shape; None: that of the input)
GENERATORS = {
    "1: 3 channels, 16 slices": (lambda: Pix2Pix3DGenerator(), 50_092_443, (1, 3, 16, 512, 512), None),
    "1: 1 channel, 16 slices": (lambda: Pix2Pix3DGenerator(1, 1), 50_080_153, (1, 1, 16, 512, 512), None),
    "1: 3 channels, 8 slices": (lambda: Pix2Pix3DGenerator(depth=8), 43_800_987, (1, 3, 8, 512, 512), None),
    "1: 1 channel, 8 slices": (lambda: Pix2Pix3DGenerator(1, 1, 8), 43_788_697, (1, 1, 8, 512, 512), None),
    "2": (lambda: CNCLGenerator(), 43_825_029, (2, 1, 512, 512), (2, 2, 512, 512)),
    "3: x4 subpixel": (lambda: cubic(4, "subpixel"), 431_097, (1, 1, 23, 32, 32), (1, 1, 92, 128, 128)),
    "3: x4 nn": (lambda: cubic(4, "nn"), 750_689, (1, 1, 23, 32, 32), (1, 1, 92, 128, 128)),
    "3: x4 subpixel-nn": (lambda: cubic(4, "subpixel-nn"), 1_690_593, (1, 1, 23, 32, 32), (1, 1, 92, 128, 128)),
    "3: x2 subpixel": (lambda: cubic(2, "subpixel"), 417_209, (1, 1, 46, 64, 64), (1, 1, 92, 128, 128)),
    "3: x2 nn": (lambda: cubic(2, "nn"), 529_377, (1, 1, 46, 64, 64), (1, 1, 92, 128, 128)),
    "3: x2 subpixel-nn": (lambda: cubic(2, "subpixel-nn"), 805_793, (1, 1, 46, 64, 64), (1, 1, 92, 128, 128)),
    "3: wide subpixel": (lambda: cubic(2, "subpixel", 64, 8), 1_996_121, (1, 1, 9, 9, 9), (1, 1, 18, 18, 18)),
    "3: wide nn": (lambda: cubic(2, "nn", 64, 8), 2_108_289, (1, 1, 9, 9, 9), (1, 1, 18, 18, 18)),
    "3: wide subpixel-nn": (lambda: cubic(2, "subpixel-nn", 64, 8), 2_771_777, (1, 1, 9, 9, 9), (1, 1, 18, 18, 18)),
    "4": (lambda: UNetMRCT(), 25_046_657, (32, 1, 256, 256), None),
    "5.1": (lambda: UNet256(build="stain"), 54_416_387, (4, 3, 256, 256), None),
    "5.2": (lambda: UNet256(build="stst"), 54_419_459, (1, 3, 256, 256), None),
    "6.1 U-Net": (lambda: UNet256(), 54_413_955, (1, 3, 256, 256), None),
    # not in systems.md: the published 11.378 and 7.838 million of CycleGAN's ResNets
    "6.1 ResNet 9": (lambda: ResNetGenerator(3, 3, blocks=9), 11_378_179, (1, 3, 256, 256), None),
    "6.1 ResNet 6": (lambda: ResNetGenerator(3, 3, blocks=6), 7_837_699, (1, 3, 128, 128), None),
}

# name: (class, arguments, parameters, candidate shape, condition channels, logits shape, receptive field)
DISCRIMINATORS = {
    "1: 16 slices": (Pix2Pix3DDiscriminator, {}, 3_429_321, (1, 3, 16, 512, 512), 3, (1, 1, 2, 64, 64), (8, 70, 70)),
    "1: 8 slices": (Pix2Pix3DDiscriminator, {"depth": 8}, None, (1, 3, 8, 512, 512), 3, (1, 1, 2, 64, 64), (4, 70, 70)),
    "2": (CNCLDiscriminator, {}, 2_764_736, (2, 2, 512, 512), 1, (2, 1, 32, 32), (94, 94)),
    "3": (SRGAN3DDiscriminator, {}, 104_180_321, (2, 1, 92, 128, 128), 0, (2, 1), None),
    "4": (MRCTDiscriminator, {}, 2_764_481, (32, 1, 256, 256), 0, (32, 1, 15, 15), (94, 94)),
    "5.1": (StainDiscriminator, {}, 2_761_921, (4, 3, 256, 256), 3, (4, 1, 16, 16), (46, 46)),
    "5.2": (STSTDiscriminator, {}, 6_965_441, (1, 3, 256, 256), 3, (1, 1, 16, 16), (142, 142)),
    "6.1 n=1": (PatchGAN, {"layers": 1}, None, (1, 3, 256, 256), 3, (1, 1, 126, 126), (16, 16)),
    "6.1 n=2": (PatchGAN, {"layers": 2}, None, (1, 3, 256, 256), 3, (1, 1, 62, 62), (34, 34)),
    "6.1 n=3": (PatchGAN, {}, 2_768_705, (1, 3, 256, 256), 3, (1, 1, 30, 30), (70, 70)),
    "6.1 n=4": (PatchGAN, {"layers": 4}, None, (1, 3, 256, 256), 3, (1, 1, 14, 14), (142, 142)),
    "6.1 n=5": (PatchGAN, {"layers": 5}, None, (1, 3, 256, 256), 3, (1, 1, 6, 6), (286, 286)),
    "6.1 pixel": (PixelGAN, {}, None, (1, 3, 256, 256), 3, (1, 1, 256, 256), (1, 1)),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_have_the_published_size(name):
    build, parameters, given, expected = GENERATORS[name]
    with torch.device("meta"):
        generator = build()
        assert count(generator) == parameters
        assert generator(torch.empty(given)).shape == (expected or given)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_have_the_published_size(name):
    cls, arguments, parameters, shape, condition_channels, logits, _ = DISCRIMINATORS[name]
    with torch.device("meta"):
        discriminator = cls(**arguments)
        assert parameters in (None, count(discriminator))
        condition = torch.empty(shape[0], condition_channels, *shape[2:]) if condition_channels else None
        features = discriminator.features(torch.empty(shape), condition)
        assert features[-1].shape == discriminator(torch.empty(shape), condition).shape == logits


def receptive_field(layers):
    """The formula of systems.md 6.2, per axis."""
    field = None
    for layer in reversed([layer for layer in layers if isinstance(layer, nn.modules.conv._ConvNd)]):
        field = field or (1,) * len(layer.stride)
        sizes = zip(field, layer.stride, layer.kernel_size, strict=True)
        field = tuple(before * stride + kernel - stride for before, stride, kernel in sizes)
    return field


@pytest.mark.parametrize("name", [name for name, case in DISCRIMINATORS.items() if case[-1]])
def test_receptive_fields_by_formula_and_by_gradient(name):
    cls, arguments, _, shape, condition_channels, _, expected = DISCRIMINATORS[name]
    discriminator = cls(**arguments, width=2).double()
    assert receptive_field(discriminator.layers) == expected
    for index, layer in enumerate(discriminator.layers):  # these see everything
        if isinstance(layer, nn.InstanceNorm2d | nn.BatchNorm2d | ScalarNorm | nn.Dropout):
            discriminator.layers[index] = nn.Identity()
    sizes = [max(field + 66, 2 * field) // 32 * 32 for field in expected]
    sizes[0] = shape[2] if len(sizes) == 3 else sizes[0]
    image = torch.randn(1, shape[1], *sizes, dtype=torch.double).requires_grad_(True)
    condition = torch.randn(1, condition_channels, *sizes, dtype=torch.double) if condition_channels else None
    logits = discriminator(image, condition)
    middle = tuple(size // 2 for size in logits.shape[2:])
    logits[(0, 0, *middle)].backward()
    touched = image.grad[0].abs().sum(dim=0)
    for axis, field in enumerate(expected):
        others = [dim for dim in range(touched.ndim) if dim != axis]
        where = touched.sum(dim=others).nonzero()
        assert int(where.max() - where.min()) + 1 == field


def test_features_are_the_activations_of_every_block():
    discriminator = PatchGAN(1, 1, 4)
    image, condition = torch.randn(2, 2, 1, 64, 64)
    features = discriminator.features(image, condition)
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (4, 32, 32),
        (8, 16, 16),
        (16, 8, 8),
        (32, 7, 7),
        (1, 6, 6),
    ]
    torch.testing.assert_close(features[-1], discriminator(image, condition))
    assert all((feature >= 0).any() and (feature < 0).any() for feature in features[:-1])  # after the leaky ReLU


def test_unconditional_discriminators_ignore_a_condition_and_conditional_ones_ask_for_it():
    discriminator = MRCTDiscriminator(1, 0, 4).eval()
    image = torch.randn(1, 1, 64, 64)
    torch.testing.assert_close(discriminator(image, torch.randn(1, 1, 64, 64)), discriminator(image))
    with pytest.raises(ValueError, match="needs the condition"):
        MRCTDiscriminator(1, 1, 4)(image)


def test_super_resolution_is_judged_beside_the_coarse_image():
    discriminator = PatchGAN(1, 1, 4, 2, "none", dimensions=3, slice_layers=1)
    fine = torch.randn(1, 1, 8, 32, 32)
    coarse = torch.randn(1, 1, 2, 16, 32)
    logits = discriminator(fine, coarse)
    assert logits.shape == (1, 1, 4, 6, 6)
    assert not torch.allclose(logits, discriminator(fine, coarse + 1))
    pooled = SRGAN3DDiscriminator(1, 1, None, 4, 16)
    assert pooled(fine, coarse).shape == (1, 1)
    assert pooled(fine[:, :, :5, :20], coarse).shape == (1, 1)


def test_a_dense_discriminator_names_the_patch_it_was_built_for():
    with pytest.raises(InputError, match=r"92x128x128 voxels .* got 16x32x32"), torch.device("meta"):
        SRGAN3DDiscriminator()(torch.empty(1, 1, 16, 32, 32))


@pytest.mark.parametrize("factor", [f for f in itertools.product((1, 2, 4), repeat=3) if f[0] >= f[1]])
@pytest.mark.parametrize("kind", ["subpixel", "nn", "subpixel-nn"])
def test_super_resolution_takes_a_factor_for_each_axis(kind, factor):
    with torch.device("meta"):
        output = SRGAN3DGenerator(1, 4, 1, factor, kind)(torch.empty(1, 1, 5, 6, 7))
    assert output.shape == (1, 1, 5 * factor[0], 6 * factor[1], 7 * factor[2])


@pytest.mark.parametrize("factor", [(3, 2, 2), (0, 1, 1), (4, 4), (8, 1, 1)])
def test_other_factors_are_refused(factor):
    with pytest.raises(InputError, match="must be 1, 2 or 4"):
        SRGAN3DGenerator(factor=factor)


def test_shuffle_in_a_plane_is_that_of_torch():
    features = torch.randn(2, 12, 3, 4, 5)
    planes = [functional.pixel_shuffle(features[:, :, k], 2) for k in range(3)]
    torch.testing.assert_close(shuffle(features, (1, 2, 2)), torch.stack(planes, dim=2))
    for axis in range(3):
        step = tuple(3 if each == axis else 1 for each in range(3))
        parts = shuffle(features, step).unfold(2 + axis, 3, 3)
        torch.testing.assert_close(parts, features.unflatten(1, (4, 3)).movedim(2, -1))


def nearest(coarse, step):
    for axis, factor in enumerate(step):
        coarse = coarse.repeat_interleave(factor, dim=2 + axis)
    return coarse


@pytest.mark.parametrize("step", [(2, 2, 2), (2, 1, 1), (1, 2, 2)])
@pytest.mark.parametrize("build", [lambda step: SubPixel(3, 16, step, True), lambda step: SubPixelNearest(3, 16, step)])
def test_upsampling_starts_free_of_checkerboards(build, step):
    torch.manual_seed(0)
    stage = build(step)
    for _ in range(2):  # as built, and as the recipes initialise it
        fine = stage(torch.randn(1, 3, 4, 5, 6))
        coarse = fine[:, :, :: step[0], :: step[1], :: step[2]]
        assert coarse.std() > 0
        torch.testing.assert_close(fine, nearest(coarse, step))
        initialise(stage, 0.02)


def test_a_transposed_convolution_starts_as_convolution_and_nearest_neighbour():
    torch.manual_seed(0)
    stage = SubPixelNearest(2, 3, (2, 2, 2))
    image = torch.randn(1, 2, 4, 5, 6)
    kernel = stage.convolution.weight[..., ::2, ::2, ::2].flip(2, 3, 4).transpose(0, 1)
    coarse = functional.conv3d(image, kernel, stage.convolution.bias, padding=1)
    torch.testing.assert_close(stage(image), nearest(functional.leaky_relu(coarse, 0.25), (2, 2, 2)))


def test_a_random_subpixel_start_has_checkerboards():
    torch.manual_seed(0)
    fine = SubPixel(3, 16, (2, 2, 2), False)(torch.ones(1, 3, 4, 5, 6))[..., 2:-2, 2:-2, 2:-2]
    assert fine.std(dim=(2, 3, 4)).max() > 0.05


@pytest.mark.parametrize("factor", [(2, 2, 2), (4, 1, 1)])
def test_residual_super_resolution_starts_as_interpolation(factor):
    generator = SRGAN3DGenerator(1, 8, 2, factor, normalisation="none", icnr=True, residual=True)
    initialise(generator, None)
    image = torch.randn(1, 1, 6, 7, 8)
    expected = functional.interpolate(image, scale_factor=factor, mode="trilinear", align_corners=False)
    torch.testing.assert_close(generator(image), expected)


def test_residual_networks_start_at_zero_and_learn():
    torch.manual_seed(0)
    generator = ResidualUNet(2, 1, 1, 8, 2, zero_head=True)
    image = torch.randn(1, 1, 16, 16)
    assert not generator(image).any()
    generator(image).sub(1).square().mean().backward()
    assert generator.head.weight.grad.abs().max() > 0


def test_residual_blocks_keep_the_size_of_the_signal():
    torch.manual_seed(0)
    generator = ResidualUNet(2, 1, 1, 16, 4, blocks=3)
    deviation = generator(torch.randn(2, 1, 64, 64)).std().item()
    assert 0.3 < deviation < 10
    block = ResidualBlock(3, 4)
    block.start()
    features = torch.randn(1, 4, 3, 4, 5)
    torch.testing.assert_close(block(features), features + block.second.bias[:, None, None, None])


# networks whose tiles equal the whole: (build, input channels, scale)
EXACT = {
    "pix2pix3d": (lambda: Pix2Pix3DGenerator(1, 1, 2, 2, 2, normalisation="none", activation="linear"), 1, (1, 1, 1)),
    "pix2pix3d slices": (lambda: Pix2Pix3DGenerator(1, 1, 1, 2, 2, normalisation="none"), 1, (1, 1, 1)),
    "pix2pix3d bilinear": (
        lambda: Pix2Pix3DGenerator(1, 1, 2, 2, 2, "bilinear-inplane", normalisation="none"),
        1,
        (1, 1, 1),
    ),
    "srgan subpixel": (lambda: SRGAN3DGenerator(1, 4, 1, (2, 2, 2)), 1, (2, 2, 2)),
    "srgan nn": (lambda: SRGAN3DGenerator(1, 4, 1, (1, 1, 4), "nn", 8), 1, (1, 1, 4)),
    "srgan subpixel-nn": (lambda: SRGAN3DGenerator(1, 4, 1, (4, 1, 1), "subpixel-nn", 8, residual=True), 1, (4, 1, 1)),
    "mr-to-ct": (lambda: UNetMRCT(1, 1, 2, 3), 1, (1, 1, 1)),
    "unet256": (lambda: UNet256(3, 3, 2, 3), 3, (1, 1, 1)),
    "unet256 stain": (lambda: UNet256(1, 3, 2, 3, "stain"), 1, (1, 1, 1)),
    "resnet": (lambda: ResNetGenerator(1, 1, 2, 2, "none"), 1, (1, 1, 1)),
    "dncnn": (lambda: CNCLGenerator(0, 4, 1, predictor="dncnn"), 1, (1, 1, 1)),
    "srdensenet": (lambda: CNCLGenerator(0, 8, 1, predictor="srdensenet"), 1, (1, 1, 1)),
    "redcnn": (lambda: CNCLGenerator(0, 4, 2, predictor="redcnn"), 1, (1, 1, 1)),
    "residual unet": (lambda: ResidualUNet(2, 1, 1, 2, 2), 1, (1, 1, 1)),
    "residual unet linear": (lambda: ResidualUNet(2, 1, 1, 2, 2, upsampling="linear"), 1, (1, 1, 1)),
    "residual unet 3-D": (
        lambda: ResidualUNet(3, 1, 1, 2, 2, pooling=((1, 2, 2), (2, 2, 2)), upsampling="linear"),
        1,
        (1, 1, 1),
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_tiles_equal_the_whole(name):
    build, channels, scale = EXACT[name]
    torch.manual_seed(0)
    generator = build()
    initialise(generator, None)
    network = generator if is_3d(generator) else SliceBySlice(generator)
    footprint = probe(network, channels, generator.multiple, scale)
    assert footprint.halo is not None and None not in footprint.halo
    assert (footprint.halo[0] == 0) == (not is_3d(generator) or name == "pix2pix3d slices")


def is_3d(generator):
    return any(isinstance(layer, nn.Conv3d) for layer in generator.modules())


@pytest.mark.parametrize("kind", ["scalar", "instance"])
def test_norms_of_the_whole_slab_have_no_halo(kind):
    generator = Pix2Pix3DGenerator(1, 1, 1, 2, 2, normalisation=kind)
    assert probe(generator, 1, generator.multiple).halo is None


@pytest.mark.parametrize(
    ("depth", "slices", "multiple"), [(1, 1, (1, 16, 16)), (1, 5, (1, 16, 16)), (4, 12, (4, 16, 16))]
)
def test_slabs_of_any_depth(depth, slices, multiple):
    generator = Pix2Pix3DGenerator(6, 1, depth, 4, 4, activation="linear")
    assert generator.multiple == multiple
    output = generator(torch.randn(1, 6, slices, 16, 32))
    assert output.shape == (1, 1, slices, 16, 32)
    shallow = Pix2Pix3DDiscriminator(1, 6, slices, 4)
    assert shallow(output, torch.randn(1, 6, slices, 16, 32)).shape[3:] == (2, 4)


@pytest.mark.parametrize("depth", [0, 3, 32])
def test_other_slab_depths_are_refused(depth):
    with pytest.raises(InputError, match=f"power of two between 1 and 16 slices, not {depth}"):
        Pix2Pix3DGenerator(depth=depth, levels=4)


def test_scalar_norm_by_its_formula():
    norm = ScalarNorm()
    nn.init.constant_(norm.weight, 2.0)
    nn.init.constant_(norm.bias, 0.5)
    image = torch.randn(2, 3, 4, 5, 6, dtype=torch.double) * 7 + 100
    for sample in range(2):
        expected = 2 * (image[sample] - image[sample].mean()) / (image[sample].std(correction=0) + 1e-3) + 0.5
        torch.testing.assert_close(norm(image)[sample], expected)
    constant = torch.full((1, 1, 4, 4), 3.0, requires_grad=True)
    norm(constant).sum().backward()
    assert constant.grad.isfinite().all()
    half = norm(image.half())
    assert half.dtype == torch.half and half.isfinite().all()


@pytest.mark.parametrize(
    ("kernel", "stride", "size", "pads"),
    [(4, 1, 8, (1, 2)), (2, 1, 8, (0, 1)), (4, 2, 8, (1, 1)), (2, 2, 8, (0, 0)), (3, 2, 8, (0, 1)), (3, 2, 7, (1, 1))],
)
def test_padding_as_tensorflow_has_it(kernel, stride, size, pads):
    padded = PadSame((kernel,), (stride,))(torch.ones(1, 1, size))
    assert padded[0, 0].tolist() == [0.0] * pads[0] + [1.0] * size + [0.0] * pads[1]


@pytest.mark.parametrize("predictor", ["unet", "dncnn", "srdensenet", "redcnn"])
def test_every_predictor_can_start_from_its_input(predictor):
    generator = CNCLGenerator(1, 8, 1, "none", residual=True, predictor=predictor)
    initialise(generator, None)
    generator.start_from_input()
    image = torch.randn(1, 3, 10, 14)
    content, noise = generator(image).split(1, dim=1)
    torch.testing.assert_close(content, image[:, 1:2])
    assert not noise.any()


def test_predictors_of_published_size():
    with torch.device("meta"):
        redcnn = CNCLGenerator(width=96, predictor="redcnn").content
        dncnn = CNCLGenerator(predictor="dncnn").content
        dense = CNCLGenerator(predictor="srdensenet").content
    kernels = [layer.kernel_size for layer in redcnn.modules() if isinstance(layer, nn.modules.conv._ConvNd)]
    assert kernels == [(5, 5)] * 10
    assert count(redcnn) == 1_848_865  # RED-CNN's 1.8 million
    assert sum(isinstance(layer, nn.Conv2d) for layer in dncnn.modules()) == 17
    assert [len(block) for block in dense.blocks] == [8] * 8
    assert {layer.out_channels for layer in dense.blocks.modules() if isinstance(layer, nn.Conv2d)} == {16}


def test_the_shipped_denoiser_still_loads():
    generator = Bundle.load(MODELS / "denoise-ct-multi").build_generator()
    assert isinstance(generator, CNCLGenerator)


@pytest.mark.parametrize("build", ["pix2pix", "stst", "stain"])
def test_dropout_at_inference_makes_samples(build):
    torch.manual_seed(0)
    image = torch.randn(1, 3, 64, 64)
    for always in (False, True):
        generator = UNet256(3, 3, 4, 6, build, dropout_always=always).eval()
        with torch.no_grad():
            assert torch.equal(generator(image), generator(image)) != always


def decoded(generator, activations):
    """What the generator makes of given activations of its encoder."""
    hooks = [
        block.register_forward_hook(lambda *_, value=value: value)
        for block, value in zip(generator.encoder, activations, strict=True)
    ]
    sides = [2 * size for size in activations[0].shape[2:]]
    output = generator(torch.zeros(1, generator.encoder[0][0].in_channels, *sides, dtype=activations[0].dtype))
    for hook in hooks:
        hook.remove()
    return output


@pytest.mark.parametrize(("build", "linear"), [("stain", True), ("stst", False), ("pix2pix", False)])
def test_the_stain_decoder_is_linear_and_lacks_the_outermost_skip(build, linear):
    torch.manual_seed(0)
    generator = UNet256(3, 3, 4, 3, build, "none", 0.0, activation="linear").double()
    shapes = [(1, 4, 8, 8), (1, 8, 4, 4), (1, 16, 2, 2)]
    first, second = ([torch.randn(shape, dtype=torch.double) for shape in shapes] for _ in range(2))
    middle = [(one + other) / 2 for one, other in zip(first, second, strict=True)]
    average = (decoded(generator, first) + decoded(generator, second)) / 2
    assert torch.allclose(decoded(generator, middle), average, rtol=0, atol=1e-12) == linear
    outermost_changed = [second[0], *first[1:]]
    assert torch.equal(decoded(generator, outermost_changed), decoded(generator, first)) == linear

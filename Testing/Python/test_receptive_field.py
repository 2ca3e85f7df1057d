"""The footprint found by experiment is the one the architecture has, and with it tiles equal the whole volume."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from medgan.generators.slicewise import SliceBySlice  # noqa: E402
from medgan.receptive_field import probe  # noqa: E402
from medgan.tiling import Footprint, run_tiled  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


@pytest.fixture(autouse=True)
def reproducible():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(7)
    yield
    torch.set_num_threads(threads)


def conv_stack(kernels, dilations=None, dims=3, width=4, padding_mode="zeros"):
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    layers, channels = [], 1
    for kernel, dilation in zip(kernels, dilations or [1] * len(kernels), strict=True):
        padding = (kernel - 1) * dilation // 2
        layers += [
            conv(channels, width, kernel, padding=padding, dilation=dilation, padding_mode=padding_mode),
            nn.LeakyReLU(0.2),
        ]
        channels = width
    return nn.Sequential(*layers, conv(channels, 1, 1))


class Residual(nn.Module):
    """Blocks of two convolutions with a skip, batch normalization with statistics that matter."""

    def __init__(self, blocks, width=4):
        super().__init__()
        self.first = nn.Conv3d(1, width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(width, width, 3, padding=1),
                nn.BatchNorm3d(width),
                nn.ReLU(),
                nn.Conv3d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )
        for norm in self.modules():
            if isinstance(norm, nn.BatchNorm3d):
                norm.running_mean.uniform_(-1, 1)
                norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return x.mean(dim=1, keepdim=True)


class UNet(nn.Module):
    def __init__(self, channels=1, width=4, align_corners=False, norm=nn.Identity):
        super().__init__()
        self.align_corners = align_corners
        self.a = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), norm(width), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), norm(width), nn.ReLU())
        self.c = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), norm(width), nn.ReLU())
        self.d = nn.Conv2d(2 * width, width, 3, padding=1)
        self.e = nn.Conv2d(2 * width, 1, 3, padding=1)

    def up(self, x):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=self.align_corners)

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.avg_pool2d(b, 2))
        d = self.d(torch.cat([b, self.up(c)], 1)).relu()
        return self.e(torch.cat([a, self.up(d)], 1))


class ScaleTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.out = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        return F.pixel_shuffle(self.out(self.conv(x).relu()), 2)


class Coordinates(nn.Module):
    def forward(self, x):
        return x + torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)


class GlobalScale(nn.Module):
    """Squeeze and excitation: every output depends on the mean of everything."""

    def forward(self, x):
        return x * x.mean(dim=(2, 3, 4), keepdim=True).sigmoid()


@pytest.mark.parametrize(
    ("kernels", "dilations"), [([3], [1]), ([3, 3, 3], [1, 1, 1]), ([5, 1, 7], [1, 1, 1]), ([3, 3, 3], [1, 2, 4])]
)
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate"])
def test_halo_of_convolutions_by_the_formula(kernels, dilations, padding_mode):
    halo = sum((kernel - 1) * dilation // 2 for kernel, dilation in zip(kernels, dilations, strict=True))
    network = conv_stack(kernels, dilations, padding_mode=padding_mode)
    assert probe(network, 1, (1, 1, 1)) == Footprint((halo, halo, halo), (1, 1, 1))


@pytest.mark.parametrize("layers", [[(3, 1), (2, 2), (3, 1)], [(3, 1), (2, 2), (5, 1), (2, 2), (3, 1)]])
def test_halo_of_strided_networks_by_the_formula(layers):
    # the textbook recursion: r grows by (k - 1) * jump, jump by the stride; nearest upsampling at the end adds nothing
    field, jump, modules, channels = 1, 1, [], 1
    for kernel, stride in layers:
        modules.append(nn.Conv2d(channels, 3, kernel, stride, padding=(kernel - 1) // 2 if stride == 1 else 0))
        channels = 3
        field += (kernel - 1) * jump
        jump *= stride
    network = SliceBySlice(nn.Sequential(*modules, nn.Upsample(scale_factor=jump)))
    # a block of `jump` outputs sees `field` inputs around itself, on each side the whole steps that this touches
    halo = -(-((field - jump) // 2) // jump) * jump
    assert probe(network, 1, (1, jump, jump)).halo == (0, halo, halo)


def test_zero_weights_count():
    # a residual branch that starts at zero still looks as far as it is built to
    network = conv_stack([3, 3])
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    assert probe(network, 1, (1, 1, 1)).halo == (2, 2, 2)


@pytest.mark.parametrize("context", [0, 1, 3])
def test_slices_see_their_context(context):
    network = SliceBySlice(conv_stack([3, 3], dims=2), context)
    network.network[0] = nn.Conv2d(2 * context + 1, 4, 3, padding=1)
    assert probe(network, 1, (1, 1, 1)).halo == (context, 2, 2)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(conv_stack([3]), nn.InstanceNorm3d(1)),
        nn.Sequential(conv_stack([3]), nn.GroupNorm(1, 1)),
        GlobalScale(),
    ],
)
def test_global_networks_have_no_halo(network):
    assert probe(network, 1, (1, 1, 1)).halo is None


def test_unbounded_along_some_axes_only():
    assert probe(SliceBySlice(UNet(norm=nn.InstanceNorm2d)), 1, (1, 4, 4)).halo == (0, None, None)
    # depends on the whole size, finite as its receptive field is: only the comparison of tiles can tell
    assert probe(SliceBySlice(UNet(align_corners=True)), 1, (1, 4, 4)).halo == (0, None, None)
    assert probe(Coordinates(), 1, (1, 1, 1)).halo == (0, 0, None)
    assert probe(nn.Conv3d(1, 1, 3, padding=1, padding_mode="circular"), 1, (1, 1, 1)).halo is None


def test_an_untrained_residual_hides_nothing():
    # starts as the identity, for which any tiles would agree
    network = UNet(align_corners=True)
    nn.init.zeros_(network.e.weight)
    nn.init.zeros_(network.e.bias)
    assert probe(SliceBySlice(network), 1, (1, 4, 4)).halo == (0, None, None)


def test_probing_leaves_no_trace():
    network = Residual(1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    probe(network, 1, (1, 1, 1))
    assert network.training
    assert torch.equal(state, torch.get_rng_state())
    for name, value in network.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_a_wrong_scale_is_refused():
    with pytest.raises(ValueError, match="not"):
        probe(SliceBySlice(ScaleTwo()), 1, (1, 1, 1))


networks = {
    "stack": (lambda: conv_stack([3, 5, 3]), (1, 1, 1), (1, 1, 1)),
    "reflect": (lambda: conv_stack([3, 3], padding_mode="reflect"), (1, 1, 1), (1, 1, 1)),
    "residual": (lambda: Residual(6), (1, 1, 1), (1, 1, 1)),
    "unet": (lambda: SliceBySlice(UNet()), (1, 4, 4), (1, 1, 1)),
    "unet context": (lambda: SliceBySlice(UNet(channels=3), 1), (1, 4, 4), (1, 1, 1)),
    "batch norm": (lambda: SliceBySlice(UNet(norm=nn.BatchNorm2d)), (1, 4, 4), (1, 1, 1)),
    "super-resolution": (lambda: SliceBySlice(ScaleTwo()), (1, 1, 1), (1, 2, 2)),
}


@pytest.mark.parametrize("name", networks)
@pytest.mark.parametrize("shape", [(33, 29, 31), (5, 61, 70), (2, 7, 90)])
def test_tiled_network_equals_whole(name, shape):
    build, multiple, scale = networks[name]
    network = build().eval()
    footprint = probe(network, 1, multiple, scale)
    assert footprint.is_exact
    volume = np.random.default_rng(1).normal(size=(1, *shape)).astype(np.float32)

    def predict(block):
        with torch.no_grad():
            return network(torch.from_numpy(block)[None])[0].numpy()

    def run(tile_voxels):
        tiles, result = [], np.full((1, *(s * f for s, f in zip(shape, scale, strict=True))), np.nan, np.float32)

        def write(box, block):
            tiles.append(box)
            result[(slice(None), *box.slices)] = block

        run_tiled(
            shape, lambda box: volume[(slice(None), *box.slices)], predict, write, footprint, tile_voxels=tile_voxels
        )
        return len(tiles), result

    count, whole = run(None)
    assert count == 1
    padding = [(0, 0)] + [(0, -size % m) for size, m in zip(shape, multiple, strict=True)]
    direct = predict(np.pad(volume, padding, mode="edge"))[(slice(None), *(slice(0, s) for s in whole.shape[1:]))]
    np.testing.assert_array_equal(whole, direct)
    counts = []
    for part in (2, 5):
        count, result = run(int(np.prod(shape)) // part)
        counts.append(count)
        assert np.abs(result - whole).max() < 1e-5 * (whole.max() - whole.min())
    assert max(counts) > 1

"""Tiles against the whole volume: largest difference and time, beside MONAI's ``sliding_window_inference``.

Two networks: the 2-D generator of the task ``denoise-ct`` on one large image, and a 3-D residual network of 12
convolutions on a volume. MONAI gets the same network and tiles of the same number of voxels (cubes or squares), one at
a time, at overlap 0.25 and 0.5 with Gaussian weights. All variants of a row take turns; medians are compared. On the
CPU, the time is that of one thread on the processor, which other programs on the machine hardly change.

    python Testing/Benchmarks/bench_tiling.py --quick --json bench_tiling.json
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "MedGANSynthesis"))

import medgan.recipes
import numpy as np
import torch
from medgan.generators.slicewise import SliceBySlice
from medgan.receptive_field import probe
from medgan.tiling import Footprint, run_tiled
from monai.inferers import sliding_window_inference
from torch import nn

OVERLAPS = (0.25, 0.5)
GOAL_DIFFERENCE, GOAL_SPEED = 1e-4, 1.5


class Residual3D(nn.Module):
    """Six residual blocks of two 3x3x3 convolutions: 12 convolutions, halo 12."""

    def __init__(self, width: int):
        super().__init__()
        self.head, self.tail = nn.Conv3d(1, width, 1), nn.Conv3d(width, 1, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(width, width, 3, padding=1), nn.ReLU(inplace=True), nn.Conv3d(width, width, 3, padding=1)
            )
            for _ in range(6)
        )

    def forward(self, x: Any) -> Any:
        x = self.head(x)
        for block in self.blocks:
            x = x + block(x)
        return self.tail(x)


class ContentOnly(nn.Module):
    """The generator's first output, the image; the second is the noise, of which nothing is used."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return self.network(x)[:, :1]


@dataclass
class Case:
    """A network, and a volume (k, j, i) to run it on."""

    name: str
    network: nn.Module  # as MONAI takes it: 2-D for a single slice
    volume: np.ndarray
    multiple: tuple[int, int, int]

    @property
    def dimensions(self) -> int:
        return 2 if self.volume.shape[0] == 1 else 3

    @property
    def volume_network(self) -> nn.Module:
        return SliceBySlice(self.network) if self.dimensions == 2 else self.network


def cases(arguments: argparse.Namespace) -> list[Case]:
    """Random weights and random data: neither time nor equality depends on what they are."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    recipe = medgan.recipes.get("denoise-ct", base_width=arguments.width_2d)
    generator = recipe.build_generator()
    # a fresh residual generator starts as the identity, which would make every difference zero
    for parameter in generator.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    image = random.normal(size=(1, arguments.image, arguments.image)).astype(np.float32)
    volume = random.normal(size=(arguments.volume,) * 3).astype(np.float32)
    multiple = tuple(recipe.network_spec().multiple)
    return [
        Case("2-D generator", ContentOnly(generator).eval(), image, multiple),
        Case("3-D residual", Residual3D(arguments.width_3d).eval(), volume, (1, 1, 1)),
    ]


class Runner:
    """The ways to compute one case on one device."""

    def __init__(self, case: Case, footprint: Footprint, device: str):
        self.case, self.footprint, self.device = case, footprint, device
        self.volume_network = case.volume_network.to(device)
        self.tiles: list[tuple[int, ...]] = []
        # every variant ends with its result on the host, so a GPU has finished too
        self.clock = time.process_time if device == "cpu" else time.perf_counter

    def predict(self, block: np.ndarray) -> np.ndarray:
        self.tiles.append(block.shape[1:])
        return self.volume_network(torch.from_numpy(np.ascontiguousarray(block)).to(self.device)[None])[0].cpu().numpy()

    def tiled(self, tile_voxels: int | None) -> np.ndarray:
        self.tiles = []
        volume = self.case.volume[None]
        result = np.empty_like(volume)

        def read(box: Any) -> np.ndarray:
            return volume[(..., *box.slices)]

        def write(box: Any, block: np.ndarray) -> None:
            result[(..., *box.slices)] = block

        run_tiled(self.case.volume.shape, read, self.predict, write, self.footprint, tile_voxels=tile_voxels)
        return result[0]

    def monai(self, tile: int, overlap: float) -> np.ndarray:
        # the whole image is handed over at once, on the device: the fastest way MONAI offers
        flat = self.case.dimensions == 2
        data = torch.from_numpy(self.case.volume if flat else self.case.volume[None])[None].to(self.device)
        size = (tile,) * self.case.dimensions
        result = sliding_window_inference(data, size, 1, self.case.network, overlap=overlap, mode="gaussian")
        return result[0].cpu().numpy() if flat else result[0, 0].cpu().numpy()


def compare(runner: Runner, halos: list[float], repeats: int) -> list[dict]:
    """One row for each tile width, given in halos."""
    case, halo = runner.case, runner.footprint.halo[2]
    multiple = case.multiple[2]
    whole = runner.tiled(None)
    span = float(whole.max() - whole.min())
    rows = []
    for width in halos:
        tile = math.ceil(width * halo / multiple) * multiple
        if tile >= case.volume.shape[2]:
            print(f"{case.name}: a tile of {width:g} halos is the whole volume, left out")
            continue
        variants: dict[str, Callable[[], np.ndarray]] = {
            "whole": lambda: runner.tiled(None),
            "MedGAN": lambda tile=tile: runner.tiled(tile**case.dimensions),
        }
        for overlap in OVERLAPS:
            variants[f"MONAI {overlap}"] = lambda tile=tile, overlap=overlap: runner.monai(tile, overlap)
        seconds: dict[str, list[float]] = {name: [] for name in variants}
        difference = {}
        for _ in range(repeats):
            for name, compute in variants.items():
                start = runner.clock()
                result = compute()
                seconds[name].append(runner.clock() - start)
                difference[name] = float(np.abs(result - whole).max()) / span
                if name == "MedGAN":
                    tiles = list(runner.tiles)
        median = {name: statistics.median(values) for name, values in seconds.items()}
        rows.append(
            {
                "case": case.name,
                "halo": halo,
                "tile": tile,
                "tile_halos": tile / halo,
                "medgan_tiles": len(tiles),
                "medgan_largest_tile": list(max(tiles, key=math.prod)),
                "difference": difference,
                "ns_per_voxel": {name: value / case.volume.size * 1e9 for name, value in median.items()},
                "speed_ratio": {f"MONAI {o}": median[f"MONAI {o}"] / median["MedGAN"] for o in OVERLAPS},
            }
        )
        print_row(rows[-1])
    return rows


def print_row(row: dict) -> None:
    tile = "x".join(map(str, row["medgan_largest_tile"]))
    print(f"\n{row['case']}, tile {row['tile']} = {row['tile_halos']:.1f} halos of {row['halo']}")
    print(f"  {'':12} {'us/voxel':>9} {'time / MedGAN':>14} {'difference from whole':>22}")
    own = row["ns_per_voxel"]["MedGAN"]
    for name, value in row["ns_per_voxel"].items():
        detail = f"   {row['medgan_tiles']} tiles, largest {tile}" if name == "MedGAN" else ""
        print(f"  {name:12} {value / 1e3:9.3f} {value / own:14.2f} {row['difference'][name]:22.1e}{detail}")


def verdict(rows: list[dict]) -> dict[str, Any]:
    """The goals, over all rows."""
    large = [row for row in rows if row["tile_halos"] >= 6]
    result = {
        "largest_difference": max(row["difference"]["MedGAN"] for row in rows),
        "smallest_seam_of_monai": min(row["difference"][f"MONAI {o}"] for row in rows for o in OVERLAPS),
        "smallest_speed_ratio_from_6_halos": min(
            (row["speed_ratio"]["MONAI 0.5"] for row in large), default=float("nan")
        ),
    }
    print(f"\nlargest difference from the whole    {result['largest_difference']:.1e}   goal < {GOAL_DIFFERENCE:g}")
    print(f"smallest difference of MONAI         {result['smallest_seam_of_monai']:.1e}")
    ratio = result["smallest_speed_ratio_from_6_halos"]
    print(f"times faster than MONAI 0.5, tile >= 6 halos, at least {ratio:.2f}   goal >= {GOAL_SPEED:g}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small networks, one tile size: under a minute")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of each variant (default: 3)")
    parser.add_argument("--image", type=int, default=1024, help="side of the 2-D image in pixels (default: 1024)")
    parser.add_argument("--volume", type=int, default=128, help="side of the volume in voxels (default: 128)")
    parser.add_argument("--width-2d", type=int, default=24, help="base width of the 2-D generator (default: 24)")
    parser.add_argument("--width-3d", type=int, default=16, help="channels of the 3-D network (default: 16)")
    parser.add_argument("--halos", type=float, nargs="+", default=[4, 6, 8], help="tile widths in halos")
    parser.add_argument("--tf32", action="store_true", help="let CUDA round to TensorFloat-32, torch's default")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.width_2d, arguments.width_3d = 4, 8
        arguments.image, arguments.volume = 768, 96
        arguments.halos = [6]
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = arguments.tf32
    rows = []
    with torch.inference_mode():
        for case in cases(arguments):
            start = time.perf_counter()
            footprint = probe(case.volume_network, 1, case.multiple)
            print(f"{case.name}: halo {footprint.halo} (k, j, i), found in {time.perf_counter() - start:.2f} s")
            rows += compare(Runner(case, footprint, arguments.device), arguments.halos, arguments.repeats)
    result = {**verdict(rows), "device": arguments.device, "torch": torch.__version__, "rows": rows}
    if arguments.json:
        arguments.json.write_text(json.dumps({**result, "arguments": vars(arguments)}, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()

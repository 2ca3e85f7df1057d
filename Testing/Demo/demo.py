"""MedGAN in one minute: a real CT in a real MRML scene, low-dose noise added, then removed by the shipped generator.

Run by ``make demo``. Writes NRRD files, a picture and a table to ``output/demo``.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import slicer  # noqa: E402
from demo_figure import draw  # noqa: E402
from demo_input import CHECKOUT, demo_input  # noqa: E402

DOSE = 0.25
SEED = 1


def main():
    """The demo from input to table."""
    from medgan import baselines, metrics

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "output", type=Path, nargs="?", default=CHECKOUT / "output" / "demo", help="folder of the results"
    )
    parser.add_argument("--offline", action="store_true", help="do not download Slicer's sample data")
    options = parser.parse_args()
    output = options.output
    output.mkdir(parents=True, exist_ok=True)
    truth, origin = demo_input(output, options.offline)
    print(f"Input: {origin}; {' x '.join(map(str, truth.grid_shape[::-1]))} voxels.")
    noisy = low_dose(truth, output)

    truthNode, noisyNode = add_node(truth, "CT"), add_node(noisy, "CT quarter dose")
    logic = slicer.util.getModuleLogic("MedGANSynthesis")
    print("Applying the shipped generator through logic.apply('denoise-ct', volumeNode) ...")
    denoisedNode = logic.apply("denoise-ct", noisyNode, onProgress=show_progress)
    model, note = (denoisedNode.GetAttribute(f"MedGAN.{key}") for key in ("Model", "Note"))
    print(f"\n{denoisedNode.GetName()}: {model}. {note}.")

    from MedGANSynthesisLib.nodes import volumeFromNode

    denoised = volumeFromNode(denoisedNode)
    print("Classical baselines, tuned on the truth in their favour ...")
    smooth, width = baselines.best(baselines.gaussian, baselines.GAUSSIAN_WIDTHS, noisy, truth)
    means, noise = baselines.best(baselines.non_local_means, baselines.NLM_NOISES_HU, noisy, truth)
    table = [
        ("input, quarter dose", metrics.summary(truth.array, noisy.array)),
        (f"Gaussian, {width:g} pixels", metrics.summary(truth.array, smooth.array)),
        (f"non-local means, {noise:g} HU", metrics.summary(truth.array, means.array)),
        ("MedGAN", metrics.summary(truth.array, denoised.array)),
    ]
    print_table(table)
    for node, name in ((truthNode, "truth"), (noisyNode, "input"), (denoisedNode, "denoised")):
        path = output / f"{name}.nrrd"
        path.unlink(missing_ok=True)
        if not slicer.util.saveNode(node, str(path)):
            raise SystemExit(f"{path} could not be saved; free disk space.")
    draw(output / "denoise-ct.png", noisy, denoised, truth, table, origin)
    (output / "metrics.json").write_text(json.dumps(dict(table), indent=2) + "\n")
    print(f"\nResults: {output}\n  denoise-ct.png, metrics.json, truth.nrrd, input.nrrd, denoised.nrrd")
    logic.stopEngine()


def low_dose(truth, output):
    """The truth at a quarter of its dose; the simulation of an earlier run is taken up again."""
    from medgan.degrade import calibrate_photons, simulate_low_dose
    from medgan.image_io import read_volume, write_volume

    key = hashlib.sha256(truth.array.tobytes() + f"{DOSE} {SEED}".encode()).hexdigest()[:12]
    path = output / f"quarter-dose-{key}.nrrd"
    if path.is_file():
        return read_volume(path)[0]
    print("Simulating a quarter of the dose in the projection domain (once) ...")
    noisy = simulate_low_dose(
        truth, DOSE, SEED, calibrate_photons(truth), progress=lambda f, m: print(f"\r  {f:4.0%}", end="")
    )
    print()
    write_volume(noisy, path)
    return noisy


def add_node(volume, name):
    """A CT volume node in the scene, shown in a soft-tissue window."""
    from MedGANSynthesisLib.nodes import setGeometryOfNode, setHounsfieldUnits

    node = slicer.util.addVolumeFromArray(volume.array, name=name)
    setGeometryOfNode(node, volume.geometry)
    setHounsfieldUnits(node)
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(400, 40)
    return node


def show_progress(job):
    """One line, overwritten."""
    remaining = "" if job.remainingSeconds is None else f", {job.remainingSeconds:.0f} s to go"
    print(f"\r  {job.progress:4.0%}{remaining}      ", end="", flush=True)


def print_table(table):
    """PSNR, SSIM and RMSE of every row."""
    print("\nAgainst the untouched scan, whole slices, range [-1024, 3071] HU (SSIM: 7x7 window, mean over slices):")
    print(f"  {'':<32}{'PSNR dB':>9}{'SSIM':>9}{'RMSE HU':>9}")
    for name, row in table:
        print(f"  {name:<32}{row['psnr_db']:>9.2f}{row['ssim']:>9.4f}{row['rmse']:>9.2f}")


main()

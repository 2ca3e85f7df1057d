"""How good a generator is: one row per case, the untouched input beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import metrics
from .dataset import Case, Dataset
from .intensity import Scale
from .network import NetworkSpec
from .target import Target

if TYPE_CHECKING:
    from .bundle import Bundle


def evaluate(bundle: Bundle | str | Path, dataset: Dataset | str | Path, device: str = "auto") -> list[dict[str, Any]]:
    """Metrics of a bundle on the ``test`` split of a dataset (``validation`` where there is none).

    Returns:
        one row per case: ``case``, and PSNR (dB), SSIM, RMSE (unit of the images) of the output (``output_*``) and
        of the untouched input (``input_*``), range [-1024, 3071] HU, whole slices.
    """
    from .bundle import Bundle

    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset)
    cases = dataset.split("test") or dataset.split("validation")
    manifest = bundle.manifest
    scale, target = manifest.source_scale(), manifest.result()
    return evaluate_generator(bundle.build_generator(), manifest.network, scale, target, dataset, cases, device)


def evaluate_generator(
    generator: Any,
    spec: NetworkSpec,
    scale: Scale,
    target: Target,
    dataset: Dataset,
    cases: Sequence[Case],
    device: str = "auto",
) -> list[dict[str, Any]]:
    """As :func:`evaluate`, for a network in memory and chosen cases."""
    from .synthesizer import generate

    rows = []
    for case in cases:
        source, truth = dataset.volumes(case)
        output = generate(generator, spec, scale, target, source, device)
        rows.append(
            {
                "case": case.id,
                **{f"input_{key}": value for key, value in metrics.summary(truth.array, source.array).items()},
                **{f"output_{key}": value for key, value in metrics.summary(truth.array, output.array).items()},
            }
        )
    return rows

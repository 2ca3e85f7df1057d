"""What every recipe has: presets, the parameters of a training, the networks and what they are trained for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .. import parameters, schedules
from ..errors import InputError
from ..intensity import Scale
from ..network import NetworkSpec
from ..parameters import parameter
from ..target import Target
from ..tile_plan import Triple

if TYPE_CHECKING:
    import numpy as np

    from ..objectives.base import Objective
    from ..sampling import Pair


@dataclass(frozen=True)
class Recipe:
    """A task with all its parameters; subclasses add fields, presets and networks.

    ``PRESETS`` maps a preset's name to the parameters in which it differs from the field defaults.
    """

    TASK: ClassVar[str] = ""
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    PAIRED: ClassVar[bool] = True
    SCORE: ClassVar[str] = "output_psnr_db"
    """Column of the validation rows by which the best epoch is chosen; higher is better."""

    preset: str = "recommended"
    weight_l1: float = parameter(100.0, label="L1 weight", minimum=0.0, help="Weight of the mean absolute error.")
    weight_adversarial: float = parameter(
        1.0, label="Adversarial weight", minimum=0.0,
        help="Weight of the adversarial term; higher is sharper and less exact, 0 trains without a discriminator.",
    )  # fmt: skip
    adversarial_loss: str = parameter(
        "lsgan", label="Adversarial loss", choices=("bce", "lsgan", "hinge", "wgan"),
        help="Binary cross entropy (vanilla GAN), least squares (LSGAN), hinge, or Wasserstein.",
    )  # fmt: skip
    adversarial_start: int = parameter(
        0, label="Adversarial start", minimum=0, unit="epochs",
        help="Epochs of pure regression before the discriminator joins.",
    )  # fmt: skip
    discriminator_warmup: int = parameter(
        0, label="Discriminator warm-up", minimum=0, unit="steps",
        help="Steps in which the discriminator learns alone before the generator heeds it.",
    )  # fmt: skip
    discriminator_first: bool = parameter(
        False, label="Discriminator first", help="Update the discriminator before the generator (pix2pix), not after."
    )
    separate_updates: bool = parameter(
        False, label="Separate updates",
        help="Update the discriminator once on real and once on generated images instead of on both together.",
    )  # fmt: skip
    generator_steps: int = parameter(
        1, label="Generator steps", minimum=1, maximum=10, help="Generator updates per discriminator update."
    )
    label_smoothing: float = parameter(
        0.0, label="Label smoothing", minimum=0.0, maximum=0.5,
        help="Real labels are drawn anew from 1 - this to 1 at every discriminator update; fake ones stay 0.",
    )  # fmt: skip
    gradient_penalty: str = parameter(
        "none", label="Gradient penalty", choices=("none", "wgan-gp", "wgan-gp-sigmoid", "r1"),
        help="Penalty on the discriminator's gradient: between real and fake (also on the sigmoid), or on real images.",
    )  # fmt: skip
    weight_gradient_penalty: float = parameter(
        10.0, label="Gradient penalty weight", minimum=0.0, help="Weight of the gradient penalty."
    )
    weight_feature_matching: float = parameter(
        0.0, label="Feature matching weight", minimum=0.0,
        help="Weight of the L1 distance between the discriminator's activations on real and generated images.",
    )  # fmt: skip
    conditional: bool = parameter(
        True, label="Conditional", help="The discriminator sees the source beside the image it judges."
    )
    gradient_clip: float = parameter(
        0.0, label="Gradient clipping", minimum=0.0, help="Largest norm of a generator gradient; 0 switches it off."
    )
    schedule: str = parameter(
        "cosine", label="Schedule", choices=schedules.NAMES, help="How both learning rates change over the epochs."
    )
    schedule_start: int = parameter(
        0, label="Schedule start", minimum=0, unit="epochs", help="Epochs of constant rate before a decay begins."
    )
    schedule_rate: float = parameter(
        0.0, label="Decay rate", minimum=0.0,
        help="Rate of the inverse schedules, per epoch; lowest factor of the restarts.",
    )  # fmt: skip
    learning_rate_generator: float = parameter(
        2e-4, label="Generator learning rate", minimum=0.0, maximum=1.0, help="Adam step size of the generator."
    )
    learning_rate_discriminator: float = parameter(
        2e-4, label="Discriminator learning rate", minimum=0.0, maximum=1.0, help="Adam step size of the discriminator."
    )
    beta1: float = parameter(0.5, label="Adam beta 1", minimum=0.0, maximum=1.0, help="Momentum of both optimizers.")
    beta2: float = parameter(0.999, label="Adam beta 2", minimum=0.0, maximum=1.0, help="Second-moment decay of both.")
    averaging: float = parameter(
        0.998, label="Weight averaging", minimum=0.0, maximum=1.0,
        help="Decay of the running average of generator weights that is validated and shipped; 0 switches it off.",
    )  # fmt: skip
    batch_size: int = parameter(8, label="Batch size", minimum=1, maximum=512, help="Patches per step and process.")
    epochs: int = parameter(60, label="Epochs", minimum=1, help="Training length; an epoch ends with a validation.")
    steps_per_epoch: int = parameter(
        100, label="Steps per epoch", minimum=1, help="Optimizer steps between validations."
    )
    checkpoint_interval: int = parameter(
        1, label="Checkpoint interval", minimum=1, unit="epochs", help="Epochs between checkpoints to resume from."
    )
    sample_interval: int = parameter(
        0, label="Sample interval", minimum=0, unit="steps",
        help="Steps between images of a fixed case for those who watch; 0 makes one after every epoch.",
    )  # fmt: skip
    patience: int = parameter(
        0, label="Patience", minimum=0, unit="epochs",
        help="Stop when the validation score has not risen for so many epochs; 0 never stops early.",
    )  # fmt: skip
    flips: bool = parameter(True, label="Flips", help="Mirror patches at random.")
    rotation_degrees: float = parameter(
        0.0, label="Rotation", minimum=0.0, maximum=180.0, unit="degrees",
        help="Rotate patches in plane by up to this angle at random.",
    )  # fmt: skip
    precision: str = parameter(
        "auto", label="Precision", choices=("auto", "32", "bf16", "fp16"),
        help="Number format of the networks' products; auto is bfloat16 where the device computes it natively.",
    )  # fmt: skip
    seed: int = parameter(
        0, label="Seed", minimum=0, maximum=2**32 - 1, help="The same seed on the same device gives the same training."
    )

    @classmethod
    def from_preset(cls, preset: str, **overrides: Any) -> Recipe:
        """The recipe of a preset with single parameters replaced and everything checked."""
        if preset not in cls.PRESETS:
            raise InputError(f"There is no preset '{preset}' for {cls.TASK}; the presets are {', '.join(cls.PRESETS)}.")
        known = {field.name for field in dataclasses.fields(cls)} - {"preset"}
        unknown = sorted(set(overrides) - known)
        if unknown:
            raise InputError(f"{cls.TASK} has no parameter '{unknown[0]}'; it has {', '.join(sorted(known))}.")
        recipe = cls(preset=preset, **{**cls.PRESETS[preset], **overrides})
        parameters.validate(recipe)
        recipe.check()
        return recipe

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe a bundle or checkpoint describes (inverse of :meth:`to_dict`)."""
        values = dict(values)
        return cls.from_preset(values.pop("preset"), **values)

    def to_dict(self) -> dict[str, Any]:
        """Every parameter, JSON-ready."""
        return dataclasses.asdict(self)

    def check(self) -> None:
        """Raise InputError for parameters that contradict each other; single ranges are checked already."""

    def build_generator(self) -> Any:
        """A freshly initialised generator (torch module): the network that is validated and shipped."""
        raise NotImplementedError

    def build_discriminator(self) -> Any:
        """A freshly initialised discriminator, see :mod:`medgan.discriminators`."""
        raise NotImplementedError

    def build_players(self) -> tuple[Any, Any]:
        """What the two optimizers train: generator and discriminator, or modules that hold several (CycleGAN)."""
        return self.build_generator(), self.build_discriminator()

    def shipped(self, state: dict[str, Any]) -> dict[str, Any]:
        """The part of the generator player's state dictionary that belongs to :meth:`build_generator`."""
        return state

    def network_spec(self) -> NetworkSpec:
        """How the generator is fed, its halo left open."""
        raise NotImplementedError

    def source_scale(self) -> Scale:
        """Scaling between physical values of the source and network numbers."""
        raise NotImplementedError

    def target(self) -> Target:
        """What the result is; by default the same kind of image in the same scale."""
        return Target()

    def patch_shape(self) -> Triple:
        """Source voxels ``(k, j, i)`` of a training patch; without context slices, k is 1 for a 2-D network."""
        raise NotImplementedError

    def patch_step(self) -> Triple:
        """Patches begin at multiples of these voxels ``(k, j, i)``."""
        return (1, 1, 1)

    def flip_axes(self) -> tuple[int, ...]:
        """Array axes (of k, j, i) along which patches may be mirrored; anatomy is mirrored left to right only."""
        return (2,)

    def transposes(self) -> bool:
        """Whether rows and columns of a patch may be swapped (textures and tissue sections, not anatomy)."""
        return False

    def augment(self, pair: Pair, generator: np.random.Generator) -> Pair:
        """Task-specific changes of a patch pair in physical units, before it is scaled; by default none."""
        return pair

    def margin(self) -> Triple:
        """Source voxels ``(k, j, i)`` that :meth:`augment` is given beyond the patch on each side (cut off after)."""
        return (0, 0, 0)

    def objective(self) -> Objective:
        """What both players are trained for; by default L1 and an adversarial term."""
        from ..objectives.paired import PairedObjective

        return PairedObjective(self)

    def measured_spec(self, generator: Any) -> NetworkSpec:
        """:meth:`network_spec` with the halo found on the network itself."""
        from ..network import as_volume_network
        from ..receptive_field import probe

        spec = self.network_spec()
        found = probe(as_volume_network(generator, spec), spec.in_channels, spec.multiple, spec.scale)
        return dataclasses.replace(spec, halo=found.halo)

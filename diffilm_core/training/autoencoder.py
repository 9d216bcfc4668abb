"""Stage `autoencoder`: reconstructing the pictures of a folder, or the frames of clips, without captions.

    train(read("configs/autoencoder.toml"), "runs/vae", device=torch.device("cuda"))      # -> runs/vae/vae.safetensors

Of a model that is there the decoder alone is trained, since its UNet knows the latents as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..checkpoints import load_vae
from ..checkpoints.whole import save_whole
from ..errors import DiffilmError
from ..frames.progress import Progress
from ..metrics.lpips import Lpips
from ..models import AutoencoderKL
from .adversarial import Adversary
from .base import About, BaseConfig
from .bases import own_model, save_own, system_of
from .config import StageConfig, read_sections
from .data.clips import Clips, index_clips, split
from .data.feed import CaptionedFeed, Feed, numbered
from .data.samples import Buckets, ClipSamples, Samples, collate
from .data.sources import bare_pictures, parted
from .diffusion import HELD_NUMBERS, HELD_SAMPLES, numbered_generator
from .loop import ValidatedRun, fast_in_bf16
from .processes import Processes, launched
from .room import check_room

RESULT = "vae.safetensors"
ANY_RATE = 1.0, 1000.0
SHOWN = 4


@dataclass(frozen=True)
class FolderConfig:
    """`folder`: pictures, or, where it holds none, videos, whose frames are then the pictures; squares of `size`
    pixels. The share `validation` of the files is only looked at. `workers`: processes that decode."""

    folder: str
    size: int = 256
    validation: float = 0.02
    seed: int = 0
    workers: int = 2
    description: str = ""
    licence: str = ""


@dataclass(frozen=True)
class ReconstructConfig:
    """`kl`: weight of the divergence from the unit Gaussian. `lpips`: VGG or AlexNet weights, by which what comes back
    is judged too. `adversarial`: the weight of a discriminator, which learns beside it to tell what comes back
    from what was there (`Adversary`); 0 for none. `encoder`: whether it is trained too; left out: of a new model alone,
    whose scale factor is measured at the end."""

    kl: float = 2e-5
    lpips: str = ""
    adversarial: float = 0.0
    encoder: bool | None = None

    def __post_init__(self) -> None:
        if self.adversarial < 0:
            raise DiffilmError(f"adversarial {self.adversarial}: expected a weight of at least 0; 0.5 is usual")


@dataclass(frozen=True)
class AutoencoderTraining:
    data: FolderConfig
    train: StageConfig
    base: BaseConfig = field(default_factory=BaseConfig)
    loss: ReconstructConfig = field(default_factory=ReconstructConfig)


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> AutoencoderTraining:
    """The configuration in a TOML file; `changes` by "section.key". Raises DiffilmError as `read_sections` does."""
    kinds = {"base": BaseConfig, "data": FolderConfig, "loss": ReconstructConfig, "train": StageConfig}
    return AutoencoderTraining(**read_sections(path, kinds, changes or {}, optional=("base", "loss")))


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def picture_loss(got: Tensor, want: Tensor) -> Tensor:
    """L1 of the pixels and of their gradients at three scales, so that edges count."""
    loss = F.l1_loss(got, want)
    for _ in range(3):
        pairs = zip(gradients(got), gradients(want), strict=True)
        loss = loss + sum((F.l1_loss(a, b) for a, b in pairs), torch.zeros((), device=got.device))
        got, want = F.avg_pool2d(got, 2), F.avg_pool2d(want, 2)
    return loss


class Reconstruct(nn.Module):
    """The autoencoder's loss: reconstruction and a light KL towards the unit Gaussian; with `distance` also how far
    from the picture its reconstruction looks, and with `adversary` what tells the two apart, as latent diffusion's
    autoencoders are trained (Rombach et al. 2022). jitter: each picture's latent has noise added, whose standard
    deviation is |n|, n normal with this spread (scaled latents' own is 1), as what a UNet samples is never quite the
    encoder's (the noise-augmented decoding of Zheng et al. 2025, Diffusion Transformers with Representation
    Autoencoders)."""

    def __init__(
        self,
        vae: AutoencoderKL,
        kl: float = 2e-5,
        distance: Lpips | None = None,
        adversary: Adversary | None = None,
        jitter: float = 0.0,
    ) -> None:
        super().__init__()
        self.vae, self.kl, self.distance, self.adversary, self.jitter = vae, kl, distance, adversary, jitter

    def trained(self) -> dict[str, nn.Module]:
        """What learns, by name."""
        return {"vae": self.vae} | ({} if self.adversary is None else {"adversary": self.adversary})

    def forward(self, pixels: Tensor, noise: Tensor) -> Tensor:
        mean, logvar = self.vae.moments(pixels)
        spread = (logvar / 2).exp()
        if self.jitter:
            more = torch.randn(len(mean), 1, 1, 1, device=mean.device).abs()
            spread = spread + self.jitter / self.vae.config.scale_factor * more
        got = self.vae.decoder(self.vae.post_quant_conv(mean + spread * noise)).float()
        divergence = 0.5 * (mean.float() ** 2 + logvar.float().exp() - 1 - logvar.float()).mean()
        loss = picture_loss(got, pixels) + self.kl * divergence * mean[0].numel()
        if self.distance is not None:
            loss = loss + self.distance((got + 1) / 2, (pixels + 1) / 2).mean()
        return loss if self.adversary is None else loss + self.adversary(got, pixels, loss)


def lpips_loss(weights: str | Path, device: torch.device) -> Lpips:
    """LPIPS of three levels as a loss, from VGG's or AlexNet's weights. Raises DiffilmError as `Lpips.load` does."""
    return Lpips.load(weights, levels=3).to(device, torch.bfloat16 if fast_in_bf16(device) else torch.float32)


def decibels(vae: AutoencoderKL, pixels: Tensor) -> float:
    """PSNR of what comes back of pixels `(b, 3, h, w)` in [-1, 1]."""
    again = vae.decode(vae.encode(pixels)).clamp(-1, 1)
    return -10 * float(((again - pixels) / 2).square().mean().log10())


def scale_of(vae: AutoencoderKL, pixels: Tensor) -> float:
    """The scale factor that gives the latents of pixels `(b, 3, h, w)` unit variance."""
    return round(1 / float(vae.moments(pixels)[0].std()), 4)


@dataclass(frozen=True)
class Source:
    """Pictures `(b, 1, h, w, 3)`: `feed(number)` a batch, `look(number)` a sample, of the validation where `held`."""

    feed: Feed
    look: Callable[[int], Mapping[str, Any]]
    held: bool
    files: int


def source_of(data: FolderConfig, batch: int, out: Path, processes: Processes, progress: Progress | None) -> Source:
    """Raises DiffilmError for a folder that is missing or holds neither pictures nor videos."""
    size = data.size, data.size
    if items := bare_pictures(data.folder):
        used, held = parted(items, data.validation, data.seed)
        shape, seen = Buckets([size]), held or used
        feed: Feed = CaptionedFeed(used, shape, batch, seed=data.seed, workers=data.workers, processes=processes)
        samples = Samples(seen, shape, seed=data.seed)
        return Source(feed, lambda number: samples[number % len(seen), number], bool(held), len(used))
    files, kept = split(index_clips(data.folder, out / "clips.json", progress), data.validation, data.seed)
    options: dict[str, Any] = dict(frames=1, size=size, fps=ANY_RATE, seed=data.seed)
    feed = Feed(ClipSamples(Clips(files, **options)), numbered(batch), batch, data.workers, processes)
    return Source(feed, ClipSamples(Clips(kept or files, **options)).__getitem__, bool(kept), len(files))


def _open(config: BaseConfig, device: torch.device) -> tuple[AutoencoderKL, Any, bool]:
    """The autoencoder, `save(path, about)`, whether it is new. Raises DiffilmError for one that is none of latent
    diffusion's."""
    if not config.vae and system_of(config.model) == "diffilm":
        model = own_model(config.model, device)
        return model.vae, lambda path, about: save_own(model, path, about), Path(config.model).suffix == ".toml"
    vae: Any = load_vae(config.vae or config.model, systems=("sd1",), dtype=torch.float32, device=device)

    def save(path: Path, about: About) -> Path:
        return save_whole(path, {"vae": vae.state_dict()}, about)

    return vae, save, False


def train(config: AutoencoderTraining, out: str | Path, device: torch.device, progress: Progress | None = None) -> Path:
    """Train; returns the file of the weights with the lowest validation loss: a Diffilm base's whole model, else an
    autoencoder of its own. A stopped run goes on from the checkpoint in `out`.

    Raises DiffilmError as `load_vae`, `index_clips`, `Run` and `check_room` do, and for a size that cannot be encoded.
    """
    data, out = config.data, Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if config.train.sharding == "fsdp":
        raise DiffilmError("sharding fsdp: an autoencoder has room on every GPU; use ddp")
    processes, device = launched(device)
    vae, save, new = _open(config.base, device)
    if data.size < 1 or data.size % vae.downscale:
        raise DiffilmError(f"size {data.size}: this autoencoder needs multiples of {vae.downscale}")
    source = source_of(data, config.train.batch, out, processes, progress)
    whole = new if config.loss.encoder is None else config.loss.encoder
    torch.manual_seed(data.seed)
    vae.requires_grad_(True)
    if not whole:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    distance = lpips_loss(config.loss.lpips, device) if config.loss.lpips else None
    adversary = Adversary(config.loss.adversarial).to(device) if config.loss.adversarial else None
    loss = Reconstruct(vae, config.loss.kl, distance, adversary)
    modules = loss.trained()
    check_room(out, modules, config.train)
    network = processes.prepared(loss)
    numbers = range(HELD_NUMBERS, HELD_NUMBERS + HELD_SAMPLES)

    def loss_of(number: int) -> Tensor:
        batch = source.feed(number)
        return batch_loss(network, vae, to_pixels(batch["pixels"], device), batch["numbers"], data.seed)

    def seen() -> Tensor:
        return to_pixels(collate([source.look(at) for at in numbers])["pixels"], device)

    @torch.no_grad()
    def validation() -> Mapping[str, float]:
        pixels = seen()
        return {"loss": float(batch_loss(loss, vae, pixels, numbers, data.seed)), "psnr": decibels(vae, pixels)}

    @torch.no_grad()
    def samples() -> Tensor:
        pixels = seen()[:SHOWN]
        rows = torch.stack([pixels, vae.decode(vae.encode(pixels))])
        return ((rows + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).cpu()

    @torch.no_grad()
    def keep() -> None:
        if new:
            vae.config = replace(vae.config, scale_factor=scale_of(vae, seen()))
        about = {"steps": run.step, "training": asdict(config), "pictures": source.files}
        save(out / RESULT, {"stage": "autoencoder", **about})

    run = ValidatedRun(
        Path(RESULT).stem, modules, config.train, out, device,
        validation=validation, keep=keep, best="loss" if source.held else "", samples=samples, processes=processes,
    )  # fmt: skip
    run.train(loss_of)
    return out / RESULT


def batch_loss(network: nn.Module, vae: AutoencoderKL, pixels: Tensor, numbers: Sequence[int], seed: int) -> Tensor:
    """Of pixels `(b, 3, h, w)` with these numbers, on which alone a sample's noise hangs. network: `Reconstruct`."""
    shape = 1, vae.config.z_channels, *(side // vae.downscale for side in pixels.shape[2:])
    drawn = [torch.randn(shape, generator=numbered_generator(seed, each)) for each in numbers]
    found: Tensor = network(pixels, torch.cat(drawn).to(pixels))
    return found


def to_pixels(pixels: Tensor, device: torch.device) -> Tensor:
    """uint8 `(b, 1, h, w, 3)` to float `(b, 3, h, w)` in [-1, 1]."""
    return rearrange(pixels.to(device), "b 1 h w c -> b c h w").contiguous().float() / 127.5 - 1

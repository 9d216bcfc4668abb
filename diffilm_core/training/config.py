"""The configuration of a training run, read from a TOML file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from ..bundle import Defaults, ModelConfig, tokenizer_digest
from ..errors import DiffilmError
from ..models import AutoencoderConfig, UNetConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


CHOICES = {
    "precision": ("auto", "bf16", "fp16", "fp32"), "optimizer": ("adamw", "adamw8bit"), "sharding": ("ddp", "fsdp"),
}  # fmt: skip
"""What some settings of a stage may be."""


@dataclass(frozen=True)
class DataConfig:
    """What is rendered: `pictures` kept as pixels for the autoencoder, the text encoder and the probe, `stills` and
    `clips` kept as latents for the UNet; `variants` backdrops are painted for every place and hour; the share `pairs`
    of the pictures shows two subjects. The frame rate of a clip is drawn between `min_fps` and `max_fps`."""

    bank: str
    size: int = 128
    frames: int = 16
    pictures: int = 200_000
    stills: int = 600_000
    clips: int = 60_000
    variants: int = 16
    pairs: float = 0.25
    min_fps: float = 4.0
    max_fps: float = 16.0
    seed: int = 0


@dataclass(frozen=True)
class StageConfig:
    """One stage: AdamW at `lr` after `warmup` steps, falling to 0 as a cosine; `ema` decay of the weights kept.

    `minutes`: end by the clock instead of by `steps`. `accumulate`: batches whose gradients make one step. `precision`:
    "bf16", "fp16" (of a GPU; gradients are scaled) or "fp32", "auto" is bf16 where that is quick, else fp32.
    `optimizer`: "adamw", or "adamw8bit", whose state is a quarter (needs bitsandbytes). `keep`: how many of the last
    checkpoints stay. `sharding`: of several processes each has the whole model ("ddp"), or a slice of it ("fsdp").
    """

    steps: int
    batch: int
    lr: float
    warmup: int = 200
    ema: float = 0.999
    weight_decay: float = 0.01
    caption_dropout: float = 0.1
    minutes: float | None = None
    accumulate: int = 1
    precision: str = "auto"
    optimizer: str = "adamw"
    keep: int = 1
    sharding: str = "ddp"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise DiffilmError(f"{name} {value!r}: expected {' or '.join(choices)}; give one of them")
        for name in ("steps", "batch", "accumulate", "keep", "warmup"):
            if (value := getattr(self, name)) < 1:
                raise DiffilmError(f"{name} {value}: expected a whole number of at least 1; give a larger one")
        for name in ("ema", "caption_dropout"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise DiffilmError(f"{name} {share}: expected a share from 0 to 1")
        if not self.lr > 0:
            raise DiffilmError(f"lr {self.lr}: expected a learning rate above 0; 1e-4 is usual")
        if self.sharding == "fsdp" and self.optimizer == "adamw8bit":
            raise DiffilmError("optimizer adamw8bit with sharding fsdp: its state cannot be sliced; use adamw")
        if self.sharding == "fsdp" and self.precision == "fp16":
            raise DiffilmError("precision fp16 with sharding fsdp: overflow would be seen by one process; use bf16")


@dataclass(frozen=True)
class TrainConfig:
    data: DataConfig
    vae: AutoencoderConfig
    text: dict[str, Any]
    unet: UNetConfig
    schedule: dict[str, Any]
    defaults: Defaults
    stages: dict[str, StageConfig]


KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _typed(value: Any, hint: Any, where: str) -> Any:
    """Raises DiffilmError where a plain field is of another kind; a name that reads as a number is text too."""
    kind = next((each for each in KINDS if hint == each or hint == each | None), None)
    if kind is None or (value is None and hint != kind):
        return value
    if kind is str and not isinstance(value, (bool, list, dict)):
        return str(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    whole = number and float(value).is_integer()
    if not {bool: isinstance(value, bool), int: whole, float: number}.get(kind):
        raise DiffilmError(f"{where} = {value!r}: expected {KINDS[kind]}")
    return kind(value)


def _fill(kind: type, values: dict[str, Any], where: str) -> Any:
    known = {field.name for field in fields(kind)}
    if unknown := sorted(values.keys() - known):
        raise DiffilmError(f"{where}: unknown key {unknown[0]!r}; it may be one of {', '.join(sorted(known))}")
    hints = get_type_hints(kind)
    values = {key: _typed(value, hints[key], f"{where} {key}") for key, value in values.items()}
    try:
        return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
    except TypeError as error:
        raise DiffilmError(f"{where}: {error}") from error


def _read_toml(path: str | Path) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DiffilmError(f"training configuration {path} cannot be read: {error}") from error


def read_stage(path: str | Path) -> str:
    """What the file's `stage` says, "" where it says none."""
    return str(_read_toml(path).get("stage", ""))


def read_sections(
    path: str | Path, kinds: Mapping[str, type], changes: Mapping[str, Any], optional: Sequence[str] = ()
) -> dict[str, Any]:
    """The sections of a TOML file as dataclasses of `kinds`; `changes` by "section.key" stand over the file's values.

    Raises DiffilmError for a missing file, broken TOML, unknown or missing sections and keys.
    """
    values = _read_toml(path)
    values.pop("stage", None)
    for key, value in changes.items():
        section, dot, name = key.partition(".")
        if not dot or section not in kinds:
            raise DiffilmError(f"setting {key!r}: expected section.key, the section one of {', '.join(kinds)}")
        values.setdefault(section, {})[name] = value
    if unknown := sorted(values.keys() - kinds.keys()):
        raise DiffilmError(f"{path}: unknown section [{unknown[0]}]; expected {', '.join(kinds)}")
    for name in kinds.keys() - values.keys() - set(optional):
        raise DiffilmError(f"training configuration {path} has no section [{name}]")
    return {name: _fill(kinds[name], section, f"[{name}]") for name, section in values.items()}


def read_shape(path: str | Path) -> ModelConfig:
    """A model's shape: sections vae, text, unet, schedule and defaults, as configs/shipped.toml has them; others are
    left. Raises DiffilmError for a missing file, broken TOML, unknown or missing keys."""
    values = _read_toml(path)
    if missing := [name for name in ("vae", "text", "unet", "schedule", "defaults") if name not in values]:
        raise DiffilmError(f"{path} is no shape of a model: it has no section [{missing[0]}]; see configs/shipped.toml")
    unet: UNetConfig = _fill(UNetConfig, values["unet"], "[unet]")
    return ModelConfig(
        unet=unet if unet.temporal != "none" else unet.with_time(),
        vae=_fill(AutoencoderConfig, values["vae"], "[vae]"),
        text=values["text"],
        schedule=values["schedule"],
        prediction="v",
        defaults=_fill(Defaults, values["defaults"], "[defaults]"),
        tokenizer=tokenizer_digest(),
    )


def read_config(path: str | Path) -> TrainConfig:
    """Raises DiffilmError for a missing file, broken TOML, unknown or missing keys."""
    values = _read_toml(path)
    if missing := [f.name for f in fields(TrainConfig) if f.name not in values]:
        raise DiffilmError(f"training configuration {path} has no section [{missing[0]}]")
    return TrainConfig(
        data=_fill(DataConfig, values["data"], "[data]"),
        vae=_fill(AutoencoderConfig, values["vae"], "[vae]"),
        text=values["text"],
        unet=_fill(UNetConfig, values["unet"], "[unet]"),
        schedule=values["schedule"],
        defaults=_fill(Defaults, values["defaults"], "[defaults]"),
        stages={name: _fill(StageConfig, v, f"[stages.{name}]") for name, v in values["stages"].items()},
    )

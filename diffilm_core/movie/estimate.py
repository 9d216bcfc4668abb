"""What a movie will take, before it is made: shots, frames, memory, disk and time, and settings that fit the card."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..bundle import model_files
from ..checkpoints.verify import verify
from ..errors import Cancelled
from ..frames import FrameStream, decode, from_tensor, interpolate, upscale
from ..sampling.guidance import USABLE_SHARE
from ..story import Shot
from .memory import activations, frames_at_once, memory_free, memory_needed, stated, weights_bytes
from .production import Production
from .render import piece_name, writer
from .room import Room, in_words, room_needed
from .sample import ModelSampler, SampleSettings, is_out_of_memory, window_frames

PROBE_FRAMES = 4
STAGES = ("sample", "decode", "interpolate", "upscale", "write", "finish")
"""`finish` is all after the sampling, as a former run counted it."""


@dataclass(frozen=True)
class Estimate:
    """shots: those to be made and all of them. frames: sampled and final. memory: bytes at once, on the device.

    seconds: by stage, for what is missing. source: where they come from. weights: what was checked, a line a file.
    """

    shots: tuple[int, int]
    frames: tuple[int, int]
    size: tuple[int, int]
    memory: int
    free: int | None
    device: str
    room: Room
    seconds: dict[str, float]
    source: str
    weights: tuple[str, ...]
    advice: tuple[str, ...] = field(default=())

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def estimate(production: Production, out: Path) -> Estimate:
    """Measured by one call of each network on this machine, or from what the last run of these settings took.

    Nothing is written into the movie but what its folder needs to be there. Raises DiffilmError for weights that are
    not whole.
    """
    weights = tuple(checked_weights(production))
    needed, free = memory_needed(production), memory_free(production.sampler.model.device)
    rates, source = _known(production), "the last run of these settings"
    if rates is None and not production.missing():
        rates, source = {}, "what is there: nothing is left to make"
    if rates is None and (free is None or needed <= free):
        try:
            rates, source = _probed(production, out), "one call of each stage on this machine"
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            free = min(free or 0, needed - 1)
    if rates is None:
        rates, source = dict.fromkeys(STAGES, 0.0), "nothing: the settings do not fit the memory"
    shots = [shot for shot in production.board.shots if shot.index in production.missing()]
    new = [s for s in shots if not production.store.latents_path(production.latents_key(s)).is_file()]
    work = _work(production, shots, new)
    stream = production.streams[0]
    return Estimate(
        shots=(len(shots), len(production.board)),
        frames=(sum(_frames(production, shot) for shot in shots), sum(piece.frames for piece in production.pieces)),
        size=(stream.width, stream.height),
        memory=needed,
        free=free,
        device=str(production.sampler.model.device),
        room=room_needed(production, out),
        seconds={name: rates.get(name, 0.0) * work[name] for name in STAGES if name in rates},
        source=source,
        weights=weights,
        advice=tuple(advice(production, free)),
    )


def _frames(production: Production, shot: Shot) -> int:
    return production.sampler.settings.frames(shot)


def _work(production: Production, shots: list[Shot], new: list[Shot]) -> dict[str, float]:
    """How much of each stage there is to do: frames that the network sees, times steps, and frames."""
    sampler = production.sampler
    sampled = sum(_frames(production, shot) for shot in shots)
    final = sum(production.streams[shot.index].frames for shot in shots)
    steps = sum(window_frames(sampler, shot) for shot in new) * sampler.steps
    return {"sample": steps, "decode": sampled, **dict.fromkeys(("interpolate", "upscale", "write", "finish"), final)}


def checked_weights(production: Production) -> list[str]:
    """A line for each weight file that the movie needs. Raises DiffilmError for one that is not whole."""
    model = production.sampler.model
    files = model_files(model.path)
    if not any(file.is_file() for file in files):
        files = sorted(path for path in model.path.rglob("*") if path.suffix in (".safetensors", ".bin", ".pth"))
    for network in (production.settings.interpolator, production.settings.upscaler):
        source = getattr(network, "path", None)
        files += [] if source is None else [Path(source)]
    return [f"{file.name}: {verify(file)}" for file in files]


def advice(production: Production, free: int | None) -> list[str]:
    """Settings that fit, where these do not: a smaller size, then fewer frames at once."""
    if free is None or memory_needed(production) <= free * USABLE_SHARE:
        return []
    sampler = production.sampler
    model, settings = sampler.model, sampler.settings
    frames, batch = frames_at_once(production), production.settings.batch
    room = free * USABLE_SHARE - weights_bytes(model)
    if room > 0:
        for eighths in range(7, 0, -1):
            width, height = (_fitting(side * eighths / 8, model.size_multiple) for side in _sides(settings))
            if activations(sampler, width, height, frames, batch) <= room:
                return [f"--size {width}x{height} fits the {in_words(free)} that are free"]
        for count in range(frames - 1, 0, -1):
            width, height = (_fitting(side / 8, model.size_multiple) for side in _sides(settings))
            if activations(sampler, width, height, count, batch) <= room:
                return [f"--size {width}x{height} --frames {count} fits the {in_words(free)} that are free"]
    return [f"the weights alone take {in_words(weights_bytes(model))} of {in_words(free)}: use --device cpu"]


def _sides(settings: SampleSettings) -> tuple[int, int]:
    return settings.width, settings.height


def _fitting(side: float, multiple: int) -> int:
    return max(1, int(side / multiple)) * multiple


def _known(production: Production) -> dict[str, float] | None:
    """Seconds per unit of each stage, where the last run in this folder wrote them down for the same settings."""
    found = production.store.manifest().get("seconds", {})
    known = found.get("of") == production.speed_key() and {"sample", "finish"} <= found["rates"].keys()
    return dict(found["rates"]) if known else None


@torch.inference_mode()
def _probed(production: Production, out: Path) -> dict[str, float]:
    """Seconds per unit of each stage: one step of the sampler over one window, a few frames of the others."""
    settings, sampler = production.settings, production.sampler
    frames = frames_at_once(production)
    shot = Shot(index=0, prompt=production.board.shots[0].prompt, duration=float(frames / sampler.settings.fps))
    rates = {"sample": _timed(lambda: _one_step(sampler, shot)) / frames}
    channels, _, height, width = production.latents_shape(shot)
    vae = sampler.model.vae
    empty = torch.zeros(channels, PROBE_FRAMES, height, width)
    pictures = decode(vae, empty, settings.source_fps, batch=settings.batch)
    rates["decode"] = _timed(pictures.collect) / PROBE_FRAMES
    stage: FrameStream = from_tensor(torch.rand(PROBE_FRAMES, pictures.height, pictures.width, 3), settings.source_fps)
    if settings.fps is not None:
        stage, rates["interpolate"] = _stage(
            interpolate(stage, settings.fps, model=settings.interpolator, fit=settings.between)
        )
    if settings.upscale is not None:
        first = from_tensor(stage.collect()[:PROBE_FRAMES], stage.fps)
        stage, rates["upscale"] = _stage(upscale(first, settings.upscale, model=settings.upscaler, fit=settings.larger))
    with tempfile.TemporaryDirectory(dir=production.store.folder) as folder:
        name = f"probe{out.suffix}" if "%" not in out.name else f"probe/{out.name}"
        Path(folder, name).parent.mkdir(exist_ok=True)
        rates["write"] = _timed(lambda: writer(stage, settings.output)(Path(folder, name))) / stage.frames
    return rates


def _stage(stream: FrameStream) -> tuple[FrameStream, float]:
    start = time.monotonic()
    frames = stream.collect()
    return from_tensor(frames, stream.fps), (time.monotonic() - start) / stream.frames


def _one_step(sampler: ModelSampler, shot: Shot) -> None:
    """The first step of a shot, of which nothing is kept."""

    def stop(stage: str, done: int, total: int, message: str) -> None:
        if done:
            raise Cancelled

    probe = ModelSampler(sampler.model, sampler.settings, 1, stop)
    with suppress(Cancelled):
        probe(shot)


def _timed(work: Callable[[], Any]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def report(found: Estimate, production: Production, folder: Path) -> list[str]:
    """The estimate for people, a line each. folder: where the movie's parts will be kept."""
    made, shots = found.shots
    sampled, final = found.frames
    settings = production.sampler.settings
    width, height = found.size
    free = "" if found.free is None else f" of {in_words(found.free)} free"
    lines = [
        f"shots    {shots}, {made} to make; {len(production.pieces)} files: "
        + ", ".join(piece_name(piece) for piece in production.pieces[:4])
        + (" ..." if len(production.pieces) > 4 else ""),
        f"frames   {sampled} sampled at {settings.width}x{settings.height}, {final} in the movie at {width}x{height}, "
        f"{float(production.settings.final_fps):g} a second",
        f"memory   {in_words(found.memory)}{free} on {found.device}; {stated(production.settings)}",
        f"disk     {in_words(found.room.folder)} in {folder}, {in_words(found.room.movie)} the file",
        f"time     {clock(found.total)}"
        + "".join(f", {name} {clock(seconds)}" for name, seconds in found.seconds.items() if seconds >= 0.05)
        + f"; by {found.source}",
    ]
    return [*lines, *(f"weights  {line}" for line in found.weights), *(f"advice   {line}" for line in found.advice)]


def clock(seconds: float) -> str:
    """1:02:03, 2:03, or 4.5 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

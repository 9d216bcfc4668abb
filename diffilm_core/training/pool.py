"""What the stages draw their batches from: pictures as pixels, stills and clips as latents, all on the device."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..bundle import TOKENIZER
from ..models import AutoencoderKL
from ..text.clip import load_tokenizer
from .captions import captions
from .config import DataConfig
from .contrast import text_fields
from .emoji import SpriteBank
from .flow import measured
from .loop import fast_in_bf16
from .places import PLACES
from .render import SceneRenderer
from .scenes import SceneBatch, sample_scenes
from .vocabulary import OBJECTS

log = logging.getLogger(__name__)

CHUNK = 4096


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 pictures to float in [-1, 1]."""
    return pixels.float() / 127.5 - 1


def tokenize(tokenizer: Any, texts: list[str], window: int) -> Tensor:
    """Token ids `(n, window)` int64: start token, text (cut at the window), end token, end tokens as padding."""
    ids = tokenizer(texts, truncation=True, max_length=window)["input_ids"]
    end = ids[0][-1]
    return torch.tensor([row + [end] * (window - len(row)) for row in ids])


def _caption_tokens(job: tuple[int, int, int, float]) -> tuple[SceneBatch, Tensor]:
    torch.set_num_threads(1)
    count, seed, window, pairs = job
    scenes = sample_scenes(count, seed=seed, split="train", pairs=pairs)
    return scenes, tokenize(load_tokenizer(TOKENIZER), captions(scenes, seed=seed), window).short()


def captioned_scenes(count: int, seed: int, window: int, pairs: float) -> Iterator[tuple[SceneBatch, Tensor]]:
    """Chunks of scenes, the share `pairs` of them with two subjects, with the token ids of their captions, made in
    worker processes."""
    jobs = [(min(CHUNK, count - at), seed + at, window, pairs) for at in range(0, count, CHUNK)]
    workers = max(1, (os.cpu_count() or 2) - 1)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_caption_tokens, jobs)


@dataclass
class Pictures:
    """uint8 pixels `(n, 3, h, w)`, token ids `(n, l)`, object ids `(n, 2)`, -1 for none, place ids `(n,)`."""

    pixels: Tensor
    tokens: Tensor
    objects: Tensor
    places: Tensor


class World:
    """The data of a run on one device."""

    def __init__(self, data: DataConfig, text: dict[str, Any], device: torch.device) -> None:
        self.data, self.device = data, device
        self.tokenizer = load_tokenizer(TOKENIZER)
        self.window = int(text["max_position_embeddings"])
        self.text_config = text_fields(text)
        self.end_token = self.text_config["eos_token_id"]
        bank = SpriteBank.load(data.bank, device)
        self.renderer = SceneRenderer(bank, size=data.size, device=device, variants=data.variants)
        self.classes = len(OBJECTS), len(PLACES)
        self._pictures: Pictures | None = None
        self._moving: Tensor | None = None

    def tokenize(self, texts: list[str]) -> Tensor:
        return tokenize(self.tokenizer, texts, self.window).to(self.device)

    def clips(self, count: int, frames: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Chunks of uint8 clips `(n, 3, t, h, w)` with their frame rates `(n,)`; no word of what they show."""
        size = 256
        for at in range(0, count, size):
            rate = torch.rand(min(size, count - at), generator=torch.Generator().manual_seed(seed + at))
            fps = self.data.min_fps + rate * (self.data.max_fps - self.data.min_fps)
            scenes = sample_scenes(len(fps), seed=seed + at, split="train", clips=True, pairs=self.data.pairs)
            yield self.renderer.render_clips(scenes, frames=frames, fps=fps), fps.to(self.device)

    def pictures(self) -> Pictures:
        """The pool of pixels, rendered at the first call."""
        if self._pictures is None:
            log.info("rendering %d pictures", self.data.pictures)
            parts = [
                (self.render(scenes), tokens, scenes.objects, scenes.place)
                for scenes, tokens in captioned_scenes(self.data.pictures, self.data.seed, self.window, self.data.pairs)
            ]
            self._pictures = Pictures(*(torch.cat(each).to(self.device) for each in zip(*parts, strict=True)))
        return self._pictures

    def render(self, scenes: SceneBatch) -> Tensor:
        return torch.cat([self.renderer.render(scenes[at : at + 512]) for at in range(0, len(scenes), 512)])

    def _rows(self, count: int, among: Tensor | None = None) -> Tensor:
        rows = torch.randint(len(self.pictures().pixels if among is None else among), (count,), device=self.device)
        return rows if among is None else among[rows]

    def frames(self, count: int) -> Tensor:
        """Pictures in [-1, 1] for the autoencoder: three quarters stills, one quarter frames of clips."""
        if self._moving is None:
            clips = self.clips(max(count, self.data.pictures // 16), 4, self.data.seed + 1_000_000)
            self._moving = torch.cat([rearrange(clip, "b c t h w -> (b t) c h w") for clip, _ in clips])
        moving = torch.randint(len(self._moving), (count // 4,), device=self.device)
        return to_unit(torch.cat([self.pictures().pixels[self._rows(count - count // 4)], self._moving[moving]]))

    def captioned(self, count: int) -> tuple[Tensor, Tensor]:
        """Pictures in [-1, 1] and the token ids of their captions."""
        rows, pool = self._rows(count), self.pictures()
        return to_unit(pool.pixels[rows]), pool.tokens[rows].long()

    def labelled(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures in [-1, 1] with one subject or two, the ids of these `(count, 2)` and of the place."""
        pool = self.pictures()
        rows = self._rows(count, (pool.objects[:, 0] >= 0).nonzero()[:, 0])
        return to_unit(pool.pixels[rows]), pool.objects[rows], pool.places[rows]

    def drop_pictures(self) -> None:
        self._pictures = self._moving = None


def _encode(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    with torch.no_grad(), torch.autocast(pixels.device.type, torch.bfloat16, enabled=fast_in_bf16(pixels.device)):
        encode: Callable[[Tensor], Tensor] = lambda piece: vae.encode(to_unit(piece)).bfloat16()  # noqa: E731
        return torch.cat([encode(piece) for piece in pixels.split(64)])


def moving_pictures(world: World, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of clips and, after them, their mirror images: the middle frames at half size, uint8 `(2 n, 3, h / 2, w / 2)`;
    where everything goes, `flow.measured`, `(2 n, t, 2, h / 8, w / 8)`; frame rates `(2 n,)`. No captions are made."""
    log.info("rendering %d clips and following what moves in them", count)
    pictures, ways, rates = [], [], []
    for clip, fps in world.clips(count, world.data.frames, world.data.seed + 30_000_000):
        half = F.avg_pool2d(clip[:, :, world.data.frames // 2].float(), 2)
        pictures.append(half.round().to(torch.uint8))
        ways.append(measured(clip).to(world.device))
        rates.append(fps)
    seen, flow, fps = torch.cat(pictures), torch.cat(ways), torch.cat(rates)
    turned = flow.flip(-1) * flow.new_tensor([-1.0, 1.0]).view(2, 1, 1)
    return torch.cat([seen, seen.flip(-1)]), torch.cat([flow, turned]), torch.cat([fps, fps])


def latent_stills(world: World, vae: AutoencoderKL, count: int) -> tuple[Tensor, Tensor]:
    """Scaled latents `(n, z, h, w)` bf16 of captioned stills, and their token ids `(n, l)` int16."""
    log.info("rendering and encoding %d stills", count)
    latents, tokens = [], []
    for scenes, ids in captioned_scenes(count, world.data.seed + 10_000_000, world.window, world.data.pairs):
        latents.append(_encode(vae, world.render(scenes)))
        tokens.append(ids.to(world.device))
    return torch.cat(latents), torch.cat(tokens)


def latent_clips(world: World, vae: AutoencoderKL, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scaled latents `(n, t, z, h, w)` bf16 of clips, their frame rates `(n,)` and their middle frames, uint8
    `(n, 3, h, w)`. No captions are made."""
    log.info("rendering and encoding %d clips", count)
    frames, latents, rates, middles = world.data.frames, [], [], []
    for clip, fps in world.clips(count, frames, world.data.seed + 20_000_000):
        flat = _encode(vae, rearrange(clip, "b c t h w -> (b t) c h w"))
        latents.append(rearrange(flat, "(b t) c h w -> b t c h w", t=frames))
        rates.append(fps)
        middles.append(clip[:, :, frames // 2])
    return torch.cat(latents), torch.cat(rates), torch.cat(middles)

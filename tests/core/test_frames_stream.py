"""A clip's frames do not depend on how they are pulled, are never blended across a cut, and are computed lazily."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from diffilm_core.errors import Cancelled, DiffilmError
from diffilm_core.frames import (
    FrameStream,
    concat,
    decode,
    frame_hashes,
    from_tensor,
    interpolate,
    read,
    spool,
    upscale,
    write,
)
from diffilm_core.frames.stream import regroup


class TinyDecoder(nn.Module):
    """An autoencoder's decoder of random weights that records the batches it saw."""

    downscale = 4

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.ConvTranspose2d(8, 3, 4, stride=4), nn.Tanh()
        )
        self.batches: list[int] = []

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        self.batches.append(z.shape[0])
        return self.net(z) * 1.5


def clip(frames: int, *, fps: float | Fraction = 8, seed: int = 0, size: tuple[int, int] = (5, 4)) -> FrameStream:
    pixels = torch.rand(frames, size[1], size[0], 3, generator=torch.Generator().manual_seed(seed))
    return from_tensor(pixels, fps)


@settings(max_examples=12, deadline=None)
@given(frames=st.integers(1, 13), chunk=st.integers(1, 20), batch=st.integers(1, 5))
def test_decoded_frames_are_the_same_at_any_chunk(frames: int, chunk: int, batch: int) -> None:
    torch.manual_seed(0)
    vae, latents = TinyDecoder(), torch.randn(3, frames, 6, 5)
    plain = decode(vae, latents, 8, batch=batch)
    pulled = decode(vae, latents, 8, batch=batch, chunk=chunk)
    assert (pulled.width, pulled.height, pulled.frames) == (20, 24, frames)
    sizes = [part.shape[0] for part in pulled]
    assert sizes[:-1] == [chunk] * (len(sizes) - 1) and sum(sizes) == frames
    assert torch.equal(plain.collect(), pulled.collect())
    assert set(vae.batches) == {batch}
    assert plain.collect().min() >= 0 and plain.collect().max() <= 1


def test_decoding_waits_for_the_pull_and_keeps_a_batch_in_memory() -> None:
    vae = TinyDecoder()
    frames = iter(decode(vae, torch.randn(3, 9, 2, 2), 8, batch=2))
    assert vae.batches == []
    assert next(frames).shape == (2, 8, 8, 3)
    assert vae.batches == [2]


def test_chunks_of_large_frames_are_small_and_nothing_else_is_held(tmp_path: Path) -> None:
    """720p from a file comes six frames at a time (64 MB), and their parts are gone when the chunk is there."""
    file = write(from_tensor(torch.zeros(7, 720, 1280, 3), 24), tmp_path / "large.mp4")
    assert [chunk.shape[0] for chunk in read(file)] == [6, 1]

    parts: list[weakref.ref] = []

    def frames() -> Iterator[torch.Tensor]:
        for _ in range(6):
            frame = torch.zeros(2, 2, 3)
            parts.append(weakref.ref(frame.untyped_storage()))
            yield frame

    chunks = iter(regroup((frame[None] for frame in frames()), 3))
    for _ in range(2):
        assert next(chunks).shape[0] == 3
        gc.collect()
        assert sum(part() is not None for part in parts) <= 1


def test_decode_gives_the_decoders_pixels() -> None:
    vae, latents = TinyDecoder(), torch.randn(3, 4, 3, 3)
    with torch.no_grad():
        pixels = (vae.net(latents.transpose(0, 1)) * 1.5 + 1).div(2).clamp(0, 1)
    assert torch.equal(decode(vae, latents, 8, batch=4).collect(), pixels.permute(0, 2, 3, 1))


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    source=st.fractions(1, 60, max_denominator=1001),
    target=st.fractions(1, 60, max_denominator=1001),
    chunk=st.integers(1, 9),
)
def test_blend_never_mixes_two_shots(lengths: list[int], source: Fraction, target: Fraction, chunk: int) -> None:
    shots = [from_tensor(torch.full((n, 2, 2, 3), float(i) / 4), source) for i, n in enumerate(lengths)]
    film = concat(shots)
    out = interpolate(film.rechunk(chunk), target)
    values = [v for part in out for v in part[:, 0, 0, 0].tolist()]
    assert len(values) == out.frames
    assert set(values) <= {i / 4 for i in range(len(lengths))}
    jumps = [k for k in range(1, len(values)) if values[k] != values[k - 1]]
    assert jumps == list(out.cuts)
    assert abs(out.duration - film.duration) < max(1 / out.fps, 1 / film.fps)


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 9), target=st.integers(1, 50), chunk=st.integers(1, 9))
def test_blend_is_the_weighted_mean_at_the_right_time(frames: int, target: int, chunk: int) -> None:
    film = clip(frames)
    pixels = film.collect().double()
    out = interpolate(film.rechunk(chunk), target)
    for k, frame in enumerate(out.collect()):
        at = Fraction(k * 8, target)
        low, weight = int(at), float(at - int(at))
        high = min(low + 1, frames - 1)
        assert torch.allclose(frame.double(), pixels[low] * (1 - weight) + pixels[high] * weight, atol=1e-6)
    assert frame_hashes(out) == frame_hashes(interpolate(film, target))
    if target == 16:
        assert torch.equal(out.collect()[::2], film.collect())
        assert torch.equal(out.collect()[-1], film.collect()[-1])


def test_bicubic_is_torchs_antialiased_one_clamped_and_knows_no_chunks() -> None:
    film = clip(7, size=(12, 10))
    steps = (film.collect() > 0.5).float()
    sharp = from_tensor(steps, 8)
    out = upscale(sharp, 1.7)
    assert (out.width, out.height) == (20, 17)
    want = torch.nn.functional.interpolate(steps.permute(0, 3, 1, 2), (17, 20), mode="bicubic", antialias=True)
    assert want.max() > 1
    assert torch.allclose(out.collect(), want.clamp(0, 1).permute(0, 2, 3, 1), atol=1e-6)
    assert torch.equal(out.collect(), upscale(sharp.rechunk(2), size=(20, 17)).collect())


@settings(max_examples=8, deadline=None)
@given(chunk=st.integers(1, 9))
def test_the_whole_chain_is_the_same_at_any_chunk(chunk: int) -> None:
    torch.manual_seed(1)
    vae, latents = TinyDecoder(), torch.randn(3, 6, 4, 4)

    def chain(size: int | None) -> list[str]:
        shots = [decode(vae, latents, 8, chunk=size), decode(vae, latents.flip(1), 8, chunk=size)]
        return frame_hashes(upscale(interpolate(concat(shots), 20), 2))

    assert chain(chunk) == chain(None)


def test_concat_cuts_at_the_joints_and_refuses_unlike_clips() -> None:
    film = concat([clip(3), concat([clip(2, seed=1), clip(4, seed=2)])])
    assert (film.frames, film.cuts, film.shots) == (9, (3, 5), [(0, 3), (3, 5), (5, 9)])
    assert torch.equal(film.collect()[5:], clip(4, seed=2).collect())
    with pytest.raises(DiffilmError, match="clip 1 is 5x4 at 9 fps: expected 5x4 at 8 fps"):
        concat([clip(3), clip(3, fps=9)])
    with pytest.raises(DiffilmError, match="no clips"):
        concat([])


@pytest.mark.parametrize(
    "change",
    [{"frames": 0}, {"width": 0}, {"height": -3}, {"fps": 0}, {"fps": float("nan")}, {"fps": "fast"}],
)
def test_impossible_clips_are_refused(change: dict) -> None:
    fields = {"width": 4, "height": 4, "fps": 8, "frames": 1, **change}
    with pytest.raises(DiffilmError, match="expected"):
        FrameStream(lambda: iter(()), **fields)


def test_a_stage_that_breaks_its_promise_is_noticed() -> None:
    short = FrameStream(lambda: iter([torch.zeros(2, 4, 4, 3)]), width=4, height=4, fps=8, frames=3)
    with pytest.raises(RuntimeError, match="stream of 3 frames made 2"):
        short.collect()


class Counting:
    """A clip that counts how many of its chunks were computed."""

    def __init__(self, pixels: torch.Tensor, fail_at: int | None = None) -> None:
        self.pixels, self.computed, self.fail_at = pixels, 0, fail_at
        self.stream = FrameStream(
            self.make, width=pixels.shape[2], height=pixels.shape[1], fps=8, frames=pixels.shape[0]
        )

    def make(self):
        for start in range(0, self.pixels.shape[0], 2):
            if self.fail_at == start:
                self.fail_at = None
                raise Cancelled
            self.computed += 1
            yield self.pixels[start : start + 2]


@pytest.mark.parametrize("kind", ["float32", "float16", "uint8"])
def test_a_spooled_clip_is_computed_once_and_read_back_bit_for_bit(kind: str) -> None:
    pixels = torch.rand(9, 6, 7, 3)
    if kind == "float16":
        pixels = pixels.half().float()
    if kind == "uint8":
        pixels = pixels.mul(255).round().div(255)
    counting = Counting(pixels)
    kept = spool(counting.stream)
    for _ in range(3):
        assert torch.equal(kept.collect().view(torch.int32), pixels.view(torch.int32))
    assert counting.computed == 5


def test_two_consumers_of_a_spooled_clip_in_turns_and_after_a_cancel() -> None:
    pixels = torch.rand(9, 6, 7, 3)
    counting = Counting(pixels, fail_at=6)
    kept = spool(counting.stream)
    first, second = iter(kept), iter(kept)
    taken = [next(first), next(second), next(second), next(first)]
    assert torch.equal(torch.cat(taken[::3]), pixels[:4]) and counting.computed == 2
    with pytest.raises(Cancelled):
        list(first)
    assert torch.equal(kept.collect(), pixels)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_the_spooled_file_goes_with_the_stream(tmp_path: Path) -> None:
    def files() -> int:
        links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)]
        return sum(str(tmp_path) in link for link in links)

    kept = spool(clip(3), tmp_path)
    kept.collect()
    assert files() == 1
    del kept
    gc.collect()
    assert files() == 0 and not list(tmp_path.iterdir())


def _is_open(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")

"""Proves that a network's frames do not depend on how they are pulled, that it never sees two shots at once, and that
out of memory goes down to the next stated setting."""

from __future__ import annotations

import logging
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffilm_core.errors import Cancelled, DiffilmError
from diffilm_core.frames import Fit, FrameStream, OutOfMemory, concat, frame_hashes, from_tensor, interpolate, upscale
from diffilm_core.frames.ahead import ahead
from diffilm_core.frames.fit import RETRIES, is_out_of_memory, until_it_fits
from diffilm_core.frames.memory import parse_memory, plan_memory
from diffilm_core.frames.tiles import tiled


class Between(nn.Module):
    """A small network between two frames; it records the batches it saw, and runs out of memory above `limit`."""

    fingerprint = name = "between"

    def __init__(self, batch: int = 3, limit: int = 10**9) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.batch, self.limit = batch, limit
        self.net = nn.Conv2d(6, 3, 3, padding=1)
        self.seen: list[tuple[int, ...]] = []
        self.pairs: list[tuple[float, float]] = []

    def between(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        self.seen.append(tuple(first.shape))
        self.pairs += zip(first[:, 0, 0, 0].tolist(), second[:, 0, 0, 0].tolist(), strict=True)
        if first.shape[0] * first.shape[2] * first.shape[3] > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        mixed = first + (second - first) * t[:, None, None, None]
        return (mixed + 0.05 * self.net(torch.cat([first, second], 1))).clamp(0, 1)


class Larger(nn.Module):
    """Twice the size from a window of frames; its receptive field is 3 pixels."""

    fingerprint = name = "larger"
    scale = 2

    def __init__(self, batch: int = 2, radius: int = 1, limit: int = 10**9) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.batch, self.radius, self.limit = batch, radius, limit
        self.net = nn.Conv2d(3 * (2 * radius + 1), 3, 7, padding=3)
        self.seen: list[tuple[int, ...]] = []
        self.spans: list[list[float]] = []

    def upscale(self, frames: Tensor) -> Tensor:
        self.seen.append(tuple(frames.shape))
        self.spans += frames[:, :, 0, 0, 0].tolist()
        if frames.shape[0] * frames.shape[3] * frames.shape[4] > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        small = (frames[:, self.radius] + 0.1 * self.net(frames.flatten(1, 2))).clamp(0, 1)
        return F.interpolate(small, scale_factor=2, mode="nearest")


def film(lengths: list[int], size: tuple[int, int] = (12, 10)) -> FrameStream:
    """Shots of noise; the first value of each frame says which frame it is: shot + place / 32, over 4."""
    shots = []
    for shot, length in enumerate(lengths):
        pixels = torch.rand(length, size[1], size[0], 3, generator=torch.Generator().manual_seed(shot))
        pixels[:, 0, 0, 0] = (shot + torch.arange(length) / 32) / 4
        shots.append(from_tensor(pixels, 8))
    return concat(shots)


@pytest.mark.parametrize("fps", [8 * 4, 20, 3, "24000/1001"])
def test_frames_are_bit_identical_at_any_chunk_and_in_two_runs(fps: int | str) -> None:
    source = film([7, 1, 5])

    def chain(chunk: int) -> FrameStream:
        return upscale(interpolate(source.rechunk(chunk), fps, model=Between()), 3, model=Larger()).rechunk(chunk)

    want = chain(1).collect()
    for chunk in (1, 2, 5, 16):
        assert torch.equal(chain(chunk).collect(), want)
    assert chain(4).width == 36 and frame_hashes(chain(2)) == frame_hashes(chain(16))


def test_no_network_sees_two_shots_and_a_shot_is_the_same_alone() -> None:
    source, between, larger = film([6, 2, 5]), Between(), Larger(radius=2)
    out = upscale(interpolate(source, 20, model=between), 2, model=larger)
    pixels = out.collect()
    assert between.pairs and all(int(a * 4) == int(b * 4) for a, b in between.pairs)
    assert {shape[0] for shape in between.seen} == {3} and {shape[0] for shape in larger.seen} == {2}
    plain = Larger(radius=2)
    upscale(source, 2, model=plain).collect()
    assert len(plain.spans) >= 13 and all(len({int(4 * v) for v in window}) == 1 for window in plain.spans)
    places = [round((4 * v) % 1 * 32) for v in plain.spans[0]]
    assert places == [0, 0, 0, 1, 2]
    last = source.collect()[8:]
    alone = upscale(interpolate(from_tensor(last, 8), 20, model=Between()), 2, model=Larger(radius=2)).collect()
    start = out.cuts[-1]
    assert start == 20 and torch.equal(pixels[start:], alone)


def test_frames_at_a_source_frames_time_pass_unchanged() -> None:
    source = film([5])
    assert torch.equal(interpolate(source, 24, model=Between()).collect()[::3], source.collect())
    model = Between()
    assert torch.equal(interpolate(source, 4, model=model).collect(), source.collect()[::2]) and not model.seen
    assert interpolate(source, 8, model=model) is source


def test_upscaling_goes_as_often_as_the_size_asks_for() -> None:
    for scale, passes in ((1.5, 1), (2, 1), (3, 2), (4, 2), (0.5, 0)):
        model = Larger(batch=5)
        out = upscale(film([5]), scale, model=model)
        assert out.collect().shape == (5, round(10 * scale), round(12 * scale), 3)
        assert len(model.seen) == passes


@pytest.mark.parametrize(("size", "tile"), [((100, 70), 64), ((90, 33), 48), ((64, 200), 48)])
def test_tiles_equal_the_whole_where_the_margin_covers_what_the_network_sees(size: tuple[int, int], tile: int) -> None:
    """To 1e-6: the network reaches 3 pixels, the margin is a sixteenth of a tile on each side, 3 or 4 pixels."""
    source = film([3], size)
    whole, parts = Larger(), Larger()
    want = upscale(source, 2, model=whole).collect()
    got = upscale(source, 2, model=parts, fit=Fit(tile=tile)).collect()
    assert max(max(shape[3:]) for shape in parts.seen) <= tile < max(size)
    assert float((want - got).abs().max()) < 1e-6


def test_tiles_fade_into_each_other() -> None:
    """A run that answers differently in every tile leaves no step larger than the fade allows."""
    answers = iter(torch.linspace(0, 1, 99))
    made = tiled(lambda x: torch.full_like(x, float(next(answers))), (torch.zeros(1, 3, 40, 100),), 64)
    assert float(made.diff(dim=-1).abs().max()) <= float(made.max()) / (64 * 0.25 / 2) + 1e-6 and float(made.max()) > 0


def test_out_of_memory_goes_down_to_batch_one_then_to_tiles_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    source = film([5], (200, 160))
    fit = Fit()
    model = Larger(batch=4, limit=150 * 150)
    with caplog.at_level(logging.WARNING):
        stream = upscale(source, 2, model=model, fit=fit)
        pixels = stream.collect()
    assert fit.settings() == {"batch": 1, "tile": 128}
    assert [record.message.split("going on with ")[1] for record in caplog.records] == [
        "batch 1, whole frames",
        "batch 1, tiles of 128",
    ]
    assert torch.equal(pixels, upscale(source, 2, model=Larger(batch=4), fit=Fit(1, 128)).collect())
    assert torch.equal(stream.collect(), pixels)


def test_out_of_memory_on_the_way_asks_to_begin_anew_at_the_lower_setting() -> None:
    source, fit, model = film([9]), Fit(), Between(batch=2)
    stream = interpolate(source, 16, model=model, fit=fit).rechunk(1)
    frames = iter(stream)
    first = [next(frames) for _ in range(4)]
    model.limit = 200
    with pytest.raises(OutOfMemory, match="make the clip again with batch 1, whole frames"):
        list(frames)
    assert first and fit.settings() == {"batch": 1, "tile": None}
    again = interpolate(source, 16, model=model, fit=fit).collect()
    assert torch.equal(again, interpolate(source, 16, model=Between(), fit=Fit(1)).collect())


def test_below_the_last_setting_there_is_one_line() -> None:
    with pytest.raises(DiffilmError, match=r"out of memory with batch 1, tiles of 128 .*the smallest setting"):
        upscale(film([2], (300, 200)), 2, model=Larger(limit=10)).collect()
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    )
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_beginning_anew_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the way down is broken and leads nowhere."""
    monkeypatch.setattr(Fit, "lower", lambda self, batch, side: Fit(1, 128))
    with pytest.raises(DiffilmError, match=r"larger: out of memory at \d settings, expected to end"):
        upscale(film([2], (300, 200)), 2, model=Larger(limit=10)).collect()
    tries = []

    def work() -> None:
        tries.append(1)
        raise OutOfMemory("again")

    with pytest.raises(DiffilmError, match=rf"out of memory {RETRIES} times") as caught:
        until_it_fits(work)
    assert len(tries) == RETRIES < 100 and not isinstance(caught.value, OutOfMemory)


def test_a_bound_on_memory_chooses_batch_and_tiles_beforehand() -> None:
    source = film([2], (640, 360))
    plans = [
        plan_memory(source, bound, interpolator=Between(), upscaler=Larger(), size=(1280, 720))
        for bound in ("16GB", "4.2GB", "2600MB", "2GB")
    ]
    assert plans[0] == (Fit(), Fit())
    areas = [[(f.batch or 9) * (f.tile or 640) ** 2 for f in plan] for plan in plans]
    assert areas == sorted(areas, reverse=True) and areas[0] != areas[1] != areas[-1]
    with pytest.raises(DiffilmError, match=r"takes about .* MB with the smallest settings"):
        plan_memory(source, "300MB", upscaler=Larger(), size=(1280, 720))
    assert [parse_memory(each) for each in (5, "4GB", "1.5 MiB", "2G")] == [5, 4 * 10**9, 3 * 2**19, 2**31]
    with pytest.raises(DiffilmError, match="such as 4GB"):
        parse_memory("lots")


def test_a_network_on_a_gpu_works_in_a_thread_of_its_own_and_makes_the_same_frames() -> None:
    source, threads = film([4]), set()

    class Elsewhere(Larger):
        device = "cuda"

        def upscale(self, frames: Tensor) -> Tensor:
            threads.add(threading.current_thread().name)
            return super().upscale(frames)

    want = upscale(source, 2, model=Larger()).collect()
    assert torch.equal(upscale(source, 2, model=Elsewhere()).collect(), want) and threads == {"diffilm-ahead"}


def test_a_stage_that_runs_ahead_gives_the_same_and_closes() -> None:
    source = film([9, 4])
    made: list[int] = []

    def make():
        for at, chunk in enumerate(source.rechunk(1)):
            made.append(at)
            yield chunk
            if at == 6 and fail:
                raise Cancelled

    fail = False
    stream = ahead(source.with_frames(make), 2)
    assert torch.equal(stream.collect(), source.collect()) and torch.equal(stream.collect(), source.collect())
    made.clear()
    frames = iter(stream)
    next(frames)
    frames.close()
    assert 1 <= len(made) <= 5
    fail = True
    got = []
    with pytest.raises(Cancelled):
        for chunk in stream:
            got.append(chunk)
    assert torch.equal(torch.cat(got), source.collect()[:7])
    assert not [thread for thread in threading.enumerate() if thread.name == "diffilm-ahead"]

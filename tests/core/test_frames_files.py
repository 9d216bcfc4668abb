"""What is written is read back: colours, rate, count, tags; files appear whole or not at all; joining loses nothing."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diffilm_core.errors import Cancelled, DiffilmError
from diffilm_core.frames import (
    FrameStream,
    check_output,
    concat_files,
    frame_hashes,
    from_tensor,
    read,
    read_metadata,
    write,
)
from diffilm_core.frames.colour import from_planes, rgb_to_yuv, to_planes, yuv_to_rgb

CHART = [
    (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (0, 0, 0), (1, 1, 1),
    (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (0.45, 0.32, 0.27), (0.76, 0.59, 0.51), (0.38, 0.48, 0.61), (0.9, 0.4, 0.1),
    (0.3, 0.36, 0.65), (0.93, 0.78, 0.12),
]  # fmt: skip


def chart(frames: int = 8, patch: int = 16) -> torch.Tensor:
    """Sixteen colour patches, shifted by one from frame to frame."""
    colours = torch.tensor(CHART).reshape(4, 4, 3)
    picture = colours.repeat_interleave(patch, 0).repeat_interleave(patch, 1)
    return torch.stack([picture.roll(i * patch, 1) for i in range(frames)])


def moving(frames: int, seed: int = 0, size: int = 32) -> torch.Tensor:
    """A soft blob that travels over a gradient."""
    x, y = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="xy")
    at = torch.rand(2, generator=torch.Generator().manual_seed(seed))
    return torch.stack(
        [
            torch.stack([x, y, torch.exp(-40 * ((x - at[0] * i / frames) ** 2 + (y - at[1]) ** 2))], -1)
            for i in range(frames)
        ]
    )


def test_the_matrix_is_bt709_and_has_its_inverse() -> None:
    rgb = torch.rand(50, 3, dtype=torch.float64)
    for matrix in (1, 5, 6, 7, 9):
        assert torch.allclose(yuv_to_rgb(rgb_to_yuv(rgb, matrix), matrix), rgb, atol=1e-12)
    white, red = to_planes(torch.ones(2, 2, 3)), to_planes(torch.tensor([1.0, 0, 0]).expand(2, 2, 3))
    assert [int(p[0, 0]) for p in white] == [235, 128, 128]
    assert [int(p[0, 0]) for p in red] == [63, 102, 240]


def test_colours_survive_the_file(tmp_path: Path) -> None:
    """Inside the patches, where 4:2:0 mixes nothing, at most 2 of 255 at crf 0 and 4 at the default crf 18."""
    pixels = chart()
    for crf, limit in ((0, 2), (18, 4)):
        got = read(write(from_tensor(pixels, 8), tmp_path / f"{crf}.mp4", crf=crf)).collect()
        inside = (got - pixels).reshape(8, 4, 16, 4, 16, 3)[:, :, 4:12, :, 4:12]
        assert inside.abs().max() * 255 <= limit
        assert (inside.mean((0, 1, 2, 3, 4)) * 255).abs().max() < 0.5


def test_another_reader_sees_the_same_colours(tmp_path: Path) -> None:
    """OpenCV goes by the tags through FFmpeg's own scaler: the patches' middles agree to 4 of 255."""
    cv2 = pytest.importorskip("cv2")
    pixels = chart()
    video = cv2.VideoCapture(str(write(from_tensor(pixels, 8), tmp_path / "a.mp4", crf=0)))
    frames = []
    while (item := video.read())[0]:
        frames.append(item[1][..., ::-1])
    got = torch.from_numpy(np.stack(frames)).float()
    inside = (got - pixels * 255).reshape(8, 4, 16, 4, 16, 3)[:, :, 6:10, :, 6:10]
    assert inside.abs().max() <= 4


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_the_reader_goes_by_matrix_and_range(tmp_path: Path, matrix: int, full: bool, form: str) -> None:
    bits = 10 if form.endswith("10le") else 8
    unit, peak = 1 << (bits - 8), (1 << bits) - 1
    yuv = rgb_to_yuv(torch.tensor([0.8, 0.3, 0.1]), matrix).tolist()
    scale = [peak, peak, peak] if full else [219 * unit, 224 * unit, 224 * unit]
    zero = [0 if full else 16 * unit, 128 * unit, 128 * unit]
    values = [round(v * s + z) for v, s, z in zip(yuv, scale, zero, strict=True)]
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=8)
        video.width, video.height, video.pix_fmt = 18, 14, form
        frame = av.VideoFrame(18, 14, form)
        for plane, value in zip(frame.planes, values, strict=True):
            plane.update(
                np.full(
                    plane.buffer_size * 8 // (8 if bits == 8 else 16), value, "u1" if bits == 8 else "<u2"
                ).tobytes()
            )
        video.codec_context.colorspace = frame.colorspace = matrix
        video.codec_context.color_range = frame.color_range = 2 if full else 1
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    got = read(path).collect()
    assert got.shape == (1, 14, 18, 3)
    assert (got - torch.tensor([0.8, 0.3, 0.1])).abs().max() * 255 <= 2


def test_chroma_sits_where_the_standard_says() -> None:
    """A smooth ramp keeps its place through 4:2:0: no shift of half a pixel (a shift would cost 2 of 255 here)."""
    ramp = torch.linspace(0.2, 0.8, 64)
    rgb = torch.stack([ramp.expand(64, 64), ramp[:, None].expand(64, 64), 1 - ramp.expand(64, 64)], -1)
    back = from_planes(*to_planes(rgb))
    assert ((back - rgb)[4:-4, 4:-4].mean((0, 1)) * 255).abs().max() < 0.3
    assert ((back - rgb)[4:-4, 4:-4]).abs().max() * 255 < 2.5


def test_mp4_is_tagged_counted_and_starts_fast(tmp_path: Path) -> None:
    path = write(
        from_tensor(moving(13), Fraction(30000, 1001)),
        tmp_path / "a.mp4",
        metadata={"title": "The fox", "comment": {"seed": 3}},
    )
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        context = video.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert [
            int(v) for v in (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        ] == [1] * 4
        assert video.frames == 13 and video.average_rate == Fraction(30000, 1001)
        assert video.duration * video.time_base == Fraction(13 * 1001, 30000)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert json.loads(read_metadata(path)["comment"]) == {"seed": 3} and read_metadata(path)["title"] == "The fox"
    assert read(path).frames == 13 and read(path).fps == Fraction(30000, 1001)


@settings(max_examples=12, deadline=None)
@given(
    frames=st.integers(1, 12),
    fps=st.sampled_from([1, 7, 8, 12, Fraction(24000, 1001), 24, 25, 30, 50]),
    suffix=st.sampled_from([".mp4", ".gif", ".webp"]),
)
def test_rate_and_count_come_back(
    tmp_path_factory: pytest.TempPathFactory, frames: int, fps: Fraction, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("rate") / f"a{suffix}"
    clip = read(write(from_tensor(moving(frames), fps), path))
    assert clip.frames == frames
    rounding = {".mp4": 0, ".webp": Fraction(2, 1000), ".gif": Fraction(2, 100)}[suffix]
    if frames > 1 or suffix != ".webp":  # a WebP of one frame is a still without a rate
        assert abs(clip.duration - frames / Fraction(fps)) <= rounding
    if suffix == ".mp4" or (frames > 1 and fps == int(fps) and frames > fps * fps * 2 * rounding):
        assert clip.fps == fps
    assert clip.collect().shape == (frames, 32, 32, 3)


def test_the_same_frames_make_the_same_file(tmp_path: Path) -> None:
    """x264's macroblock tree fails this on AVX-512 machines, at sizes such as this one, a few times in twenty."""
    coarse = torch.rand(1, 3, 8, 15, 20, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(coarse, (8, 240, 320), mode="trilinear")[0].permute(1, 2, 3, 0)
    files = {write(from_tensor(smooth, 16), tmp_path / f"{i}.mp4").read_bytes() for i in range(12)}
    assert len(files) == 1


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="needs the scheduling calls of Linux")
@pytest.mark.parametrize("codec", ["av1", "hevc", "h264"])
def test_writing_leaves_the_threads_priority(tmp_path: Path, codec: str) -> None:
    """SVT-AV1 raises it to real time where the process is root's."""
    seen = []

    def source() -> Iterator[torch.Tensor]:
        for _ in range(4):
            seen.append(os.sched_getscheduler(0))
            yield torch.rand(1, 64, 64, 3)

    write(FrameStream(source, width=64, height=64, fps=8, frames=4), tmp_path / "clip.mp4", codec=codec)
    assert {*seen, os.sched_getscheduler(0)} == {os.SCHED_OTHER}


def test_odd_sizes_are_padded_with_their_edge(tmp_path: Path) -> None:
    got = read(write(from_tensor(moving(3)[:, :31, :29], 8), tmp_path / "a.mp4", crf=0))
    assert (got.width, got.height) == (30, 32)
    assert (got.collect()[:, :31, :29] - moving(3)[:, :31, :29]).abs().mean() * 255 < 2


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations_look_like_the_clip_loop_and_carry_metadata(tmp_path: Path, suffix: str) -> None:
    from PIL import Image

    pixels = moving(10, size=48)
    path = write(from_tensor(pixels, 8), tmp_path / f"a{suffix}", metadata={"title": "é" * 300, "comment": {"seed": 1}})
    with Image.open(path) as image:
        assert image.n_frames == 10 and image.info["loop"] == 0
    got = read(path).collect()
    error = torch.nn.functional.avg_pool2d((got - pixels).permute(0, 3, 1, 2), 4)
    assert error.abs().mean() * 255 < 3
    assert read_metadata(path) == {"title": "é" * 300, "comment": '{"seed": 1}'}
    if suffix == ".webp":
        data = path.read_bytes()
        assert struct.unpack("<I", data[4:8])[0] == len(data) - 8


def test_gif_palette_is_made_for_the_clip(tmp_path: Path) -> None:
    """Sixteen flat colours come back exactly: a fixed palette could not hold them."""
    got = read(write(from_tensor(chart(4), 8), tmp_path / "a.gif")).collect()
    assert (got - chart(4)).abs().max() * 255 <= 1


def test_repeated_webp_frames_are_counted(tmp_path: Path) -> None:
    pixels = moving(4).repeat_interleave(torch.tensor([1, 3, 1, 2]), 0)
    clip = read(write(from_tensor(pixels, 16), tmp_path / "a.webp"))
    assert (clip.frames, clip.fps) == (7, 16)
    assert (clip.collect() - pixels).abs().mean() * 255 < 4


def test_a_fast_gif_keeps_its_duration(tmp_path: Path) -> None:
    clip = read(write(from_tensor(moving(30), 60), tmp_path / "a.gif"))
    assert (clip.fps, clip.frames) == (50, 25)


class Broken(Exception):
    pass


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webp"])
@pytest.mark.parametrize("error", [Broken, Cancelled, KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_of_a_broken_write(tmp_path: Path, suffix: str, error: type[BaseException]) -> None:
    def make():
        yield moving(4)
        raise error

    (tmp_path / f"a{suffix}").write_bytes(b"the old one")
    with pytest.raises(error):
        write(FrameStream(make, width=32, height=32, fps=8, frames=8), tmp_path / f"a{suffix}")
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]
    assert (tmp_path / f"a{suffix}").read_bytes() == b"the old one"


@pytest.mark.parametrize("fps", [8, 75])
def test_both_passes_of_a_gif_are_in_its_progress(tmp_path: Path, fps: int) -> None:
    seen: list[tuple] = []
    write(from_tensor(moving(24), fps), tmp_path / "a.gif", progress=lambda *call: seen.append(call))
    counts = [call[1] for call in seen]
    assert {(call[0], *call[2:]) for call in seen} == {("write", 24, "a.gif")}
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 24
    assert len([count for count in counts if 12 < count <= 24]) >= 2

    def cancel(_: str, done: int, *__: object) -> None:
        if done > 12:
            raise Cancelled

    with pytest.raises(Cancelled):
        write(from_tensor(moving(24), fps), tmp_path / "b.gif", progress=cancel)
    assert not (tmp_path / "b.gif").exists()


def test_progress_counts_frames_and_cancels(tmp_path: Path) -> None:
    seen: list[tuple] = []
    write(from_tensor(moving(20), 8), tmp_path / "a.mp4", progress=lambda *call: seen.append(call))
    assert seen == [("write", n, 20, "a.mp4") for n in (0, 8, 16, 20)]

    def cancel(stage: str, done: int, total: int, message: str) -> None:
        if done >= 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        write(from_tensor(moving(20), 8), tmp_path / "b.mp4", progress=cancel)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_bad_outputs_are_refused_before_a_frame_is_pulled(tmp_path: Path) -> None:
    def make():
        raise AssertionError("pulled")
        yield

    stream = FrameStream(make, width=4, height=4, fps=8, frames=1)
    (tmp_path / "folder.mp4").mkdir()
    for name, message in (
        ("a.avi", "'.avi', expected one of .apng, .gif, .mkv, .mov, .mp4, .webm, .webp, or a folder"),
        ("a", "(none)"),
        ("folder.mp4", "it is a folder"),
        ("missing/a.mp4", "there is no folder"),
    ):
        with pytest.raises(DiffilmError) as caught:
            write(stream, tmp_path / name)
        assert message in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(DiffilmError, match="cannot write to /proc"):
        check_output("/proc/a.mp4")
    with pytest.raises(DiffilmError, match="crf 99"):
        write(stream, tmp_path / "a.mp4", crf=99)


def test_bad_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(DiffilmError, match="no such file"):
        read(tmp_path / "a.mp4")
    for name in ("noise.mp4", "noise.gif", "noise.webp"):
        (tmp_path / name).write_bytes(b"not a video at all" * 20)
        with pytest.raises(DiffilmError, match="cannot be read"):
            read(tmp_path / name)
    whole = write(from_tensor(moving(8), 8), tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DiffilmError):
        read(tmp_path / "cut.mp4").collect()


@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5))
@example(lengths=[3])
@example(lengths=[1, 16, 2])
def test_joined_files_hold_every_frame_of_their_parts(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("join")
    parts = [write(from_tensor(moving(n, seed=i), 16), folder / f"{i}.mp4") for i, n in enumerate(lengths)]
    film = concat_files(parts, folder / "film.mp4", metadata={"title": "film"})
    assert frame_hashes(read(film)) == [digest for part in parts for digest in frame_hashes(read(part))]
    with av.open(str(film)) as container:
        video = container.streams.video[0]
        assert video.frames == sum(lengths) and video.average_rate == 16
        assert video.duration * video.time_base == Fraction(sum(lengths), 16)
        assert [int(v) for v in (video.codec_context.colorspace, video.codec_context.color_range)] == [1, 1]
        packets = [p for p in container.demux(video) if p.size]
    assert [p.dts for p in packets] == sorted({p.dts for p in packets})
    assert sorted(p.pts for p in packets) == [i * packets[0].duration for i in range(sum(lengths))]
    starts = [sum(lengths[:i]) * packets[0].duration for i in range(len(lengths))]
    assert set(starts) <= {p.pts for p in packets if p.is_keyframe}
    assert read_metadata(film)["title"] == "film"


def test_unlike_files_are_not_joined(tmp_path: Path) -> None:
    one = write(from_tensor(moving(4), 8), tmp_path / "a.mp4")
    two = write(from_tensor(moving(4, size=48), 8), tmp_path / "b.mp4")
    with pytest.raises(DiffilmError, match="got another encoding"):
        concat_files([one, two], tmp_path / "film.mp4")
    with pytest.raises(DiffilmError, match="no files"):
        concat_files([], tmp_path / "film.mp4")
    with pytest.raises(DiffilmError, match="no such file"):
        concat_files([one, tmp_path / "c.mp4"], tmp_path / "film.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]

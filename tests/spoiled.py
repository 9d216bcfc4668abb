"""A folder of clips to curate: real ones, and ones spoiled in seven ways with parameters drawn anew for every seed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from diffilm_core.frames import from_tensor, write

Clip = NDArray[np.uint8]
"""RGB frames (t, h, w, 3)."""
WORDS = "Subscribe now for more of our best clips every day and do not forget to share them with all your friends"


def save(clip: Clip, path: Path, fps: float = 24, crf: int | None = 20, codec: str = "") -> Path:
    frames = torch.from_numpy(np.ascontiguousarray(clip)).float().div(255)
    return write(from_tensor(frames, fps), path, crf=crf, codec=codec)


def resized(clip: Clip, width: int, height: int) -> Clip:
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in clip])


def static(clip: Clip, rng: np.random.Generator, number: int) -> Clip:
    """A still, a noisy still, a show of stills, a clip that freezes early, a still that is faded."""
    count = len(clip)
    kind = number % 5
    if kind == 0:
        return np.repeat(clip[rng.integers(count)][None], count, 0)
    if kind == 1:
        noise = rng.normal(0, rng.uniform(0.5, 2.0), (count, *clip.shape[1:]))
        return (clip[rng.integers(count)] + noise).round().clip(0, 255).astype(np.uint8)
    if kind == 2:
        half = count // 2
        other = clip[0, :, ::-1]
        return np.concatenate([np.repeat(clip[-1][None], half, 0), np.repeat(other[None], count - half, 0)])
    if kind == 3:
        moves = max(2, round(count * rng.uniform(0.03, 0.12)))
        return np.concatenate([clip[:moves], np.repeat(clip[moves][None], count - moves, 0)])
    light = np.linspace(1, rng.uniform(0.85, 0.95), count)[:, None, None, None]
    return (clip[rng.integers(count)][None] * light).round().astype(np.uint8)


def shaky(clip: Clip, rng: np.random.Generator, number: int, fps: float = 24) -> Clip:
    """Shifted and turned by a hand that trembles, or as a rolling car does, within a border that is cut away."""
    count, height, width = clip.shape[:3]
    reach = rng.uniform(0.012, 0.035) * max(width, height)
    if number % 2:
        path = rng.normal(0, 0.6, (count, 3))
    else:
        time = np.arange(count)[:, None] / fps
        waves = [np.sin(2 * np.pi * (rng.uniform(3, 8, 3) * time + rng.uniform(0, 1, 3))) for _ in range(2)]
        path = np.sum(waves, 0) / 2
    path = path.clip(-1.5, 1.5)
    zoom = 1 + 2.2 * reach / min(width, height) * 1.5
    out = []
    for frame, (x, y, turn) in zip(clip, path, strict=True):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn * rng.uniform(0.5, 1.0), zoom)
        matrix[:, 2] += x * reach, y * reach
        out.append(
            cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        )
    return np.stack(out)


def text_covered(clip: Clip, rng: np.random.Generator, number: int) -> Clip:
    """Captions of one to four lines, in white, yellow or black, plain or in a box, that stay for the whole clip."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = clip.shape[1:3]
    lines = int(rng.integers(2, 5))
    size = max(12, round(height * rng.uniform(0.07, 0.11)))
    font = ImageFont.load_default(size)
    words = WORDS.split()
    start = int(rng.integers(0, 6))
    shown = ["" for _ in range(lines)]
    for at in range(lines):
        while start < len(words) and font.getlength(f"{shown[at]} {words[start]}") < 0.9 * width:
            shown[at] = f"{shown[at]} {words[start]}".strip()
            start += 1
    colour = ((255, 255, 255), (255, 230, 40), (10, 10, 10))[number % 3]
    top = rng.uniform(0.05, 0.95) * (height - 1.3 * size * lines)
    out = []
    for frame in clip:
        image = Image.fromarray(frame)
        draw = ImageDraw.Draw(image)
        if number % 2:
            back = (255, 255, 255) if number % 3 == 2 else (0, 0, 0)
            draw.rectangle((0, top - 4, width, top + 1.3 * size * lines), fill=back)
        for at, line in enumerate(shown):
            draw.text((width / 2, top + 1.3 * size * at), line, font=font, fill=colour, anchor="ma",
                      stroke_width=max(1, size // 14), stroke_fill=tuple(255 - c for c in colour))  # fmt: skip
        out.append(np.asarray(image))
    return np.stack(out)


def barred(clip: Clip, rng: np.random.Generator, number: int) -> Clip:
    """Bars above and below, at both sides, or all around, of up to 12 levels of black."""
    height, width = clip.shape[1:3]
    rows = round(height * rng.uniform(0.06, 0.18)) if number % 3 != 1 else 0
    columns = round(width * rng.uniform(0.06, 0.18)) if number % 3 != 0 else 0
    inside = resized(clip, width - 2 * columns, height - 2 * rows)
    out = np.full_like(clip, int(rng.integers(0, 13)))
    out[:, rows : height - rows, columns : width - columns] = inside
    return out


def save_duplicate(clip: Clip, path: Path, rng: np.random.Generator, fps: float) -> Path:
    """A copy that is smaller, darker or brighter, shorter at its ends, in another codec, pressed harder."""
    height, width = clip.shape[1:3]
    scale = rng.uniform(0.5, 0.95)
    copy = resized(clip, round(width * scale / 2) * 2, round(height * scale / 2) * 2)
    copy = (copy * rng.uniform(0.85, 1.12)).round().clip(0, 255).astype(np.uint8)
    cut = round(len(copy) * rng.uniform(0, 0.08))
    suffix, codec = ((".mp4", "h264"), (".mkv", "h264"), (".webm", "vp9"), (".mov", "h264"))[int(rng.integers(4))]
    return save(copy[cut:], path.with_suffix(suffix), fps, crf=int(rng.integers(24, 34)), codec=codec)


def truncate(source: Path, path: Path, rng: np.random.Generator, number: int) -> Path:
    """The first 25 to 85 % of a file: MP4 with its index at the end or at the start, Matroska, WebM, GIF."""
    kind = number % 5
    if kind == 1:
        path = path.with_suffix(".mp4")
        with av.open(str(source)) as old, av.open(str(path), "w", options={"movflags": "faststart"}) as new:
            stream = new.add_stream_from_template(old.streams.video[0])
            for packet in old.demux(old.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    new.mux(packet)
    else:
        path = path.with_suffix((".mp4", "", ".mkv", ".webm", ".gif")[kind])
        with av.open(str(source)) as old:
            clip = np.stack([frame.to_ndarray(format="rgb24") for frame in old.decode(video=0)])
        save(clip, path, crf=None)
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * rng.uniform(0.25, 0.85))])
    return path


def not_video(path: Path, rng: np.random.Generator, number: int, clip: Clip) -> Path:
    """What people leave in such folders under a video's name."""
    kind = number % 6
    picture = cv2.imencode((".jpg", ".png")[number % 2], clip[0][..., ::-1])[1].tobytes()
    if kind == 4:
        with av.open(str(path), "w", format="mp4") as new:
            stream = new.add_stream("aac", rate=44100)
            sound = av.AudioFrame.from_ndarray(rng.normal(0, 0.1, (2, 44100)).astype(np.float32), "fltp", "stereo")
            sound.sample_rate = 44100
            for packet in [*stream.encode(sound), *stream.encode(None)]:
                new.mux(packet)
        return path
    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("clip.txt", WORDS * int(rng.integers(1, 90)))
    page = f"<!doctype html><html><title>404</title><body>{WORDS}</body></html>\n" * int(rng.integers(1, 50))
    path.write_bytes((page.encode(), picture, b"", pack.getvalue(), b"", rng.bytes(int(rng.integers(99, 99999))))[kind])
    return path


CHANGES: dict[str, Callable[[Clip, np.random.Generator, int], Clip]] = {
    "still": static, "shaky": shaky, "text": text_covered, "bars": barred,
}  # fmt: skip
COUNTS = {
    "still": 6, "shaky": 6, "text": 6, "bars": 6, "duplicate": 6, "truncated or damaged": 5, "not video": 5,
}  # fmt: skip


def make_folder(folder: Path, clips: Sequence[tuple[Clip, float]], seed: int) -> dict[str, str]:
    """A file of each of the clips (with their frame rates), and 40 spoiled ones made of some of them.

    Gives {name: why it is to fall, "" for the real ones}; the names themselves tell nothing.
    """
    rng = np.random.default_rng(seed)
    wanted: dict[str, str] = {}

    def name() -> Path:
        return folder / f"{chr(97 + int(rng.integers(26)))}{len(wanted):03d}_{int(rng.integers(1000)):03d}.mp4"

    folder.mkdir()
    sources = []
    for clip, fps in clips:
        sources.append(save(clip, name(), fps, crf=int(rng.integers(16, 27))))
        wanted[sources[-1].name] = ""
    for reason, count in COUNTS.items():
        for number, at in enumerate(rng.permutation(len(clips))[:count]):
            clip, fps = clips[at]
            if reason == "duplicate":
                path = save_duplicate(clip, name(), rng, fps)
            elif reason == "truncated or damaged":
                path = truncate(sources[at], name(), rng, number)
            elif reason == "not video":
                path = not_video(name(), rng, number + seed, clip)
            else:
                path = save(CHANGES[reason](clip, rng, number), name(), fps, crf=int(rng.integers(16, 30)))
            wanted[path.name] = reason
    return wanted


def judged(wanted: dict[str, str], rows: Sequence[dict], broken: dict[str, str]) -> tuple[list[str], list[str]]:
    """(spoiled files that did not fall for the right reason, real files that are lost).

    A file falls if every shot of it does, and is lost if shots that stay are less than half of it.
    """
    wrong, lost = [], []
    for name, reason in wanted.items():
        shots = [row for row in rows if row["file"] == name]
        stays = sum(row["frames"] for row in shots if not row["dropped"])
        told = sorted({why for row in shots for why in row["dropped"]} | {broken.get(name, "")} - {""})
        if not reason and stays <= 0.5 * sum(row["frames"] for row in shots):
            lost.append(f"{name}: {told}")
        if reason and (stays or reason not in told):
            wrong.append(f"{name}: {reason}, got {told or 'it stays'}")
    return wrong, lost

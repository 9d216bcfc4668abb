"""Septuplets of real and rendered film for the finishing networks, and the frames that they must never see.

A store is a folder of `<part>.u8` (n, 7, 256, 256, 3, RGB, raw), `<part>.npy` (n rows of `ROW`) and a README:

    thumbs = thumbnails("bbb.mp4")                              # uint8 (frames, 90, 160), grey
    held = held_out_ranges(thumbs, fps, [thumbnails(excerpt)])  # [(first, last + 1)]: minutes 4 to 6 and what matches
    write_film("bbb.mp4", thumbs, held, store)
    rows, pixels = read_part(store, "film")                     # pixels is a memory map
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiffilmError

LENGTH, SIDE = 7, 256
THUMB_WIDTH, THUMB_HEIGHT = 160, 90
HELD_MINUTES = (4, 6)
MARGIN = 48
SAME = 0.97
ROW = np.dtype(
    [("frame", "i4"), ("x", "i4"), ("y", "i4"), ("scale", "i4"), ("motion", "f4"), ("shot", "i4"), ("validation", "?")]
)
Range = tuple[int, int]


def decode(path: str | Path) -> Iterator[tuple[int, object]]:
    """(index, av.VideoFrame) of every frame of a video file."""
    import av

    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:
        raise DiffilmError(f"{path} cannot be read as a video ({error}): give a video file") from error
    with container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from enumerate(container.decode(stream))


def thumbnails(path: str | Path) -> NDArray[np.uint8]:
    """All frames small and grey, uint8 (frames, 90, 160)."""
    size = dict(width=THUMB_WIDTH, height=THUMB_HEIGHT, format="gray", interpolation="AREA")
    return np.stack([frame.reformat(**size).to_ndarray() for _, frame in decode(path)])  # type: ignore[attr-defined]


def likeness(frames: NDArray[np.uint8], film: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Correlation of every frame with every frame of the film, both reduced to 32 x 18, (frames, film) in [-1, 1].

    Codecs, sizes and brightness ranges do not matter to it.
    """
    a, b = (_centred(each) for each in (frames, film))
    a, b = (each / np.sqrt((each * each).mean(1, keepdims=True)).clip(min=1e-6) for each in (a, b))
    return a @ b.T / a.shape[1]


def _centred(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = frames.reshape(len(frames), 18, THUMB_HEIGHT // 18, 32, THUMB_WIDTH // 32).mean((2, 4), dtype=np.float32)
    flat = small.reshape(len(frames), -1)
    return flat - flat.mean(1, keepdims=True)


def matching(frames: NDArray[np.uint8], film: NDArray[np.uint8], margin: int = MARGIN) -> list[Range]:
    """The ranges of the film that an excerpt shows: a correlation above SAME, with `margin` frames around each found.

    A picture with next to nothing in it (black, a plain title) would match any other and is left out of the search.
    """
    told = _centred(frames).std(1) > 8
    hit = (likeness(frames[told], film) > SAME).any(0) if told.any() else np.zeros(len(film), bool)
    return _ranges(np.flatnonzero(hit), margin, len(film))


def _ranges(at: NDArray[np.int64], margin: int, length: int) -> list[Range]:
    out: list[Range] = []
    for index in at.tolist():
        first, last = max(0, index - margin), min(length, index + 1 + margin)
        if out and first <= out[-1][1]:
            out[-1] = out[-1][0], last
        else:
            out.append((first, last))
    return out


def held_out_ranges(
    film: NDArray[np.uint8], fps: float, excerpts: Sequence[NDArray[np.uint8]], margin: int = MARGIN
) -> list[Range]:
    """Frames of the film kept from all training: minutes 4 to 6 and what the excerpts show, with `margin` (2 s) around
    each; 0 gives the frames that must not be learned from themselves."""
    start, end = (round(minute * 60 * fps) for minute in HELD_MINUTES)
    held = {index for first, last in [(start - margin, end + margin)] for index in range(max(0, first), last)}
    for excerpt in excerpts:
        held |= {index for first, last in matching(excerpt, film, margin) for index in range(first, last)}
    return _ranges(np.array(sorted(held & set(range(len(film)))), np.int64), 0, len(film))


def shots(film: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The shot of every frame, counted from 0; a cut is a jump far above both the noise and its neighbourhood."""
    small = _centred(film)
    jump = np.sqrt(((small[1:] - small[:-1]) ** 2).mean(1))
    padded = np.pad(jump, 6, mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 13), 1)
    return np.concatenate([[0], np.cumsum((jump > 40) | (jump > 5) & (jump > 3 * around))])


def windows(
    film: NDArray[np.uint8], held: Sequence[Range], kept: Sequence[Range] | None = None
) -> list[tuple[int, int]]:
    """(first frame, shot) of every window of 7 frames inside one shot, and inside a range that is `kept` where these
    are given, end to end. A shot that reaches into a held-out range is left out whole: its other frames may show the
    same picture."""
    shot = shots(film)
    free = np.full(len(film), kept is None)
    for first, last in kept or ():
        free[first:last] = True
    for first, last in held:
        free[np.isin(shot, shot[first:last])] = False
    out, at = [], 0
    while at + LENGTH <= len(film):
        span = slice(at, at + LENGTH)
        if free[span].all() and shot[at] == shot[at + LENGTH - 1]:
            out.append((at, int(shot[at])))
            at += LENGTH
        else:
            at += 1
    return out


def places(thumbs: NDArray[np.uint8], rng: np.random.Generator, width: int, height: int) -> list[tuple[int, ...]]:
    """Up to 4 crops (x, y, scale, motion * 100) of a window where there is motion, the thumbnails given.

    Two or three at full size, one or none at half size (scale 2); motion is the mean difference of first and last.
    """
    change = np.abs(thumbs[0].astype(np.float32) - thumbs[-1])
    steps = np.abs(np.diff(thumbs.astype(np.float32), axis=0)).sum(0)
    change = np.maximum(change, steps / 3)
    whole = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    out: list[tuple[int, ...]] = []
    for scale, count in ((1, 3), (2, 1)):
        side = SIDE * scale * THUMB_WIDTH // width
        tries = []
        for _ in range(24):
            x, y = int(rng.integers(0, THUMB_WIDTH - side + 1)), int(rng.integers(0, THUMB_HEIGHT - side + 1))
            total = whole[y + side, x + side] - whole[y, x + side] - whole[y + side, x] + whole[y, x]
            tries.append((float(total) / side**2 * rng.uniform(0.7, 1.0), x, y))
        for motion, x, y in sorted(tries, reverse=True)[:16:6][:count]:
            if motion > 1.0:
                left, top = x * width // THUMB_WIDTH, y * height // THUMB_HEIGHT
                left, top = min(left, width - SIDE * scale), min(top, height - SIDE * scale)
                out.append((left, top, scale, round(motion * 100)))
    return out


def write_film(
    path: str | Path,
    thumbs: NDArray[np.uint8],
    held: Sequence[Range],
    store: Path,
    *,
    seed: int = 0,
    kept: Sequence[Range] | None = None,
    every: int = 1,
) -> int:
    """Cut the film into `film.u8` and `film.npy`; returns the number of septuplets. Every 12th shot is validation.

    kept: the ranges that may be used (curation's); every: only each so many windows are taken.
    """
    import cv2

    rng = np.random.default_rng(seed)
    jobs = dict(windows(thumbs, held, kept)[::every])
    rows: list[tuple[object, ...]] = []
    store.mkdir(parents=True, exist_ok=True)
    group: list[NDArray[np.uint8]] = []
    start = -1
    with open(store / "film.u8", "wb") as out:
        for index, frame in decode(path):
            if index in jobs:
                start, group = index, []
            if start < 0 or index >= start + LENGTH:
                continue
            group.append(frame.to_ndarray(format="rgb24"))  # type: ignore[attr-defined]
            if len(group) < LENGTH:
                continue
            height, width = group[0].shape[:2]
            for x, y, scale, motion in places(thumbs[start : start + LENGTH], rng, width, height):
                side = SIDE * scale
                crops = [each[y : y + side, x : x + side] for each in group]
                if scale > 1:
                    small = [cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for each in crops]
                    crops = [each.astype(np.uint8, copy=False) for each in small]
                out.write(np.stack(crops).tobytes())
                shot = jobs[start]
                rows.append((start, x, y, scale, motion / 100, shot, shot % 12 == 5))
    np.save(store / "film.npy", np.array(rows, ROW))
    return len(rows)


def write_scenes(bank: Path, store: Path, count: int, seed: int = 11) -> int:
    """Render `count` septuplets of Fluent emoji scenes at 6 to 24 frames a second into `emoji.u8` and `emoji.npy`."""
    from .emoji import SpriteBank
    from .render import SceneRenderer
    from .scenes import sample_scenes

    renderer = SceneRenderer(SpriteBank.load(bank), SIDE, variants=2)
    rng = np.random.default_rng(seed)
    rows: list[tuple[object, ...]] = []
    with open(store / "emoji.u8", "wb") as out:
        for at in range(0, count, 8):
            scenes = sample_scenes(min(8, count - at), seed=seed + at, split="train", clips=True)
            rate = float(rng.choice([6, 8, 12, 24]))
            clips = renderer.render_clips(scenes, LENGTH, rate).permute(0, 2, 3, 4, 1).contiguous().numpy()
            out.write(clips.tobytes())
            motion = np.abs(clips[:, 0].astype(np.float32) - clips[:, -1]).mean((1, 2, 3))
            rows += [(seed + at, 0, 0, 1, float(each), -1, False) for each in motion]
    np.save(store / "emoji.npy", np.array(rows, ROW))
    return len(rows)


def read_part(store: Path, part: str) -> tuple[NDArray[np.void], NDArray[np.uint8]]:
    """The rows and the pixels (n, 7, 256, 256, 3) of a store's part, the pixels as a read-only memory map."""
    try:
        rows = np.load(store / f"{part}.npy")
    except FileNotFoundError as error:
        raise DiffilmError(
            f"{store} has no {part}.npy, expected a clip store: make it with scripts/fetch_finishing_data.py"
        ) from error
    if not len(rows):
        raise DiffilmError(f"{store}: {part}.npy has no clip in it; give a longer film, or one that moves")
    shape = (len(rows), LENGTH, SIDE, SIDE, 3)
    return rows, np.memmap(store / f"{part}.u8", np.uint8, "r", shape=shape)


def overlaps(rows: NDArray[np.void], held: Sequence[Range]) -> list[int]:
    """The rows of a film part that show a held-out frame."""
    first = rows["frame"]
    bad = np.zeros(len(rows), bool)
    for start, end in held:
        bad |= (first < end) & (first + LENGTH > start)
    return np.flatnonzero(bad).tolist()


def closest(
    rows: NDArray[np.void], pixels: NDArray[np.uint8], held: NDArray[np.uint8], width: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """How near each septuplet comes to the same place of any held-out frame: (levels, which, contrast), each (n, 7).

    levels: the root mean square difference of each picture in 8-bit levels, the means taken off; contrast: what it
    would be from a flat picture. One that shows the held-out frame differs by a small part of its contrast. `held`
    holds thumbnails of the held-out frames of the same film (of `width` pixels across), `which` counts in it. Whole
    numbers in float64: nothing is rounded.
    """
    near, contrast = np.empty((2, len(rows), LENGTH))
    which = np.empty((len(rows), LENGTH), np.int64)
    lefts, tops = (rows[name] * THUMB_WIDTH // width for name in ("x", "y"))
    spots = np.stack([rows["scale"], tops], 1)
    for scale, top in np.unique(spots, axis=0).tolist():  # one product of matrices for the crops of a band of lines
        side = SIDE * scale * THUMB_WIDTH // width
        band = held[:, top : top + side].astype(np.float64)
        sums, squares = (_window_sums(each.sum(1), side) for each in (band, band * band))
        flat = band.reshape(len(band), -1)
        rest = np.flatnonzero((spots == (scale, top)).all(1))
        for at in np.split(rest, range(8, len(rest), 8)):
            mine = np.zeros((len(at), LENGTH, side, THUMB_WIDTH))
            for j, i in enumerate(at):
                mine[j, :, :, lefts[i] : lefts[i] + side] = [_small(each, side) for each in pixels[i]]
            both = (mine.reshape(-1, flat.shape[1]) @ flat.T).reshape(len(at), LENGTH, -1)
            total, square = (each.sum((2, 3))[..., None] for each in (mine, mine * mine))
            theirs, squared = (each[:, lefts[at]].T[:, None] for each in (sums, squares))
            apart = (square - 2 * both + squared) / side**2 - ((total - theirs) / side**2) ** 2
            which[at], near[at] = apart.argmin(2), np.sqrt(apart.min(2).clip(min=0))
            contrast[at] = np.sqrt(square / side**2 - (total / side**2) ** 2)[..., 0]
    return near, which, contrast


def _small(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An RGB picture, grey and reduced to side x side."""
    import cv2

    grey = cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _window_sums(lines: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """The sum of every `side` neighbours along a line, (n, w) to (n, w - side + 1)."""
    whole = np.pad(lines.cumsum(1), ((0, 0), (1, 0)))
    return whole[:, side:] - whole[:, :-side]

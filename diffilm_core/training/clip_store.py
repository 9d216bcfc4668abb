"""The clip store that the stages `interpolate` and `upscale` train on: one that is there, or one cut from a folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..atomic import written_whole
from ..errors import DiffilmError
from ..frames.progress import Progress
from .clips import LENGTH, ROW, SIDE
from .data.clips import ClipFile, Clips, index_clips, split

EVERY_HELD = 16
"""Every so many septuplets are of the files kept for validation."""


@dataclass(frozen=True)
class StoreConfig:
    """`store`: a folder that scripts/fetch_finishing_data.py made. `clips`: instead of it, a folder of videos of at
    least 256 pixels a side, or a data set of `diffilm curate`, of which `samples` pieces of 7 frames are cut; the share
    `validation` of the files is only looked at."""

    store: str = ""
    clips: str = ""
    samples: int = 4000
    validation: float = 0.05
    seed: int = 0
    description: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if bool(self.store) == bool(self.clips):
            raise DiffilmError(
                "[data]: expected store, a folder of scripts/fetch_finishing_data.py, or clips; give one"
            )
        if self.samples < 4 * EVERY_HELD:
            raise DiffilmError(f"samples {self.samples}: expected at least {4 * EVERY_HELD}; thousands are usual")


def open_store(config: StoreConfig, out: Path, progress: Progress | None = None) -> Path:
    """The folder of the store; one cut from clips is written to OUT/store, once.

    Raises DiffilmError where the store is not there or of other settings, no two files are large enough, or the disk
    has no room.
    """
    if config.store:
        if not (Path(config.store) / "film.npy").is_file():
            raise DiffilmError(
                f"store {config.store}: it has no film.npy, expected a clip store: make it with "
                "scripts/fetch_finishing_data.py, or give data.clips, a folder of videos"
            )
        return Path(config.store)
    store = out / "store"
    words = {key: getattr(config, key) for key in ("clips", "samples", "validation", "seed")}
    about = store / "about.json"
    if about.is_file() and (store / "film.npy").is_file():
        if json.loads(about.read_text()) != words:
            raise DiffilmError(f"{store} was cut with other settings, {about.read_text()}: delete it or choose another")
        return store
    store.mkdir(parents=True, exist_ok=True)
    write_clips(config, store, progress)
    with written_whole(about) as temporary:
        temporary.write_text(json.dumps(words))
    return store


def write_clips(config: StoreConfig, store: Path, progress: Progress | None = None) -> None:
    """Cuts `film.u8` and `film.npy` from a folder of clips; `progress("cutting", done, all, name)`."""
    files = [each for each in index_clips(config.clips, store / "clips.json", progress) if _large(each)]
    if len(files) < 2:
        raise DiffilmError(
            f"clips folder {config.clips}: {len(files)} videos of at least {SIDE} pixels a side, expected two or more, "
            "one of them for validation"
        )
    need = config.samples * LENGTH * SIDE * SIDE * 3
    if (free := shutil.disk_usage(store).free) < need:
        raise DiffilmError(
            f"{store}: {config.samples} samples take {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: give fewer "
            "samples or another output folder"
        )
    sides = [
        Clips(part, frames=LENGTH, size=(SIDE, SIDE), fps=(1000.0, 1000.0), seed=config.seed)  # every frame
        for part in split(files, max(config.validation, 1e-6), config.seed)
    ]
    rows: list[tuple[object, ...]] = []
    with written_whole(store / "film.u8") as temporary, temporary.open("wb") as file:
        for number in range(config.samples):
            held = number % EVERY_HELD == 0
            pixels = sides[held][number][0].numpy()
            file.write(pixels.tobytes())
            motion = float(np.abs(pixels[0].astype(np.float32) - pixels[-1]).mean())
            rows.append((number, 0, 0, 1, motion, number, held))
            if progress is not None:
                progress("cutting", number + 1, config.samples, config.clips)
    np.save(store / "film.npy", np.array(rows, ROW))


def _large(file: ClipFile) -> bool:
    return min(file.width, file.height) >= SIDE

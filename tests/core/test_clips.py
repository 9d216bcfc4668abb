"""Proves that held-out excerpts are found in a film whatever their contrast and noise, and nothing is found in another
film; that no training window touches what is held out or a cut; and that a septuplet that leaked in is caught."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from diffilm_core.errors import DiffilmError
from diffilm_core.training.clips import (
    LENGTH,
    ROW,
    closest,
    held_out_ranges,
    matching,
    overlaps,
    places,
    read_part,
    shots,
    windows,
)
from diffilm_core.training.finishing import Crops, Triplets

Frames = np.ndarray


def film(frames: int = 400, every: int = 80, seed: int = 0) -> Frames:
    """Thumbnails of slow pans over soft textures, a cut every 80 frames."""
    rng = np.random.default_rng(seed)
    out = []
    for start in range(0, frames, every):
        small = rng.uniform(0, 255, (9, 40)).astype(np.float32)
        wide = cv2.resize(small, (160 * 4, 90), interpolation=cv2.INTER_CUBIC).clip(0, 255)
        out += [wide[:, i : i + 160] for i in range(min(every, frames - start))]
    return np.stack(out).astype(np.uint8)


def seen(ranges: list[tuple[int, int]]) -> set[int]:
    return {index for a, b in ranges for index in range(a, b)}


def test_an_excerpt_is_found_through_contrast_and_noise() -> None:
    whole = film()
    excerpt = whole[170:200].astype(np.float32) * 0.85 + 16
    noisy = (excerpt + np.random.default_rng(1).normal(0, 4, excerpt.shape)).clip(0, 255).astype(np.uint8)
    found = seen(matching(noisy, whole))
    assert set(range(170, 200)) <= found
    assert found <= set(range(170 - 48 - 30, 200 + 48 + 30))


def test_another_film_and_black_frames_match_nothing() -> None:
    assert matching(film(seed=9), film()) == []
    assert matching(np.zeros((5, 90, 160), np.uint8), film()) == []


def test_windows_keep_off_what_is_held_out_and_off_cuts() -> None:
    whole = film(frames=800)
    assert np.flatnonzero(np.diff(shots(whole))).tolist() == [79 + 80 * i for i in range(9)]
    held = held_out_ranges(whole, 1.0, [whole[300:310]])
    assert {300, 309, 240 - 48, 359 + 48} <= seen(held)  # the excerpt; minutes 4 to 6 at one frame a second, with 2 s
    kept = windows(whole, held)
    assert len(kept) > 30
    for start, shot in kept:
        used = set(range(start, start + LENGTH))
        assert not used & seen(held) and shot not in {index // 80 for index in seen(held)}
        assert {start // 80, (start + LENGTH - 1) // 80} == {shot}


def test_windows_stay_in_the_shots_that_curation_kept() -> None:
    whole, kept = film(), [(0, 80), (200, 240)]
    found = windows(whole, [(300, 320)], kept)
    assert found and all(any(a <= at and at + LENGTH <= b for a, b in kept) for at, _ in found)
    assert {at for at, _ in windows(whole, [], kept)} < {at for at, _ in windows(whole, [])} | set(range(200, 240))


def test_a_store_without_a_clip_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "film.npy", np.empty(0, ROW))
    (tmp_path / "film.u8").touch()
    with pytest.raises(DiffilmError, match="no clip in it"):
        read_part(tmp_path, "film")


def test_a_leak_is_caught_by_its_place_and_by_its_pixels() -> None:
    whole = film()
    rows = np.zeros(3, ROW)
    rows["frame"], rows["scale"], rows["x"], rows["y"] = [10, 94, 120], 1, [0, 640, 256], [0, 320, 80]
    assert overlaps(rows, [(100, 110)]) == [1]
    pixels = np.zeros((3, LENGTH, 256, 256, 3), np.uint8)
    for i, row in enumerate(rows):
        y, x = row["y"] // 8, row["x"] // 8
        crop = cv2.resize(whole[row["frame"] + LENGTH // 2][y : y + 32, x : x + 32], (256, 256))
        pixels[i] = crop[..., None]
    near, which, contrast = closest(rows, pixels, whole[120:140], 1280)
    assert near.shape == which.shape == contrast.shape == (3, LENGTH)
    assert near[2].max() < 3 and (near / contrast)[2].max() < 0.1
    assert set(which[2].tolist()) == {3}  # every picture of it is the film's frame 123
    assert near[:2].min() > 10 and (near / contrast)[:2].min() > 0.5


@pytest.mark.parametrize("scale", [1, 2])
def test_how_near_a_picture_comes_is_the_plain_difference(scale: int) -> None:
    whole, rng, side = film(), np.random.default_rng(3), 32 * scale
    rows = np.zeros(6, ROW)
    rows["scale"], rows["x"], rows["y"] = scale, rng.integers(0, 97, 6) * 8, rng.integers(0, 27, 6) // 9 * 72
    pixels = rng.integers(0, 255, (6, LENGTH, 256, 256, 3), np.uint8)
    near, which, contrast = closest(rows, pixels, whole, 1280)
    for i, row in enumerate(rows):
        top, left = row["y"] // 8, row["x"] // 8
        theirs = whole[:, top : top + side, left : left + side].astype(np.float64)
        for k in range(LENGTH):
            grey = cv2.cvtColor(pixels[i, k], cv2.COLOR_RGB2GRAY)
            apart = theirs - cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
            plain = apart.std((1, 2))
            small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
            assert which[i, k] == plain.argmin() and contrast[i, k] == pytest.approx(
                small.astype(float).std(), abs=1e-9
            )
            assert near[i, k] == pytest.approx(plain.min(), abs=1e-9)


def test_crops_are_where_there_is_motion() -> None:
    thumbs = np.zeros((LENGTH, 90, 160), np.uint8)
    for i in range(LENGTH):
        thumbs[i, 50:70, 100 + 3 * i : 120 + 3 * i] = 200
    found = places(thumbs, np.random.default_rng(0), 1280, 720)
    assert found
    x, y, scale, _ = found[0]
    assert x < 8 * 138 and x + 256 * scale > 8 * 100 and y < 8 * 70 and y + 256 * scale > 8 * 50
    assert places(np.full_like(thumbs, 90), np.random.default_rng(0), 1280, 720) == []


def test_triplets_are_the_frames_at_t_and_pans_are_steady(tmp_path: Path) -> None:
    with pytest.raises(DiffilmError, match="fetch_finishing_data"):
        read_part(tmp_path, "film")
    # a store whose pixels say which frame and place they are of
    y, x = np.mgrid[:256, :256]
    clip = np.stack([np.stack([np.full_like(x, 20 * f), x, y], -1) for f in range(LENGTH)]).astype(np.uint8)
    (tmp_path / "film.u8").write_bytes(np.stack([clip] * 4).tobytes())
    rows = np.zeros(4, ROW)
    rows["motion"], rows["validation"] = 5, [False, False, False, True]
    np.save(tmp_path / "film.npy", rows)
    data = Triplets(tmp_path, (Crops(64, 16, 1.0),))
    firsts, seconds, betweens, t = data.draw(3)
    assert firsts.shape == (16, 3, 64, 64)
    when = t[:, None, None, None]
    assert (firsts * (1 - when) + seconds * when - betweens).abs().max() < 1e-5
    assert (firsts - seconds).abs().amax((1, 2, 3)).min() > 0
    again = data.draw(3)
    assert all(bool((a == b).all()) for a, b in zip((firsts, seconds, betweens, t), again, strict=True))
    assert sum(len(t) for *_, t in data.validation()) == 1

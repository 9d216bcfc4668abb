"""Proves that the networks that finish films are trained by `diffilm train` on a folder of videos, cut once into a
store, and give files that the pack loads; what cannot be trained on is named first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffilm_core.checkpoints.source import open_source
from diffilm_core.cli import main
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.models.interpolation.files import own_network
from diffilm_core.models.upscaling.own import own_layers
from diffilm_core.training.clip_store import EVERY_HELD, StoreConfig, open_store
from diffilm_core.training.clips import read_part

CONFIGS = Path(__file__).parents[2] / "configs"
SIDE = 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of one grey each that gets lighter by a level a frame, and a small one."""
    out = tmp_path_factory.mktemp("clips")
    for number, grey in enumerate((40, 140)):
        frames = torch.ones(16, SIDE, SIDE + 16, 3) * (grey + torch.arange(16)[:, None, None, None]) / 255
        write(from_tensor(frames, 8), out / f"{number}.mp4")
    write(from_tensor(torch.zeros(16, 64, 64, 3), 8), out / "small.mp4")
    return out


def test_a_folder_is_cut_once_and_its_held_files_are_never_trained_on(folder: Path, tmp_path: Path) -> None:
    config = StoreConfig(clips=str(folder), samples=4 * EVERY_HELD)
    store = open_store(config, tmp_path)
    rows, pixels = read_part(store, "film")
    assert pixels.shape == (64, 7, SIDE, SIDE, 3) and rows["validation"].sum() == 4
    means = pixels.mean((1, 2, 3, 4))
    sides = [set(np.unique(means[rows["validation"] == held].round() > 90)) for held in (True, False)]
    assert len(sides[0]) == len(sides[1]) == 1 and sides[0] != sides[1], "a file is on both sides"
    steps = np.diff(pixels[:8].astype(np.float32).mean((2, 3, 4)), axis=1)
    assert steps.min() >= 0 and np.abs(steps.sum(1) - 6).max() < 2, "not every frame of a piece is there, in order"
    before = (store / "film.npy").stat().st_mtime_ns
    assert open_store(config, tmp_path) == store and (store / "film.npy").stat().st_mtime_ns == before
    with pytest.raises(DiffilmError, match="cut with other settings"):
        open_store(StoreConfig(clips=str(folder), samples=80), tmp_path)


def test_what_cannot_be_trained_on_is_named(folder: Path, tmp_path: Path, monkeypatch) -> None:
    def refused(words: str, **data: object) -> None:
        with pytest.raises(DiffilmError, match=words):
            open_store(StoreConfig(**data), tmp_path / "none")

    refused("give one")
    refused("give one", store="a", clips="b")
    refused("no film.npy.*fetch_finishing_data", store=str(tmp_path))
    refused("no such folder", clips=str(tmp_path / "gone"))
    refused("at least 64", clips=str(folder), samples=63)
    (tmp_path / "few").mkdir()
    write(from_tensor(torch.zeros(16, SIDE, SIDE, 3), 8), tmp_path / "few" / "only.mp4")
    refused("1 videos of at least 256", clips=str(tmp_path / "few"))
    refused("TB are free|GB are free", clips=str(folder), samples=10**9)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for stage in ("interpolate", "upscale"):
        arguments = ["train", str(CONFIGS / f"{stage}.toml"), "-o", str(tmp_path / "run"), "--device", "cpu"]
        assert main([*arguments, f"--set=data.clips={folder}"]) == 2


def trained(stage: str, folder: Path, out: Path, **changes: object) -> Path:
    settings = {
        "data.clips": folder, "data.samples": 64, "data.licence": "CC0", "train.steps": 2, "train.batch": 2,
        "train.warmup": 1, "train.precision": "fp32", **changes,
    }  # fmt: skip
    arguments = [f"--set={key}={value}" for key, value in settings.items()]
    assert main(["train", str(CONFIGS / f"{stage}.toml"), "-o", str(out), "--device", "cpu", *arguments]) == 0
    assert [path.name for path in (out / "log").glob("*.png")] == [f"{stage}-0000002.png"]
    return out / f"{stage}.safetensors"


@pytest.mark.slow
def test_the_interpolation_network_is_trained(folder: Path, tmp_path: Path) -> None:
    small = {f"network.{name}": 8 for name in ("half", "quarter", "width", "hidden", "synthesis", "match")}
    path = trained("interpolate", folder, tmp_path, **small)
    assert "CC0" in open_source(path).metadata["about"]
    net = own_network(open_source(path))
    assert net.config.half == 8
    frame = net(torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64), torch.tensor([0.5])).frame
    assert frame.shape == (1, 3, 64, 64) and bool(frame.isfinite().all())


@pytest.mark.slow
def test_the_upscaling_layers_are_trained(folder: Path, tmp_path: Path) -> None:
    shape = {f"{layer}.{name}": 1 if name == "blocks" else 8 for layer in ("first", "second")
             for name in ("width", "blocks")}  # fmt: skip
    path = trained("upscale", folder, tmp_path, **shape, **{"first.radius": 1, "second.radius": 0})
    checkpoint = open_source(path)
    assert any("CC0" in words for words in checkpoint.metadata.values())
    first, second = own_layers(checkpoint)
    made = second(first(torch.rand(1, 3, 3, 16, 16), torch.zeros(1))[:, None], torch.zeros(1))
    assert made.shape == (1, 3, 64, 64)

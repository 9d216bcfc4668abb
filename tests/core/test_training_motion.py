"""Proves that motion is learnt from a folder of clips alone: no caption, no spatial parameter changed, the same result
after a kill, a file that the pack's own loaders take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffilm_core.bundle import load_model, part, read_model, save_model
from diffilm_core.checkpoints import inspect, load_motion
from diffilm_core.checkpoints.files import write_tensors
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import concat, from_tensor, read, write
from diffilm_core.models import AutoencoderConfig, AutoencoderKL, UNet, UNetConfig, is_temporal
from diffilm_core.models.motion import put_motion
from diffilm_core.models.motion_prior import MotionPrior, MotionPriorConfig
from diffilm_core.sampling import OverTime
from diffilm_core.training import bases, table
from diffilm_core.training import motion as stage
from diffilm_core.training.base import BaseConfig, ObjectiveConfig, recompute
from diffilm_core.training.config import StageConfig
from diffilm_core.training.data.clips import Clips, index_clips, split
from diffilm_core.training.diffusion import Task, batch_loss
from diffilm_core.training.loop import ValidatedRun
from diffilm_core.training.motion import ClipsConfig, MotionTraining, train
from tests.models import tiny_model

TRAIN = StageConfig(steps=3, batch=2, lr=1e-2, warmup=1, ema=0.5, precision="fp32")


def moving(seed: int, frames: int = 24, side: int = 48) -> torch.Tensor:
    """A coloured square that crosses a noisy ground."""
    generator = torch.Generator().manual_seed(seed)
    ground = torch.rand(1, side, side, 3, generator=generator).repeat(frames, 1, 1, 1) * 0.3
    for t in range(frames):
        ground[t, 8 + seed : 20 + seed, t : t + 12] = torch.rand(3, generator=torch.Generator().manual_seed(seed + 9))
    return ground


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    (root / "more").mkdir()
    for number in range(3):
        write(from_tensor(moving(number), 8), root / ("more" if number else ".") / f"{number}.mp4")
    write(concat([from_tensor(moving(5), 8), from_tensor(1 - moving(6), 8)]), root / "cut.mp4")
    (root / "broken.mp4").write_bytes(b"no film at all")
    (root / "notes.txt").write_text("a caption that nobody may read")
    return root


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def config(folder: Path, model: Path, **more: object) -> MotionTraining:
    data = ClipsConfig(str(folder), width=32, height=32, frames=4, validation=0.3, workers=0)
    return MotionTraining(data, StageConfig(**{**vars(TRAIN), **more}), BaseConfig(str(model)))


def test_windows_lie_in_one_shot_and_hang_on_their_number_alone(folder: Path, tmp_path: Path, caplog) -> None:
    files = index_clips(folder, tmp_path / "clips.json")
    assert [file.name for file in files] == ["0.mp4", "cut.mp4", "more/1.mp4", "more/2.mp4"]
    assert "broken.mp4" in caplog.text
    cut = next(file for file in files if file.name == "cut.mp4")
    assert cut.shots == ((0, 24), (24, 48))
    clips = Clips([cut], frames=8, size=(32, 32), fps=(4, 8), seed=3)
    for number in range(12):
        pixels, fps = clips[number]
        assert pixels.shape == (8, 32, 32, 3) and pixels.dtype == torch.uint8 and fps in (4, 8)
        means = pixels.float().mean((1, 2, 3))
        assert float(means.max() - means.min()) < 40, "a window has both sides of the cut in it"
    assert torch.equal(clips[5][0], Clips([cut], frames=8, size=(32, 32), fps=(4, 8), seed=3)[5][0])
    assert not torch.equal(clips[5][0], clips[6][0])
    assert index_clips(folder, tmp_path / "clips.json") == files


def test_a_file_is_on_one_side_of_the_split(folder: Path) -> None:
    files = index_clips(folder)
    train, held = split(files, 0.3, seed=1)
    assert len(held) == 1 and len(train) == 3 and not set(train) & set(held)
    assert split(files[::-1], 0.3, seed=1) == (train, held), "the split follows the order of the files"
    assert {split(files, 0.3, seed=seed)[1][0].name for seed in range(20)} == {file.name for file in files}
    assert split(files, 0.0)[1] == []


def test_temporal_layers_alone_change_and_no_caption_is_read(folder, tiny, tmp_path, monkeypatch) -> None:
    asked: list[str] = []
    encode = load_model(tiny).text.__class__.encode
    monkeypatch.setattr(
        load_model(tiny).text.__class__, "encode", lambda self, texts: asked.extend(texts) or encode(self, texts)
    )
    path = train(config(folder, tiny), tmp_path, torch.device("cpu"))
    assert asked == [""]
    before, after = read_model(tiny)[0], read_model(path)[0]
    assert before.keys() == after.keys()
    prefix = "model.diffusion_model."
    temporal = [name for name in before if name.startswith(prefix) and is_temporal(name[len(prefix) :])]
    assert all(torch.equal(before[name], after[name]) for name in before if name not in temporal)
    assert sum(not torch.equal(before[name], after[name]) for name in temporal) > len(temporal) / 2
    assert load_model(path, device="cpu").config.about["video"]["clips"] == 3


def test_a_spatial_parameter_that_changed_in_one_bit_is_named(tiny) -> None:
    unet = load_model(tiny).unet
    check = stage.unchanged(unet)
    with torch.no_grad():
        next(iter(unet.temporal_parameters().values())).add_(1.0)
        check()
        unet.time_embed[0].weight.view(torch.int32 if unet.time_embed[0].weight.element_size() == 4 else torch.int16)[
            0, 0
        ] ^= 1
    with pytest.raises(RuntimeError, match=r"changed the spatial parameter time_embed\.0\.weight"):
        check()


def test_a_killed_run_ends_as_an_undisturbed_one(folder, tiny, tmp_path, monkeypatch) -> None:
    whole = train(config(folder, tiny, steps=4), tmp_path / "whole", torch.device("cpu"))
    advance = ValidatedRun.advance

    def killed(self, loss_of):
        if self.step == 2:
            raise KeyboardInterrupt
        made = advance(self, loss_of)
        self.save()
        return made

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ValidatedRun, "advance", killed)
        train(config(folder, tiny, steps=4), tmp_path / "parts", torch.device("cpu"))
    parts = train(config(folder, tiny, steps=4), tmp_path / "parts", torch.device("cpu"))
    one, other = read_model(whole)[0], read_model(parts)[0]
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_is_the_mean_of_its_parts_and_of_recomputed_blocks(folder, tiny) -> None:
    """Two processes that share a batch see the noise of one; gradient checkpointing changes nothing."""
    base = bases.open_base(BaseConfig(str(tiny)), ObjectiveConfig(), torch.device("cpu"))
    pixels = torch.stack([(moving(n, 4, 32) * 255).to(torch.uint8) for n in range(4)])
    task = Task("video", "a.safetensors", dict, None, {}, (32, 32))

    def loss(first: int, end: int) -> torch.Tensor:
        count = end - first
        batch = {"pixels": pixels[first:end], "captions": [""] * count, "fps": torch.full((count,), 8.0)}
        return batch_loss(base, base.unet, batch, range(first, end), task)

    whole = loss(0, 4)
    assert abs(float(whole - (loss(0, 2) + loss(2, 4)) / 2)) < 1e-6
    parameter = next(iter(base.unet.temporal_parameters().values())).requires_grad_()
    plain = torch.autograd.grad(loss(0, 4), parameter)[0]
    recompute(base.unet)
    assert torch.allclose(torch.autograd.grad(loss(0, 4), parameter)[0], plain, atol=1e-7)


def test_a_model_that_works_around_its_middle_frame_is_trained_so(monkeypatch) -> None:
    base = bases.open_base(BaseConfig(), ObjectiveConfig(), torch.device("cpu"))
    assert isinstance(base.unet.over_time, OverTime)
    assert base.unet.over_time.high == math.inf
    told: list[torch.Tensor] = []
    call = OverTime.__call__

    def watched(self, *rest):
        told.append(rest[-1]["picture"])
        return call(self, *rest)

    monkeypatch.setattr(OverTime, "__call__", watched)
    pixels = (moving(1, 4, 32) * 255).to(torch.uint8)[None]
    task = Task("video", "a.safetensors", dict, None, {}, (32, 32))
    with torch.no_grad():
        batch_loss(base, base.unet, {"pixels": pixels, "captions": [""], "fps": torch.tensor([8.0])}, [0], task)
        wanted = base.vae.encode(pixels[:, 2].movedim(-1, 1).float() / 127.5 - 1)
    assert len(told) == 1 and torch.allclose(told[0][:, :, 0], wanted, atol=1e-4)


@pytest.mark.parametrize(("stage", "kept"), [("image", True), ("video", False), ("finetune", False)])
def test_a_motion_prior_stays_where_layers_over_time_were_not_trained(tmp_path, tiny, stage: str, kept: bool) -> None:
    """Where they were, it would hide what they have learned."""
    tensors, config, _ = read_model(tiny)
    shape = MotionPriorConfig(frames=4, coefficients=4, model_channels=16, head_dim=16)
    config = replace(config, motion=shape, defaults=replace(config.defaults, over_time=3.0))
    states = (part(tensors, name) for name in ("unet", "vae", "text"))
    path = save_model(tmp_path / "moving.safetensors", config, *states, MotionPrior(shape).state_dict())
    base = bases.open_base(BaseConfig(str(path)), ObjectiveConfig(), torch.device("cpu"))
    again = load_model(base.save(tmp_path / "again.safetensors", {"stage": stage}), device="cpu")
    assert (again.config.motion is not None) == kept and again.defaults.over_time == 3.0
    assert (again.unet.over_time.mover is not None) == kept


def tiny_sd1(path: Path) -> UNet:
    """A narrow Stable Diffusion 1.x UNet in its own file."""
    torch.manual_seed(0)
    unet = UNet(UNetConfig(model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0)))
    tensors = {f"model.diffusion_model.{name}": tensor for name, tensor in unet.state_dict().items()}
    write_tensors(path, tensors, {})
    return unet


def test_an_sd1_checkpoint_gets_motion_modules_in_animatediffs_layout(folder, tmp_path, monkeypatch) -> None:
    image = tiny_sd1(tmp_path / "sd1.safetensors")
    vae = AutoencoderKL(AutoencoderConfig(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1))

    class Text:
        def encode(self, texts: list[str]) -> torch.Tensor:
            assert texts == [""]
            return torch.ones(1, 77, 768)

    monkeypatch.setattr(bases, "load_vae", lambda *_, **__: vae)
    monkeypatch.setattr(bases, "load_text_encoder", lambda *_, **__: Text())
    kept: list[UNet] = []
    save = bases.save_motion
    monkeypatch.setattr(bases, "save_motion", lambda p, c, t, a: (kept.append(dict(t)), save(p, c, t, a))[1])
    path = train(config(folder, tmp_path / "sd1.safetensors"), tmp_path / "run", torch.device("cpu"))
    info = inspect(path)
    assert (info.system, info.parts[0].role, info.parts[0].layout) == ("animatediff", "motion", "original")
    assert not info.missing and not info.unexpected
    found = load_motion(path, dtype=torch.float32).tensors()
    assert found.keys() == kept[-1].keys()
    assert all(torch.equal(found[name], kept[-1][name].detach().half().float()) for name in found)
    unet = put_motion(image, load_motion(path, dtype=torch.float32)).eval()
    x, context = torch.randn(1, 4, 4, 8, 8), torch.randn(1, 5, 768)
    with torch.no_grad():
        moved, still = (unet(x, torch.tensor([500.0]), context, enable_time=on) for on in (True, False))
    assert float((moved - still).abs().max()) > 1e-4, "nothing was learnt"


def test_wrong_settings_end_before_the_first_step(folder, tiny, tmp_path) -> None:
    def refused(make: Callable[[], object], words: str) -> None:
        with pytest.raises(DiffilmError, match=words):
            make()

    def run(**data: object) -> Callable[[], object]:
        def start() -> Path:
            made = config(folder, tiny)
            made = replace(made, data=replace(made.data, **data))
            return train(made, tmp_path, torch.device("cpu"))

        return start

    refused(run(clips=str(tmp_path / "none")), "no such folder")
    refused(run(frames=40), "shot of 40 frames")
    refused(run(width=40), "multiples of 16")
    refused(run(min_fps=0), "0 < min_fps")
    refused(run(clips=str(Path(__file__).parent)), "expected videos")
    file = tmp_path / "a.toml"
    for text, words in (
        ("[data]\nclips='x'\nclip='y'\n[train]\nsteps=1\nbatch=1\nlr=1.0", "unknown key 'clip'"),
        ("[data]\nclips='x'", r"no section \[train\]"),
        ("[date]\n[data]\nclips='x'\n[train]\nsteps=1\nbatch=1\nlr=1.0", r"unknown section \[date\]"),
        ("[data]\nclips='x'\n[train]\nsteps=1\nbatch=0\nlr=1.0", "batch 0"),
        ("[data\n", "cannot be read"),
    ):
        file.write_text(text)
        refused(lambda: stage.read(file), words)
    for text in ("[data]", 'stage = "vidoe"'):
        file.write_text(text)
        refused(lambda: table.train(file, {}, tmp_path, torch.device("cpu")), "expected stage = one of")


def test_the_command_trains_and_its_model_films(folder, tiny, tmp_path, capsys) -> None:
    from diffilm_core.cli import main

    file = tmp_path / "motion.toml"
    file.write_text((Path(__file__).parents[2] / "configs" / "motion.toml").read_text())
    changes = {
        "data.clips": folder, "base.model": tiny, "data.width": 32, "data.height": 32, "data.frames": 4,
        "data.workers": 1, "train.steps": 2, "train.batch": 1,
    }  # fmt: skip
    settings = [f"--set={key}={value}" for key, value in changes.items()]
    assert main(["train", str(file), "-o", str(tmp_path / "run"), "--device", "cpu", *settings]) == 0
    made = capsys.readouterr().out.strip()
    out = tmp_path / "clip.mp4"
    assert main(["clip", "a fox", "--model", made, "--steps", "1", "-o", str(out), "--device", "cpu"]) == 0
    assert read(out).frames >= 4
    assert main(["train", str(file), "-o", str(tmp_path / "b"), "--set", "train.stops=1"]) == 2

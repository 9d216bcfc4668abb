"""Proves that published systems are trained further: their own layers over time alone in stage `video`, and the result
is a file in a layout that the pack's loaders take, told to the network as the pack's sampler tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from diffilm_core.bundle import load_model
from diffilm_core.checkpoints import inspect, load_image_encoder, load_motion, load_text_encoder, load_unet, load_vae
from diffilm_core.checkpoints.files import read_tensors, write_tensors
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.models import AutoencoderConfig, AutoencoderKL, UNet, UNetConfig, is_temporal
from diffilm_core.models.motion import put_motion
from diffilm_core.models.temporal_decoder import TemporalAutoencoder
from diffilm_core.sampling.image_to_video import image_conditions, image_to_video, picture_networks
from diffilm_core.training import table
from diffilm_core.training.base import BaseConfig, ObjectiveConfig
from diffilm_core.training.bases import open_base, system_of
from diffilm_core.training.pictured import FirstFrame, bucket
from tests.published import modelscope, svd

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SMALL_VAE = AutoencoderConfig(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips")
    for number in range(2):
        frames = torch.rand(6, 72, 72, 3, generator=torch.Generator().manual_seed(number)).cumsum(0) / 6
        write(from_tensor(frames, 8), out / f"{number}.mp4")
    return out


def captioned(folder: Path) -> Path:
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (72, 72), (90 * number, 30, 60)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("a fox")
    return folder


def run(stage: str, model: Path, out: Path, data: dict[str, object], **base: object) -> Path:
    file = {"video": "motion"}.get(stage, stage)
    changes = {
        "base.model": model, "train.steps": 2, "train.batch": 1, "train.lr": 1e-3, "train.warmup": 1, "train.ema": 0.0,
        "train.precision": "fp32", "data.workers": 0, **{f"data.{key}": value for key, value in data.items()},
        **{f"base.{key}": value for key, value in base.items()},
    }  # fmt: skip
    return table.train(ROOT / "configs" / f"{file}.toml", changes, out, CPU)


def only_time_moved(before: UNet, after: UNet) -> None:
    """Within what float16 keeps, temporal parameters alone are others."""
    old, new = before.state_dict(), after.state_dict()
    assert old.keys() == new.keys()
    moved = {name for name in old if not torch.equal(old[name].half(), new[name].half())}
    assert len(moved) > 10 and all(is_temporal(name) for name in moved), sorted(moved)[:5]


def tiny_svd(path: Path) -> Path:
    """A single file of Stable Video Diffusion with a small autoencoder too."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    vision = CLIPVisionModelWithProjection(CLIPVisionConfig(**svd.TINY_VISION)).state_dict()
    layers = svd.TINY_VISION["num_hidden_layers"]
    parts = {
        "model.diffusion_model.": UNet(svd.TINY_UNET).state_dict(),
        "first_stage_model.": TemporalAutoencoder(SMALL_VAE).state_dict(),
        svd.VISUAL: svd.to_open_clip(vision, layers),
    }
    made = {prefix + name: t.contiguous() for prefix, tensors in parts.items() for name, t in tensors.items()}
    return write_tensors(path, made, {})


@pytest.mark.slow
def test_stable_video_diffusion_is_trained_on_clips_and_makes_one_of_a_picture(clips: Path, tmp_path: Path) -> None:
    model = tiny_svd(tmp_path / "svd.safetensors")
    data = {"clips": clips, "width": 64, "height": 64, "frames": 3, "validation": 0.0}
    path = run("video", model, tmp_path / "run", data)
    info = inspect(path)
    assert (info.system, info.missing, info.unexpected) == ("svd", [], [])
    only_time_moved(load_unet(model, dtype=torch.float32), load_unet(path, dtype=torch.float32))
    networks = [load(path, dtype=torch.float32) for load in (load_unet, load_vae, load_image_encoder)]
    stream = image_to_video(torch.rand(64, 64, 3), *networks, frames=3, width=64, height=64, steps=2, chunk=3)
    assert torch.cat(list(stream)).shape == (3, 64, 64, 3)
    fine = run("finetune", path, tmp_path / "fine", data)
    assert inspect(fine).system == "svd"
    stills = {"pictures": captioned(tmp_path / "pictures"), "images": 0.5, **data}
    with pytest.raises(DiffilmError, match="nothing to teach"):
        run("finetune", path, tmp_path / "stills", stills)
    with pytest.raises(DiffilmError, match="stage image cannot train it"):
        open_base(BaseConfig(str(path)), ObjectiveConfig(), CPU, "image")


def test_a_clips_first_frame_is_told_as_the_sampler_tells_it() -> None:
    """But for the noise on the picture, whose level is drawn; one that is left out is what guidance subtracts."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    vae = TemporalAutoencoder(SMALL_VAE).eval()
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**svd.TINY_VISION)).eval()
    frames = torch.rand(2, 3, 3, 32, 32) * 2 - 1
    generators = [torch.Generator().manual_seed(each) for each in range(2)]
    with torch.no_grad():
        context, told = FirstFrame(vae, encoder)(frames, torch.tensor([6.0, 12.0]), generators, [False, True])
        fps, moves, level = told["time_ids"][0].tolist()
        generator = torch.Generator().manual_seed(0)
        assert level == pytest.approx(float((torch.randn((), generator=generator) * 0.5 - 3).exp()), rel=1e-5)
        noise = torch.randn(1, 3, 32, 32, generator=generator)
        picture = frames[0, 0].permute(1, 2, 0) / 2 + 0.5
        cond, uncond = image_conditions(
            picture, lambda pixels: vae.encode_image(frames[:1, 0] + level * noise), picture_networks(vae, encoder)[1],
            width=32, height=32, fps=6, motion_bucket=moves, augmentation=level,
        )  # fmt: skip
    assert fps == 5 and told["time_ids"][1, 0] == 11
    assert torch.allclose(context[:1], cond["context"], atol=1e-5) and torch.equal(context[1:], uncond["context"])
    assert torch.allclose(told["concat"][:1], cond["concat"], atol=1e-5)
    assert torch.equal(told["concat"][1:], uncond["concat"])
    assert torch.allclose(told["time_ids"][:1], cond["time_ids"], atol=1e-5)
    still = frames[0, :1].expand(3, -1, -1, -1)
    assert bucket(still, 8.0) == 0 and moves == bucket(frames[0], 6.0) > 0


@pytest.mark.slow
def test_modelscope_is_trained_further_in_its_original_layout(clips: Path, tmp_path: Path) -> None:
    folder = modelscope.write_original(tmp_path / "model")
    assert system_of(str(folder)) == "modelscope"
    data = {"clips": clips, "width": 64, "height": 64, "frames": 3, "validation": 0.0}
    path = run("video", folder, tmp_path / "run", data)
    old = folder / "text2video_pytorch_model.pth"
    only_time_moved(load_unet(old, dtype=torch.float32), load_unet(path, dtype=torch.float32))
    assert [part.layout for part in inspect(path).parts] == ["original"]
    published, made = torch.load(old, weights_only=True), read_tensors(path)[0]
    prefix = "model.diffusion_model."
    assert {prefix + name: t.shape for name, t in published.items()} == {name: t.shape for name, t in made.items()}
    old.unlink()
    path.rename(folder / "text2video.safetensors")
    assert load_model(folder, device="cpu").unet.config.temporal == "modelscope"


def tiny_sd1(path: Path) -> Path:
    """A narrow checkpoint of Stable Diffusion 1.x; its text encoder has one layer."""
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=768, intermediate_size=64, num_hidden_layers=1, num_attention_heads=12, vocab_size=49408,
            max_position_embeddings=77, hidden_act="quick_gelu",
        )
    )  # fmt: skip
    unet = UNetConfig(model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0))
    prefix = "cond_stage_model.transformer.text_model."
    made = {
        **{f"model.diffusion_model.{name}": tensor for name, tensor in UNet(unet).state_dict().items()},
        **{f"first_stage_model.{name}": tensor for name, tensor in AutoencoderKL(SMALL_VAE).state_dict().items()},
        **{prefix + name.removeprefix("text_model."): tensor for name, tensor in text.state_dict().items()},
    }
    return write_tensors(path, {name: tensor.half() for name, tensor in made.items()}, {})


@pytest.mark.slow
def test_a_stable_diffusion_checkpoint_is_trained_as_image_model_and_with_motion(clips: Path, tmp_path: Path) -> None:
    model, shots = tiny_sd1(tmp_path / "sd1.safetensors"), captioned(tmp_path / "pictures")
    path = run("image", model, tmp_path / "image", {"pictures": shots, "size": 32, "validation": 0.0})
    info = inspect(path)
    assert info.system == "sd1" and {part.role for part in info.parts} == {"unet", "vae", "text"}
    assert not info.missing and not info.unexpected
    old, new = (load_unet(each, dtype=torch.float32).state_dict() for each in (model, path))
    assert sum(not torch.equal(old[name], new[name]) for name in old) > len(old) / 2
    words = [load_text_encoder(each, dtype=torch.float32).encode(["a fox"]) for each in (model, path)]
    assert torch.equal(*words)

    data = {"clips": clips, "width": 32, "height": 32, "frames": 3, "validation": 0.0}
    fine = run("finetune", path, tmp_path / "fine", data)
    both = put_motion(load_unet(fine, systems=("sd1",), dtype=torch.float32), load_motion(fine, dtype=torch.float32))
    x, context = torch.randn(1, 4, 3, 4, 4), torch.randn(1, 5, 768)
    with torch.no_grad():
        moved, still = (both.eval()(x, torch.tensor([500.0]), context, enable_time=on) for on in (True, False))
    assert float((moved - still).abs().max()) > 1e-5, "the file's motion is the identity"
    again = run("finetune", fine, tmp_path / "again", data, motion=fine)
    assert inspect(again).system == "sd1"


def test_a_base_that_is_not_trained_here_is_named(tmp_path: Path) -> None:
    config = UNetConfig(model_channels=64, channel_mult=(1,), num_res_blocks=1, transformer_depth=(1,), context_dim=32,
                        head_dim=64, use_linear=True)  # fmt: skip
    tensors = {f"model.diffusion_model.{name}": tensor for name, tensor in UNet(config).state_dict().items()}
    model = write_tensors(tmp_path / "sd2.safetensors", tensors, {})
    with pytest.raises(DiffilmError, match=r"of Stable Diffusion 2.x, which is not trained here"):
        run("video", model, tmp_path, {"clips": tmp_path})

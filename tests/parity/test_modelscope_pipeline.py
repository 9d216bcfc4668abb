"""Proves that a ModelScope folder, diffusers' or the original's three files, becomes a clip: the prompt's latents are
those of diffusers' own pipeline to 1e-4, and `diffilm clip --model FOLDER` writes a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.cli import main
from diffilm_core.errors import DiffilmError
from diffilm_core.sampling import initial_noise, sample_clip
from diffilm_core.text.clip import clip_tokenizer
from tests.parity.modelscope_oracle import reference
from tests.published import modelscope

diffusers = pytest.importorskip("diffusers")
WIDTH, FRAMES, PROMPT, STEPS, SEED = 64, 3, "a panda eats bamboo", 4, 5
SCHEDULER = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False,
    "set_alpha_to_one": False, "steps_offset": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Their pipeline with random weights, and the folder that it saves."""
    from transformers import CLIPTextConfig, CLIPTextModel

    logging.getLogger("diffusers").setLevel(logging.ERROR)
    unet = reference({"block_out_channels": (32, 64, 64, 64), "attention_head_dim": 16, "cross_attention_dim": WIDTH})
    unet.conv_out.weight.data.mul_(0.3)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = diffusers.AutoencoderKL(block_out_channels=(32,) * 4, latent_channels=4, layers_per_block=1, **blocks)
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=WIDTH, intermediate_size=128, num_hidden_layers=2, num_attention_heads=1, hidden_act="gelu",
            vocab_size=49408, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407, pad_token_id=0,
        )
    )  # fmt: skip
    tokenizer = clip_tokenizer()
    pipeline = diffusers.TextToVideoSDPipeline(
        vae=vae.eval(), text_encoder=text.eval(), tokenizer=tokenizer, unet=unet,
        scheduler=diffusers.DDIMScheduler(**SCHEDULER),
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    folder = tmp_path_factory.mktemp("ms-1.7b")
    pipeline.save_pretrained(folder)
    return pipeline, folder


def ours(model: VideoModel) -> torch.Tensor:
    context = model.text.encode([PROMPT, ""])
    return sample_clip(
        model.unet, model.schedule, model.prediction, {"context": context[:1]}, {"context": context[1:]},
        shape=(4, FRAMES, 8, 8), seed=SEED, steps=STEPS, cfg=model.defaults.cfg, sampler=model.defaults.sampler,
        spacing=model.defaults.spacing,
    )  # fmt: skip


def test_a_prompts_latents_are_their_pipelines(theirs: tuple[Any, Path]) -> None:
    pipeline, folder = theirs
    model = load_model(folder, device="cpu")
    assert (model.defaults.steps, model.defaults.cfg, model.defaults.frames) == (50, 9.0, 16)
    padded = pipeline.tokenizer(PROMPT, padding="max_length", max_length=77, return_tensors="pt").input_ids
    empty = pipeline.tokenizer("", padding="max_length", max_length=77, return_tensors="pt").input_ids
    for ids in (padded, empty):  # the published tokenizer pads with 0, as OpenCLIP does
        ids[0, int((ids[0] == 49407).nonzero()[0]) + 1 :] = 0
    with torch.no_grad():
        embeds = [pipeline.text_encoder(ids).last_hidden_state for ids in (padded, empty)]
        latents = pipeline(
            prompt_embeds=embeds[0], negative_prompt_embeds=embeds[1], num_frames=FRAMES, height=64, width=64,
            num_inference_steps=STEPS, guidance_scale=9.0, latents=initial_noise((1, 4, FRAMES, 8, 8), SEED),
            output_type="latent",
        ).frames  # fmt: skip
    found = ours(model)
    assert (found - latents[0]).abs().max() <= 1e-4 * latents.abs().max()


@pytest.mark.parametrize("kind", ["diffusers", "original", "fetched"])
def test_clip_makes_one_of_a_folder(kind: str, theirs: tuple[Any, Path], tmp_path: Path) -> None:
    folder = theirs[1] if kind == "diffusers" else modelscope.write_original(tmp_path / "modelscope")
    if kind == "fetched":
        for place, name in (("diffusion_models", "text2video_*"), ("text_encoders", "open_clip_*"), ("vae", "VQGAN_*")):
            (folder / place).mkdir()
            file = next(folder.glob(name))
            file.rename(folder / place / file.name)
    out = tmp_path / "clip.gif"
    size = ["--size", "64x64", "--frames", "2", "--steps", "1"]
    assert main(["clip", PROMPT, "--model", str(folder), "-o", str(out), *size, "--device", "cpu"]) == 0
    assert out.stat().st_size > 1000


def test_a_folder_without_a_part_is_an_error(tmp_path: Path) -> None:
    folder = modelscope.write_original(tmp_path / "modelscope")
    (folder / "VQGAN_autoencoder.pth").unlink()
    with pytest.raises(DiffilmError, match="holds no autoencoder: expected"):
        load_model(folder, device="cpu")


def test_parts_that_do_not_belong_together_are_an_error(tmp_path: Path) -> None:
    folder = modelscope.write_original(tmp_path / "modelscope")
    torch.save(modelscope.open_clip(128, 3), folder / "open_clip_pytorch_model.bin")
    with pytest.raises(DiffilmError, match="128 numbers a token, its UNet takes 64"):
        load_model(folder, device="cpu")


def test_two_of_one_part_are_an_error(tmp_path: Path) -> None:
    folder = modelscope.write_original(tmp_path / "modelscope")
    torch.save(modelscope.lightning_vae(1), folder / "another.pth")
    with pytest.raises(DiffilmError, match="holds 2 files of the part 'autoencoder'"):
        load_model(folder, device="cpu")

"""Proves that a picture becomes the clip that diffusers' StableVideoDiffusionPipeline makes of it, with the same random
weights: 25 Euler steps to 1e-4, and the frames after decoding in chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from diffilm_core.checkpoints import image_encoder, load_image_encoder, load_unet, load_vae, svd
from diffilm_core.checkpoints.config import vae_config
from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet
from diffilm_core.models.temporal_decoder import TemporalAutoencoder
from diffilm_core.sampling import EDMSchedule, Guidance, image_to_video, initial_noise, sample_clip, sigmas_for
from diffilm_core.sampling.image_to_video import image_conditions, picture_networks
from diffilm_core.sampling.noise import cpu_generator

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
WIDTH, HEIGHT, FRAMES, SEED = 32, 24, 4, 7
SCHEDULER = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "use_karras_sigmas": True,
    "sigma_min": 0.002,
    "sigma_max": 700.0,
    "timestep_type": "continuous",
    "timestep_spacing": "leading",
    "steps_offset": 1,
}


@pytest.fixture(scope="module")
def pipeline() -> Any:
    torch.manual_seed(0)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        block_out_channels=(64, 64),
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        num_attention_heads=(1, 1),
        cross_attention_dim=32,
        layers_per_block=1,
    )
    for module in unet.modules():
        if type(module).__name__ in ("ResnetBlock2D", "TemporalResnetBlock"):
            module.norm1.eps = module.norm2.eps = 1e-5
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        latent_channels=4,
        layers_per_block=2,
    )
    vision = transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            projection_dim=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=224,
            patch_size=32,
            hidden_act="gelu",
        )
    )
    made = diffusers.StableVideoDiffusionPipeline(
        vae=vae.eval(),
        image_encoder=vision.eval(),
        unet=unet.eval(),
        scheduler=diffusers.EulerDiscreteScheduler(**SCHEDULER),
        feature_extractor=transformers.CLIPImageProcessor(),
    )
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def ours(pipeline: Any) -> tuple[UNet, TemporalAutoencoder]:
    tensors = svd.find_diffusers(pipeline.unet.state_dict())
    assert tensors is not None
    unet = UNet(svd.config(tensors)).eval()
    unet.load_state_dict(tensors)
    found = svd.find_diffusers_vae(pipeline.vae.state_dict())
    assert found is not None
    vae = TemporalAutoencoder(vae_config(found)).eval()
    vae.load_state_dict(found)
    return unet, vae


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    generator = torch.Generator().manual_seed(3)
    rough = torch.rand(1, 3, 6, 8, generator=generator)
    pixels = torch.nn.functional.interpolate(rough, (HEIGHT, WIDTH), mode="bicubic").clamp(0, 1)
    return Image.fromarray((rearrange(pixels, "1 c h w -> h w c") * 255).byte().numpy())


def as_tensor(picture: Image.Image) -> Tensor:
    import numpy

    return torch.from_numpy(numpy.asarray(picture).copy()).float() / 255


def theirs(pipeline: Any, picture: Image.Image, output: str, *, steps: int, chunk: int = FRAMES) -> Tensor:
    noise = initial_noise((1, 4, FRAMES, HEIGHT // 2, WIDTH // 2), SEED)
    made: Tensor = pipeline(
        picture,
        height=HEIGHT,
        width=WIDTH,
        num_frames=FRAMES,
        num_inference_steps=steps,
        min_guidance_scale=1.0,
        max_guidance_scale=2.5,
        fps=6,
        decode_chunk_size=chunk,
        generator=cpu_generator(SEED + 1),
        latents=noise.transpose(1, 2).contiguous(),
        output_type=output,
        return_dict=False,
    )
    return made[0]  # the first clip


@torch.no_grad()
def test_25_steps_are_the_pipelines(pipeline: Any, ours: Any, picture: Image.Image) -> None:
    unet, vae = ours
    networks = picture_networks(vae, pipeline.image_encoder)
    cond, uncond = image_conditions(as_tensor(picture), *networks, width=WIDTH, height=HEIGHT, seed=SEED)
    clip = sample_clip(
        unet, EDMSchedule.between(), "v", cond, uncond, shape=(4, FRAMES, HEIGHT // 2, WIDTH // 2), seed=SEED,
        steps=25, cfg=(1.0, 2.5), sampler="euler", spacing="karras",
    )  # fmt: skip
    expected = theirs(pipeline, picture, "latent", steps=25).transpose(0, 1)
    assert (clip - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("chunk", [FRAMES, 2])
def test_the_frames_are_the_pipelines(pipeline: Any, ours: Any, picture: Image.Image, chunk: int) -> None:
    unet, vae = ours
    expected = theirs(pipeline, picture, "pt", steps=3, chunk=chunk)
    made = image_to_video(
        as_tensor(picture), unet, vae, pipeline.image_encoder, frames=FRAMES, width=WIDTH, height=HEIGHT, seed=SEED,
        steps=3, chunk=chunk,
    )  # fmt: skip
    assert (made.frames, made.width, made.height, made.fps) == (FRAMES, WIDTH, HEIGHT, 6)
    assert (made.collect() - expected.permute(0, 2, 3, 1)).abs().max() <= 1e-4


def test_the_pipelines_folder_is_the_same_model(
    pipeline: Any, ours: Any, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved as diffusers saves it and loaded again: all three parts to the bit, the frames as above."""
    monkeypatch.setattr(image_encoder, "HEAD_DIM", 16)  # of the small one here
    pipeline.save_pretrained(tmp_path)
    unet, vae, encoder = load_unet(tmp_path), load_vae(tmp_path), load_image_encoder(tmp_path)
    assert (unet.system, vae.system, unet.layout, vae.layout) == ("svd", "svd", "diffusers", "diffusers")
    for network, other in zip((unet, vae, encoder), (*ours, pipeline.image_encoder), strict=True):
        weights = network.state_dict()
        assert weights.keys() == other.state_dict().keys()
        assert all(torch.equal(weights[key], tensor) for key, tensor in other.state_dict().items())
    settings = {"frames": 2, "width": WIDTH, "height": HEIGHT, "steps": 2, "seed": SEED}
    made, expected = (
        image_to_video(as_tensor(picture), *networks, **settings).collect()
        for networks in ((unet, vae, encoder), (*ours, encoder))
    )
    assert (made - expected).abs().max() <= 1e-4  # one rounding may differ by where weights lie in memory


def test_sigmas_are_the_schedulers() -> None:
    scheduler = diffusers.EulerDiscreteScheduler(**SCHEDULER)
    scheduler.set_timesteps(25)
    schedule = EDMSchedule.between()
    torch.testing.assert_close(sigmas_for(schedule, 25, "karras"), scheduler.sigmas, rtol=1e-5, atol=0)
    told = schedule.nearest_timestep(scheduler.sigmas[:-1])
    torch.testing.assert_close(told, scheduler.timesteps, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(schedule.sigma(told), scheduler.sigmas[:-1], rtol=1e-5, atol=0)


def test_guidance_grows_over_the_frames() -> None:
    def denoiser(x: Tensor, sigma: Tensor, *, context: Tensor) -> Tensor:
        return x * 0 + context.view(-1, 1, 1, 1, 1)

    guided = Guidance(denoiser, {"context": torch.ones(1)}, {"context": torch.zeros(1)}, (1.0, 2.5), "two_pass")  # type: ignore[arg-type]
    frames = guided(torch.zeros(1, 4, 4, 2, 2), torch.ones(1))[0, 0, :, 0, 0]
    assert torch.allclose(frames, torch.tensor([1.0, 1.5, 2.0, 2.5]))


def test_settings_that_do_not_fit_are_refused(ours: Any, pipeline: Any, picture: Image.Image) -> None:
    image = as_tensor(picture)
    for options, words in (
        ({"width": 63}, "must divide by 2"),
        ({"frames": 0}, "0 frames"),
        ({"chunk": 0}, "0 at a time"),
    ):
        with pytest.raises(DiffilmError, match=words):
            image_to_video(image, *ours, pipeline.image_encoder, **{"width": WIDTH, "height": HEIGHT, **options})
    with pytest.raises(DiffilmError, match=r"expected \(height, width, 3\)"):
        image_to_video(image[None], *ours, pipeline.image_encoder)

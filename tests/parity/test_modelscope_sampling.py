"""Proves that 50 steps of ModelScope's DDIM, with its guidance of 9, are its own loop's and diffusers' to 1e-4, and
that video-to-video is diffusers' of the same strength."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from diffilm_core.checkpoints import modelscope
from diffilm_core.models import UNet
from diffilm_core.sampling import NoiseSchedule, initial_noise, sample_clip
from tests.parity.modelscope_oracle import original, reference

diffusers = pytest.importorskip("diffusers")
SHAPE, SEED, STEPS, CFG, STRENGTH = (4, 3, 8, 8), 5, 50, 9.0, 0.6
SMALL = {
    "block_out_channels": (32, 64), "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
    "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"), "attention_head_dim": 16, "cross_attention_dim": 48,
    "layers_per_block": 1,
}  # fmt: skip
SCHEDULER = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False,
    "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading",
}  # fmt: skip


@pytest.fixture(scope="module")
def pair() -> tuple[Any, UNet]:
    """Their UNet and ours, whose output is a plain network's: not grown by chance from step to step."""
    peer = reference(SMALL)
    peer.conv_out.weight.data.mul_(0.3)
    found = modelscope.find_diffusers(peer.state_dict())
    assert found is not None
    unet = UNet(modelscope.config(found), device="meta")
    unet.load_state_dict(found, assign=True)
    return peer, unet.eval().requires_grad_(False)


def contexts() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(1, 77, 48, generator=generator), torch.randn(1, 77, 48, generator=generator)


def ours(unet: UNet, spacing: str = "ddim", **options: Any) -> Tensor:
    cond, uncond = contexts()
    return sample_clip(
        unet, NoiseSchedule.create(), "eps", {"context": cond}, {"context": uncond}, shape=SHAPE, seed=SEED, cfg=CFG,
        sampler="ddim", spacing=spacing, **options,
    )  # fmt: skip


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@torch.no_grad()
def diffusers_loop(peer: Any, x: Tensor, timesteps: Tensor, scheduler: Any) -> Tensor:
    cond, uncond = contexts()
    for t in timesteps:
        a, b = (peer(x, t, context).sample for context in (cond, uncond))
        x = scheduler.step(b + CFG * (a - b), t, x).prev_sample
    return x[0]


def test_fifty_steps_are_the_originals(pair: tuple[Any, UNet]) -> None:
    peer, unet = pair
    module = original("diffusion")
    diffusion = module.GaussianDiffusion(
        betas=module.beta_schedule("linear_sd", 1000, init_beta=0.00085, last_beta=0.012),
        mean_type="eps", var_type="fixed_small",
    )  # fmt: skip
    cond, uncond = contexts()
    theirs = diffusion.ddim_sample_loop(
        noise=initial_noise((1, *SHAPE), SEED), model=lambda x, t, y: peer(x, t, y).sample,
        model_kwargs=[{"y": cond}, {"y": uncond}], guide_scale=CFG, ddim_timesteps=STEPS, eta=0.0,
    )  # fmt: skip
    assert theirs.abs().max() > 1
    assert relative(ours(unet, steps=STEPS), theirs[0]) <= 1e-4
    assert relative(ours(unet, steps=STEPS, spacing="ddim_uniform"), theirs[0]) > 1e-3


def test_fifty_steps_are_diffusers(pair: tuple[Any, UNet]) -> None:
    peer, unet = pair
    scheduler = diffusers.DDIMScheduler(**SCHEDULER)
    scheduler.set_timesteps(STEPS)
    theirs = diffusers_loop(peer, initial_noise((1, *SHAPE), SEED), scheduler.timesteps, scheduler)
    assert relative(ours(unet, steps=STEPS), theirs) <= 1e-4


def test_video_to_video_is_diffusers(pair: tuple[Any, UNet]) -> None:
    """Strength 0.6 of 50 steps: 30 steps from noised latents."""
    peer, unet = pair
    latents = torch.randn(SHAPE, generator=torch.Generator().manual_seed(9))
    scheduler = diffusers.DDIMScheduler(**SCHEDULER)
    scheduler.set_timesteps(STEPS)
    steps = round(STEPS * STRENGTH)
    timesteps = scheduler.timesteps[STEPS - steps :]
    noised = scheduler.add_noise(latents[None], initial_noise((1, *SHAPE), SEED), timesteps[:1])
    theirs = diffusers_loop(peer, noised, timesteps, scheduler)
    assert relative(ours(unet, steps=steps, denoise=STRENGTH, latents=latents), theirs) <= 1e-4

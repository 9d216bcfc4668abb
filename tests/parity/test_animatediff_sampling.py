"""Proves that AnimateDiff's trajectories are those of its own loop: 20 DDIM steps of guoyww's settings, LCM for
AnimateLCM, 1 to 8 of Lightning, each with diffusers' scheduler and motion UNet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from diffilm_core.checkpoints.names import unet_to_ldm
from diffilm_core.models import UNet
from diffilm_core.models.motion import put_motion
from diffilm_core.sampling import (
    Denoiser,
    Guidance,
    NoiseSchedule,
    sample_ddim,
    sample_euler,
    sample_lcm,
    sigmas_for,
)
from tests.parity.test_animatediff import close, diffusers_unet, inputs, motion_of

diffusers = pytest.importorskip("diffusers")
SCHEDULE = NoiseSchedule.create("linear")
BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "linear"}
FRAMES, SIZE = 3, (9, 9)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, UNet]:
    peer = diffusers_unet(True)
    tensors = peer.state_dict()
    motion = {name: each for name, each in tensors.items() if ".motion_modules." in name}
    return peer, put_motion(unet_to_ldm({n: each for n, each in tensors.items() if n not in motion}), motion_of(motion))


def conditions() -> tuple[Tensor, Tensor, Tensor]:
    noise, _, context = inputs(1, FRAMES, SIZE)
    return noise, context, context.flip(1) * 0.7


def their_loop(peer: Any, scheduler: Any, noise: Tensor, context: Tensor, uncontext: Tensor, cfg: float) -> Tensor:
    """The pipeline's loop: guidance on the predicted noise, x scaled as the scheduler wants it."""
    x = noise * scheduler.init_noise_sigma
    generator = torch.Generator().manual_seed(5)
    extra = {"generator": generator} if isinstance(scheduler, diffusers.LCMScheduler) else {}
    with torch.no_grad():
        for t in scheduler.timesteps:
            scaled = scheduler.scale_model_input(x, t)
            texts = (context, uncontext) if cfg != 1 else (context,)
            eps, *free = (peer(scaled, t, each.repeat_interleave(FRAMES, 0)).sample for each in texts)
            x = scheduler.step(free[0] + cfg * (eps - free[0]) if free else eps, t, x, **extra, return_dict=False)[0]
    return x


def ours(unet: UNet, context: Tensor, uncontext: Tensor, cfg: float) -> Guidance:
    return Guidance(Denoiser(unet, SCHEDULE, "eps"), {"context": context}, {"context": uncontext}, cfg)


def test_the_noise_levels_are_the_published_ones():
    assert abs(SCHEDULE.sigma_max - 25.146) < 1e-3


def test_20_steps_of_ddim(pair):
    peer, unet = pair
    noise, context, uncontext = conditions()
    scheduler = diffusers.DDIMScheduler(**BETAS, steps_offset=1, clip_sample=False)
    scheduler.set_timesteps(20)
    theirs = their_loop(peer, scheduler, noise, context, uncontext, 8.0)
    sigmas = sigmas_for(SCHEDULE, 20, "ddim_uniform")
    mine = sample_ddim(ours(unet, context, uncontext, 8.0), noise * (1 + sigmas[0] ** 2).sqrt(), sigmas)
    assert len(sigmas) == 21 and close(mine, theirs) < 1e-4


@pytest.mark.parametrize("steps", [1, 4, 6])
def test_lcm(pair, steps):
    peer, unet = pair
    noise, context, uncontext = conditions()
    scheduler = diffusers.LCMScheduler(**BETAS, clip_sample=False)
    scheduler.set_timesteps(steps)
    theirs = their_loop(peer, scheduler, noise, context, uncontext, 1.5)
    sigmas = sigmas_for(SCHEDULE, steps, "lcm")
    assert torch.allclose(SCHEDULE.timestep(sigmas[:-1]).round().long(), scheduler.timesteps)
    generator = torch.Generator().manual_seed(5)
    mine = sample_lcm(
        ours(unet, context, uncontext, 1.5), noise * (1 + sigmas[0] ** 2).sqrt(), sigmas,
        noise=lambda _: torch.randn(noise.shape, generator=generator),
    )  # fmt: skip
    assert close(mine, theirs) < 1e-4


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_lightning_is_euler_with_trailing_steps(pair, steps):
    peer, unet = pair
    noise, context, uncontext = conditions()
    scheduler = diffusers.EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    theirs = their_loop(peer, scheduler, noise, context, uncontext, 1.0)
    sigmas = sigmas_for(SCHEDULE, steps, "simple")
    assert torch.allclose(SCHEDULE.timestep(sigmas[:-1]).round(), scheduler.timesteps)
    mine = sample_euler(ours(unet, context, uncontext, 1.0), noise * sigmas[0], sigmas)
    assert close(mine, theirs) < 1e-4


def test_lcm_has_50_levels():
    with pytest.raises(Exception, match="51 steps of the lcm spacing; expected at most 50"):
        sigmas_for(SCHEDULE, 51, "lcm")

"""The discriminator's part of an autoencoder's loss: it learns to tell pictures, each half of the loss sends gradients
its own way, and its say is in proportion to the other losses' gradient; and jitter, the noise of latents beside it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from diffilm_core.errors import DiffilmError
from diffilm_core.models import AutoencoderConfig, AutoencoderKL
from diffilm_core.training.adversarial import WARMUP, Adversary, Discriminator
from diffilm_core.training.autoencoder import Reconstruct, ReconstructConfig


@pytest.fixture
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.rand(2, 3, 32, 48) * 2 - 1, torch.rand(2, 3, 32, 48) * 2 - 1


def test_a_discriminator_judges_patches(pictures) -> None:
    judge = Discriminator(16)
    assert judge(pictures[0]).shape == (2, 1, 6, 10)
    with torch.no_grad():
        for module in judge.modules():  # norms reach over the picture
            if isinstance(module, nn.GroupNorm):
                module.forward = lambda x: x
        before = judge(torch.zeros(1, 3, 128, 128))[0, 0, 14, 14]
        reach = torch.zeros(128)
        for at in range(128):
            spoilt = torch.zeros(1, 3, 128, 128)
            spoilt[..., at] = 5
            reach[at] = float(judge(spoilt)[0, 0, 14, 14] != before)
    assert reach.sum() == 34


def test_the_picture_loses_by_a_share_of_the_other_gradient(pictures) -> None:
    want, got = pictures
    adversary = Adversary(0.5, Discriminator(16))
    for calls, share in ((0, 0.0), (WARMUP // 2, 0.25), (WARMUP, 0.5), (9 * WARMUP, 0.5)):
        adversary.calls.fill_(calls)
        at = got.clone().requires_grad_(True)
        other = F.l1_loss(at, want)
        length = torch.autograd.grad(other, at, retain_graph=True)[0].norm()
        mine = torch.autograd.grad(adversary(at, want, other), at)[0]
        assert torch.allclose(mine.norm(), share * length, rtol=1e-4)
    told = torch.autograd.grad(-adversary.judge(at).mean(), at)[0]
    assert torch.cosine_similarity(mine.flatten(), told.flatten(), dim=0) > 0.9999


def test_the_discriminator_learns_by_its_own_half_alone(pictures) -> None:
    want, got = pictures
    adversary = Adversary(0.5, Discriminator(16))
    adversary.calls.fill_(WARMUP)
    at = got.clone().requires_grad_(True)
    adversary(at, want, F.l1_loss(at, want)).backward()
    found = [parameter.grad.clone() for parameter in adversary.parameters()]
    adversary.zero_grad()
    hinge = (F.relu(1 - adversary.judge(want)).mean() + F.relu(1 + adversary.judge(got)).mean()) / 2
    hinge.backward()
    for one, parameter in zip(found, adversary.parameters(), strict=True):
        assert torch.allclose(one, parameter.grad, atol=1e-7)


def test_it_brings_back_the_sharpness_that_the_mean_of_many_lacks() -> None:
    """What is to be drawn is unknown but for its kind: L1 alone draws it grey."""
    torch.manual_seed(0)

    def drawn(weight: float) -> float:
        torch.manual_seed(1)
        net = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 3, 3, padding=1))
        adversary = Adversary(weight, Discriminator(16))
        optimizer = torch.optim.Adam([*net.parameters(), *adversary.parameters()], 2e-3, (0.5, 0.9))
        for _ in range(200):
            want = torch.rand(4, 1, 32, 32).gt(0.5).float().mul(2).sub(1).expand(-1, 3, -1, -1)
            got = net(torch.randn(4, 3, 32, 32))
            loss = F.l1_loss(got, want)
            optimizer.zero_grad()
            (loss + adversary(got, want, loss)).backward()
            optimizer.step()
        return float(net(torch.randn(4, 3, 32, 32)).detach().abs().mean())

    assert drawn(2.0) > 2 * drawn(0.0)


def test_where_no_gradients_are_wanted_it_says_nothing(pictures) -> None:
    adversary = Adversary(0.5, Discriminator(16))
    with torch.no_grad():
        assert adversary(*pictures, F.l1_loss(*pictures)) == 0
    assert adversary.calls == 0


def test_jitter_is_noise_of_the_latents_of_another_size_for_each_picture() -> None:
    torch.manual_seed(0)
    vae = AutoencoderKL(AutoencoderConfig(ch=32, ch_mult=(1, 1), num_res_blocks=1, scale_factor=0.5)).eval()
    seen = []
    vae.post_quant_conv.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    pixels = torch.rand(1, 3, 16, 16).expand(256, -1, -1, -1) * 2 - 1
    noise = torch.randn(256, 4, 8, 8)
    with torch.no_grad():
        for jitter in (0.0, 0.15):
            Reconstruct(vae, 0.0, jitter=jitter)(pixels, noise)
    more = (seen[1] - seen[0]) / noise * vae.config.scale_factor  # of scaled latents
    each = more.mean((1, 2, 3), keepdim=True)
    assert torch.allclose(more, each.expand_as(more), atol=1e-2) and each.min() >= 0
    assert abs(float(each.square().mean().sqrt()) - 0.15) < 0.02 and each.std() > 0.05


def test_a_weight_below_nothing_is_an_error() -> None:
    with pytest.raises(DiffilmError, match="adversarial -1"):
        ReconstructConfig(adversarial=-1)

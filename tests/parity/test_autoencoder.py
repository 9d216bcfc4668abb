"""Proves that the autoencoder equals diffusers' AutoencoderKL on the same random weights, at any decode batch."""

from __future__ import annotations

import re

import pytest
import torch

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import decode
from diffilm_core.models import AutoencoderConfig, AutoencoderKL

CONFIG = AutoencoderConfig(ch=32, ch_mult=(1, 2, 2), num_res_blocks=1, z_channels=4, scale_factor=0.5)


def to_diffusers(name: str, levels: int) -> str:
    """The name that diffusers gives to one of our tensors."""
    name = re.sub(r"mid\.block_(\d)", lambda m: f"mid_block.resnets.{int(m[1]) - 1}", name)
    name = name.replace("mid.attn_1.", "mid_block.attentions.0.")
    if "attentions" in name:
        for a, b in (
            (".norm.", ".group_norm."),
            (".q.", ".to_q."),
            (".k.", ".to_k."),
            (".v.", ".to_v."),
            (".proj_out.", ".to_out.0."),
        ):
            name = name.replace(a, b)
    name = re.sub(r"down\.(\d+)\.block", r"down_blocks.\1.resnets", name)
    name = re.sub(r"down\.(\d+)\.downsample", r"down_blocks.\1.downsamplers.0", name)
    name = re.sub(r"up\.(\d+)\.block", lambda m: f"up_blocks.{levels - 1 - int(m[1])}.resnets", name)
    name = re.sub(r"up\.(\d+)\.upsample", lambda m: f"up_blocks.{levels - 1 - int(m[1])}.upsamplers.0", name)
    return name.replace("nin_shortcut", "conv_shortcut").replace("norm_out", "conv_norm_out")


@pytest.fixture(scope="module")
def pair():
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    ours = AutoencoderKL(CONFIG).eval()
    peer = diffusers.AutoencoderKL(
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
    ).eval()
    tensors = {to_diffusers(name, 3): t for name, t in ours.state_dict().items()}
    shapes = {name: t.shape for name, t in peer.state_dict().items()}
    peer.load_state_dict({n: t.reshape(shapes[n]) for n, t in tensors.items()})
    return ours, peer


@torch.no_grad()
def test_encode_and_decode_equal_diffusers(pair):
    ours, peer = pair
    pixels, latents = torch.rand(2, 3, 24, 40) * 2 - 1, torch.randn(2, 4, 5, 7)
    mean, logvar = ours.moments(pixels)
    theirs = peer.encode(pixels).latent_dist
    assert torch.allclose(mean, theirs.mean, atol=1e-5) and torch.allclose(logvar, theirs.logvar, atol=1e-5)
    assert torch.allclose(ours.encode(pixels), theirs.mean * 0.5, atol=1e-5)
    assert torch.allclose(ours.decode(latents), peer.decode(latents / 0.5).sample, atol=1e-5)


@torch.no_grad()
def test_a_frame_is_the_same_to_the_bit_among_any_others(pair):
    ours, _ = pair
    latents = torch.randn(4, 7, 4, 4)  # c, t, h, w
    whole = decode(ours, latents, 8).collect()
    for chunk in (1, 3, 4, 8):
        assert torch.equal(whole, decode(ours, latents, 8, chunk=chunk).collect())
    assert torch.equal(whole[:5], decode(ours, latents[:, :5], 8).collect())
    assert whole.shape == (7, 16, 16, 3)


def test_a_size_that_does_not_divide_is_refused(pair):
    with pytest.raises(DiffilmError, match="must divide by 4"):
        pair[0].encode(torch.zeros(1, 3, 30, 32))

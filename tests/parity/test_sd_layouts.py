"""Proves that the image UNets of Stable Diffusion 1.x and 2.x load from every layout and equal diffusers' there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from diffilm_core.checkpoints import inspect, load_unet
from diffilm_core.checkpoints.names import unet_to_ldm
from diffilm_core.errors import DiffilmError

KEYS = Path(__file__).parents[1] / "keys"
TINY = {
    "sd1": dict(attention_head_dim=8, cross_attention_dim=48, block_out_channels=(32, 64, 64)),
    "sd2": dict(
        attention_head_dim=(1, 2, 2), cross_attention_dim=64, block_out_channels=(64, 128, 128),
        use_linear_projection=True,
    ),
}  # fmt: skip
FULL = {
    "sd1": (dict(cross_attention_dim=768, attention_head_dim=8), 859_520_964),
    "sd2": (
        dict(cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True), 865_910_724
    ),
}  # fmt: skip
LAYOUTS = {
    "model.diffusion_model.": "ldm",
    "ldm": "ldm",
    "diffusers": "diffusers",
    "unet.": "diffusers",
    "module.": "ldm",
}


def peer_of(**options):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    levels = len(options.get("block_out_channels", (1, 1, 1, 1)))
    return diffusers.UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        **options,
    ).eval()


def in_layout(peer, layout):
    tensors = peer.state_dict() if LAYOUTS[layout] == "diffusers" else unet_to_ldm(peer.state_dict())
    prefix = layout if layout.endswith(".") else ""
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("system", TINY)
@pytest.mark.parametrize("layout", LAYOUTS)
@torch.no_grad()
def test_every_layout_equals_diffusers(system, layout):
    peer = peer_of(**TINY[system])
    unet = load_unet(in_layout(peer, layout))
    assert (unet.system, unet.layout) == (system, LAYOUTS[layout])
    for batch, frames, size in ((1, 1, (16, 16)), (2, 2, (9, 11))):
        x, context = torch.randn(batch, 4, frames, *size), torch.randn(batch, 7, unet.config.context_dim)
        t = torch.randint(1000, (batch,)).float()
        ours = unet(x, t, context)
        for frame in range(frames):
            theirs = peer(x[:, :, frame], t, context).sample
            assert float((ours[:, :, frame] - theirs).abs().max() / theirs.abs().max()) < 1e-5


@pytest.mark.parametrize("system", FULL)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_is_consumed_at_full_size(system, layout):
    options, parameters = FULL[system]
    with torch.device("meta"):
        tensors = in_layout(peer_of(**options), layout)
    info = inspect(tensors)
    assert info.missing == info.unexpected == []
    part = info.parts[0]
    assert (part.system, part.layout, part.parameters) == (system, LAYOUTS[layout], parameters)


def test_sdxl_is_named_and_refused():
    with torch.device("meta"):
        tensors = peer_of(**FULL["sd2"][0]).state_dict() | {"add_embedding.linear_1.weight": torch.empty(1280, 2816)}
    for load in (inspect, load_unet):
        with pytest.raises(DiffilmError, match="a UNet of SDXL, which Diffilm does not run"):
            load(tensors)


@pytest.mark.parametrize("system", FULL)
def test_the_published_single_file_by_its_names(system):
    """keys/sd*.txt: the UNet and the autoencoder as ComfyUI's own classes name them."""
    tensors = {}
    for line in (KEYS / f"{system}.txt").read_text("utf-8").splitlines():
        name, shape = line.split(" ", 1)
        tensors[name] = torch.empty(ast.literal_eval(shape), device="meta")
    info = inspect(tensors)
    assert [(part.role, part.system, part.layout) for part in info.parts] == [
        ("unet", system, "ldm"),
        ("vae", system, "ldm"),
    ]
    assert info.missing == info.unexpected == []
    assert sum(part.parameters for part in info.parts) == sum(tensor.numel() for tensor in tensors.values())

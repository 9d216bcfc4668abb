"""Proves that Stable Video Diffusion's UNet is diffusers' (its ResBlock norms set to 1e-5, as the original's are) to
1e-5 in fp32 for 1 to 14 frames, and that every tensor of both layouts is consumed at full size."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffilm_core.checkpoints import inspect, load_unet, svd
from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet

diffusers = pytest.importorskip("diffusers")
KEYS = Path(__file__).parents[1] / "keys"
PARAMETERS = 1_524_623_082
TINY: dict[str, Any] = {
    "block_out_channels": (64, 128, 128),
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal",) * 2 + ("DownBlockSpatioTemporal",),
    "up_block_types": ("UpBlockSpatioTemporal",) + ("CrossAttnUpBlockSpatioTemporal",) * 2,
    "num_attention_heads": (1, 2, 2),
    "cross_attention_dim": 48,
    "layers_per_block": 1,
}


def reference(options: dict[str, Any] | None = None) -> Any:
    """Their UNet with random weights, the zero-initialised and the blends too."""
    torch.manual_seed(0)
    unet = diffusers.UNetSpatioTemporalConditionModel(**(options or TINY)).eval().requires_grad_(False)
    for module in unet.modules():
        if type(module).__name__ in ("ResnetBlock2D", "TemporalResnetBlock"):
            module.norm1.eps = module.norm2.eps = 1e-5
    for parameter in unet.parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return unet


def ours_of(peer: Any) -> UNet:
    tensors = svd.find_diffusers(peer.state_dict())
    assert tensors is not None
    unet = UNet(svd.config(tensors))
    unet.load_state_dict(tensors)
    return unet.eval().requires_grad_(False)


def inputs(batch: int, frames: int, size: tuple[int, int], width: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, frames, *size, generator=generator)
    concat = torch.randn(batch, 4, frames, *size, generator=generator)
    context = torch.randn(batch, 1, width, generator=generator)
    ids = torch.tensor([[5.0, 127.0, 0.02], [7.0, 40.0, 0.1]])
    return x, concat, torch.linspace(-1.5, 1.6, batch), context, ids[:batch]


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def compare(peer: Any, unet: UNet, batch: int, frames: int, size: tuple[int, int]) -> float:
    x, concat, t, context, ids = inputs(batch, frames, size, unet.config.context_dim)
    whole = torch.cat([x, concat], dim=1)
    with torch.no_grad():
        theirs = peer(whole.transpose(1, 2), t, context, ids).sample.transpose(1, 2)
        ours = unet(x, t, context, concat=concat, time_ids=ids)
        assert torch.equal(ours, unet(whole, t, context, time_ids=ids))
    return distance(ours, theirs)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, UNet]:
    peer = reference()
    return peer, ours_of(peer)


@pytest.mark.parametrize("frames", [1, 2, 7, 16])
@pytest.mark.parametrize(("batch", "size"), [(1, (8, 8)), (2, (4, 12))])
def test_unet_is_theirs(pair: tuple[Any, UNet], frames: int, batch: int, size: tuple[int, int]) -> None:
    assert compare(*pair, batch, frames, size) <= 1e-5


def test_clips_of_a_batch_do_not_see_each_other(pair: tuple[Any, UNet]) -> None:
    _, unet = pair
    x, concat, t, context, ids = inputs(2, 3, (8, 8), 48)
    with torch.no_grad():
        both = unet(x, t, context, concat=concat, time_ids=ids)
        second = unet(x[1:], t[1:], context[1:], concat=concat[1:], time_ids=ids[1].tolist())
    assert distance(both[1:], second) <= 1e-5


def test_the_time_attention_sees_the_first_frames_context(pair: tuple[Any, UNet]) -> None:
    _, unet = pair
    x, concat, t, context, ids = inputs(2, 3, (8, 8), 48)
    each = context.repeat_interleave(3, 0)
    with torch.no_grad():
        once = unet(x, t, context, concat=concat, time_ids=ids)
        assert distance(unet(x, t, each, concat=concat, time_ids=ids), once) <= 1e-5
        each[0] += 1
        first = unet(x, t, each, concat=concat, time_ids=ids)
    assert distance(first[:1], once[:1]) > 1e-4 and distance(first[1:], once[1:]) <= 1e-5


def test_frames_that_are_images_have_no_time(pair: tuple[Any, UNet]) -> None:
    _, unet = pair
    x, concat, t, context, ids = inputs(1, 3, (8, 8), 48)
    rest = {"concat": concat, "time_ids": ids}
    with torch.no_grad():
        moving = unet(x, t, context, image_only=torch.zeros(1, 3), **rest)
        still = unet(x, t, context, image_only=torch.ones(1, 3), **rest)
        flipped = unet(x.flip(2), t, context, image_only=torch.ones(1, 3), concat=concat.flip(2), time_ids=ids)
        assert torch.equal(moving, unet(x, t, context, **rest))
    assert distance(flipped.flip(2), still) <= 1e-5 and distance(still, moving) > 1e-3


def test_odd_sizes_and_wrong_conditions(pair: tuple[Any, UNet]) -> None:
    _, unet = pair
    x, concat, t, context, ids = inputs(1, 2, (7, 9), 48)
    with torch.no_grad():
        assert unet(x, t, context, concat=concat, time_ids=ids).shape == x.shape
    with pytest.raises(DiffilmError, match="got 2 time ids, expected 3"):
        unet(x, t, context, concat=concat, time_ids=(5.0, 127.0))
    with pytest.raises(DiffilmError, match=r"expected \(batch, 8, frames"):
        unet(x, t, context, time_ids=ids)


def published(name: str) -> dict[str, Tensor]:
    """The tensors of a list of names and shapes, on the meta device."""
    lines = (line.split(" ", 1) for line in (KEYS / name).read_text().splitlines())
    return {name: torch.empty(ast.literal_eval(shape), device="meta") for name, shape in lines}


def test_relatives_are_refused(pair: tuple[Any, UNet]) -> None:
    tensors = dict(pair[1].state_dict())
    tensors["label_emb.0.0.weight"] = torch.zeros(tensors["label_emb.0.0.weight"].shape[0], 256)
    with pytest.raises(DiffilmError, match=r"told 256 numbers, expected 768.*SV3D"):
        load_unet({f"model.diffusion_model.{name}": tensor for name, tensor in tensors.items()})


@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_every_tensor_is_consumed_at_full_size(layout: str) -> None:
    if layout == "original":
        tensors = svd.find_original({f"model.diffusion_model.{n}": t for n, t in published("svd.txt").items()})
    else:
        tensors = svd.find_diffusers(published("svd_diffusers.txt"))
    assert tensors is not None
    wanted = UNet(svd.config(tensors), device="meta").state_dict()
    assert {n: t.shape for n, t in tensors.items()} == {n: t.shape for n, t in wanted.items()}
    assert sum(t.numel() for t in wanted.values()) == PARAMETERS


@pytest.mark.slow
def test_full_size_unet_is_theirs() -> None:
    peer = reference({"num_attention_heads": (5, 10, 20, 20)})
    tensors = svd.find_diffusers(peer.state_dict())
    assert tensors is not None
    with torch.device("meta"):
        unet = UNet(svd.config(tensors))
    unet.load_state_dict(tensors, assign=True)
    assert compare(peer, unet.eval().requires_grad_(False), 1, 3, (8, 16)) <= 1e-5


def single_file() -> dict[str, Tensor]:
    """The published single file on the meta device, with the copies that are of no use and the text tower's rests."""
    vae = published("svd_vae.txt")
    plain = {n: t for n, t in vae.items() if ".time_" not in n and not n.endswith("mix_factor")}
    made = {f"model.diffusion_model.{n}": t for n, t in published("svd.txt").items()}
    made |= {f"first_stage_model.{n}": t for n, t in vae.items()}
    made |= {f"conditioner.embedders.3.encoder.{n}": t for n, t in plain.items()}
    for name, width in (("quant_conv", 8), ("post_quant_conv", 4)):
        made[f"conditioner.embedders.3.encoder.{name}.weight"] = torch.empty(width, width, 1, 1, device="meta")
        made[f"conditioner.embedders.3.encoder.{name}.bias"] = torch.empty(width, device="meta")
    visual = "conditioner.embedders.0.open_clip.model."
    made |= {f"{visual}visual.{n}": t for n, t in published("svd_vision.txt").items()}
    made[f"{visual}token_embedding.weight"] = torch.empty(49408, 1024, device="meta")
    return made


def test_the_single_file_is_known() -> None:
    info = inspect(single_file())
    assert info.system == "svd" and not info.missing and not info.unexpected
    found = {part.role: (part.system, part.layout, part.parameters) for part in info.parts}
    assert found == {
        "unet": ("svd", "original", PARAMETERS),
        "vae": ("svd", "original", 97_742_847),
        "image_encoder": ("svd", "open_clip", 632_076_800),
    }


def test_the_diffusers_folder_is_known() -> None:
    tensors = {f"unet.{n}": t for n, t in published("svd_diffusers.txt").items()}
    tensors |= {f"vae.{n}": t for n, t in published("svd_vae_diffusers.txt").items()}
    info = inspect(tensors)
    assert info.system == "svd" and not info.missing and not info.unexpected
    assert [(part.role, part.layout, part.parameters) for part in info.parts] == [
        ("unet", "diffusers", PARAMETERS),
        ("vae", "diffusers", 97_742_847),
    ]


def test_load_unet_gives_the_reference(pair: tuple[Any, UNet]) -> None:
    peer, unet = pair
    loaded = load_unet(peer.state_dict())
    assert loaded.system == "svd"
    assert compare(peer, loaded, 1, 2, (4, 4)) <= 1e-5
    whole = {f"model.diffusion_model.{n}": t for n, t in unet.state_dict().items()}
    assert compare(peer, load_unet(whole), 1, 2, (4, 4)) <= 1e-5

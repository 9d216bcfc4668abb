"""Proves that the UNet of Video Diffusion Models and its sampling are video-diffusion-pytorch's, with both norms."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diffilm_core.models.vdm import VDMConfig, VDMUNet


@pytest.fixture(scope="module")
def published() -> Any:
    """`video_diffusion_pytorch`; torchvision, which only its data set needs, is stood in for where it is not there."""
    if importlib.util.find_spec("torchvision") is None:
        transforms, fake = types.SimpleNamespace(ToTensor=object), types.ModuleType("torchvision")
        fake.__dict__.update(transforms=transforms, utils=None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "torchvision", fake)
            return pytest.importorskip("video_diffusion_pytorch.video_diffusion_pytorch")
    return pytest.importorskip("video_diffusion_pytorch.video_diffusion_pytorch")


def pair(published: Any, norm: str, monkeypatch: pytest.MonkeyPatch, **shape: Any) -> tuple[Any, VDMUNet]:
    """Theirs and ours with the same random weights."""
    torch.manual_seed(0)
    if norm == "group" and hasattr(published, "RMSNorm"):  # what Block had up to 0.6.3
        monkeypatch.setattr(published, "RMSNorm", lambda dim: nn.GroupNorm(8, dim))
    theirs = published.Unet3D(**shape).eval()
    with torch.no_grad():
        for name, value in theirs.named_parameters():
            if not name.endswith("rotary_emb.freqs"):
                value.add_(torch.randn_like(value) * 0.05)
    config = VDMConfig(
        dim=shape["dim"], dim_mults=shape.get("dim_mults", (1, 2, 4, 8)), norm=norm,
        cond_dim=768 if shape.get("use_bert_text_cond") else shape.get("cond_dim"),
        channels=shape.get("channels", 3), out_channels=shape.get("channels", 3),
        heads=shape.get("attn_heads", 8), head_dim=shape.get("attn_dim_head", 32),
        linear_attention=shape.get("use_sparse_linear_attn", True),
    )  # fmt: skip
    ours = VDMUNet(config).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def relative(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("norm", ["rms", "group"])
@pytest.mark.parametrize(("batch", "frames", "size"), [(1, 1, 8), (2, 2, 16), (1, 7, 24), (2, 16, 8)])
@torch.inference_mode()
def test_unet(
    published: Any, norm: str, batch: int, frames: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = pair(published, norm, monkeypatch, dim=16, dim_mults=(1, 2, 4), cond_dim=12)
    x, time = torch.randn(batch, 3, frames, size, size + 4), torch.randint(0, 1000, (batch,))
    caption = torch.randn(batch, 12)
    assert relative(ours(x, time, caption[:, None]), theirs(x, time, cond=caption)) <= 1e-5
    null = theirs(x, time, cond=caption, null_cond_prob=1.0)
    assert relative(ours(x, time, None), null) <= 1e-5
    assert relative(ours(x, time, caption, drop=torch.ones(batch, dtype=torch.bool)), null) <= 1e-5


@pytest.mark.parametrize(
    "shape",
    [
        {"attn_heads": 4, "attn_dim_head": 16},
        {"attn_heads": 2, "attn_dim_head": 48},
        {"use_sparse_linear_attn": False, "channels": 1},
    ],
)
@torch.inference_mode()
def test_unet_of_another_shape(published: Any, shape: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = pair(published, "rms", monkeypatch, dim=16, dim_mults=(1, 2), **shape)
    x, time = torch.randn(2, shape.get("channels", 3), 5, 8, 12), torch.tensor([3, 999])
    assert relative(ours(x, time), theirs(x, time)) <= 1e-5


@torch.inference_mode()
def test_frames_that_see_themselves_alone(published: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = pair(published, "rms", monkeypatch, dim=16, dim_mults=(1, 2))
    x, time, focus = torch.randn(2, 3, 6, 8, 8), torch.tensor([10, 500]), torch.tensor([True, False])
    wanted = theirs(x, time, focus_present_mask=focus)
    assert relative(ours(x, time, focus_present=focus), wanted) <= 1e-5
    assert relative(ours(x, time), wanted) > 1e-3


@pytest.mark.slow
@torch.inference_mode()
def test_unet_at_full_size(published: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = pair(published, "rms", monkeypatch, dim=64, use_bert_text_cond=True)
    x, time, caption = torch.randn(1, 3, 10, 64, 64), torch.tensor([700]), torch.randn(1, 768)
    assert relative(ours(x, time, caption[:, None]), theirs(x, time, cond=caption)) <= 1e-5


def test_the_published_shape_has_41_8_million_parameters(published: Any) -> None:
    ours, theirs = VDMUNet(VDMConfig(), device="meta"), published.Unet3D(dim=64, use_bert_text_cond=True)
    assert sum(value.numel() for value in ours.parameters()) == pytest.approx(41.8e6, abs=0.1e6)
    shapes = [{name: tuple(value.shape) for name, value in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]

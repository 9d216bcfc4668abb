"""Proves that the UNet equals diffusers' on the same random weights and that inflating it changes no frame."""

from __future__ import annotations

import pytest
import torch

from diffilm_core.checkpoints.config import unet_config
from diffilm_core.checkpoints.names import unet_to_ldm
from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet, inflate, is_temporal

SD1 = dict(attention_head_dim=8, cross_attention_dim=48, use_linear_projection=False)
SD2 = dict(attention_head_dim=(1, 2, 2), cross_attention_dim=64, use_linear_projection=True)


def reference(heads: dict, widths: tuple[int, ...], layers: int = 2) -> torch.nn.Module:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    levels = len(widths)
    return diffusers.UNet2DConditionModel(
        sample_size=16,
        block_out_channels=widths,
        layers_per_block=layers,
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        **heads,
    ).eval()


def close(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize(
    "heads, widths, layers", [(SD1, (32, 64, 128), 2), (SD2, (64, 128, 128), 2), (SD1, (32, 64), 1)]
)
@pytest.mark.parametrize("size", [(16, 16), (12, 20), (9, 11)])
def test_image_unet_equals_diffusers(heads, widths, layers, size):
    peer = reference(heads, widths, layers)
    unet = inflate(peer.state_dict())
    x, t = torch.randn(2, 4, 3, *size), torch.tensor([17.0, 801.0])
    context = torch.randn(2, 7, heads["cross_attention_dim"])
    with torch.no_grad():
        ours = unet(x, t, context, enable_time=False)
        for frame in range(3):
            assert close(ours[:, :, frame], peer(x[:, :, frame], t, context).sample) < 1e-5


@pytest.mark.parametrize("heads, widths", [(SD1, (32, 64, 128)), (SD2, (64, 128, 128))])
def test_inflated_equals_image_model_on_every_frame(heads, widths):
    unet = inflate(reference(heads, widths).state_dict())
    x, t = torch.randn(2, 4, 5, 16, 16), torch.tensor([17.0, 801.0])
    context = torch.randn(2, 7, heads["cross_attention_dim"])
    with torch.no_grad():
        video = unet(x, t, context, fps=torch.tensor([4.0, 12.0]))
        image = unet(x, t, context, enable_time=False)
    assert float((video - image).abs().max()) <= 1e-6


def test_temporal_layers_do_something_once_they_are_not_the_identity():
    unet = inflate(reference(SD1, (32, 64)).state_dict())
    for parameter in unet.temporal_parameters().values():
        torch.nn.init.normal_(parameter, std=0.05)
    x, t, context = torch.randn(1, 4, 5, 8, 8), torch.tensor([100.0]), torch.randn(1, 7, 48)
    with torch.no_grad():
        a = unet(x, t, context, fps=8.0)
        assert close(unet(x, t, context, enable_time=False), a) > 1e-2
        assert close(unet(x, t, context, fps=16.0), a) > 1e-4
        assert close(unet(x.flip(2), t, context, fps=8.0).flip(2), a) > 1e-3


def test_one_context_a_frame_equals_one_context_a_clip():
    unet = inflate(reference(SD1, (32, 64)).state_dict())
    x, t, context = torch.randn(2, 4, 3, 8, 8), torch.tensor([100.0, 5.0]), torch.randn(2, 7, 48)
    with torch.no_grad():
        assert close(unet(x, t, context.repeat_interleave(3, 0)), unet(x, t, context)) < 1e-5


def test_names_from_whole_checkpoints_and_prefixes():
    tensors = unet_to_ldm(reference(SD1, (32, 64, 128)).state_dict())
    whole = {f"model.diffusion_model.{name}": t for name, t in tensors.items()}
    whole["first_stage_model.encoder.conv_in.weight"] = torch.zeros(1)
    again = inflate(whole)
    assert all(torch.equal(again.state_dict()[name], t) for name, t in tensors.items())
    assert {n for n in again.state_dict() if not is_temporal(n)} == set(tensors)


def test_full_size_sd_names_and_shapes_on_the_meta_device():
    diffusers = pytest.importorskip("diffusers")
    for options, heads in (
        (dict(cross_attention_dim=768, attention_head_dim=8), 8),
        (dict(cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True), 5),
    ):
        with torch.device("meta"):
            peer = diffusers.UNet2DConditionModel(sample_size=64, **options)
        tensors = unet_to_ldm(peer.state_dict())
        config = unet_config(tensors)
        assert config.heads(320) == heads
        ours = UNet(config, device="meta").state_dict()
        assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in tensors.items()}


def test_what_is_no_unet_is_refused():
    with pytest.raises(DiffilmError, match="no Stable Diffusion UNet"):
        inflate({"layer.weight": torch.zeros(3)})
    tensors = unet_to_ldm(reference(SD1, (32, 64)).state_dict())
    tensors.pop("middle_block.0.in_layers.2.weight")
    with pytest.raises(DiffilmError, match=r"missing middle_block\.0\.in_layers\.2\.weight"):
        inflate(tensors)
    with pytest.raises(DiffilmError, match="text conditioning of shape"):
        unet = inflate(reference(SD1, (32, 64)).state_dict())
        unet(torch.randn(1, 4, 2, 8, 8), torch.tensor([1.0]), torch.randn(1, 7, 49))

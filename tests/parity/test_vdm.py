"""Proves that the UNet of Video Diffusion Models and its sampling are video-diffusion-pytorch's, with both norms."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diffilm_core.errors import DiffilmError
from diffilm_core.models.vdm import VDMConfig, VDMUNet
from diffilm_core.sampling import Denoiser, Guidance, sample_euler_ancestral, vdm
from diffilm_core.sampling.vdm import Thresholded, sample_vdm, thresholded, vdm_loss, vdm_schedule


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
def test_unet(published: Any, norm: str, batch: int, frames: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize(
    ("steps", "percentile", "cfg"), [(50, None, 1.0), (50, None, 2.5), (50, 0.9, 2.5), (12, 0.7, 4.0)]
)
def test_trajectory(
    published: Any, steps: int, percentile: float | None, cfg: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step of a schedule of `steps`, with the same noise, against GaussianDiffusion's own loop."""
    theirs, ours = pair(published, "rms", monkeypatch, dim=16, dim_mults=(1, 2), cond_dim=12)
    diffusion = published.GaussianDiffusion(
        theirs, image_size=8, num_frames=4, timesteps=steps, use_dynamic_thres=percentile is not None,
        dynamic_thres_percentile=percentile or 0.9,
    )  # fmt: skip
    noise, caption = torch.randn(steps + 1, 1, 3, 4, 8, 8), torch.randn(1, 12)
    drawn = iter(noise[1:])
    monkeypatch.setattr(torch, "randn", lambda *_, **__: noise[0])
    monkeypatch.setattr(torch, "randn_like", lambda *_, **__: next(drawn))
    monkeypatch.setattr(published, "tqdm", lambda steps, **_: steps)
    wanted = diffusion.p_sample_loop((1, 3, 4, 8, 8), cond=caption, cond_scale=cfg)
    monkeypatch.undo()
    found = sample_vdm(
        ours, caption[:, None], shape=(3, 4, 8, 8), seed=0, cfg=cfg, percentile=percentile,
        schedule=vdm_schedule(steps), noise=noise[0, 0], step_noise=lambda step: noise[step + 1],
    )  # fmt: skip
    assert wanted.std() > 0.05
    assert relative(found[None], wanted) <= 1e-4


def test_the_last_50_of_1000_steps(published: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = pair(published, "group", monkeypatch, dim=16, dim_mults=(1, 2), cond_dim=12)
    diffusion = published.GaussianDiffusion(theirs, image_size=8, num_frames=4)
    schedule = vdm_schedule()
    kept = schedule.alphas_cumprod
    assert torch.allclose(diffusion.alphas_cumprod.double(), kept, rtol=1e-6, atol=1e-12)
    noise, caption = torch.randn(50, 1, 3, 4, 8, 8), torch.randn(1, 12)
    wanted = torch.randn(1, 3, 4, 8, 8)
    sigmas = torch.cat([schedule.sigmas[:50].flip(0), torch.zeros(1)])
    guided = Guidance(Denoiser(ours, schedule), {"context": caption[:, None]}, {"context": None}, 2.5)
    start = wanted / kept[49].sqrt().float()
    found = sample_euler_ancestral(Thresholded(guided), start, sigmas, noise=lambda step: noise[step])
    for step in range(50):
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randn_like", lambda *_, step=step, **__: noise[step])
            wanted = diffusion.p_sample(wanted, torch.tensor([49 - step]), cond=caption, cond_scale=2.5)
    assert relative(found, wanted) <= 1e-4


def test_training_drops_captions_at_its_rate_and_teaches_the_null_one() -> None:
    torch.manual_seed(0)
    unet = VDMUNet(VDMConfig(dim=16, dim_mults=(1, 2), cond_dim=12, caption_drop=0.25))
    x, time, caption = torch.randn(1, 3, 2, 8, 8).expand(400, -1, -1, -1, -1), torch.zeros(400), torch.ones(400, 1, 12)
    with torch.no_grad():
        dropped = (unet(x[:1], time[:1], None) - unet(x, time, caption)).abs().amax(dim=(1, 2, 3, 4)) < 1e-5
        assert 0.15 < float(dropped.float().mean()) < 0.35
        kept = unet.eval()(x[:8], time[:8], caption[:8]) - unet(x[:1], time[:1], None)
        assert bool((kept.abs().amax(dim=(1, 2, 3, 4)) > 1e-4).all())
    unet.train()
    vdm_loss(unet, torch.rand(16, 3, 2, 8, 8), vdm_schedule(), context=caption[:16]).backward()
    assert unet.null_cond_emb.grad is not None and float(unet.null_cond_emb.grad.abs().sum()) > 0


def test_dynamic_thresholds_are_those_of_torch_for_any_number_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    x0 = torch.randn(2, 3, 5, 7, 11) * 3
    whole = thresholded(x0, 0.9)
    monkeypatch.setattr(vdm, "QUANTILE_BLOCK", 10)
    assert torch.allclose(thresholded(x0, 0.9), whole, atol=1e-6)
    assert float(whole.abs().max()) <= 1 and float(thresholded(x0).abs().max()) == 1
    with pytest.raises(DiffilmError, match="percentile"):
        Thresholded(lambda x, sigma: x, 1.5)

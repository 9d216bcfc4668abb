"""Proves that AnimateDiff v1, v2 and v3 equal guoyww's code (where its repository is present) and diffusers' motion
UNet with its norms per frame, to 1e-5 in fp32, and that every tensor of both layouts is consumed at full size."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffilm_core.checkpoints import animatediff
from diffilm_core.checkpoints.names import unet_to_ldm
from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet, UNetConfig, inflate
from diffilm_core.models.motion import MotionLora, MotionModel, motion_strengths, put_lora, put_motion
from tests.parity import guoyww
from tests.published.animatediff import adapter_lora, diffusers_names, motion_lora, original

WIDTHS = (32, 64, 64, 64)
CONTEXT = 24
# at 1/8 size a norm group of these narrow networks needs more than one pixel, or rounding decides its sign
CASES = [(1, 1, (16, 16)), (2, 2, (9, 11)), (1, 7, (12, 10)), (2, 16, (9, 9)), (1, 16, (11, 13))]
KEYS = Path(__file__).parents[1] / "keys"


def motion_of(tensors: dict[str, Tensor], device: str = "cpu") -> MotionModel:
    found = animatediff.find_original(tensors) or animatediff.find_diffusers(tensors)
    assert found is not None
    model = MotionModel(animatediff.motion_config(found), device=device)
    model.load_state_dict(found)
    return model


def lora_of(tensors: dict[str, Tensor]) -> MotionLora:
    found = animatediff.find_lora(tensors)
    assert found is not None
    model = MotionLora(animatediff.lora_config(found))
    model.load_state_dict(found)
    return model


def image_unet(widths: tuple[int, ...] = WIDTHS, layers: int = 2) -> UNet:
    torch.manual_seed(0)
    mult = tuple(width // widths[0] for width in widths)
    config = UNetConfig(
        model_channels=widths[0], channel_mult=mult, num_res_blocks=layers, context_dim=CONTEXT,
        transformer_depth=(*[1] * (len(widths) - 1), 0),
    )  # fmt: skip
    return UNet(config).eval().requires_grad_(False)


def inputs(batch: int, frames: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, frames, *size, generator=generator)
    return x, torch.tensor([801.0, 17.0])[:batch], torch.randn(batch, 7, CONTEXT, generator=generator)


def close(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-9))


class FrameNorm(nn.GroupNorm):
    """A GroupNorm of (b, c, t, h, w) frame by frame."""

    def forward(self, x: Tensor) -> Tensor:
        rows = super().forward(x.transpose(1, 2).flatten(0, 1))
        return rows.unflatten(0, (x.shape[0], -1)).transpose(1, 2)


def diffusers_unet(mid_block: bool, widths: tuple[int, ...] = WIDTHS, layers: int = 2) -> Any:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    levels = len(widths) - 1
    unet = diffusers.UNetMotionModel(
        block_out_channels=widths, cross_attention_dim=CONTEXT, layers_per_block=layers, use_motion_mid_block=mid_block,
        down_block_types=("CrossAttnDownBlockMotion",) * levels + ("DownBlockMotion",),
        up_block_types=("UpBlockMotion",) + ("CrossAttnUpBlockMotion",) * levels,
    )  # fmt: skip
    for name, module in unet.named_modules():
        if name.split(".")[-2:-1] and name.endswith(".norm") and ".motion_modules." in name:
            module.__class__ = FrameNorm
    for name, parameter in unet.named_parameters():
        if ".motion_modules." in name and ".norm" not in name:
            nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.2)
    return unet.eval().requires_grad_(False)


@pytest.mark.parametrize("mid_block, batch, frames, size", [*((True, *case) for case in CASES), (False, *CASES[2])])
def test_equals_diffusers_with_its_norms_per_frame(mid_block, batch, frames, size):
    peer = diffusers_unet(mid_block)
    tensors = peer.state_dict()
    motion = {name: each for name, each in tensors.items() if ".motion_modules." in name}
    unet = put_motion(unet_to_ldm({n: each for n, each in tensors.items() if n not in motion}), motion_of(motion))
    x, t, context = inputs(batch, frames, size)
    with torch.no_grad():
        theirs = peer(x, t, context.repeat_interleave(frames, 0)).sample
        assert close(unet(x, t, context), theirs) < 1e-5
        if frames > 1:
            assert close(unet(x, t, context, enable_time=False), theirs) > 1e-3


@pytest.fixture(scope="module")
def their_unets(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        module = guoyww.load(tmp_path_factory.mktemp("guoyww"), patch)
        made = {}
        for version in ("v1", "v2", "v3"):
            torch.manual_seed(0)
            made[version] = guoyww.unet(module, version, block_out_channels=WIDTHS, cross_attention_dim=CONTEXT)
    for unet in made.values():
        for name, parameter in unet.named_parameters():
            if "temporal_transformer.proj_out" in name:
                nn.init.normal_(parameter, std=0.2)
    return made


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
@pytest.mark.parametrize("batch, frames, size", CASES)
def test_equals_guoyww(their_unets, version, batch, frames, size):
    peer = their_unets[version]
    tensors = peer.state_dict()
    motion = {name: each for name, each in tensors.items() if ".motion_modules." in name}
    length = 24 if version == "v1" else 32  # kept in the published files, though no longer in the code's state
    for name in [name for name in motion if name.endswith(".to_q.weight")]:
        pe = peer.get_submodule(name.removesuffix(".to_q.weight")).pos_encoder.pe
        assert pe.shape[1] == length
        motion[name.replace("to_q.weight", "pos_encoder.pe")] = pe
    loaded = motion_of(motion)
    assert loaded.config.joint_norms == (version == "v1") and loaded.config.mid_block == (version == "v2")
    unet = put_motion(unet_to_ldm({n: each for n, each in tensors.items() if n not in motion}), loaded)
    x, t, context = inputs(batch, frames, size)
    with torch.no_grad():
        theirs = peer(x, t, context).sample
        assert close(unet(x, t, context), theirs) < 1e-5


def test_chunks_of_pixels_change_nothing(monkeypatch):
    torch.manual_seed(3)
    unet = put_motion(image_unet(), motion_of(original("v3", WIDTHS)))
    x, t, context = inputs(2, 5, (16, 12))
    with torch.no_grad():
        whole = unet(x, t, context)
        monkeypatch.setattr("diffilm_core.models.temporal.animatediff.CHUNK", 5 * 32 * 8 * 7)
        assert close(unet(x, t, context), whole) < 1e-5


def test_motion_scale_is_a_number_or_one_a_frame():
    torch.manual_seed(3)
    unet = put_motion(image_unet(), motion_of(original("v3", WIDTHS)))
    x, t, context = inputs(2, 5, (16, 16))
    with torch.no_grad():
        plain, image = unet(x, t, context), unet(x, t, context, enable_time=False)
        assert close(unet(x, t, context, motion_scale=1.0), plain) < 1e-5
        assert close(unet(x, t, context, motion_scale=0.0), image) < 1e-6
        frames = torch.tensor([0.0, 0.5, 1.0, 1.0, 0.0])
        varied = unet(x, t, context, motion_scale=frames)
        assert torch.equal(unet(x, t, context, motion_scale=frames.expand(2, 5)), varied)
        assert close(varied[:, :, [0, 4]], image[:, :, [0, 4]]) < 1e-6
        assert close(varied[:, :, 2], plain[:, :, 2]) > 1e-4
        with pytest.raises(DiffilmError, match="expected one a frame"):
            unet(x, t, context, motion_scale=torch.ones(4))
        with pytest.raises(DiffilmError, match="a clip of 33 frames; this motion module counts to 32"):
            unet(torch.randn(1, 4, 33, 8, 8), t[:1], context[:1])


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "lcm"])
def test_both_layouts_give_the_same_model(version):
    torch.manual_seed(0)
    tensors = original(version, WIDTHS)
    expected = motion_of(tensors)
    assert expected.config.positions == {"v1": 24, "lcm": 64}.get(version, 32)
    for other in (diffusers_names(tensors), {f"module.{name}": each for name, each in tensors.items()}):
        again = motion_of(other)
        assert again.config == expected.config
        assert all(torch.equal(again.state_dict()[n], each) for n, each in expected.state_dict().items())


@pytest.mark.parametrize("name, parameters", [("animatediff_v2_diffusers", 453.2e6), ("animatediff_v3", 417.1e6)])
def test_every_tensor_of_the_published_layouts_at_full_size(name, parameters):
    lines = [line.split(" ", 1) for line in (KEYS / f"{name}.txt").read_text().splitlines()]
    tensors = {key: torch.empty(ast.literal_eval(shape), device="meta") for key, shape in lines}
    motion = motion_of(tensors, "meta")
    assert abs(sum(each.numel() for each in motion.parameters()) - parameters) < 1e5
    unet = put_motion(UNet(UNetConfig(), device="meta"), motion)
    temporal = {n: each.shape for n, each in unet.temporal_parameters().items()}
    assert temporal == {n: each.shape for n, each in motion.tensors().items()}
    held = sum(each.numel() for n, each in tensors.items() if not n.endswith(".pe"))
    assert held == sum(each.numel() for each in motion.parameters())
    with pytest.raises(RuntimeError, match="Missing key"):
        short = dict(tensors)
        short.pop(next(key for key in short if key.endswith("ff.net.2.bias")))
        motion_of(short, "meta")


def test_files_are_known_and_load(tmp_path):
    from diffilm_core.checkpoints import inspect, load_motion

    torch.manual_seed(0)
    files = {
        "motion.safetensors": ("motion", "original", original("v2", WIDTHS)),
        "diffusers.safetensors": ("motion", "diffusers", diffusers_names(original("v1", WIDTHS))),
        "lora.safetensors": ("lora", "lora", motion_lora("v2", WIDTHS)),
        "adapter.safetensors": ("lora", "lora", adapter_lora(WIDTHS, CONTEXT)),
    }
    for name, (role, layout, tensors) in files.items():
        save_file({key: each.contiguous() for key, each in tensors.items()}, str(tmp_path / name))
        info = inspect(tmp_path / name)
        assert (info.system, info.parts[0].role, info.parts[0].layout) == ("animatediff", role, layout)
        assert not info.missing and not info.unexpected
        loaded = load_motion(tmp_path / name)
        assert loaded.system == "animatediff" and isinstance(loaded, MotionModel if role == "motion" else MotionLora)
    torch.save({"state_dict": {f"module.{key}": each for key, each in tensors.items()}}, tmp_path / "adapter.ckpt")
    assert len(load_motion(tmp_path / "adapter.ckpt").state_dict()) == len(tensors)
    assert inspect(tmp_path / "motion.safetensors").config["motion"]["mid_block"]
    with pytest.raises(DiffilmError, match=r"xl\.safetensors: a motion model for SDXL"):
        save_file(original("v2", (32, 64, 64)), str(tmp_path / "xl.safetensors"))
        load_motion(tmp_path / "xl.safetensors")


def test_strengths_of_the_frames():
    assert motion_strengths("", 3, 0.5).tolist() == [0.5] * 3
    assert motion_strengths("1: 0, 3: 1", 6, 2.0).tolist() == [0.0, 0.0, 1.0, 2.0, 2.0, 2.0]
    assert motion_strengths("2:0.25", 3).tolist() == [0.25] * 3
    for wrong in ("1", "a: 1", "-1: 1", "1: nan", "1: x", "1.5: 1"):
        with pytest.raises(DiffilmError, match="expected frame: strength"):
            motion_strengths(wrong, 4)


def test_image_tensors_are_shared_not_copied():
    image = image_unet()
    unet = put_motion(image, motion_of(original("v3", WIDTHS)))
    theirs, ours = dict(image.named_parameters()), dict(unet.named_parameters())
    assert all(ours[name].data_ptr() == each.data_ptr() for name, each in theirs.items())


def merged(tensors: dict[str, Tensor], lora: dict[str, Tensor], strength: float) -> dict[str, Tensor]:
    """The LoRA added to the file's own tensors, as guoyww's loader adds it."""
    tensors = dict(tensors)
    for name, down in lora.items():
        if ".down." in name:
            target = name.replace("processor.", "").replace("_lora.down", "").replace("to_out.", "to_out.0.")
            tensors[target] = tensors[target] + strength * lora[name.replace(".down.", ".up.")] @ down
    return tensors


@pytest.mark.parametrize("style", ["original", "diffusers", "peft"])
def test_a_motion_lora_adds_its_product(style):
    torch.manual_seed(5)
    tensors, lora = original("v2", WIDTHS), motion_lora("v2", WIDTHS)
    expected = put_motion(image_unet(), motion_of(merged(tensors, lora, 0.7)))
    if style != "original":
        lora = {f"unet.{name}": each for name, each in diffusers_names(lora).items()}
    if style == "peft":
        lora = {
            n.replace(".processor", "").replace("_lora.down", ".lora_A").replace("_lora.up", ".lora_B").replace(
                ".to_out.", ".to_out.0."
            ): each
            for n, each in lora.items()
        }  # fmt: skip
    motion = motion_of(tensors)
    unet = put_lora(put_motion(image_unet(), motion), lora_of(lora), 0.7)
    values = unet.state_dict()
    assert all(close(values[name], each) < 1e-5 for name, each in expected.state_dict().items())
    untouched = motion_of(tensors).tensors()
    assert all(torch.equal(each, untouched[name]) for name, each in motion.tensors().items())
    assert all(torch.equal(a, b) for a, b in zip(
        put_lora(put_motion(image_unet(), motion), lora_of(lora), 0.0).parameters(),
        put_motion(image_unet(), motion).parameters(), strict=True,
    ))  # fmt: skip


def test_the_adapter_changes_the_image_layers():
    torch.manual_seed(5)
    peer = diffusers_unet(False)
    lora = adapter_lora(WIDTHS, CONTEXT)
    tensors = {name: each for name, each in peer.state_dict().items() if ".motion_modules." not in name}
    expected = unet_to_ldm(merged(tensors, lora, 0.5))
    unet = put_lora(put_motion(unet_to_ldm(tensors), motion_of(original("v3", WIDTHS))), lora_of(lora), 0.5)
    changed = {name for name, each in unet_to_ldm(tensors).items() if not torch.equal(expected[name], each)}
    assert len(changed) == len(lora) // 2
    values = unet.state_dict()
    assert all(close(values[name], each) < 1e-5 for name, each in expected.items())


def test_what_does_not_fit_is_refused():
    three = original("v2", (32, 64, 64))
    with pytest.raises(DiffilmError, match="a motion model for SDXL"):
        motion_of(three)
    with pytest.raises(DiffilmError, match="Hotshot-XL"):
        motion_of({"down_blocks.0.temporal_attentions.0.norm.weight": torch.zeros(4)})
    with pytest.raises(DiffilmError, match=r"a motion model for UNets of \(64, 64, 64, 64\) channels"):
        put_motion(image_unet(), motion_of(original("v3", (64,) * 4)))
    motion = motion_of(original("v3", WIDTHS))
    with pytest.raises(DiffilmError, match="a video model already"):
        put_motion(put_motion(image_unet(), motion), motion)
    with pytest.raises(DiffilmError, match="a video model already"):
        put_motion(inflate(image_unet().state_dict()), motion)
    lora = motion_lora("v3", WIDTHS)
    with pytest.raises(DiffilmError, match="a motion LoRA for a model without motion modules"):
        put_lora(image_unet(), lora_of(lora))
    with pytest.raises(DiffilmError, match="which this model does not have"):
        put_lora(put_motion(image_unet(), motion), lora_of(motion_lora("v2", WIDTHS)))
    name = next(name for name in lora if name.endswith("to_k_lora.up.weight"))
    with pytest.raises(DiffilmError, match=r"to_k has down \(4, 32\) and up \(32, 3\)"):
        put_lora(put_motion(image_unet(), motion), lora_of({**lora, name: lora[name][:, :3]}))
    odd = {n: each + 1 if n.endswith(".pe") else each for n, each in original("v3", WIDTHS).items()}
    with pytest.raises(DiffilmError, match="not AnimateDiff's sinusoids"):
        motion_of(odd)

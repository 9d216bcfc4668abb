"""Proves that PSNR and SSIM equal an independent computation, that LPIPS of given weights is the published formula and
its file is read without running anything in it, and that flicker counts what moves against the film."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from diffilm_core.errors import DiffilmError
from diffilm_core.metrics.images import flicker, psnr, ssim
from diffilm_core.metrics.lpips import Lpips
from tests.lpips import lpips_weights


def film(frames: int = 2, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.random((height // 6, (width + frames * 2) // 6, 3)), (width + frames * 2, height))
    return np.stack([wide[:, 2 * i : 2 * i + width] for i in range(frames)]).astype(np.float32)


def noisy(frames: np.ndarray, level: float = 0.05) -> np.ndarray:
    return (frames + np.random.default_rng(1).normal(0, level, frames.shape)).clip(0, 1).astype(np.float32)


def test_psnr_of_known_errors() -> None:
    black = torch.zeros(2, 8, 8, 3)
    grey = black.clone()
    grey[0] += 0.1  # 20 dB
    grey[1] += 0.01  # 40 dB
    assert psnr(grey, black) == pytest.approx(30, abs=1e-4)
    assert psnr(black, black) == 100
    with pytest.raises(DiffilmError, match="expected two of one shape"):
        psnr(black, black[:1])


def test_ssim_equals_opencvs_gaussians() -> None:
    truth, made = film(), noisy(film())

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5)

    values = []
    for a, b in zip(made.astype(np.float64), truth.astype(np.float64), strict=True):
        ma, mb = blur(a), blur(b)
        va, vb, both = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
        value = (2 * ma * mb + 1e-4) * (2 * both + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
        values.append(value[5:-5, 5:-5].mean())
    found = ssim(torch.from_numpy(made), torch.from_numpy(truth))
    assert found == pytest.approx(np.mean(values), abs=1e-5)
    assert 0.2 < found < 0.98
    assert ssim(torch.from_numpy(truth), torch.from_numpy(truth)) == pytest.approx(1, abs=1e-6)


def test_lpips_is_the_published_formula(tmp_path: Path) -> None:
    whole = lpips_weights(tmp_path / "alexnet.ckpt")
    model = Lpips.load(tmp_path / "alexnet.ckpt")
    truth = torch.from_numpy(film(1, 64, 72)).permute(0, 3, 1, 2)
    made = torch.from_numpy(noisy(film(1, 64, 72))).permute(0, 3, 1, 2)

    def layers(x: torch.Tensor) -> list[torch.Tensor]:
        mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        x, out = (x - mean) / deviation, []
        for i, (stride, padding) in enumerate([(4, 2), (1, 2), (1, 1), (1, 1), (1, 1)]):
            x = torch.nn.functional.max_pool2d(x, 3, 2) if i in (1, 2) else x
            part = whole["AlexNet_0"][f"Conv_{i}"]
            kernel = torch.from_numpy(part["kernel"].transpose(3, 2, 0, 1).copy())
            x = torch.relu(torch.nn.functional.conv2d(x, kernel, torch.from_numpy(part["bias"]), stride, padding))
            out.append(x / (x.norm(dim=1, keepdim=True) + 1e-10))
        return out

    wanted = 0.0
    for i, (a, b) in enumerate(zip(layers(made), layers(truth), strict=True)):
        head = torch.from_numpy(whole[f"NetLinLayer_{i}"]["Conv_0"]["kernel"]).view(1, -1, 1, 1)
        wanted += float(((a - b) ** 2 * head).sum(1).mean())
    with torch.inference_mode():
        assert float(model(made, truth)) == pytest.approx(wanted, rel=2e-2)  # the published shift is rounded
        assert float(model(truth, truth)) == 0


def test_lpips_runs_nothing_that_a_file_asks_for(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (mark,)

    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"AlexNet_0": Evil()}))
    with pytest.raises(DiffilmError, match="no array"):
        Lpips.load(tmp_path / "evil.ckpt")
    assert not mark.exists()
    with pytest.raises(DiffilmError, match="do not exist"):
        Lpips.load(tmp_path / "none.ckpt")


def test_flicker_is_what_changes_beyond_the_motion() -> None:
    truth = torch.from_numpy(film(6, 96, 128))
    steady = flicker(truth, truth)
    made = truth.clone()
    made[1::2] = (made[1::2] + 0.06).clamp(0, 1)
    assert steady < 2
    assert flicker(made, truth) > steady + 8

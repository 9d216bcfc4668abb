"""Proves that ModelScope in a real ComfyUI is the core's (samplers, its own DDIM, LoRAs, context windows), and that its
workflow and Zeroscope's run over HTTP with random files as they are published."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostkit import PACK, Server, api_workflow, run_inside, start, stop

WRITE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from tests.published.modelscope import *; "
    "write_modelscope(Path(sys.argv[2]))"
)


@pytest.fixture(scope="module")
def figures(host_path: Path) -> dict:
    return run_inside(host_path, "inside_modelscope.py")


def figure(figures: dict, name: str) -> dict:
    found = figures[name]
    assert "error" not in found, found["error"]
    assert found["complaints"] == []
    return found


def test_the_hosts_ksampler_is_our_sampler(figures: dict) -> None:
    found = figure(figures, "sampler")
    assert all(found[name] <= 1e-4 for name in ("euler normal", "dpmpp_2m karras", "euler ddim_uniform"))


def test_noise_levels_are_equal(figures: dict) -> None:
    assert figure(figures, "sigmas")["relative"] == 0


def test_fifty_published_steps_through_the_host(figures: dict) -> None:
    found = figure(figures, "ddim")
    assert found["scale"] > 1
    assert found["relative"] <= 1e-4 and found["video_to_video"] <= 1e-4
    assert found["hosts_own"] > 1e-3  # what the node is there for


@pytest.mark.parametrize("style", ["kohya", "kohya_diffusers", "diffusers"])
def test_loras_reach_every_layer_they_name(figures: dict, style: str) -> None:
    found = figure(figures, "lora")[style]
    assert found["patched"] == found["layers"] > 100
    assert found["change_1"] > 1e-3 and found["key_changes"]
    assert found["change_0"] < 1e-5  # 0.8.0 puts weights back elsewhere in memory, which rounds otherwise


def test_context_windows_at_their_defaults_are_ours(figures: dict) -> None:
    found = figure(figures, "context_windows")
    assert found["frames"] == 3 * found["length"] and found["relative"] <= 1e-4


def test_easycache_leaves_calls_out(figures: dict) -> None:
    found = figure(figures, "easycache")
    assert found["finite"] and 0 < found["calls"] < 12


@pytest.mark.parametrize(("dtype", "limit"), [("bf16", 0.05), ("fp8_e4m3fn", 0.2)])
def test_low_precision_weights_come_close(host_path: Path, dtype: str, limit: float) -> None:
    found = figure(run_inside(host_path, "inside_modelscope.py", f"--{dtype}-unet"), "dtype")
    names = {"bf16": "torch.bfloat16", "fp8_e4m3fn": "torch.float8_e4m3fn"}
    assert found["dtype"] == names[dtype] and found["scale"] > 0.1
    assert 1e-4 < found["relative"] < limit


@pytest.fixture(scope="module")
def models_server(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("comfyui_modelscope")
    subprocess.run([sys.executable, "-c", WRITE, str(PACK), str(base / "models")], check=True, timeout=300)
    running = start(host_path, base)
    yield running
    stop(running)


SMALL = {"DiffilmEmptyLatent__frames": 3, "DiffilmEmptyLatent__width": 64, "DiffilmEmptyLatent__height": 64}


def frames_of(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(container.streams.video[0]))


@pytest.mark.parametrize("name", ["text2video_pytorch_model.pth", "diffusion_pytorch_model.safetensors"])
def test_modelscope_text_to_video_runs(models_server: Server, name: str) -> None:
    changes = {"DiffilmDDIM__steps": 2, "DiffilmLoadVideoUNet__unet_name": name}
    files = models_server.files(models_server.run(api_workflow("modelscope_text_to_video", **SMALL, **changes)))
    assert len(files) == 1 and frames_of(files[0]) >= 7


def test_zeroscope_two_pass_runs(models_server: Server) -> None:
    graph = api_workflow(
        "zeroscope_two_pass", **SMALL, DiffilmDDIM__steps=2, ImageScale__width=128, ImageScale__height=64
    )
    files = models_server.files(models_server.run(graph))
    assert len(files) == 1 and frames_of(files[0]) >= 7


def test_a_missing_file_is_named_before_anything_runs(models_server: Server) -> None:
    import urllib.error

    graph = api_workflow("modelscope_text_to_video", **SMALL, DiffilmLoadVideoUNet__unet_name="zeroscope_v2_gone.pth")
    with pytest.raises((AssertionError, urllib.error.HTTPError), match="zeroscope_v2_gone"):
        models_server.queue(graph)

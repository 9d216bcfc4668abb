"""Proves that Stable Video Diffusion runs in the host as the host's own does and as the core does: network, samplers,
conditioning, decoding, LoRA, context windows, and the workflows over HTTP with a random file as it is published."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostkit import PACK, Server, api_workflow, run_inside, start, stop

WRITE = (
    "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); folder = Path(sys.argv[2]); "
    "from tests.published import sd15, svd; svd.write_svd(folder); sd15.write_sd15(folder)"
)
TINY, IMAGE_MODEL = "svd_tiny.safetensors", "sd15_tiny.safetensors"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("svd")
    subprocess.run([sys.executable, "-c", WRITE, str(PACK), str(folder)], check=True, timeout=300)
    return folder / TINY


@pytest.fixture(scope="session")
def figures(host_path: Path, checkpoint: Path) -> dict:
    return run_inside(host_path, "inside_svd.py", str(checkpoint))


def figure(figures: dict, name: str) -> dict:
    found = figures[name]
    assert "error" not in found, found["error"]
    return found


def test_our_unet_is_the_hosts_own(figures: dict) -> None:
    found = figure(figures, "hosts_unet")
    assert found["call"] <= 1e-5 and found["steps"] <= 1e-5 and found["our_conditions"] <= 1e-5


def test_25_steps_of_ksampler_are_the_cores(figures: dict) -> None:
    found = figure(figures, "trajectory")
    assert found["scale"] > 1 and found["relative"] <= 1e-4


def test_a_picture_is_conditioned_as_in_the_core(figures: dict) -> None:
    found = figure(figures, "conditions")
    assert found["context"] <= 1e-5 and found["concat"] <= 1e-5
    assert found["repeats"] and found["negative"] == 0 and found["latent"] == [4, 4, 8, 8]


def test_frames_are_decoded_in_the_chunks_that_were_asked_for(figures: dict) -> None:
    found = figure(figures, "decode")
    assert found["node"] <= 1e-4 and found["host"] <= 1e-4 and found["chunks_differ"] > 1e-2


@pytest.mark.parametrize("names", ["kohya", "diffusers"])
def test_loras(figures: dict, names: str) -> None:
    found = figure(figures, "lora")
    for strength in ("0", "1"):
        reached, meant = found[f"{names}_{strength}_patches"]
        assert reached == meant > 0
    assert found[f"{names}_0"] <= 1e-6 and found[f"{names}_1"] > 1e-2 and found["after"] == 0


def test_context_windows_over_three_lengths_are_ours(figures: dict) -> None:
    found = figure(figures, "context_windows")
    assert found["frames"] == 48 and found["defaults"] <= 1e-4 and found["freenoise"] <= 1e-4


def test_eight_bit_weights(figures: dict) -> None:
    found = figure(figures, "fp8")
    assert found["stored"] == ["torch.float8_e4m3fn"] and found["finite"] and 0 < found["relative"] < 0.2


def test_files_and_folders_are_found_where_extra_paths_say(figures: dict) -> None:
    found = figure(figures, "folders")
    assert found["found"] == ["svd_linked.safetensors", "tiny/"] and found["path"] == "svd_linked.safetensors"
    assert found["absent"] and found["same"] <= 1e-5


@pytest.fixture(scope="module")
def svd_server(host_path: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    import torch
    from PIL import Image

    base = tmp_path_factory.mktemp("comfyui_svd")
    place = base / "models" / "checkpoints"
    place.mkdir(parents=True)
    for name in (TINY, IMAGE_MODEL):
        (place / name).symlink_to(checkpoint.with_name(name))
    (base / "input").mkdir()
    pixels = torch.rand(96, 128, 3, generator=torch.Generator().manual_seed(0)) * 255
    Image.fromarray(pixels.byte().numpy()).save(base / "input" / "picture.png")
    running = start(host_path, base)
    yield running
    stop(running)


SMALL = {
    "DiffilmLoadImageToVideo__model_name": TINY,
    "DiffilmImageToVideo__width": 64,
    "DiffilmImageToVideo__height": 64,
    "DiffilmImageToVideo__frames": 4,
    "KSampler__steps": 3,
}


def test_the_workflow_over_http(svd_server: Server) -> None:
    graph = api_workflow("svd_image_to_video", LoadImage__image="picture.png", **SMALL)
    (movie,) = svd_server.files(svd_server.run(graph))
    assert movie.suffix == ".mp4" and movie.stat().st_size > 500


def test_text_to_image_to_video_over_http(svd_server: Server) -> None:
    graph = api_workflow(
        "text_to_image_to_video",
        CheckpointLoaderSimple__ckpt_name=IMAGE_MODEL,
        EmptyLatentImage__width=64,
        EmptyLatentImage__height=64,
        **SMALL,
    )
    (movie,) = svd_server.files(svd_server.run(graph))
    assert movie.suffix == ".mp4" and movie.stat().st_size > 500


def test_a_missing_file_is_refused_before_anything_runs(svd_server: Server) -> None:
    graph = api_workflow("svd_image_to_video", LoadImage__image="picture.png")
    with pytest.raises(AssertionError, match=r"svd.safetensors.*9.56 GB.*Stability AI.*models/checkpoints"):
        svd_server.queue(graph)

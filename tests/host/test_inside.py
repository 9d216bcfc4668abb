"""Proves that our networks do the same in the host as on their own: sampling, text, autoencoder, LoRA, windows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostkit import run_inside


@pytest.fixture(scope="session")
def figures(host_path: Path) -> dict:
    return run_inside(host_path, "inside.py")


def figure(figures: dict, name: str) -> dict:
    found = figures[name]
    assert "error" not in found, found["error"]
    assert found["complaints"] == []
    return found


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [
        ("euler", "normal"),
        ("euler", "sgm_uniform"),
        ("dpmpp_2m", "karras"),
        ("dpmpp_2m", "sgm_uniform"),
        ("euler_ancestral", "sgm_uniform"),
    ],
)
def test_our_sampler_makes_the_hosts_latents(figures: dict, sampler: str, scheduler: str) -> None:
    found = figure(figures, f"{sampler} {scheduler}")
    assert found["scale"] > 0.1
    assert found["relative"] <= 1e-4


def test_noise_levels_are_equal(figures: dict) -> None:
    assert figure(figures, "sigmas")["relative"] == 0


@pytest.mark.parametrize("prompt", ["short", "empty", "long"])
def test_text_is_encoded_alike(figures: dict, prompt: str) -> None:
    found = figure(figures, "text")[prompt]
    assert found["same_shape"] and found["relative"] < 1e-5


def test_the_hosts_vae_decode_makes_our_frames(figures: dict) -> None:
    found = figure(figures, "decode")
    assert found["core"] < 1e-4 and found["node"] < 1e-4


def test_the_hosts_vae_encode_makes_our_latents(figures: dict) -> None:
    assert figure(figures, "encode")["relative"] < 1e-4


def test_lora_reaches_our_layers(figures: dict) -> None:
    found = figure(figures, "lora")
    assert found["patches_1"] == found["layers"] > 0
    assert found["change_1"] > 1e-3 and found["key_changes_1"] and found["key_is_stable"]
    assert found["change_0"] == 0
    assert found["unchanged_after"] == 0


def test_loras_in_diffusers_names_reach_our_layers(figures: dict) -> None:
    found = figure(figures, "diffusers_lora_names")
    assert found["mapped"] == found["there"] > 0


def test_context_windows_of_the_host_run(figures: dict) -> None:
    assert figure(figures, "context_windows")["finite"]


def test_easycache_of_the_host_leaves_calls_out(figures: dict) -> None:
    found = figure(figures, "easycache")
    assert found["finite"] and 12 < found["calls"] < 24  # all of the picture's, some of the clip's


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp8_e4m3fn"])
def test_the_hosts_weight_dtypes_work(host_path: Path, dtype: str) -> None:
    """Weights stored as the host was told to, computed in what the CPU can."""
    found = figure(run_inside(host_path, "inside.py", f"--{dtype}-unet"), "dtype")
    names = {"bf16": "torch.bfloat16", "fp16": "torch.float16", "fp8_e4m3fn": "torch.float8_e4m3fn"}
    assert found["dtype"] == names[dtype] and found["finite"] and found["scale"] > 0.1


def test_the_frame_rate_reaches_the_network(figures: dict) -> None:
    found = figure(figures, "frame_rate")
    assert found["rates"] == [[4.0], [4.0], [8.0], [8.0]], "of the picture and of the clip"
    assert found["moved"] == [4.0, 8.0]

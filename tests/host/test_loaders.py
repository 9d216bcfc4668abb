"""Proves that published files load from every folder that the host knows; a missing one is named with its source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hostkit import Server, run_inside


@pytest.fixture(scope="module")
def figures(host_path: Path) -> dict:
    return run_inside(host_path, "inside_loaders.py")


def test_an_empty_list_names_file_size_licence_folder_and_command(figures: dict) -> None:
    found = figures["empty"]
    assert found["unets"][0] == "text2video_pytorch_model.pth" and found["vaes"][0] == "VQGAN_autoencoder.pth"
    for said in (found["unet"], found["vae"], found["other"]):
        assert said["checked"] == said["raised"]
    words = ("zeroscope_v2_XL.pth", "2.82 GB", "CC-BY-NC-4.0", "models/diffusion_models", "diffilm fetch zeroscope-xl")
    assert all(word in found["unet"]["checked"] for word in words)
    assert "svd" not in found["unet"]["checked"] and "diffilm fetch svd" in found["other"]["checked"]
    assert "5.21 GB" in found["vae"]["checked"] and "models/vae" in found["vae"]["checked"]


def test_video_unets_load_from_extra_folders_in_both_layouts(figures: dict) -> None:
    found = figures["video"]
    assert {"zeroscope_v2_576w.pth", os.path.join("sub", "diffusers.safetensors")} <= set(found["unets"])
    assert not {"image.safetensors", "motion.safetensors"} & set(found["unets"]), "only video UNets are listed"
    assert found["parity"] < 1e-5 and found["scale"] > 0.1
    assert found["layouts"] < 1e-2  # one is stored in half precision
    assert 0 < found["fp8"] < 0.2


def test_the_node_sees_by_itself_which_model_it_is(figures: dict) -> None:
    found = figures["others"]
    assert found["model"] == ["StableVideoModel", "V_PREDICTION_EDM"] and found["listed"] == ["svd.safetensors"]
    assert "use Load Diffilm Model" in found["own"]


def test_wrong_files_are_named_with_what_they_are(figures: dict) -> None:
    wrong = figures["video"]["wrong"]
    assert "are not finite" in wrong["nan.safetensors"] and "truncated" in wrong["short.safetensors"]
    assert "Stable Diffusion 1.x UNet" in wrong["image.safetensors"]
    assert "expected the UNet of ModelScope or" in wrong["image.safetensors"]
    assert "motion model" in wrong["motion.safetensors"] and "expected a UNet" in wrong["motion.safetensors"]
    assert all(name in said for name, said in wrong.items())


def test_modelscopes_autoencoder_loads_where_the_hosts_loader_refuses_it(figures: dict) -> None:
    found = figures["autoencoder"]
    assert found["listed"] == ["VQGAN_autoencoder.pth"] and not found["theirs"]
    assert found["relative"] < 1e-4


def test_the_hosts_own_loader_takes_modelscopes_text_encoder(figures: dict) -> None:
    found = figures["text"]
    assert found["shape"] == [1, 77, 1024] and found["relative"] < 1e-5


def test_a_missing_file_is_refused_before_anything_runs(server: Server) -> None:
    graph = {
        "1": {"class_type": "DiffilmLoadVideoUNet",
              "inputs": {"unet_name": "text2video_pytorch_model.pth", "weight_dtype": "default"}},
        "2": {"class_type": "DiffilmLoadVAE", "inputs": {"vae_name": "VQGAN_autoencoder.pth"}},
        "3": {"class_type": "DiffilmEmptyLatent", "inputs": {"frames": 4, "width": 64, "height": 64}},
        "4": {"class_type": "KSampler", "inputs": {
            "model": ["1", 0], "seed": 1, "steps": 1, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal",
            "positive": ["5", 0], "negative": ["5", 0], "latent_image": ["3", 0], "denoise": 1.0}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["6", 1], "text": ""}},
        "6": {"class_type": "DiffilmLoadModel", "inputs": {"model_name": "diffilm (ships with the pack)"}},
        "7": {"class_type": "DiffilmDecodeVideo",
              "inputs": {"vae": ["2", 0], "latent": ["4", 0], "fps": 8.0, "batch": 4}},
        "8": {"class_type": "DiffilmWriteMovie", "inputs": {"videos": ["7", 0], "movie": "missing", "crf": 18}},
    }  # fmt: skip
    with pytest.raises(AssertionError, match=r"5\.65 GB") as caught:
        server.queue(graph)
    said = str(caught.value)
    assert "diffilm fetch modelscope" in said and "VQGAN_autoencoder.pth (5.21 GB, CC-BY-NC-4.0" in said

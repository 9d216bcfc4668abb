"""Proves that a wrong file gives one clear error that names it, runs nothing of it and gives its memory back."""

from __future__ import annotations

import gc
import json
import os
import pickle
import struct
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffilm_core.checkpoints import (
    inspect,
    load_image_encoder,
    load_motion,
    load_text_encoder,
    load_unet,
    load_vae,
)
from diffilm_core.checkpoints.layout import VIDEO_SYSTEMS
from diffilm_core.errors import DiffilmError
from diffilm_core.models import AutoencoderConfig, AutoencoderKL, UNet, UNetConfig

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # torch about old pickles
TINY_UNET = UNetConfig(
    model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0), context_dim=48
)


@pytest.fixture
def unet_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "image.safetensors"
    save_file({f"model.diffusion_model.{n}": t for n, t in UNet(TINY_UNET).state_dict().items()}, str(path))
    return path


@pytest.fixture
def vae_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "vae.safetensors"
    save_file(AutoencoderKL(AutoencoderConfig(ch=32, ch_mult=(1, 1), num_res_blocks=1)).state_dict(), str(path))
    return path


def refused(load, path, *words):
    """The message of the error: one line with the file's name and these words."""
    with pytest.raises(DiffilmError) as caught:
        load(path)
    message = str(caught.value)
    assert Path(path).name in message and "\n" not in message
    for word in words:
        assert word in message, message
    return message


def with_header(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


LIES = {
    "overlapping": {
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
    },
    "shape": {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 12]}},
    "overflow": {"a": {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 12]}},
    "backwards": {"a": {"dtype": "F32", "shape": [2], "data_offsets": [12, 4]}},
    "dtype": {"a": {"dtype": "F31", "shape": [3], "data_offsets": [0, 12]}},
    "words": {"a": {"dtype": "F32", "shape": "x", "data_offsets": ["a", "b"]}},
    "mixed": {
        "a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
        "b": {"dtype": "F32", "shape": [3], "data_offsets": [0, "12"]},
    },
    "list": [1, 2],
    "deep": b'{"a":' * 100_000,
    "nothing": b"{}",
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("load", [inspect, load_unet])
def test_a_header_that_lies(tmp_path, lie, load):
    refused(load, with_header(tmp_path / "lies.safetensors", LIES[lie], b"" if lie == "nothing" else bytes(12)))


@pytest.mark.parametrize("load", [inspect, load_unet])
def test_truncated(unet_file, tmp_path, load):
    whole = unet_file.read_bytes()
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        unet_file.write_bytes(whole[:length])
        refused(load, unet_file)
    for old in (True, False):
        path = tmp_path / "weights.ckpt"
        torch.save({"state_dict": load_file_of(whole, tmp_path)}, path, _use_new_zipfile_serialization=old)
        saved = path.read_bytes()
        for length in (0, 3, 100, len(saved) // 2):
            path.write_bytes(saved[:length])
            refused(load, path)


def load_file_of(data, folder):
    (folder / "whole.safetensors").write_bytes(data)
    return load_file(str(folder / "whole.safetensors"))


@pytest.mark.parametrize("load", [inspect, load_unet])
def test_what_is_not_there_or_no_model(tmp_path, load):
    refused(load, tmp_path / "absent.safetensors", "does not exist")
    refused(load, tmp_path / "absent.ckpt", "does not exist")
    (tmp_path / "empty").mkdir()
    refused(load, tmp_path / "empty", "holds no weights")
    (tmp_path / "page.ckpt").write_text("<!DOCTYPE html><html>not found</html>")
    refused(load, tmp_path / "page.ckpt")
    (tmp_path / "index.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    refused(load, tmp_path / "index.safetensors.index.json", "expected a file beside it")
    (tmp_path / "lost.safetensors.index.json").write_text('{"weight_map": {"a": "gone-1.safetensors"}}')
    with pytest.raises(DiffilmError, match=r"gone-1\.safetensors is not there"):
        load(tmp_path / "lost.safetensors.index.json")
    save_file({"w": torch.zeros(3)}, str(tmp_path / "other.safetensors"))
    refused(load, tmp_path / "other.safetensors", "1 tensors of no known model (w")
    with pytest.raises(DiffilmError, match="3 given as a model"):
        load(3)
    with pytest.raises(DiffilmError, match="holds no tensors"):
        load({"a": 1, 2: torch.zeros(1)})


def test_another_role_says_what_the_file_is(unet_file, vae_file):
    refused(load_unet, vae_file, "Stable Diffusion 1.x autoencoder (plain)", "expected a UNet")
    for load, role in (
        (load_vae, "autoencoder"),
        (load_text_encoder, "text encoder"),
        (load_image_encoder, "image encoder"),
        (load_motion, "motion model"),
    ):
        refused(load, unet_file, "Stable Diffusion 1.x UNet (ldm)", f"expected a {role}")


def test_another_role_that_does_not_run_says_what_it_is(tmp_path):
    path = tmp_path / "sdxl_motion.safetensors"
    save_file({f"{n}.motion_modules.0.temporal_attentions.0.w": torch.zeros(2) for n in ("down_blocks.0",)}, str(path))
    refused(load_unet, path, "Hotshot-XL", "expected a UNet")


def test_an_image_model_where_a_video_model_is_needed(unet_file):
    refused(lambda path: load_unet(path, systems=VIDEO_SYSTEMS), unet_file, "Stable Diffusion 1.x UNet", "ModelScope")
    assert load_unet(unet_file).system == "sd1"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_numbers_that_are_not_finite(vae_file, value, dtype):
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(str(vae_file)).items()}
    tensors["decoder.conv_in.weight"][3, 1] = value
    save_file(tensors, str(vae_file))
    refused(load_vae, vae_file, "decoder.conv_in.weight", "9 of 1152", "not finite")


def test_large_numbers_whose_sum_overflows_are_fine(vae_file):
    tensors = {name: tensor.half() for name, tensor in load_file(str(vae_file)).items()}
    tensors["decoder.conv_in.weight"].fill_(6e4)
    assert load_vae(tensors).system == "sd1"


def test_quantized_sparse_and_claimed_numbers(vae_file, tmp_path):
    tensors = load_file(str(vae_file))
    name = "decoder.conv_in.weight"
    shape = tensors[name].shape
    with pytest.raises(DiffilmError, match=r"decoder\.conv_in\.weight and 0 more as torch\.int8"):
        load_vae(tensors | {name: tensors[name].to(torch.int8)})
    path = tmp_path / "odd.pth"
    for odd, word in (
        (tensors[name].to_sparse(), "sparse"),
        (torch.quantize_per_tensor(tensors[name], 0.1, 0, torch.qint8), "quantized"),
        (torch.zeros(1).expand(shape), "claims 1152 numbers"),
    ):
        torch.save(tensors | {name: odd}, path)
        refused(load_vae, path, word)


class Bomb:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("load", [inspect, load_unet])
@pytest.mark.parametrize("suffix", [".ckpt", ".pth", ".pt", ".bin"])
def test_a_pickle_with_code_runs_nothing(tmp_path, load, suffix):
    path, made = tmp_path / f"bomb{suffix}", tmp_path / "made"
    for content in ({"state_dict": {"a": torch.zeros(2)}, "x": Bomb(made)}, [Bomb(made)]):
        torch.save(content, path)
        refused(load, path, "mkdir", "could run code")
        torch.save(content, path, _use_new_zipfile_serialization=False)
        refused(load, path, "could run code")
    path.write_bytes(pickle.dumps(Bomb(made)))
    refused(load, path)
    assert not made.exists()


def test_what_lightning_keeps_beside_its_tensors_does_nothing(tmp_path, unet_file):
    callback = type("ModelCheckpoint", (), {"__module__": "pytorch_lightning.callbacks.model_checkpoint"})
    names = ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint")
    sys.modules.update({name: ModuleType(name) for name in names})
    sys.modules[names[-1]].ModelCheckpoint = callback
    try:
        path = tmp_path / "lightning.ckpt"
        content = {"state_dict": load_file(str(unet_file)), "callbacks": {callback: {"best": 1}}, "hooks": [callback()]}
        torch.save(content, path)
    finally:
        for name in names:
            del sys.modules[name]
    assert load_unet(path).fingerprint == load_unet(unet_file).fingerprint


def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


def living_bytes():
    tensors = [each for each in gc.get_objects() if type(each) in (torch.Tensor, torch.nn.Parameter)]
    return sum(each.numel() * each.element_size() for each in tensors if not each.is_meta)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory from /proc")
def test_memory_is_returned(tmp_path):
    torch.manual_seed(0)
    tensors = AutoencoderKL(AutoencoderConfig(ch=64)).state_dict()
    tensors["decoder.conv_in.bias"][0] = float("nan")
    size = sum(tensor.numel() * 4 for tensor in tensors.values())
    assert size > 80e6
    path = tmp_path / "nan.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)  # in which nothing is memory-mapped
    del tensors
    refused(load_vae, path, "not finite")
    gc.collect()
    before, living = resident(), living_bytes()
    for _ in range(8):
        refused(load_vae, path, "not finite")
        gc.collect()
    assert living_bytes() <= living
    assert resident() - before < 3 * size

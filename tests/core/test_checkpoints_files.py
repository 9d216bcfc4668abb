"""Proves that a model reads the same from every kind of file, keeps its storage, and peaks at its own size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffilm_core.checkpoints import inspect, load_text_encoder, load_unet, load_vae
from diffilm_core.checkpoints.text import build_text
from diffilm_core.cli import main
from diffilm_core.errors import DiffilmError
from diffilm_core.models import AutoencoderConfig, AutoencoderKL, UNet, UNetConfig
from tests.models import tiny_model

CONFIG = UNetConfig(model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0), context_dim=48)
VAE = AutoencoderConfig(ch=32, ch_mult=(1, 1), num_res_blocks=1)
TEXT = {
    "vocab_size": 49408, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 1, "max_position_embeddings": 77,
}  # fmt: skip


@pytest.fixture(scope="module")
def tensors():
    torch.manual_seed(0)
    return UNet(CONFIG).state_dict()


def prefixed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def as_safetensors(tensors, folder):
    save_file(tensors, str(folder / "model.safetensors"))
    return folder / "model.safetensors"


def as_pickle(wrap, suffix, **options):
    def write(tensors, folder):
        torch.save(wrap(tensors), folder / f"model{suffix}", **options)
        return folder / f"model{suffix}"

    return write


def as_shards(tensors, folder):
    names = sorted(tensors)
    places = {}
    for number, part in enumerate((names[::2], names[1::2])):
        file = f"diffusion_pytorch_model-0000{number + 1}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, str(folder / file))
        places |= dict.fromkeys(part, file)
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index


def as_folder(name, of=None):
    def write(tensors, folder):
        inside = folder / of if of else folder
        inside.mkdir(exist_ok=True)
        (inside / "config.json").write_text("{}")
        (save_file if name.endswith("s") else torch.save)(tensors, str(inside / name))
        return folder

    return write


def nested(tensors):
    return {"state_dict": prefixed("model.diffusion_model.", tensors), "epoch": 3, "optimizer_states": [{"a": 1}]}


def trained(tensors):
    return {"model": tensors, "optimizer": {"state": {0: tensors}}, "step": torch.tensor(3)}


WAYS = {
    "safetensors": as_safetensors,
    "ckpt": as_pickle(nested, ".ckpt"),
    "pth": as_pickle(lambda t: t, ".pth"),
    "pt": as_pickle(lambda t: {"module": {"unet": t}}, ".pt"),
    "bin": as_pickle(lambda t: prefixed("module.", t), ".bin"),
    "legacy": as_pickle(trained, ".pth", _use_new_zipfile_serialization=False),
    "index": as_shards,
    "sharded folder": lambda tensors, folder: as_shards(tensors, folder).parent,
    "folder": as_folder("diffusion_pytorch_model.safetensors"),
    "folder of bin": as_folder("diffusion_pytorch_model.bin"),
    "folder of fp16": as_folder("diffusion_pytorch_model.fp16.safetensors"),
    "pipeline": as_folder("diffusion_pytorch_model.safetensors", "unet"),
    "state dict": lambda tensors, folder: tensors,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_model_from_every_kind_of_file(tensors, tmp_path, way):
    source = WAYS[way](tensors, tmp_path)
    info = inspect(source)
    assert (info.system, info.missing, info.unexpected) == ("sd1", [], [])
    assert info.parts[0].parameters == sum(tensor.numel() for tensor in tensors.values())
    unet = load_unet(source)
    assert unet.fingerprint == load_unet(tensors).fingerprint and not unet.training
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in unet.state_dict().items())


def test_a_folder_takes_full_precision_before_half(tensors, tmp_path):
    as_folder("diffusion_pytorch_model.fp16.safetensors")({n: t.half() for n, t in tensors.items()}, tmp_path)
    assert inspect(tmp_path).parts[0].dtype == "float16"
    as_folder("diffusion_pytorch_model.bin")(tensors, tmp_path)
    assert inspect(tmp_path).parts[0].dtype == "float32"


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_the_parts_of_a_single_file(tensors, tmp_path, ending):
    torch.manual_seed(1)
    vae, text = AutoencoderKL(VAE).state_dict(), build_text(TEXT).state_dict()
    whole = prefixed("model.diffusion_model.", tensors) | prefixed("first_stage_model.", vae)
    whole |= prefixed("cond_stage_model.transformer.text_model.", {n: t.half() for n, t in text.items()})
    whole |= {"alphas_cumprod": torch.zeros(4), "model_ema.decay": torch.zeros(())}
    path = tmp_path / f"whole.{ending}"
    if ending == "ckpt":
        torch.save({"state_dict": whole}, path)
    else:
        save_file({name: tensor.contiguous() for name, tensor in whole.items()}, str(path))
    info = inspect(path)
    assert [(part.role, part.layout, part.dtype) for part in info.parts] == [
        ("unet", "ldm", "float32"),
        ("vae", "ldm", "float32"),
        ("text", "transformers", "float16"),
    ]
    assert info.missing == info.unexpected == [] and {part.system for part in info.parts} == {"sd1"}
    assert load_unet(path).fingerprint == load_unet(tensors).fingerprint
    assert torch.equal(load_vae(path).quant_conv.bias, vae["quant_conv.bias"])
    assert load_text_encoder(path, dtype=torch.float32).encode(["a fox"]).shape == (1, 77, 64)


def test_diffilms_own_models(tmp_path, capsys):
    for path in (tmp_path / "own.safetensors", tmp_path / "own"):
        tiny_model(path)
        info = inspect(path)
        assert info.system == "diffilm" and [part.role for part in info.parts] == ["unet", "vae", "text"]
        assert info.missing == info.unexpected == [] and info.config["unet"]["temporal"] == "pseudo3d"
        assert load_unet(path).config.head_dim == 16 and load_vae(path).config.scale_factor == 0.8
        assert load_text_encoder(path).encode(["a fox"]).shape == (1, 32, 32)
    assert len(inspect(tmp_path / "own" / "video.safetensors").missing) > 100  # its image layers are in another file
    with pytest.raises(DiffilmError, match="is a Diffilm model, expected"):
        from diffilm_core.checkpoints import load_motion

        load_motion(path)


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
def test_storage_is_kept_unless_another_is_asked_for(tensors, stored):
    given = {name: tensor.to(stored) for name, tensor in tensors.items()}
    given["out.2.bias"] = given["out.2.bias"].float()  # one alone does not decide
    unet = load_unet(given)
    assert {tensor.dtype for tensor in unet.state_dict().values()} == {stored} == {unet.dtype}
    with torch.no_grad():
        out = unet(torch.zeros(1, 4, 1, 8, 8, dtype=stored), torch.tensor([1.0]), torch.zeros(1, 5, 48, dtype=stored))
    assert out.dtype == stored
    unet = load_unet(given, dtype=torch.float32)
    assert {tensor.dtype for tensor in unet.state_dict().values()} == {torch.float32}
    assert torch.equal(unet.state_dict()["out.2.weight"], given["out.2.weight"].float())


@pytest.mark.parametrize("stored", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_8_bit_floats_are_widened_unless_operations_take_them(tensors, tmp_path, stored):
    given = {name: tensor.to(stored) for name, tensor in tensors.items()}
    path = as_safetensors(given, tmp_path)
    assert inspect(path).parts[0].dtype == str(stored).removeprefix("torch.")
    unet = load_unet(path)
    assert unet.dtype == torch.float32 and torch.equal(unet.state_dict()["out.2.weight"], given["out.2.weight"].float())
    kept = load_unet(path, operations=torch.nn)
    assert {tensor.dtype for tensor in kept.state_dict().values()} == {stored}
    given["out.2.weight"].view(torch.uint8)[0, 0, 0, 0] = 0x7F  # NaN in both
    with pytest.raises(DiffilmError, match=r"out\.2\.weight are not finite"):
        load_unet(given)


def test_a_fingerprint_tells_weights_apart(tensors):
    again = {name: tensor.clone() for name, tensor in reversed(tensors.items())}
    assert load_unet(again).fingerprint == load_unet(tensors).fingerprint
    again["out.2.bias"][2] += 1e-3
    assert load_unet(again).fingerprint != load_unet(tensors).fingerprint


PEAK = """
import sys
from diffilm_core.checkpoints import load_vae
def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))
load_vae(sys.argv[1])
for path in sys.argv[2:]:
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    load_vae(path)
    print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the peak from /proc")
def test_loading_peaks_at_115_hundredths_of_the_file(tmp_path):
    torch.manual_seed(0)
    given = AutoencoderKL(AutoencoderConfig(ch=96)).state_dict()
    small, large = tmp_path / "small.safetensors", [tmp_path / f"large.{end}" for end in ("safetensors", "ckpt", "pth")]
    save_file(AutoencoderKL(VAE).state_dict(), str(small))
    save_file(given, str(large[0]))
    torch.save({"state_dict": given}, large[1])
    torch.save(given, large[2], _use_new_zipfile_serialization=False)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(small), *map(str, large)], capture_output=True, text=True, check=True
    )
    for path, peak in zip(large, done.stdout.split(), strict=True):
        size = path.stat().st_size
        assert size > 180e6 and 0.5 * size < int(peak) < 1.15 * size, (path.suffix, int(peak) / size)


def test_the_command_tells_what_is_in_a_file(tensors, tmp_path, capsys):
    path = as_safetensors(prefixed("unet.", tensors), tmp_path)
    assert main(["inspect", str(path)]) == 0
    said = capsys.readouterr().out
    assert "Stable Diffusion 1.x" in said and "UNet: ldm layout" in said and "float32" in said
    assert main(["inspect", str(path), "--json", "--verify"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["system"] == "sd1" and values["parts"][0]["role"] == "unet" and "whole" in values["verified"]
    path.write_bytes(path.read_bytes()[:-5])
    assert main(["inspect", str(path)]) == 2
    assert "truncated" in capsys.readouterr().err

"""Proves that of 1,000 mutated headers and state dicts every one loads or gives a DiffilmError, and nothing else."""

from __future__ import annotations

import functools
import json
import random
import struct
from collections import Counter

import pytest
import torch
from safetensors.torch import save

from diffilm_core.checkpoints import (
    inspect,
    load_image_encoder,
    load_motion,
    load_text_encoder,
    load_unet,
    load_vae,
)
from diffilm_core.checkpoints.text import build_text
from diffilm_core.errors import DiffilmError
from diffilm_core.models import AutoencoderConfig, AutoencoderKL, UNet, UNetConfig
from tests.published import animatediff, vdm

LOADERS = (inspect, inspect, load_unet, load_vae, load_text_encoder, load_motion, load_image_encoder)
DIMS = (0, 1, 2, 3, 7, 31, 64, 320, 768)
DTYPES = (torch.float16, torch.float8_e4m3fn, torch.int64, torch.bool, torch.complex64, torch.float64)


def sd1():
    config = UNetConfig(
        model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0), context_dim=48
    )
    return UNet(config).state_dict()


def modelscope():
    config = UNetConfig(
        model_channels=64, channel_mult=(1,), num_res_blocks=1, transformer_depth=(1,), context_dim=32,
        head_dim=32, use_linear=True, temporal="modelscope", temporal_options={"head_dim": 32},
    )  # fmt: skip
    return UNet(config).state_dict()


def svd():
    config = UNetConfig(
        in_channels=8, model_channels=64, channel_mult=(1,), num_res_blocks=1, transformer_depth=(1,),
        context_dim=32, head_dim=64, use_linear=True, temporal="svd",
    )  # fmt: skip
    return UNet(config).state_dict()


def vae():
    return AutoencoderKL(AutoencoderConfig(ch=32, ch_mult=(1, 1), num_res_blocks=1)).state_dict()


def text():
    config = {
        "vocab_size": 99, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 1, "max_position_embeddings": 16, "bos_token_id": 97, "eos_token_id": 98,
    }  # fmt: skip
    return {f"text_model.{name}": tensor for name, tensor in build_text(config).state_dict().items()}


def open_clip():
    """Both towers of a small CLIP."""
    block = {"ln_1": (80,), "ln_2": (80,), "attn.out_proj": (80, 80), "mlp.c_fc": (160, 80), "mlp.c_proj": (80, 160)}
    made = {"token_embedding.weight": (99, 80), "positional_embedding": (16, 80), "visual.conv1.weight": (80, 3, 2, 2)}
    made |= {"visual.class_embedding": (80,), "visual.positional_embedding": (17, 80), "visual.proj": (80, 64)}
    for norm in ("ln_final", "visual.ln_pre", "visual.ln_post"):
        made |= {f"{norm}.weight": (80,), f"{norm}.bias": (80,)}
    for head in ("transformer.resblocks.", "visual.transformer.resblocks."):
        for layer in range(2):
            made |= {f"{head}{layer}.{name}.weight": shape for name, shape in block.items()}
            made |= {f"{head}{layer}.{name}.bias": shape[:1] for name, shape in block.items()}
            made |= {f"{head}{layer}.attn.in_proj_weight": (240, 80), f"{head}{layer}.attn.in_proj_bias": (240,)}
    return {name: torch.randn(shape) for name, shape in made.items()}


def motion():
    return animatediff.original("v3", (32, 32), layers=1)


def lora():
    return animatediff.motion_lora("v3", (32, 32), layers=1)


def trainer():
    return {f"{part}.denoise_fn.{name}": t for part in ("model", "ema") for name, t in vdm.vdm_state().items()}


@functools.lru_cache(maxsize=1)
def bases():
    torch.manual_seed(0)
    return [make() for make in MAKERS]


MAKERS = (sd1, modelscope, svd, vae, text, open_clip, motion, lora, trainer)


def other_shape(pick, tensor):
    shape = list(tensor.shape)
    way = pick.randrange(4)
    if way == 0 and shape:
        shape[pick.randrange(len(shape))] = pick.choice(DIMS)
    elif way == 1:
        shape.append(pick.choice((1, 2)))
    elif way == 2 and shape:
        shape.pop()
    else:
        shape = []
    return torch.zeros(shape, dtype=tensor.dtype)


def mutate(pick, tensors):
    """A state dict with a few things wrong in it."""
    made = dict(tensors)
    for _ in range(pick.choice((1, 1, 2, 5, 40))):
        if not made:
            break
        name = pick.choice(list(made))
        way = pick.randrange(8)
        tensor = made[name]
        if way == 0:
            del made[name]
        elif way == 1:
            made[name] = other_shape(pick, tensor)
        elif way == 2:
            made[name] = tensor.to(pick.choice(DTYPES))
        elif way == 3:
            made[pick.choice(("unet.", "model.diffusion_model.", "loss.", "x")) + name] = made.pop(name)
        elif way == 4:
            parts = name.split(".")
            parts[pick.randrange(len(parts))] = pick.choice(("0", "99999999999", "weight", "", "é\n", "1"))
            made[".".join(parts)] = made.pop(name)
        elif way == 5:
            made[name] = torch.full_like(tensor, float("nan") if tensor.is_floating_point() else 1)
        elif way == 6:
            other = pick.choice(list(made))
            made[name], made[other] = made[other], made[name]
        else:
            first = name.split(".")[0]
            made = {key: value for key, value in made.items() if not key.startswith(first)}
    if pick.random() < 0.1:
        made |= mutate(pick, pick.choice(bases()))
    return made


def mutate_header(pick, data):
    """The bytes of a safetensors file with a few things wrong in its header, or anywhere."""
    length = struct.unpack("<Q", data[:8])[0]
    if pick.random() < 0.3:
        raw = bytearray(data[: pick.choice((len(data), length, 8 + length, 9, 4))])
        for _ in range(pick.choice((1, 3, 20))):
            if raw:
                raw[pick.randrange(min(len(raw), 8 + length))] = pick.randrange(256)
        return bytes(raw)
    header = json.loads(data[8 : 8 + length])
    odd = (None, -1, 0, 1 << 70, 1.5, "x", [], {}, [0], [1, 2, 3], True, "F8_E4M3", "F64", "I8", [0, 4], [[]])
    for _ in range(pick.choice((1, 2, 8))):
        name = pick.choice(list(header))
        entry = header[name]
        if pick.random() < 0.3 or not isinstance(entry, dict) or not entry:
            header[name] = pick.choice(odd)
        else:
            entry[pick.choice(list(entry))] = pick.choice(odd)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def outcome(load, source):
    try:
        load(source)
    except DiffilmError as error:
        assert "\n" not in str(error) and len(str(error)) > 20
        return "refused"
    return "taken"


@pytest.mark.filterwarnings("ignore")
def test_500_state_dicts():
    pick = random.Random(0)
    seen = Counter(outcome(pick.choice(LOADERS), mutate(pick, pick.choice(bases()))) for _ in range(500))
    assert seen["refused"] > 300 and seen["taken"] > 20, seen


def test_500_headers(tmp_path):
    pick = random.Random(0)
    tensors = {name: tensor for name, tensor in vae().items() if name.startswith(("decoder.", "post"))}
    data, path = save({name: tensor.contiguous() for name, tensor in tensors.items()}), tmp_path / "model.safetensors"
    seen: Counter[str] = Counter()
    for _ in range(500):
        path.write_bytes(mutate_header(pick, data))
        seen[outcome(pick.choice(LOADERS[:4]), path)] += 1
    assert seen["refused"] > 400, seen


@pytest.mark.parametrize("make", MAKERS)
def test_unmutated_they_are_known(make):
    info = inspect(make())
    assert info.missing == info.unexpected == []

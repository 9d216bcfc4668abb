"""A small random Video Diffusion Model as its trainer saves it, and a small random BERT folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from diffilm_core.models.vdm import VDMConfig, VDMUNet
from diffilm_core.sampling.vdm import vdm_schedule

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "A", "fox", "Snow", "in", "the"]
WORDS += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
WIDTH = 24


def write_bert(folder: Path, *, pretraining: bool = True, width: int = WIDTH) -> Path:
    """The files of google-bert/bert-base-cased, small; `pretraining`: in its names, with `bert.`, gamma and beta."""
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    shape = {
        "vocab_size": len(WORDS), "hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 2 * width, "max_position_embeddings": 40, "type_vocab_size": 2,
    }  # fmt: skip
    model = BertModel(BertConfig(**shape))
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * 0.2)
    tensors = {name: value.clone() for name, value in model.state_dict().items() if "position_ids" not in name}
    if pretraining:
        names = {name: name.replace("LayerNorm.weight", "LayerNorm.gamma") for name in tensors}
        names = {name: new.replace("LayerNorm.bias", "LayerNorm.beta") for name, new in names.items()}
        tensors = {f"bert.{names[name]}": value for name, value in tensors.items()}
        tensors["cls.predictions.bias"] = torch.zeros(len(WORDS))
    save_file(tensors, str(folder / "model.safetensors"))
    config = {"architectures": ["BertForMaskedLM"], "model_type": "bert", **shape}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    return folder


def vdm_state(*, norm: str = "rms", cond_dim: int | None = WIDTH, **shape: Any) -> dict[str, torch.Tensor]:
    """The network's tensors."""
    torch.manual_seed(1)
    unet = VDMUNet(VDMConfig(dim=16, dim_mults=(1, 2), norm=norm, cond_dim=cond_dim, heads=2, head_dim=16, **shape))
    with torch.no_grad():
        for name, value in unet.named_parameters():
            if not name.endswith("freqs"):
                value.add_(torch.randn_like(value) * 0.05)
    return {name: value.detach().clone() for name, value in unet.state_dict().items()}


def write_vdm(path: Path, *, norm: str = "rms", cond_dim: int | None = WIDTH) -> Path:
    """What the trainer of video-diffusion-pytorch saves: step, model, ema and scaler, each network in its diffusion."""
    state = vdm_state(norm=norm, cond_dim=cond_dim)
    buffers = {"alphas_cumprod": vdm_schedule().alphas_cumprod.float(), "betas": torch.zeros(1000)}
    wrapped = {**buffers, **{f"denoise_fn.{name}": value for name, value in state.items()}}
    model = {name: value + 1 if name.startswith("denoise_fn.") else value for name, value in wrapped.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"step": 1, "model": model, "ema": wrapped, "scaler": {"scale": 65536.0}}, path)
    return path

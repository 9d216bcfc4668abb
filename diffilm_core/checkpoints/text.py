"""CLIP's text encoders, OpenAI's ViT-L/14 and OpenCLIP's ViT-H/14: in open_clip's and transformers' names, alone, in a
whole CLIP, or inside a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from ..text.clip import NOT_SHAPE, inner_model
from .layout import Layout
from .names import strip_prefix

STAGES = ("cond_stage_model.", "conditioner.embedders.0.")
OPEN_CLIP_PREFIXES = (*(f"{stage}model." for stage in STAGES), "text_encoder.", "module.", "text.", "")
PREFIXES = (*(f"{stage}transformer." for stage in STAGES), "text_encoder.", "module.", "")
OPEN_CLIP_MARK, MARK = "transformer.resblocks.0.attn.in_proj_weight", "embeddings.token_embedding.weight"
INNER = "text_model."
HABITS = ("layer", "pad")
HEAD_DIM = 64
MAX_POSITIONS = 1 << 16
CLIP_L_WIDTH = 768
OPEN_CLIP_LAYERS = 24  # of ViT-H, of which Stable Diffusion 2.x leaves the last

_TOP = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


class TextTensors(dict[str, Tensor]):
    """A text encoder's tensors, and the fields of its configuration that their shapes do not tell."""

    def __init__(self, tensors: Mapping[str, Tensor], fields: Mapping[str, Any]) -> None:
        super().__init__(tensors)
        self.fields = fields


def _kind(found: dict[str, Tensor], system: str, open_clip: bool, fields: Mapping[str, Any]) -> TextTensors | None:
    """The tensors with the habits of this system's encoder; None where it is the other's.

    ViT-L is OpenAI's: quick GELU, the last layer, padded with the end token. ViT-H is OpenCLIP's: GELU, the layer
    before the last, padded with 0; transformers' files of it (23 layers) have lost the last one already.
    """
    token = found.get(MARK)
    if token is None or token.ndim != 2:
        return None
    quick = fields.get("hidden_act", "quick_gelu" if token.shape[1] == CLIP_L_WIDTH else "gelu") == "quick_gelu"
    if quick != (system == "sd1"):
        return None
    layers = len({name.split(".")[2] for name in found if name.startswith("encoder.layers.")})
    last = quick or layers < 2 or not (open_clip or layers == OPEN_CLIP_LAYERS)
    habits = {"hidden_act": "quick_gelu" if quick else "gelu", "layer": -1 if last else -2, "pad": None if quick else 0}
    return TextTensors(found, {**habits, **fields})


def _from_open_clip(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Transformers' names for open_clip's; q, k and v come apart, without a copy."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in found.items():
        match = _BLOCK.fullmatch(name)
        if name in _TOP:
            renamed[_TOP[name]] = tensor
        elif match and match[2] == "attn.in_proj":
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                renamed[f"encoder.layers.{match[1]}.self_attn.{letter}_proj.{match[3]}"] = part
        elif match:
            renamed[f"encoder.layers.{match[1]}.{_LAYER.get(match[2], match[2])}.{match[3]}"] = tensor
    return renamed


def _finder(system: str, open_clip: bool) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor] | None]:
    def find_open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        found = strip_prefix(tensors, OPEN_CLIP_PREFIXES, (OPEN_CLIP_MARK,))
        return _kind(_from_open_clip(found), system, True, {}) if "token_embedding.weight" in found else None

    def find_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        found = strip_prefix(tensors, PREFIXES, (INNER + MARK, MARK))
        if INNER + MARK in found:
            found = {name[len(INNER) :]: tensor for name, tensor in found.items() if name.startswith(INNER)}
        wanted = ("embeddings.", "encoder.", "final_layer_norm.")
        found = {n: t for n, t in found.items() if n.startswith(wanted) and not n.endswith("position_ids")}
        return _kind(found, system, False, _fields_of(tensors))

    return find_open_clip if open_clip else find_transformers


def _fields_of(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the folder's config.json says that no shape does."""
    configs = getattr(tensors, "configs", {})
    given = configs.get("text_encoder", configs.get("", {}))
    return {key: given[key] for key in ("hidden_act", "num_attention_heads", "layer_norm_eps") if key in given}


def config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The fields of CLIPTextConfig for these tensors; `layer` and `pad` as TextEncoder's."""
    vocabulary, width = tensors[MARK].shape
    positions = tensors["embeddings.position_embedding.weight"].shape[0]
    if positions > MAX_POSITIONS:
        raise DiffilmError(f"a text encoder for {positions} tokens; expected at most {MAX_POSITIONS} (CLIP's has 77)")
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": tensors["encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": len({n.split(".")[2] for n in tensors if n.startswith("encoder.layers.")}),
        "num_attention_heads": max(1, width // HEAD_DIM),
        "max_position_embeddings": positions,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "layer": -1,
        "pad": None,
        **getattr(tensors, "fields", {}),
    }


def build_text(
    config: Mapping[str, Any],
    *,
    operations: Any = None,
    attention: Any = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Module:
    """Transformers' CLIP text network, without the module that some versions wrap it in; its layers are its own.

    It keeps what the configuration says of `layer` and `pad`.
    """
    from transformers import CLIPTextConfig, CLIPTextModel

    fields = {key: value for key, value in config.items() if key not in (*NOT_SHAPE, *HABITS)}
    if fields["hidden_size"] % fields["num_attention_heads"]:
        raise DiffilmError(f"a text encoder of width {fields['hidden_size']}: expected one with heads of {HEAD_DIM}")
    with torch.device(device or "cpu"):
        inner = inner_model(CLIPTextModel(CLIPTextConfig(**fields)))
    inner.layer, inner.pad = config.get("layer", -1), config.get("pad")
    positions = inner.embeddings.position_embedding.num_embeddings
    inner.embeddings.position_ids = torch.arange(positions)[None]  # in no file
    return inner.to(dtype)


LAYOUTS = [
    Layout(name, system, "text", _finder(system, name == "open_clip"), config, build_text)
    for system in ("sd1", "sd2")
    for name in ("open_clip", "transformers")
]

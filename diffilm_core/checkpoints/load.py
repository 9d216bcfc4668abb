"""Networks out of what is published: known by its names, filled without a copy, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from ..models.attention import AttentionFunction, sdpa_attention
from ..text.clip import TextEncoder, clip_tokenizer, load_tokenizer
from .inspect import built, configured, described, differences, main_dtype, matches
from .layout import ROLES, SYSTEMS, Layout
from .source import Checkpoint, Source, one_line, open_source

FLOAT8 = tuple(getattr(torch, name) for name in dir(torch) if name.startswith("float8_"))
SAMPLES = 1024  # numbers of each tensor that a fingerprint reads
ORDINARY = (torch.float32, torch.float16, torch.bfloat16)


@one_line()
def load_part(
    source: Source,
    role: str,
    *,
    systems: Collection[str] | None = None,
    operations: Any = None,
    attention: AttentionFunction | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Module:
    """The network of this role, in evaluation mode, with `.system`, `.layout` and `.fingerprint`.

    Its tensors are the file's own, memory-mapped, where dtype and device let them be. dtype: None keeps how most of the
    file is stored; 8-bit floats stay only for `operations` that take them, and become float32 on a CPU, else float16.
    systems: those that will do. Raises DiffilmError for a file that cannot be read, holds no such part or one of
    another system, lacks tensors, has some too many or of another shape, or numbers that are not finite.
    """
    checkpoint = open_source(source)
    if "diffilm" in checkpoint.metadata:
        from .own import own_part

        layout, tensors, config = own_part(checkpoint, role)
    else:
        layout, tensors = _found(checkpoint, role)
        config = configured(layout, tensors, checkpoint.label)
    if systems is not None and layout.system not in systems:
        wanted = " or ".join(SYSTEMS[name] for name in systems)
        raise DiffilmError(f"{checkpoint.label} holds {layout.named}, expected the {ROLES[role]} of {wanted}: give one")
    options = {"operations": operations or nn, "attention": attention or sdpa_attention}
    module = built(layout, config, checkpoint.label, **options)
    _check_names(module, tensors, layout, checkpoint.label)
    _check_numbers(tensors, checkpoint.label)
    fingerprint = fingerprint_of(tensors)
    target = dtype or (None if operations else _ordinary(main_dtype(tensors), device))
    _fill(module, tensors, target, device)
    module.eval()
    if hasattr(module, "dtype") and not isinstance(getattr(type(module), "dtype", None), property):
        setattr(module, "dtype", target)  # noqa: B010
    for name, value in (("system", layout.system), ("layout", layout.name), ("fingerprint", fingerprint)):
        setattr(module, name, value)
    return module


def load_unet(source: Source, **options: Any) -> nn.Module:
    """The UNet of any published system, `unet(x, timesteps, context, **conditions)` with x `(b, c, t, h, w)`.

    options and errors: those of `load_part`.
    """
    return load_part(source, "unet", **options)


def load_vae(source: Source, **options: Any) -> nn.Module:
    """The autoencoder; options and errors: those of `load_part`."""
    return load_part(source, "vae", **options)


@one_line()
def load_text_encoder(
    source: Source, *, tokenizer: str | Path | None = None, layer: int | None = None, **options: Any
) -> TextEncoder:
    """The CLIP text encoder, with `.system` and `.fingerprint`; CLIP's vocabulary, or a Diffilm model's own.

    tokenizer: a folder of vocab.json and merges.txt instead. layer: TextEncoder's, instead of the one that the model's
    system reads. options and errors: those of `load_part`; DiffilmError where the vocabulary has another size.
    """
    from ..bundle import TOKENIZER

    checkpoint = open_source(source)
    model: Any = load_part(checkpoint, "text", **options)
    own = model.system == "diffilm"
    words = load_tokenizer(tokenizer or TOKENIZER) if own or tokenizer else clip_tokenizer()
    if len(words) > model.config.vocab_size:
        raise DiffilmError(
            f"{checkpoint.label} has a vocabulary of {model.config.vocab_size}, its tokenizer one of {len(words)}: "
            "give the folder of the tokenizer that belongs to it"
        )
    return TextEncoder(
        model,
        words,
        layer=model.layer if layer is None else layer,
        pad=model.pad,
        split="tokens" if own else "words",
    )


def load_image_encoder(source: Source, **options: Any) -> nn.Module:
    """The image encoder; options and errors: those of `load_part`."""
    return load_part(source, "image_encoder", **options)


@one_line()
def load_motion(source: Source, **options: Any) -> nn.Module:
    """A motion model, or a LoRA for one; options and errors: those of `load_part`."""
    checkpoint = open_source(source)
    found, _ = matches(checkpoint, ("motion", "lora"))
    motion = any(layout.role == "motion" for layout, _ in found) or not found
    return load_part(checkpoint, "motion" if motion else "lora", **options)


def _found(checkpoint: Checkpoint, role: str) -> tuple[Layout, dict[str, Tensor]]:
    found, reason = matches(checkpoint, (role,))
    if found:
        return found[0]
    if reason:
        raise DiffilmError(f"{checkpoint.label}: {reason}")
    raise DiffilmError(
        f"{checkpoint.label} holds {described(checkpoint)}, expected a {ROLES[role]}: give a file that has one"
    )


def _check_names(module: nn.Module, tensors: Mapping[str, Tensor], layout: Layout, label: str) -> None:
    missing, unexpected = differences(module, tensors)
    kinds = module.state_dict()
    strange = [n for n, t in tensors.items() if n in kinds and kinds[n].is_floating_point() != t.is_floating_point()]
    if strange and not missing and not unexpected:
        raise DiffilmError(
            f"{label} keeps {strange[0]} and {len(strange) - 1} more as {tensors[strange[0]].dtype}, expected floating "
            "point numbers: get the model unquantized"
        )
    if missing or unexpected:
        wrong = [f"missing {name}" for name in missing] + [f"unexpected {name}" for name in unexpected]
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise DiffilmError(
            f"{label} looks like {layout.named}, but its tensors are not just that: {', '.join(wrong[:3])}{more}; "
            "get it again"
        )


def _check_numbers(tensors: Mapping[str, Tensor], label: str) -> None:
    """DiffilmError where a number is not finite; a sum tells most tensors clean in one pass."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.is_meta:
            continue
        value = tensor.to(torch.float16) if tensor.dtype in FLOAT8 else tensor
        if not bool(torch.isfinite(value.sum())) and not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise DiffilmError(
                f"{label}: {bad} of {value.numel()} numbers of {name} are not finite (NaN or infinite): get it again"
            )


def fingerprint_of(tensors: Mapping[str, Tensor]) -> str:
    """Tells one set of weights from another: SHA-256, as hex, over names, shapes, dtypes and some numbers of each."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        if not tensor.is_meta:
            flat = tensor.detach().reshape(-1)
            some = flat[:: max(1, flat.numel() // SAMPLES)].contiguous()
            digest.update(some.view(torch.uint8).cpu().numpy().tobytes())
    return digest.hexdigest()


def _ordinary(stored: torch.dtype, device: torch.device | str | None) -> torch.dtype:
    if stored in ORDINARY:
        return stored
    return torch.float32 if torch.device(device or "cpu").type == "cpu" else torch.float16


def _fill(
    module: nn.Module, tensors: dict[str, Tensor], dtype: torch.dtype | None, device: torch.device | str | None
) -> None:
    """Put the tensors into the network, one by one where they must be converted, so that no two copies exist."""
    for name in list(tensors):
        tensor = tensors[name]
        tensors[name] = tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
    module.requires_grad_(False).load_state_dict(tensors, assign=True)
    module.to(device)
    left = [name for name, tensor in (*module.named_parameters(), *module.named_buffers()) if tensor.is_meta]
    if left:
        raise RuntimeError(f"{type(module).__name__} left {left[0]} without a value")

"""Random ModelScope UNets in the names that are published: the original's and diffusers'."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from diffilm_core.checkpoints import modelscope
from diffilm_core.models.unet import UNet, UNetConfig

KEYS = Path(__file__).parents[1] / "keys"
CONTEXT = 1024


def tiny_config(context: int = CONTEXT, head_dim: int = 16) -> UNetConfig:
    """The published shape, an eighth as wide."""
    return UNetConfig(
        model_channels=32, channel_mult=(1, 2, 2, 2), context_dim=context, head_dim=head_dim, use_linear=True,
        temporal="modelscope", temporal_options={"head_dim": head_dim},
    )  # fmt: skip


def native(config: UNetConfig | None = None, seed: int = 0) -> dict[str, Tensor]:
    """Random weights in our names, of a spread that keeps numbers near 1; no layer is zero."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, empty in UNet(config or tiny_config(), device="meta").state_dict().items():
        fan = empty[0].numel() if empty.ndim > 1 else 25
        centre = 1.0 if empty.ndim == 1 and name.endswith("weight") else 0.0
        spread = 0.3 if name == "out.2.weight" else 1.0  # steps of a sampler do not grow what rounding began
        weights[name] = torch.randn(empty.shape, generator=generator) * spread / fan**0.5 + centre
    return weights


def original(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """In the names and shapes of `text2video_pytorch_model.pth`."""
    found = {}
    for name, tensor in weights.items():
        over_time = name.startswith(modelscope.STEM) or modelscope.TIME_LAYER.match(name)
        if name.endswith("weight") and ((over_time and ".proj_" in name) or tensor.shape[2:] == (3, 1)):
            tensor = tensor.unsqueeze(-1)
        found[name.replace(".0.op.", ".op.")] = tensor.contiguous()
    return found


def diffusers_places() -> dict[str, str]:
    """Every name of diffusers' full model, with ours."""
    names = [line.split(" ")[0] for line in (KEYS / "modelscope_diffusers.txt").read_text("utf-8").splitlines()]
    numbered = {name: torch.empty(number, device="meta") for number, name in enumerate(names)}
    found = modelscope.find_diffusers(numbered) or {}
    return {names[tensor.shape[0]]: own for own, tensor in found.items()}


def diffusers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """In the names and shapes of diffusers' UNet3DConditionModel."""
    found = {}
    for name, own in diffusers_places().items():
        tensor = weights.get(own)
        if tensor is not None:  # a narrower model has fewer convolutions beside its blocks
            found[name] = (tensor.unsqueeze(-1) if tensor.shape[2:] == (3, 1) else tensor).contiguous()
    return found


def open_clip(width: int = CONTEXT, layers: int = 24, seed: int = 0) -> dict[str, Tensor]:
    """The text half of `open_clip_pytorch_model.bin`; the host knows it by its full width and depth."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int, spread: float = 0.02) -> Tensor:
        return (torch.rand(shape, generator=generator) * 2 - 1).mul_(spread).half()

    weights = {"positional_embedding": rand(77, width), "text_projection": rand(width, width)}
    weights |= {"token_embedding.weight": rand(49408, width), "logit_scale": torch.tensor(4.6)}
    norms = ["ln_final"]
    for number in range(layers):
        block = f"transformer.resblocks.{number}"
        norms += [f"{block}.ln_1", f"{block}.ln_2"]
        weights |= {
            f"{block}.attn.in_proj_weight": rand(3 * width, width), f"{block}.attn.in_proj_bias": rand(3 * width),
            f"{block}.attn.out_proj.weight": rand(width, width), f"{block}.attn.out_proj.bias": rand(width),
            f"{block}.mlp.c_fc.weight": rand(4 * width, width), f"{block}.mlp.c_fc.bias": rand(4 * width),
            f"{block}.mlp.c_proj.weight": rand(width, 4 * width), f"{block}.mlp.c_proj.bias": rand(width),
        }  # fmt: skip
    for name in norms:
        weights |= {f"{name}.weight": rand(width) + 1, f"{name}.bias": rand(width)}
    return weights


def lightning_vae(seed: int = 0) -> dict[str, dict[str, Tensor]]:
    """`VQGAN_autoencoder.pth`: a trainer's checkpoint, the autoencoder beside its loss."""
    from diffilm_core.models import AutoencoderConfig, AutoencoderKL

    torch.manual_seed(seed)
    vae = AutoencoderKL(AutoencoderConfig(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1)).state_dict()
    weights = {f"first_stage_model.{name}": tensor for name, tensor in vae.items()}
    return {"state_dict": {**weights, "loss.logvar": torch.zeros(())}}


def write_original(folder: Path, width: int = 64) -> Path:
    """A folder of ModelScope's three files, all narrow."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(original(native(tiny_config(width))), folder / "text2video_pytorch_model.pth")
    torch.save(open_clip(width, 3), folder / "open_clip_pytorch_model.bin")
    torch.save(lightning_vae(), folder / "VQGAN_autoencoder.pth")
    return folder


def write_modelscope(models: Path) -> None:
    """ModelScope's and Zeroscope's files in a models folder, under their published names, narrow but for the text."""
    for folder in ("diffusion_models", "text_encoders", "vae"):
        (models / folder).mkdir(parents=True, exist_ok=True)
    unets = models / "diffusion_models"
    torch.save(original(native(seed=0)), unets / "text2video_pytorch_model.pth")
    for number, name in enumerate(("576w", "XL"), 1):
        half = {key: tensor.half() for key, tensor in original(native(seed=number)).items()}
        torch.save(half, unets / f"zeroscope_v2_{name}.pth")
    save_file(diffusers(native(seed=0)), unets / "diffusion_pytorch_model.safetensors")
    text = models / "text_encoders" / "open_clip_pytorch_model.bin"
    torch.save(open_clip(), text)
    (text.parent / "zeroscope_v2_576w_open_clip.bin").symlink_to(text)
    torch.save(lightning_vae(), models / "vae" / "VQGAN_autoencoder.pth")

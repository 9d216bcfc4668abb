"""Runs inside ComfyUI's process and prints figures as JSON: `python inside_loaders.py COMFYUI_FOLDER PACK_FOLDER`.

Random checkpoints in published layouts lie in model folders that only folder_paths knows, as with extra_model_paths.
"""

# ruff: noqa: E402
from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

host, pack_folder = (Path(arg) for arg in sys.argv[1:3])
sys.path.insert(0, str(host))
sys.argv = ["main.py", "--cpu"]
import comfy.options

comfy.options.enable_args_parsing()
import asyncio

import comfy.sd
import comfy.utils
import folder_paths
import torch
from safetensors.torch import save_file

import nodes as host_nodes

torch.set_grad_enabled(False)
BASE = Path(tempfile.mkdtemp())
for name in ("diffusion_models", "checkpoints", "vae", "diffilm"):
    folder_paths.folder_names_and_paths[name] = ([str(BASE / "none" / name)], folder_paths.supported_pt_extensions)


def module(name: str, path: Path, **options: Any) -> Any:
    spec = importlib.util.spec_from_file_location(name, path, **options)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


pack = module("pack", pack_folder / "__init__.py", submodule_search_locations=[str(pack_folder)])
asyncio.run(pack.comfy_entrypoint())
from pack.diffilm_core.checkpoints import load_text_encoder, load_unet
from pack.diffilm_core.errors import DiffilmError
from pack.diffilm_core.models.autoencoder import AutoencoderConfig, AutoencoderKL
from pack.diffilm_core.models.unet import UNet, UNetConfig
from pack.nodes import host as ours
from pack.nodes import host_video
from pack.nodes.load_video import LoadVAE, LoadVideoUNet

sys.modules["diffilm_core"] = sys.modules["pack.diffilm_core"]
for known in [name for name in sys.modules if name.startswith("pack.diffilm_core.")]:
    sys.modules[known.removeprefix("pack.")] = sys.modules[known]
modelscope = module("published_modelscope", pack_folder / "tests/published/modelscope.py")
svd = module("published_svd", pack_folder / "tests/published/svd.py")
animatediff = module("published_animatediff", pack_folder / "tests/published/animatediff.py")

FRAMES, SIDE, CONTEXT = 4, 8, 1024


def combo(node: Any, name: str) -> list[str]:
    """What a node offers on the canvas."""
    inputs = node.INPUT_TYPES()["required"][name]
    return inputs[1]["options"] if isinstance(inputs[0], str) else inputs[0]


def refused(node: Any, **inputs: Any) -> dict[str, Any]:
    """The words of a loader before and while it runs."""
    checked = node.validate_inputs(**{key: value for key, value in inputs.items() if key.endswith("_name")})
    try:
        node.execute(**inputs)
    except DiffilmError as error:
        return {"checked": checked, "raised": str(error)}
    return {"checked": checked, "raised": ""}


def empty() -> dict[str, Any]:
    return {
        "unets": combo(LoadVideoUNet, "unet_name"), "vaes": combo(LoadVAE, "vae_name"),
        "unet": refused(LoadVideoUNet, unet_name="zeroscope_v2_XL.pth", weight_dtype="default"),
        "other": refused(LoadVideoUNet, unet_name="own.pth", weight_dtype="default"),
        "vae": refused(LoadVAE, vae_name="VQGAN_autoencoder.pth"),
    }  # fmt: skip


def write_models() -> dict[str, Any]:
    """Fill folders of a second place, and name them as extra_model_paths.yaml does."""
    weights = modelscope.original(modelscope.native())
    for name in ("diffusion_models", "checkpoints", "vae"):
        (BASE / "extra" / name).mkdir(parents=True)
        folder_paths.add_model_folder_path(name, str(BASE / "extra" / name))
    unets = BASE / "extra" / "diffusion_models"
    torch.save({name: each.half() for name, each in weights.items()}, unets / "zeroscope_v2_576w.pth")
    (unets / "sub").mkdir()
    save_file(modelscope.diffusers(modelscope.native()), unets / "sub" / "diffusers.safetensors")
    first = next(iter(weights))
    bad = {**weights, first: weights[first] * float("nan")}
    save_file({name: each.contiguous() for name, each in bad.items()}, unets / "nan.safetensors")
    whole = (unets / "nan.safetensors").read_bytes()
    (unets / "short.safetensors").write_bytes(whole[: len(whole) // 2])
    image = {"model.diffusion_model." + n: t for n, t in image_unet().items()}
    save_file(image, BASE / "extra" / "checkpoints" / "image.safetensors")
    torch.manual_seed(0)
    save_file(animatediff.original("v3", (32, 64, 64, 64)), BASE / "extra" / "checkpoints" / "motion.safetensors")
    return weights


def image_unet() -> dict[str, torch.Tensor]:
    config = UNetConfig(model_channels=32, channel_mult=(1, 2, 2, 2), context_dim=768, temporal="none")
    return {name: torch.zeros_like(t, device="cpu") for name, t in UNet(config).state_dict().items()}


def video() -> dict[str, Any]:
    write_models()
    path = host_video.file_path("zeroscope_v2_576w.pth", ours.FOLDERS, host_video.VIDEO_MODELS, "unet")
    core = load_unet(path, dtype=torch.float32)
    found: dict[str, Any] = {"unets": combo(LoadVideoUNet, "unet_name")}
    latents: dict[tuple[str, str], torch.Tensor] = {}
    for name, dtype in (
        ("zeroscope_v2_576w.pth", "default"), (os.path.join("sub", "diffusers.safetensors"), "default"),
        ("zeroscope_v2_576w.pth", "fp8_e4m3fn"),
    ):  # fmt: skip
        assert LoadVideoUNet.validate_inputs(unet_name=name) is True
        model = LoadVideoUNet.execute(unet_name=name, weight_dtype=dtype).args[0]
        latents[name, dtype] = sampled(model)
        if dtype == "default" and name.endswith(".pth"):
            found["parity"] = parity(model, core)
    one, two, fp8 = latents.values()
    scale = float(one.abs().max())
    found |= {"scale": scale, "layouts": float((one - two).abs().max()) / scale}
    found["fp8"] = float((one - fp8).norm() / one.norm())
    wrong = {"nan.safetensors", "short.safetensors", "image.safetensors", "motion.safetensors"}
    found["wrong"] = {name: refused(LoadVideoUNet, unet_name=name, weight_dtype="default")["raised"] for name in wrong}
    return found


def others() -> dict[str, Any]:
    """The node sees by itself what else is in a file: Stable Video Diffusion's UNet; Diffilm's own has a loader."""
    path = BASE / "extra" / "checkpoints" / "svd.safetensors"
    torch.manual_seed(0)
    network = UNet(svd.TINY_UNET)
    save_file({f"model.diffusion_model.{name}": each for name, each in network.state_dict().items()}, path)
    model = LoadVideoUNet.execute(unet_name=path.name, weight_dtype="default").args[0].model
    folder_paths.add_model_folder_path("diffilm", str(pack_folder / "diffilm_core" / "assets" / "diffilm"))
    listed = combo(LoadVideoUNet, "unet_name")
    return {
        "listed": [name for name in ("svd.safetensors", "video.safetensors") if name in listed],
        "model": [type(model).__name__, model.model_type.name],
        "own": refused(LoadVideoUNet, unet_name="video.safetensors", weight_dtype="default")["raised"],
    }


def sampled(model: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    text = [[torch.randn(1, 77, CONTEXT, generator=generator), {}]]
    empty = {"samples": torch.zeros(FRAMES, 4, SIDE, SIDE)}
    return host_nodes.common_ksampler(model, 5, 3, 3.0, "euler", "normal", text, text, empty)[0]["samples"]


def parity(model: Any, core: Any) -> float:
    """One call of the network through the host against the core's."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(1, 4, FRAMES, SIDE, SIDE, generator=generator)
    text = torch.randn(1, 77, CONTEXT, generator=generator)
    wanted = core(x, torch.tensor([500.0]), text)
    rows = x[0].movedim(1, 0)
    unet = model.model.diffusion_model
    weight = next(unet.parameters()).dtype
    got = unet(
        rows.to(weight), torch.full((FRAMES,), 500.0), text.repeat(FRAMES, 1, 1).to(weight), num_video_frames=FRAMES,
        transformer_options={},
    )  # fmt: skip
    return float((got.float().movedim(0, 1)[None] - wanted).abs().max() / wanted.abs().max())


def autoencoder() -> dict[str, Any]:
    """ModelScope's Lightning file, which the host's own loader refuses, and what it decodes to."""
    torch.manual_seed(0)
    core = AutoencoderKL(AutoencoderConfig(ch=32, ch_mult=(1, 2, 4, 4), num_res_blocks=2, z_channels=4)).eval()
    weights = {f"first_stage_model.{name}": tensor for name, tensor in core.state_dict().items()}
    path = BASE / "extra" / "vae" / "VQGAN_autoencoder.pth"
    torch.save({"epoch": 1, "pytorch-lightning_version": "1.4.2", "state_dict": weights, "callbacks": {}}, path)
    vae = LoadVAE.execute(vae_name=path.name).args[0]
    latent = torch.randn(2, 4, SIDE, SIDE)
    wanted = (core.decode(latent * core.config.scale_factor) / 2 + 0.5).clamp(0, 1)
    got = vae.decode(latent)
    theirs = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(path)))
    return {
        "relative": float((got.movedim(-1, 1) - wanted).abs().max()), "listed": combo(LoadVAE, "vae_name"),
        "theirs": theirs.first_stage_model is not None,
    }  # fmt: skip


def text() -> dict[str, Any]:
    """The host's own loader takes ModelScope's text encoder in open_clip's names, so the pack has none for it."""
    path = BASE / "open_clip_pytorch_model.bin"
    torch.save(modelscope.open_clip(), path)
    clip = comfy.sd.load_clip([str(path)], clip_type=comfy.sd.CLIPType.STABLE_DIFFUSION)
    theirs = clip.encode_from_tokens(clip.tokenize("a fox in the snow")).float()
    del clip
    ours = load_text_encoder(path, dtype=torch.float32).encode(["a fox in the snow"])
    return {"shape": list(ours.shape), "relative": float((ours - theirs).norm() / ours.norm())}


figures = {"text": text(), "empty": empty(), "video": video(), "others": others(), "autoencoder": autoencoder()}
print("FIGURES " + json.dumps(figures))

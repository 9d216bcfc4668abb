"""Runs inside ComfyUI's process and prints figures as JSON: `python inside.py COMFYUI_FOLDER PACK_FOLDER [FLAG]`.

Each check compares what the host does with our MODEL, CLIP and VAE with what the core does on its own. With one of the
host's dtype flags (--bf16-unet ...) only a short clip is sampled.
"""

# ruff: noqa: E402
from __future__ import annotations

import importlib.util
import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Any

host, pack_folder = (Path(arg) for arg in sys.argv[1:3])
FLAGS = sys.argv[3:]
sys.path.insert(0, str(host))
sys.argv = ["main.py", "--cpu", *FLAGS]
import comfy.options

comfy.options.enable_args_parsing()
import comfy.cli_args
import comfy.context_windows
import comfy.sample
import comfy.sd
import torch

import nodes as host_nodes

torch.set_grad_enabled(False)


def import_pack(folder: Path) -> Any:
    """As the host does it: under a name of its own, from the folder's __init__.py."""
    spec = importlib.util.spec_from_file_location(
        "pack", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pack"] = module
    spec.loader.exec_module(module)
    return module


import_pack(pack_folder)
from pack.diffilm_core import bundle, frames, sampling
from pack.nodes import host as ours
from pack.nodes import host_models

CORE = bundle.load_model(device="cpu", dtype=torch.float32)
MODEL, CLIP, VAE = host_models.make_model(CORE), host_models.make_clip(CORE), host_models.make_vae(CORE)
FRAMES, SIDE, SEED = 6, 8, 7  # a small clip: the figures do not depend on the size, the time does
SHAPE = (CORE.vae.config.z_channels, FRAMES, SIDE, SIDE)
PROMPT, NEGATIVE = "a fox in the snow", "a bee"


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference over the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def host_latents(model: Any, sampler: str, scheduler: str, steps: int, cfg: float, positive: Any, negative: Any) -> Any:
    empty = {"samples": torch.zeros(FRAMES, SHAPE[0], SIDE, SIDE)}
    out = host_nodes.common_ksampler(model, SEED, steps, cfg, sampler, scheduler, positive, negative, empty)
    return out[0]["samples"]


def core_latents(sampler: str, scheduler: str, steps: int, cfg: float, context: Any, uncontext: Any) -> Any:
    fps = torch.tensor([CORE.defaults.fps])
    latents = sampling.sample_clip(
        CORE.unet, CORE.schedule, CORE.prediction, {"context": context, "fps": fps}, {"context": uncontext, "fps": fps},
        shape=SHAPE, seed=SEED, steps=steps, cfg=cfg, sampler=sampler, spacing=scheduler,
    )  # fmt: skip
    return latents.movedim(1, 0) / CORE.vae.config.scale_factor


def conditions() -> tuple[Any, Any]:
    return ours.encode_text(CLIP, PROMPT), ours.encode_text(CLIP, NEGATIVE)


def check_sampler(sampler: str, scheduler: str) -> dict:
    """The issue's bar: 20 steps, CFG 7, the same conditioning tensors, sigmas and noise."""
    positive, negative = conditions()
    theirs = host_latents(MODEL, sampler, scheduler, 20, 7.0, positive, negative)
    mine = core_latents(sampler, scheduler, 20, 7.0, positive[0][0], negative[0][0])
    return {"relative": relative(mine, theirs), "scale": float(theirs.abs().max()), "shape": list(theirs.shape)}


def check_sigmas() -> dict:
    theirs = MODEL.get_model_object("model_sampling").sigmas
    return {"relative": float(((theirs - CORE.schedule.sigmas) / theirs).abs().max()), "steps": len(theirs)}


def check_text() -> dict:
    """Short prompts and one of several windows: the host's CLIP Text Encode against ours."""
    out = {}
    for name, prompt in (("short", PROMPT), ("empty", ""), ("long", "snow " * (CORE.text.window * 2))):
        theirs = ours.encode_text(CLIP, prompt)[0][0]
        mine = CORE.text.encode([prompt])
        out[name] = {"same_shape": theirs.shape == mine.shape, "length": theirs.shape[1]}
        out[name]["relative"] = relative(mine, theirs) if theirs.shape == mine.shape else None
    return out


def check_decode() -> dict:
    latents = core_latents("euler", "normal", 2, 1.0, *[c[0][0] for c in conditions()])
    theirs = VAE.decode(latents)
    scaled = (latents * CORE.vae.config.scale_factor).movedim(0, 1)
    mine = frames.decode(CORE.vae, scaled, 8).collect()
    adapted = frames.decode(ours.HostDecoder(VAE), latents.movedim(0, 1), 8).collect()
    return {
        "shape": list(theirs.shape),
        "core": float((mine - theirs).abs().max()),
        "node": float((adapted - theirs).abs().max()),
    }


def check_encode() -> dict:
    picture = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    theirs = VAE.encode(picture)
    mine = CORE.vae.encode(picture.movedim(-1, 1) * 2 - 1) / CORE.vae.config.scale_factor
    return {"relative": relative(mine, theirs), "shape": list(theirs.shape)}


def lora_for(model: Any, ending: str) -> dict[str, torch.Tensor]:
    """A LoRA in kohya's names on every layer with that ending."""
    generator = torch.Generator().manual_seed(1)
    weights: dict[str, torch.Tensor] = {}
    for name, value in model.model.diffusion_model.state_dict().items():
        if name.endswith(ending + ".weight"):
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            weights[f"{key}.lora_down.weight"] = torch.randn(4, value.shape[1], generator=generator)
            weights[f"{key}.lora_up.weight"] = torch.randn(value.shape[0], 4, generator=generator)
            weights[f"{key}.alpha"] = torch.tensor(4.0)
    return weights


def check_lora() -> dict:
    positive, negative = conditions()
    weights = lora_for(MODEL, "attn2.to_q")
    plain = host_latents(MODEL, "euler", "normal", 2, 4.0, positive, negative)
    out: dict[str, Any] = {"layers": len(weights) // 3}
    for strength in (0.0, 1.0):
        patched, _ = comfy.sd.load_lora_for_models(MODEL, None, weights, strength, 0.0)
        out[f"patches_{strength:g}"] = len(patched.patches)
        changed = host_latents(patched, "euler", "normal", 2, 4.0, positive, negative)
        out[f"change_{strength:g}"] = relative(changed, plain)
        out[f"key_changes_{strength:g}"] = ours.model_key(patched) != ours.model_key(MODEL)
    again, _ = comfy.sd.load_lora_for_models(MODEL, None, weights, 1.0, 0.0)
    twin, _ = comfy.sd.load_lora_for_models(MODEL, None, weights, 1.0, 0.0)
    out["key_is_stable"] = ours.model_key(again) == ours.model_key(twin)
    out["unchanged_after"] = relative(host_latents(MODEL, "euler", "normal", 2, 4.0, positive, negative), plain)
    return out


def check_diffusers_lora_names() -> dict:
    """Diffusers' names reach our layers too, each one a layer that is there."""
    import comfy.lora

    mapped = comfy.lora.model_lora_keys_unet(MODEL.model, {})
    names = {key for key in mapped if "down_blocks" in key or "up_blocks" in key or "mid_block" in key}
    weights = set(MODEL.model.state_dict())
    attention = [key for key in names if key.startswith("lora_unet_") and "attn2_to_q" in key]
    return {"mapped": len(attention), "there": sum(mapped[key] in weights for key in attention)}


def check_context_windows() -> dict:
    """One and a half windows of frames through the host's own context windows on dim 0."""
    positive, negative = conditions()
    model = MODEL.clone()
    wanted = {
        "context_schedule": comfy.context_windows.get_matching_context_schedule("standard_static"),
        "fuse_method": comfy.context_windows.get_matching_fuse_method("pyramid"),
        "context_length": FRAMES, "context_overlap": FRAMES // 2, "context_stride": 1, "closed_loop": False, "dim": 0,
    }  # fmt: skip
    model.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(**wanted)
    empty = {"samples": torch.zeros(FRAMES * 3 // 2, SHAPE[0], SIDE, SIDE)}
    out = host_nodes.common_ksampler(model, SEED, 2, 4.0, "euler", "normal", positive, negative, empty)[0]["samples"]
    return {"shape": list(out.shape), "finite": bool(out.isfinite().all())}


def check_easycache() -> dict:
    """The host's EasyCache wraps our UNet and leaves calls out."""
    import comfy_extras.nodes_easycache as nodes_easycache

    calls = []
    forward = host_models.HostUNet._forward

    def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return forward(self, *args, **kwargs)

    positive, negative = conditions()
    found = nodes_easycache.EasyCacheNode.execute(MODEL, 1.0, 0.1, 0.95, False)
    host_models.HostUNet._forward = spy
    try:
        latents = host_latents(found.args[0], "euler", "normal", 12, 4.0, positive, negative)
    finally:
        host_models.HostUNet._forward = forward
    return {"calls": len(calls), "finite": bool(latents.isfinite().all())}


def check_dtype() -> dict:
    positive, negative = conditions()
    latents = host_latents(MODEL, "euler", "normal", 2, 4.0, positive, negative)
    weight = next(MODEL.model.diffusion_model.parameters())
    return {"dtype": str(weight.dtype), "finite": bool(latents.isfinite().all()), "scale": float(latents.abs().max())}


def check_frame_rate() -> dict:
    """The rate of Diffilm Text Encode reaches the UNet and what moves its picture."""
    rates: list = []
    moved: list[float] = []
    forward = host_models.UNet.forward
    mover = type(CORE.unet.over_time.mover)
    flow = mover.flow

    def spy(self: Any, x: Any, timesteps: Any, context: Any, fps: Any = None, **kwargs: Any) -> Any:
        if not isinstance(self, host_models.HostUNet):  # the motion prior's
            return forward(self, x, timesteps, context, **kwargs)
        rates.append(fps.tolist())
        return forward(self, x, timesteps, context, fps=fps, **kwargs)

    def spy_flow(self: Any, pixels: Any, frames: int, fps: float, seed: int) -> Any:
        moved.append(fps)
        return flow(self, pixels, frames, fps, seed)

    host_models.UNet.forward, mover.flow = spy, spy_flow
    try:
        slow, plain = ours.encode_text(CLIP, PROMPT, 4.0), ours.encode_text(CLIP, PROMPT)
        host_latents(MODEL, "euler", "normal", 1, 1.0, slow, slow)
        host_latents(MODEL, "euler", "normal", 1, 1.0, plain, plain)
    finally:
        host_models.UNet.forward, mover.flow = forward, flow
    return {"rates": rates, "moved": moved}


PAIRS = [
    ("euler", "normal"),
    ("euler", "sgm_uniform"),
    ("dpmpp_2m", "karras"),
    ("dpmpp_2m", "sgm_uniform"),
    ("euler_ancestral", "sgm_uniform"),
]
CHECKS = {
    "sigmas": check_sigmas,
    "text": check_text,
    "decode": check_decode,
    "encode": check_encode,
    "lora": check_lora,
    "diffusers_lora_names": check_diffusers_lora_names,
    "context_windows": check_context_windows,
    "easycache": check_easycache,
    "frame_rate": check_frame_rate,
    **{
        f"{sampler} {scheduler}": lambda sampler=sampler, scheduler=scheduler: check_sampler(sampler, scheduler)
        for sampler, scheduler in PAIRS
    },
}


class Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    heard = Complaints()
    logging.getLogger().addHandler(heard)
    results: dict[str, Any] = {}
    for name, check in ({"dtype": check_dtype} if FLAGS else CHECKS).items():
        heard.lines = []
        try:
            results[name] = {**check(), "complaints": heard.lines}
        except Exception:
            results[name] = {"error": traceback.format_exc()}
    sys.__stdout__.write("\nFIGURES " + json.dumps(results) + "\n")


main()

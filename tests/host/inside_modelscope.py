"""Runs inside ComfyUI's process and prints figures as JSON: `python inside_modelscope.py COMFYUI_FOLDER PACK_FOLDER`.

A narrow ModelScope UNet as the host's MODEL against the core's. With one of the host's dtype flags only a short clip.
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
import comfy.context_windows
import comfy.lora
import comfy.sample
import comfy.sd
import torch

import nodes as host_nodes

torch.set_grad_enabled(False)


def module(name: str, path: Path, **options: Any) -> Any:
    spec = importlib.util.spec_from_file_location(name, path, **options)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


module("pack", pack_folder / "__init__.py", submodule_search_locations=[str(pack_folder)])
from pack.diffilm_core import sampling
from pack.diffilm_core.checkpoints import load_unet
from pack.nodes import ddim, host_modelscope
from pack.nodes import host as ours

sys.modules["diffilm_core"] = sys.modules["pack.diffilm_core"]
for known in [name for name in sys.modules if name.startswith("pack.diffilm_core.")]:
    sys.modules[known.removeprefix("pack.")] = sys.modules[known]
published = module("published_modelscope", pack_folder / "tests/published/modelscope.py")

CONTEXT, FRAMES, SIDE, SEED, SCALE, WINDOW = 48, 5, 8, 7, 0.18215, 16
CORE: Any = load_unet(published.original(published.native(published.tiny_config(CONTEXT))))
MODEL = host_modelscope.make_modelscope_model(CORE.config, CORE.state_dict(), CORE.fingerprint)
SCHEDULE = sampling.NoiseSchedule.create()
POSITIVE, NEGATIVE = (torch.randn(1, 77, CONTEXT, generator=torch.Generator().manual_seed(n)) for n in (2, 3))
CONDITIONS = [[POSITIVE, {}]], [[NEGATIVE, {}]]


def relative(mine: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((mine - theirs).abs().max() / theirs.abs().max())


def host_latents(model: Any, sampler: str = "euler", scheduler: str = "normal", steps: int = 2, cfg: float = 4.0,
                 frames: int = FRAMES) -> torch.Tensor:  # fmt: skip
    empty = {"samples": torch.zeros(frames, 4, SIDE, SIDE)}
    return host_nodes.common_ksampler(model, SEED, steps, cfg, sampler, scheduler, *CONDITIONS, empty)[0]["samples"]


def core_latents(sampler: str = "euler", spacing: str = "normal", steps: int = 2, cfg: float = 4.0,
                 **options: Any) -> torch.Tensor:  # fmt: skip
    latents = sampling.sample_clip(
        CORE, SCHEDULE, "eps", {"context": POSITIVE}, {"context": NEGATIVE}, shape=(4, FRAMES, SIDE, SIDE), seed=SEED,
        steps=steps, cfg=cfg, sampler=sampler, spacing=spacing, **options,
    )  # fmt: skip
    return latents.movedim(1, 0) / SCALE


def check_sampler() -> dict:
    """The bar: 20 steps, CFG 7."""
    pairs = [("euler", "normal"), ("dpmpp_2m", "karras"), ("euler", "ddim_uniform")]
    return {f"{a} {b}": relative(core_latents(a, b, 20, 7.0), host_latents(MODEL, a, b, 20, 7.0)) for a, b in pairs}


def exact(steps: int, denoise: float, latents: torch.Tensor) -> torch.Tensor:
    """What SamplerCustom does with our DDIM node's outputs."""
    sampler, sigmas = ddim.DDIM.execute(MODEL, steps, denoise).args
    noise = comfy.sample.prepare_noise(latents, SEED)
    return comfy.sample.sample_custom(MODEL, noise, 9.0, sampler, sigmas, *CONDITIONS, latents, seed=SEED)


def check_ddim() -> dict:
    """50 steps as ModelScope publishes them, and video-to-video over 30 of 50."""
    theirs = exact(50, 1.0, torch.zeros(FRAMES, 4, SIDE, SIDE))
    latents = torch.randn(4, FRAMES, SIDE, SIDE, generator=torch.Generator().manual_seed(9))
    again = exact(30, 0.6, latents.movedim(1, 0) / SCALE)
    return {
        "relative": relative(core_latents("ddim", "ddim", 50, 9.0), theirs), "scale": float(theirs.abs().max()),
        "video_to_video": relative(core_latents("ddim", "ddim", 30, 9.0, denoise=0.6, latents=latents), again),
        "hosts_own": relative(host_latents(MODEL, "euler", "ddim_uniform", 50, 9.0), theirs),
    }  # fmt: skip


def check_sigmas() -> dict:
    theirs = MODEL.get_model_object("model_sampling").sigmas
    return {"relative": float(((theirs - SCHEDULE.sigmas) / theirs).abs().max())}


def lora(names: dict[str, str], style: str) -> dict[str, torch.Tensor]:
    """A LoRA on layers: `names` from the LoRA's word for one to ours."""
    generator = torch.Generator().manual_seed(1)
    down, up = {"kohya": (".lora_down", ".lora_up"), "diffusers": ("_lora.down", "_lora.up")}[style]
    weights: dict[str, torch.Tensor] = {}
    for key, name in names.items():
        shape = MODEL.model.diffusion_model.get_parameter(name).shape
        ones = (1,) * (len(shape) - 2)
        weights[f"{key}{down}.weight"] = torch.randn(4, *shape[1:], generator=generator) / shape[1:].numel() ** 0.5
        weights[f"{key}{up}.weight"] = torch.randn(shape[0], 4, *ones, generator=generator)
        if style == "kohya":
            weights[f"{key}.alpha"] = torch.tensor(4.0)
    return weights


def loras() -> dict[str, dict[str, torch.Tensor]]:
    places = published.diffusers_places()
    every = [name for name in CORE.state_dict() if name.endswith((".to_q.weight", ".proj.weight", "_layers.2.weight"))]
    spatial = ("resnets", "attentions", "upsamplers", "downsamplers")
    theirs = {
        key.removesuffix(".weight"): name
        for key, name in places.items()
        if key.endswith("weight") and "norm" not in key and any(f".{kind}." in key for kind in spatial)
        and "temp_" not in key and name in CORE.state_dict()
    }  # fmt: skip
    projections = {f"unet.{key}".replace(".to_", ".processor.to_").removesuffix(".0"): name
                   for key, name in theirs.items() if ".to_" in key}  # fmt: skip
    return {
        "kohya": lora({"lora_unet_" + n.removesuffix(".weight").replace(".", "_"): n for n in every}, "kohya"),
        "kohya_diffusers": lora({"lora_unet_" + k.replace(".", "_"): n for k, n in theirs.items()}, "kohya"),
        "diffusers": lora(projections, "diffusers"),
    }


def check_lora() -> dict:
    plain, out = host_latents(MODEL), {}
    for style, weights in loras().items():
        found: dict[str, Any] = {"layers": sum(key.endswith("up.weight") for key in weights)}
        for strength in (0.0, 1.0):
            patched, _ = comfy.sd.load_lora_for_models(MODEL, None, weights, strength, 0.0)
            found[f"change_{strength:g}"] = relative(host_latents(patched), plain)
        found["patched"] = sum(name in MODEL.model.state_dict() for name in patched.patches)
        found["key_changes"] = ours.model_key(patched) != ours.model_key(MODEL)
        out[style] = found
    return {**out, "unchanged_after": relative(host_latents(MODEL), plain)}


def check_context_windows() -> dict:
    """Three times the training length, the host's window node at its defaults, against our windows."""
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    defaults = {each.id: each.default for each in ContextWindowsManualNode.define_schema().inputs if each.id != "model"}
    wanted = {"context_schedule": "standard_static", "fuse_method": "pyramid"}
    assert all(defaults[key] in (None, value) for key, value in wanted.items())
    model = ContextWindowsManualNode.execute(MODEL, **{**defaults, **wanted}).args[0]
    theirs = host_latents(model, frames=3 * WINDOW)
    guided = sampling.Guidance(
        sampling.Denoiser(CORE, SCHEDULE, "eps"), {"context": POSITIVE}, {"context": NEGATIVE}, 4.0
    )
    windows = sampling.ContextWindows(guided, defaults["context_length"], defaults["context_overlap"])
    sigmas = sampling.sigmas_for(SCHEDULE, 2, "normal")
    noise = sampling.initial_noise((1, 4, 3 * WINDOW, SIDE, SIDE), SEED)
    x = sampling.noisy_start(None, noise, sigmas[0], SCHEDULE.sigma_max)
    mine = sampling.sample_euler(windows, x, sigmas)[0].movedim(1, 0) / SCALE
    return {"relative": relative(mine, theirs), "frames": len(theirs), "length": defaults["context_length"]}


def check_easycache() -> dict:
    import comfy_extras.nodes_easycache as nodes_easycache

    calls: list[int] = []
    kind = type(MODEL.model.diffusion_model)
    forward = kind._forward

    def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return forward(self, *args, **kwargs)

    found = nodes_easycache.EasyCacheNode.execute(MODEL, 1.0, 0.1, 0.95, False)
    kind._forward = spy
    try:
        latents = host_latents(found.args[0], steps=12)
    finally:
        kind._forward = forward
    return {"calls": len(calls), "finite": bool(latents.isfinite().all())}


def check_dtype() -> dict:
    latents, weight = host_latents(MODEL), next(MODEL.model.diffusion_model.parameters())
    return {
        "dtype": str(weight.dtype), "relative": relative(core_latents(), latents), "scale": float(latents.abs().max())
    }  # fmt: skip


class Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


CHECKS = {name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")}


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

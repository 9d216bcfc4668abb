"""Runs inside ComfyUI's process, as inside.py does: Video Diffusion Models, prompt travel and walks in the host.

`python inside_vdm.py COMFYUI_FOLDER PACK_FOLDER WORK_FOLDER`
"""

# ruff: noqa: E402
from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import Any

host, pack_folder, work = (Path(arg) for arg in sys.argv[1:4])
sys.path.insert(0, str(host))
sys.argv = ["main.py", "--cpu"]
import comfy.options

comfy.options.enable_args_parsing()
import comfy.cli_args
import comfy.context_windows
import comfy.sample
import comfy.samplers
import torch

import nodes as host_nodes

torch.set_grad_enabled(False)


def load(name: str, folder: Path) -> Any:
    file = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


load("pack", pack_folder)
from pack.diffilm_core import bundle, sampling
from pack.diffilm_core.checkpoints import load_unet
from pack.diffilm_core.sampling.vdm import sample_vdm, vdm_schedule
from pack.diffilm_core.text.bert import load_bert
from pack.diffilm_core.text.travel import PromptTravel
from pack.nodes import host as ours
from pack.nodes import host_models, host_vdm
from pack.nodes.travel import PromptTravelNode
from pack.nodes.walk import PromptWalk

UNET = load_unet(work / "model-1.pt")
CAPTION = load_bert(work / "bert").encode(["A fox in the Snow"])
FRAMES, SIDE, SEED = 5, 16, 7
POSITIVE, NEGATIVE = [[CAPTION, {"diffilm_drop": 0.0}]], [[CAPTION, {"diffilm_drop": 1.0}]]


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


def ksampler(model: Any, steps: int, cfg: float, sampler: str, positive: Any, negative: Any, empty: Any) -> Any:
    latent = {"samples": empty}
    out = host_nodes.common_ksampler(model, SEED, steps, cfg, sampler, "simple", positive, negative, latent)
    return out[0]["samples"]


def check_vdm(sampler: str, percentile: float | None, steps: int, cfg: float) -> dict:
    """The host's ancestral samplers on our MODEL against the core's own loop, pixels in [-1, 1]."""
    model = host_vdm.make_vdm(UNET, percentile)
    theirs = ksampler(model, steps, cfg, sampler, POSITIVE, NEGATIVE, torch.zeros(FRAMES, 3, SIDE, SIDE))
    mine = sample_vdm(
        UNET, CAPTION, shape=(3, FRAMES, SIDE, SIDE), seed=SEED, cfg=cfg, percentile=percentile, steps=steps
    )
    mine = mine.movedim(0, 1) * 2 - 1
    return {"relative": relative(mine, theirs), "scale": float(theirs.std()), "largest": float(theirs.abs().max())}


def check_sigmas() -> dict:
    theirs = host_vdm.make_vdm(UNET, None).get_model_object("model_sampling").sigmas
    return {"relative": float((theirs / vdm_schedule().sigmas - 1).abs().max()), "steps": len(theirs)}


def check_pixels() -> dict:
    """The VAE hands pixels through, both ways, and takes our decoder's calls."""
    vae, pictures = host_vdm.pixel_vae(), torch.rand(3, 16, 24, 3)
    latent = vae.encode(pictures)
    mine = ours.HostDecoder(vae).decode(latent)
    return {
        "shape": list(latent.shape), "back": relative(vae.decode(latent), pictures),
        "ours": relative((mine.movedim(1, -1) + 1) / 2, pictures), "range": float(latent.min()) < 0,
    }  # fmt: skip


CORE = bundle.load_model(device="cpu", dtype=torch.float32)
MODEL, CLIP = host_models.make_model(CORE), host_models.make_clip(CORE)
SCHEDULE = "0: a fox in the snow / 4: a bee"


def own(model: Any, positive: Any, negative: Any, frames: int, cfg: float = 4.0) -> Any:
    return ksampler(model, 3, cfg, "euler", positive, negative, torch.zeros(frames, 8, 8, 8))


def check_travel() -> dict:
    """A text a frame through the host against the core, on Diffilm's model."""
    positive, negative = PromptTravelNode.execute(CLIP, SCHEDULE, "", 6, 2, 8.0).args
    theirs = own(MODEL, positive, negative, 6)
    travel = PromptTravel.parse(SCHEDULE)
    context = travel.blended(CORE.text.encode(travel.prompts), 6, 2)
    fps = torch.tensor([8.0])
    uncond = {"context": CORE.text.encode([""]).expand(6, -1, -1), "fps": fps}
    denoiser = sampling.Denoiser(CORE.unet, CORE.schedule, CORE.prediction)

    def model(x: Any, sigma: Any) -> Any:
        cond, plain = denoiser(x, sigma, context=context, fps=fps), denoiser(x, sigma, **uncond)
        return plain + (cond - plain) * 4.0

    sigmas = sampling.sigmas_for(CORE.schedule, 3, "simple")
    noise = sampling.initial_noise((1, 8, 6, 8, 8), SEED)
    x = sampling.noisy_start(None, noise, sigmas[0], CORE.schedule.sigma_max)
    mine = sampling.sample_euler(model, x, sigmas)[0].movedim(1, 0) / CORE.vae.config.scale_factor
    still = own(MODEL, ours.encode_text(CLIP, "a fox in the snow", 8.0), negative, 6)
    return {"shape": list(positive[0][0].shape), "relative": relative(mine, theirs), "change": relative(still, theirs)}


def check_travel_windows() -> dict:
    """The host's context windows take each frame's text along: a window of the whole travel is not one of its start."""
    model = MODEL.clone()
    wanted = {
        "context_schedule": comfy.context_windows.get_matching_context_schedule("standard_static"),
        "fuse_method": comfy.context_windows.get_matching_fuse_method("flat"),
        "context_length": 4, "context_overlap": 0, "context_stride": 1, "closed_loop": False, "dim": 0,
    }  # fmt: skip
    model.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(**wanted)
    seen = []
    forward = host_models.UNet.forward

    def spy(self: Any, x: Any, timesteps: Any, context: Any, **kwargs: Any) -> Any:
        seen.append((x.shape[2], context.clone()))
        return forward(self, x, timesteps, context, **kwargs)

    positive, negative = PromptTravelNode.execute(CLIP, "0: a fox / 4: a bee", "", 8, 0, 8.0).args
    host_models.UNet.forward = spy
    try:
        out = own(model, positive, negative, 8, cfg=1.0)
    finally:
        host_models.UNet.forward = forward
    texts = [CORE.text.encode([prompt]) for prompt in ("a fox", "a bee")]
    right = [relative(context[:1], text) for (_, context), text in zip(seen, texts * 3, strict=True)]
    return {"finite": bool(out.isfinite().all()), "lengths": [t for t, _ in seen], "texts": max(right)}


def check_walk() -> dict:
    """Pictures of a walk through the host's custom sampler against the core's walk."""
    from comfy_extras import nodes_custom_sampler as custom
    from pack.diffilm_core.movie.sample import SampleSettings
    from pack.diffilm_core.walk import Walk, WalkSampler

    prompts = "a fox in the snow\na bee\nan owl"
    positive, negative, noise, latents = PromptWalk.execute(CLIP, prompts, "4 5 6", "", 3, 8.0, 64, 64, 4, 0.0).args
    guider = comfy.samplers.CFGGuider(MODEL)
    theirs = []
    sampler = comfy.samplers.sampler_object("euler")
    sigmas = comfy.samplers.calculate_sigmas(MODEL.get_model_object("model_sampling"), "simple", 3)
    for cond, each, latent in zip(positive, noise, latents, strict=True):
        guider.set_conds(cond, negative)
        guider.set_cfg(4.0)
        run = custom.SamplerCustomAdvanced
        out = run.execute(each, guider, sampler, sigmas, latent) if hasattr(run, "execute") else None
        theirs.append(out.args[0]["samples"])
    settings = SampleSettings(width=64, height=64, fps=8, steps=3, cfg=4.0, sampler="euler", spacing="simple")
    walk = Walk.plan(prompts.splitlines(), [4, 5, 6], 3, 8)
    mine = WalkSampler(CORE, settings, walk)(list(walk.steps(walk.times())))
    mine = mine.movedim(0, 1) / CORE.vae.config.scale_factor
    return {"batches": [len(each) for each in theirs], "relative": relative(mine, torch.cat(theirs))}


CHECKS = {
    "vdm sigmas": check_sigmas,
    "vdm ddpm": lambda: check_vdm("ddpm", None, 50, 2.5),
    "vdm euler_ancestral": lambda: check_vdm("euler_ancestral", None, 50, 2.5),
    "vdm dynamic": lambda: check_vdm("euler_ancestral", 0.9, 50, 4.0),
    "vdm plain": lambda: check_vdm("euler_ancestral", None, 20, 1.0),
    "pixels": check_pixels,
    "travel": check_travel,
    "travel windows": check_travel_windows,
    "walk": check_walk,
}


def main() -> None:
    results: dict[str, Any] = {}
    for name, check in CHECKS.items():
        try:
            results[name] = check()
        except Exception:
            results[name] = {"error": traceback.format_exc()}
    sys.__stdout__.write("\nFIGURES " + json.dumps(results) + "\n")


main()

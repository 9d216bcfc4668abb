"""Runs inside ComfyUI's process, as inside.py does: Video Diffusion Models, prompt travel and walks in the host.

`python inside_vdm.py COMFYUI_FOLDER PACK_FOLDER WORK_FOLDER [FLAG]`; with one of the host's dtype flags
(--bf16-unet ...) only a Video Diffusion Model is sampled.
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
FLAGS = sys.argv[4:]
sys.argv = ["main.py", "--cpu", *FLAGS]
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
from pack.diffilm_core.models import UNet, UNetConfig
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


def vdm_model(percentile: float | None = None) -> Any:
    return host_vdm.make_vdm_model(UNET.config, UNET.state_dict(), UNET.fingerprint, percentile=percentile)


def ksampler(model: Any, steps: int, cfg: float, sampler: str, positive: Any, negative: Any, empty: Any) -> Any:
    latent = {"samples": empty}
    out = host_nodes.common_ksampler(model, SEED, steps, cfg, sampler, "simple", positive, negative, latent)
    return out[0]["samples"]


def check_vdm(sampler: str, percentile: float | None, steps: int, cfg: float) -> dict:
    """The host's ancestral samplers on our MODEL against the core's own loop, pixels in [-1, 1]."""
    model = vdm_model(percentile)
    theirs = ksampler(model, steps, cfg, sampler, POSITIVE, NEGATIVE, torch.zeros(FRAMES, 3, SIDE, SIDE))
    mine = sample_vdm(
        UNET, CAPTION, shape=(3, FRAMES, SIDE, SIDE), seed=SEED, cfg=cfg, percentile=percentile, steps=steps
    )
    mine = mine.movedim(0, 1) * 2 - 1
    return {"relative": relative(mine, theirs), "scale": float(theirs.std()), "largest": float(theirs.abs().max())}


def check_dtype() -> dict:
    """Weights stored as the host was told to: the network against float32, and a clip."""
    model = vdm_model()
    made = ksampler(model, 4, 2.5, "euler_ancestral", POSITIVE, NEGATIVE, torch.zeros(FRAMES, 3, SIDE, SIDE))
    network = model.model.diffusion_model
    weight = next(network.parameters())
    x, time = torch.randn(1, 3, FRAMES, SIDE, SIDE), torch.tensor([400.0])
    rows = {"num_video_frames": FRAMES, "diffilm_drop": torch.zeros(FRAMES)}
    dtype = model.model.manual_cast_dtype or weight.dtype
    context = CAPTION.expand(FRAMES, -1, -1).to(dtype)
    theirs = network(x[0].movedim(1, 0).to(dtype), time.expand(FRAMES), context, **rows).float()
    mine = UNET(x, time, CAPTION)[0].movedim(1, 0)
    return {
        "dtype": str(weight.dtype), "computed": str(dtype), "relative": float((theirs - mine).norm() / mine.norm()),
        "finite": bool(made.isfinite().all()),
    }  # fmt: skip


def check_sigmas() -> dict:
    theirs = vdm_model().get_model_object("model_sampling").sigmas
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


def windowed(model: Any, length: int, overlap: int, fuse: str) -> Any:
    """The MODEL with the host's context windows over its frames, at the window node's other defaults."""
    wanted = {
        "context_schedule": comfy.context_windows.get_matching_context_schedule("standard_static"),
        "fuse_method": comfy.context_windows.get_matching_fuse_method(fuse),
        "context_length": length, "context_overlap": overlap, "context_stride": 1, "closed_loop": False, "dim": 0,
    }  # fmt: skip
    model = model.clone()
    model.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(**wanted)
    return model


def check_vdm_windows() -> dict:
    """Three times the training length in the host's context windows against the core's.

    Enough steps for the host's arithmetic: from the schedule's first sigma, 64166, down to less than 16 its ancestral
    step rounds what is left to 0 and then leaves the noise out (`get_ancestral_step`, float32), as the core does not.
    """
    model = windowed(vdm_model(), 5, 2, "pyramid")
    theirs = ksampler(model, 50, 2.5, "euler_ancestral", POSITIVE, NEGATIVE, torch.zeros(15, 3, SIDE, SIDE))
    noise = sampling.initial_noise((1, 3, 15, SIDE, SIDE), SEED)[0]
    mine = sample_vdm(
        UNET, CAPTION, shape=(3, 15, SIDE, SIDE), seed=SEED, cfg=2.5, steps=50, window=5, overlap=2, noise=noise
    )
    return {"relative": relative(mine.movedim(0, 1) * 2 - 1, theirs), "shape": list(theirs.shape)}


CORE = bundle.load_model(device="cpu", dtype=torch.float32)
MODEL, CLIP = host_models.make_model(CORE), host_models.make_clip(CORE)
SCHEDULE = "0: a fox in the snow / 4: a bee"


def own(model: Any, positive: Any, negative: Any, frames: int, cfg: float = 4.0) -> Any:
    return ksampler(model, 3, cfg, "euler", positive, negative, torch.zeros(frames, 8, 8, 8))


def host_travel(model: Any, core: Any, scale: float, channels: int, positive: Any, negative: Any, **fps: Any) -> dict:
    """A text a frame through the host against the core."""
    theirs = ksampler(model, 3, 4.0, "euler", positive, negative, torch.zeros(6, channels, 8, 8))
    context = positive[0][0]
    uncond = negative[0][0].expand(6, -1, -1)
    own = core is CORE.unet
    schedule = CORE.schedule if own else sampling.NoiseSchedule.create()
    denoiser = sampling.Denoiser(core, schedule, CORE.prediction if own else "eps")

    def guided(x: Any, sigma: Any) -> Any:
        cond, plain = denoiser(x, sigma, context=context, **fps), denoiser(x, sigma, context=uncond, **fps)
        return plain + (cond - plain) * 4.0

    sigmas = sampling.sigmas_for(schedule, 3, "simple")
    noise = sampling.initial_noise((1, channels, 6, 8, 8), SEED)
    x = sampling.noisy_start(None, noise, sigmas[0], schedule.sigma_max)
    mine = sampling.sample_euler(guided, x, sigmas)[0].movedim(1, 0) / scale
    still = [[context[:1], positive[0][1]]]
    still = ksampler(model, 3, 4.0, "euler", still, negative, torch.zeros(6, channels, 8, 8))
    return {"shape": list(context.shape), "relative": relative(mine, theirs), "change": relative(still, theirs)}


def check_travel() -> dict:
    positive, negative = PromptTravelNode.execute(CLIP, SCHEDULE, "", 6, 2, 8.0).args
    travel = PromptTravel.parse(SCHEDULE)
    assert relative(positive[0][0], travel.blended(CORE.text.encode(travel.prompts), 6, 2)) < 1e-5
    fps = torch.tensor([8.0])
    return host_travel(MODEL, CORE.unet, CORE.vae.config.scale_factor, 8, positive, negative, fps=fps)


def check_travel_on(temporal: str) -> dict:
    """The same on another system's UNet, small and random, with texts of its own width."""
    import comfy.latent_formats

    torch.manual_seed(0)
    config = UNetConfig(
        model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 1), context_dim=16,
        num_heads=4, temporal=temporal,
    )  # fmt: skip
    core = UNet(config).eval()
    for parameter in core.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.02)
    latent = comfy.latent_formats.SD15()
    model = host_models.make_unet_model(core.config, core.state_dict(), latent_format=latent, fingerprint="")
    texts = torch.randn(2, 5, 16)
    positive = [[PromptTravel.parse(SCHEDULE).blended(texts, 6, 2), {}]]
    return host_travel(model, core, latent.scale_factor, 4, positive, [[torch.randn(1, 5, 16), {}]])


def check_travel_windows() -> dict:
    """The host's context windows take each frame's text along: a window of the whole travel is not one of its start."""
    model = windowed(MODEL, 4, 0, "flat")
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
    "vdm windows": check_vdm_windows,
    "pixels": check_pixels,
    "travel": check_travel,
    "travel on modelscope": lambda: check_travel_on("modelscope"),
    "travel on animatediff": lambda: check_travel_on("animatediff"),
    "travel windows": check_travel_windows,
    "walk": check_walk,
}


def main() -> None:
    results: dict[str, Any] = {}
    for name, check in ({"dtype": check_dtype} if FLAGS else CHECKS).items():
        try:
            results[name] = check()
        except Exception:
            results[name] = {"error": traceback.format_exc()}
    sys.__stdout__.write("\nFIGURES " + json.dumps(results) + "\n")


main()

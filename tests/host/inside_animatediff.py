"""Runs inside ComfyUI's process and prints figures as JSON: `python inside_animatediff.py COMFYUI PACK [FLAG]`.

A Stable Diffusion 1.x model narrow enough for a CPU, built by the host itself, with motion modules of ours on it.
With a flag (--fp8_e4m3fn-unet) only how the weights are then stored and what becomes of a clip.
"""

# ruff: noqa: E402
from __future__ import annotations

import importlib.util
import json
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
import comfy.model_base
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
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
from pack.diffilm_core.checkpoints import load_motion
from pack.diffilm_core.models.motion import put_lora, put_motion
from pack.nodes import host as ours
from pack.nodes import host_motion

sys.modules["diffilm_core"] = sys.modules["pack.diffilm_core"]
for known in [name for name in sys.modules if name.startswith("pack.diffilm_core.")]:
    sys.modules[known.removeprefix("pack.")] = sys.modules[known]
published = module("published_animatediff", pack_folder / "tests/published/animatediff.py")

WIDTHS, CONTEXT, SEED = (32, 64, 64, 64), 768, 7
FRAMES, SIDE = 4, 16
SCHEDULE = sampling.NoiseSchedule.create("linear")


EXACT: dict[str, torch.Tensor] = {}


def image_model() -> Any:
    """A MODEL as the host's own loader makes it of a Stable Diffusion 1.x checkpoint, with random weights."""
    config = comfy.supported_models.SD15(
        {
            "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": WIDTHS[0],
            "num_res_blocks": [2] * 4, "channel_mult": [width // WIDTHS[0] for width in WIDTHS],
            "transformer_depth": [1] * 6 + [0] * 2, "transformer_depth_output": [1] * 9 + [0] * 3,
            "transformer_depth_middle": 1, "context_dim": CONTEXT, "use_linear_in_transformer": False,
            "use_spatial_transformer": True, "legacy": False, "adm_in_channels": None, "use_temporal_attention": False,
        }
    )  # fmt: skip
    dtype = torch.float8_e4m3fn if "--fp8_e4m3fn-unet" in FLAGS else torch.float32
    config.set_inference_dtype(dtype, torch.float32 if FLAGS else None)
    model = comfy.model_base.BaseModel(config, device=torch.device("cpu"))
    torch.manual_seed(0)
    weights = {}
    for name, value in model.diffusion_model.state_dict().items():
        fan = value[0].numel() if value.ndim > 1 else 25
        weights[name] = torch.randn(value.shape) / fan**0.5 + (value.ndim == 1 and name.endswith("weight"))
    model.diffusion_model.load_state_dict(weights)
    EXACT.update(weights)
    patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    cpu = torch.device("cpu")
    return patcher(model, load_device=cpu, offload_device=cpu)


def motion(version: str = "v3") -> Any:
    torch.manual_seed(1)
    return load_motion(published.original(version, WIDTHS))


IMAGE = image_model()
MOTION = motion()
POSITIVE, NEGATIVE = (torch.randn(1, 77, CONTEXT, generator=torch.Generator().manual_seed(n)) for n in (2, 3))


def relative(mine: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((mine - theirs).abs().max() / theirs.abs().max())


def host_latents(model: Any, frames: int = FRAMES, *, steps: int = 4, cfg: float = 3.0, sampler: str = "euler",
                 scheduler: str = "normal") -> Any:  # fmt: skip
    empty = {"samples": torch.zeros(frames, 4, SIDE, SIDE)}
    positive, negative = [[POSITIVE, {}]], [[NEGATIVE, {}]]
    out = host_nodes.common_ksampler(model, SEED, steps, cfg, sampler, scheduler, positive, negative, empty)
    return out[0]["samples"]


def core_latents(unet: Any, frames: int = FRAMES, *, steps: int = 4, cfg: float = 3.0, sampler: str = "euler",
                 scheduler: str = "normal", **conditions: Any) -> Any:  # fmt: skip
    latents = sampling.sample_clip(
        unet, SCHEDULE, "eps", {"context": POSITIVE, **conditions}, {"context": NEGATIVE, **conditions},
        shape=(4, frames, SIDE, SIDE), seed=SEED, steps=steps, cfg=cfg, sampler=sampler, spacing=scheduler,
    )  # fmt: skip
    return latents.movedim(1, 0) / 0.18215


def core_unet(with_motion: Any = None) -> Any:
    return put_motion(IMAGE.model.diffusion_model.state_dict(), with_motion or MOTION).eval()


def kohya_lora() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    weights: dict[str, torch.Tensor] = {}
    for name, value in IMAGE.model.diffusion_model.state_dict().items():
        if name.endswith("attn2.to_q.weight") or name.endswith("in_layers.2.weight"):
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            down = torch.randn(4, *value.shape[1:], generator=generator) / value[0].numel() ** 0.5
            weights[f"{key}.lora_down.weight"] = down
            up = torch.randn(value.shape[0], 4, *(1,) * (value.ndim - 2), generator=generator)
            weights[f"{key}.lora_up.weight"] = up
            weights[f"{key}.alpha"] = torch.tensor(4.0)
    return weights


def check_sampler() -> dict:
    """The host's sampler and ours: 20 steps of v3, fewer of the others, LCM, Lightning's steps."""
    out = {}
    for version, steps in (("v1", 4), ("v2", 4), ("v3", 20)):
        kind = motion(version)
        model, unet = host_motion.apply_motion(IMAGE, kind), core_unet(kind)
        out[version] = relative(core_latents(unet, steps=steps, cfg=7.0), host_latents(model, steps=steps, cfg=7.0))
    for name, sampler, scheduler in (("lcm", "lcm", "sgm_uniform"), ("lightning", "euler", "simple")):
        options: dict[str, Any] = {"sampler": sampler, "scheduler": scheduler, "cfg": 1.5}
        out[name] = relative(core_latents(unet, **options), host_latents(model, **options))
    out["sigma_max"] = float(model.get_model_object("model_sampling").sigmas[-1])
    return out


def check_published_loop() -> dict:
    """20 DDIM steps as AnimateDiff's pipeline takes them, written out, and through the host's custom sampling."""
    import comfy.sample
    import comfy.samplers

    model, unet, steps, cfg = host_motion.apply_motion(IMAGE, MOTION), core_unet(), 20, 8.0
    noise = sampling.initial_noise((1, 4, FRAMES, SIDE, SIDE), SEED)
    alphas = torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64), 0).float()
    x = noise
    for t in range(951, 0, -50):
        a, b = alphas[t], alphas[t - 50] if t > 50 else torch.ones(())
        eps, free = (unet(x, torch.tensor([float(t)]), each) for each in (POSITIVE, NEGATIVE))
        eps = free + cfg * (eps - free)
        x = b.sqrt() * (x - (1 - a).sqrt() * eps) / a.sqrt() + (1 - b).sqrt() * eps
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "ddim_uniform", steps)
    scaled = noise[0].movedim(1, 0) * (1 + sigmas[0] ** 2).sqrt() / sigmas[0]
    theirs = comfy.sample.sample_custom(
        model, scaled, cfg, comfy.samplers.sampler_object("euler"), sigmas, [[POSITIVE, {}]], [[NEGATIVE, {}]],
        torch.zeros(FRAMES, 4, SIDE, SIDE),
    )  # fmt: skip
    return {"relative": relative(theirs * 0.18215, x[0].movedim(1, 0)), "steps": len(sigmas) - 1}


def check_motion_matters() -> dict:
    """The same frames move together with motion, and strength 0 is the model without it at the same noise levels."""
    plain = IMAGE.clone()
    import comfy.model_sampling

    config = type("Config", (), {"sampling_settings": {"beta_schedule": "sqrt_linear"}})
    kind = type("Sampling", (comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS), {})
    plain.add_object_patch("model_sampling", kind(config))
    theirs = host_latents(plain)
    moving = host_latents(host_motion.apply_motion(IMAGE, MOTION))
    still = host_latents(host_motion.apply_motion(IMAGE, MOTION, scale=0.0))
    still_v1 = host_latents(host_motion.apply_motion(IMAGE, motion("v1"), scale=0.0))
    own = host_latents(host_motion.apply_motion(IMAGE, MOTION, scale=0.0, schedule=host_motion.SCHEDULES[1]))
    return {
        "still": relative(still, theirs), "still_v1": relative(still_v1, theirs), "moving": relative(moving, theirs),
        "own_schedule": relative(own, host_latents(IMAGE)),
    }  # fmt: skip


def check_strengths() -> dict:
    keys = "0: 0, 3: 1"
    model = host_motion.apply_motion(IMAGE, MOTION, scale=0.8, strengths=keys)
    scale = host_motion.motion_strengths(keys, FRAMES, 0.8)
    return {
        "relative": relative(core_latents(core_unet(), motion_scale=scale), host_latents(model)),
        "matters": relative(core_latents(core_unet()), host_latents(model)),
    }


def windows(model: Any) -> Any:
    """The host's own node at its defaults, but for the window's length and the axis of the frames."""
    import comfy_extras.nodes_context_windows as found

    return found.ContextWindowsManualNode.execute(
        model, context_length=16, context_overlap=4, context_schedule="standard_static", context_stride=1,
        closed_loop=False, fuse_method="pyramid", dim=0, freenoise=False,
    ).args[0]  # fmt: skip


def check_context_windows() -> dict:
    """Three times the frames that the motion model counts to, in windows: the host's and ours."""
    short = motion("v1")
    frames = 3 * short.config.positions
    theirs = host_latents(windows(host_motion.apply_motion(IMAGE, short)), frames, steps=2)
    mine = core_latents_windows(core_unet(short), frames)
    keyed = windows(host_motion.apply_motion(IMAGE, short, strengths="0: 0, 40: 1"))
    refused = ""
    try:
        host_latents(host_motion.apply_motion(IMAGE, short), short.config.positions + 1, steps=1)
    except Exception as error:
        refused = str(error)
    return {
        "relative": relative(mine, theirs), "frames": theirs.shape[0], "refused": refused,
        "strengths": relative(host_latents(keyed, frames, steps=1), theirs),
    }  # fmt: skip


def core_latents_windows(unet: Any, frames: int) -> Any:
    """Our windows over the noise that the host draws (it reorders none without FreeNoise)."""
    cond, uncond = {"context": POSITIVE}, {"context": NEGATIVE}
    guided = sampling.Guidance(sampling.Denoiser(unet, SCHEDULE, "eps"), cond, uncond, 3.0)
    model = sampling.ContextWindows(guided, 16, 4, "pyramid")
    sigmas = sampling.sigmas_for(SCHEDULE, 2, "normal")
    noise = sampling.initial_noise((1, 4, frames, SIDE, SIDE), SEED)
    x = sampling.noisy_start(None, noise, sigmas[0], SCHEDULE.sigma_max)
    return sampling.sample_euler(model, x, sigmas)[0].movedim(1, 0) / 0.18215


def check_loras() -> dict:
    """A LoRA put on before, one put on after, a motion LoRA and an adapter."""
    weights = kohya_lora()
    with_lora, _ = comfy.sd.load_lora_for_models(IMAGE, None, weights, 1.0, 0.0)
    zero, _ = comfy.sd.load_lora_for_models(IMAGE, None, weights, 0.0, 0.0)
    host_latents(with_lora)  # the host now holds the image model with the LoRA in its weights
    model = host_motion.apply_motion(IMAGE, MOTION)
    plain = host_latents(model)
    before = host_latents(host_motion.apply_motion(with_lora, MOTION))
    after, _ = comfy.sd.load_lora_for_models(model, None, weights, 1.0, 0.0)
    names = {}
    for name, key in comfy.lora.model_lora_keys_unet(IMAGE.model, {}).items():
        if name.startswith("unet.") and ".processor." in name and key.endswith("attn2.to_q.weight"):
            kohya = "lora_unet_" + key.removeprefix("diffusion_model.").removesuffix(".weight").replace(".", "_")
            for side in ("down", "up"):
                names[f"{name}_lora.{side}.weight"] = weights[f"{kohya}.lora_{side}.weight"]
    kohya_only = {name: each for name, each in weights.items() if "attn2_to_q" in name}
    in_diffusers, _ = comfy.sd.load_lora_for_models(model, None, names, 1.0, 0.0)
    in_kohya, _ = comfy.sd.load_lora_for_models(model, None, kohya_only, 1.0, 0.0)
    torch.manual_seed(4)
    moves = load_motion(published.motion_lora("v3", WIDTHS))
    adapter = load_motion(published.adapter_lora(WIDTHS, CONTEXT))
    both = host_motion.add_lora(host_motion.add_lora(model, moves, 0.6), adapter, 0.3)
    core = put_lora(put_lora(core_unet(), moves, 0.6), adapter, 0.3)
    return {
        "layers": len(weights) // 3, "kept": len(host_motion.apply_motion(with_lora, MOTION).patches),
        "before": relative(before, plain), "after": relative(host_latents(after), before),
        "diffusers_names": relative(host_latents(in_diffusers), host_latents(in_kohya)) if names else 1.0,
        "zero": relative(host_latents(host_motion.apply_motion(zero, MOTION)), plain),
        "motion_lora": relative(host_latents(host_motion.add_lora(model, moves, 0.6)), plain),
        "motion_lora_zero": relative(host_latents(host_motion.add_lora(model, moves, 0.0)), plain),
        "both": relative(core_latents(core), host_latents(both)),
        "image_unchanged": relative(host_latents(IMAGE), host_latents(image_model())),
        "plain_after": relative(host_latents(model), plain),
    }  # fmt: skip


def check_sharing() -> dict:
    model = host_motion.apply_motion(IMAGE, MOTION)
    theirs, mine = (dict(each.model.diffusion_model.named_parameters()) for each in (IMAGE, model))
    shared = [name for name in theirs if mine[name].data_ptr() == theirs[name].data_ptr()]
    other = host_motion.apply_motion(IMAGE, MOTION, scale=0.5)
    return {
        "shared": len(shared), "all": len(theirs), "apart": not any(mine[name] is theirs[name] for name in theirs),
        "key_stable": ours.model_key(model) == ours.model_key(host_motion.apply_motion(IMAGE, MOTION)),
        "key_of_scale": ours.model_key(model) != ours.model_key(other),
    }  # fmt: skip


def check_refusals() -> dict:
    out = {}
    for name, call in {
        "twice": lambda: host_motion.apply_motion(host_motion.apply_motion(IMAGE, MOTION), MOTION),
        "lora": lambda: host_motion.add_lora(IMAGE, load_motion(published.motion_lora("v3", WIDTHS)), 1.0),
        "width": lambda: host_motion.apply_motion(IMAGE, load_motion(published.original("v3", (64,) * 4))),
    }.items():
        try:
            call()
            out[name] = ""
        except Exception as error:
            out[name] = f"{type(error).__name__}: {error}"
    return out


def dtype_figures() -> dict:
    """Weights stored as the host was told to: motion modules keep the precision that is computed in."""
    model = host_motion.apply_motion(IMAGE, MOTION)
    weights = model.model.diffusion_model.state_dict()
    latents = host_latents(model)
    return {
        "image": str(weights["input_blocks.1.1.proj_in.weight"].dtype),
        "motion": str(weights["input_blocks.1.1.motion.proj_in.weight"].dtype),
        "relative": relative(latents, core_latents(put_motion(EXACT, MOTION).eval())),
        "plain": relative(host_latents(host_motion.apply_motion(IMAGE, MOTION, scale=0.0)), latents),
    }  # fmt: skip


CHECKS = {name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")}


def main() -> None:
    results: dict[str, Any] = {}
    for name, check in ({"dtype": dtype_figures} if FLAGS else CHECKS).items():
        try:
            results[name] = check()
        except Exception:
            results[name] = {"error": traceback.format_exc()}
    sys.__stdout__.write("\nFIGURES " + json.dumps(results) + "\n")


main()

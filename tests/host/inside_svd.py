"""Runs inside ComfyUI's process and prints figures as JSON: `python inside_svd.py COMFYUI_FOLDER PACK_FOLDER FILE`.

FILE: what `tests/published/svd.py` writes. Our MODEL, CLIP_VISION and VAE of it against the host's own Stable Video
Diffusion with the same weights, and against the core on its own.
"""

# ruff: noqa: E402
from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

host, pack_folder, checkpoint = (Path(arg) for arg in sys.argv[1:4])
sys.path.insert(0, str(host))
sys.argv = ["main.py", "--cpu"]
import comfy.options

comfy.options.enable_args_parsing()
import comfy.model_base
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy_extras.nodes_video_model as video_nodes
import folder_paths
import torch
from safetensors.torch import save_file

import nodes as host_nodes

torch.set_grad_enabled(False)

spec = importlib.util.spec_from_file_location(
    "pack", pack_folder / "__init__.py", submodule_search_locations=[str(pack_folder)]
)
assert spec is not None and spec.loader is not None
pack = importlib.util.module_from_spec(spec)
sys.modules["pack"] = pack
spec.loader.exec_module(pack)
from pack.diffilm_core import frames, sampling
from pack.diffilm_core.checkpoints import load_image_encoder, load_unet, load_vae
from pack.diffilm_core.sampling.image_to_video import image_conditions, picture_networks
from pack.nodes import host_svd
from pack.nodes.image_to_video import ImageToVideo

WIDTH, HEIGHT, FRAMES, SEED = 64, 64, 4, 7
MODEL, VISION, VAE = host_svd.load_svd(str(checkpoint))
UNET = load_unet(checkpoint, dtype=torch.float32)
ENCODER, AUTOENCODER = load_image_encoder(checkpoint, dtype=torch.float32), load_vae(checkpoint, dtype=torch.float32)
PICTURE = torch.nn.functional.interpolate(
    torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(3)), (HEIGHT, WIDTH), mode="bicubic"
).clamp(0, 1)[0].permute(1, 2, 0)  # fmt: skip
NUMBERS = {"width": WIDTH, "height": HEIGHT, "fps": 6, "motion_bucket": 127, "augmentation": 0.02, "seed": SEED}
POSITIVE, NEGATIVE, LATENT = ImageToVideo.execute(VISION, VAE, PICTURE[None], frames=FRAMES, **NUMBERS).args


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference over the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def host_model() -> Any:
    """The host's own UNet of the same shape, with the same weights, as its loader makes it."""
    core = UNET.config
    blocks = [core.num_res_blocks] * len(core.channel_mult)
    depth = [d for d in core.transformer_depth for _ in range(core.num_res_blocks)]
    shape = {
        "image_size": 32, "in_channels": 8, "out_channels": 4, "model_channels": core.model_channels,
        "num_res_blocks": blocks, "channel_mult": list(core.channel_mult), "transformer_depth": depth,
        "transformer_depth_output": [d for d in core.transformer_depth for _ in range(core.num_res_blocks + 1)],
        "transformer_depth_middle": core.middle_depth, "context_dim": core.context_dim, "use_spatial_transformer": True,
        "use_linear_in_transformer": True, "legacy": False, "adm_in_channels": 768, "num_classes": "sequential",
        "use_temporal_attention": True, "use_temporal_resblock": True, "use_spatial_context": True,
        "extra_ff_mix_layer": True, "merge_strategy": "learned_with_images", "merge_factor": 0.0,
        "video_kernel_size": [3, 1, 1], "disable_temporal_crossattention": False, "num_heads": -1,
        "num_head_channels": 64,
    }  # fmt: skip
    config = comfy.supported_models.SVD_img2vid(shape)
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, device=torch.device("cpu"))
    model.diffusion_model.load_state_dict(UNET.state_dict())
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


HOST = host_model()


def sampled(model: Any, steps: int, positive: Any, negative: Any, latent: Any, min_cfg: float | None = 1.0) -> Any:
    """The host's KSampler, its guidance growing over the frames from min_cfg where that is given."""
    if min_cfg is not None:
        (model,) = video_nodes.VideoLinearCFGGuidance().patch(model, min_cfg)
    out = host_nodes.common_ksampler(model, SEED, steps, 2.5, "euler", "karras", positive, negative, latent)
    return out[0]["samples"]


def core_clip(steps: int) -> Any:
    cond, uncond = image_conditions(PICTURE, *picture_networks(AUTOENCODER, ENCODER), **NUMBERS)
    return sampling.sample_clip(
        UNET, sampling.EDMSchedule.between(), "v", cond, uncond, shape=(4, FRAMES, HEIGHT // 8, WIDTH // 8), seed=SEED,
        steps=steps, cfg=(1.0, 2.5), sampler="euler", spacing="karras",
    )  # fmt: skip


def check_hosts_unet() -> dict:
    """One call of the network, and 5 steps with the host's own conditioning node, on both MODELs."""
    positive, negative, latent = video_nodes.SVD_img2vid_Conditioning().encode(
        VISION, PICTURE[None], VAE, WIDTH, HEIGHT, FRAMES, 127, 6, 0.0
    )
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(FRAMES, 4, 9, 7, generator=generator)
    sigma = torch.full((FRAMES,), 3.0)
    conds = {
        "c_concat": torch.randn(FRAMES, 4, 9, 7, generator=generator),
        "c_crossattn": torch.randn(1, 1, UNET.config.context_dim, generator=generator).expand(FRAMES, -1, -1),
        "num_video_frames": FRAMES,
    }
    y = HOST.model.encode_adm(fps=6, motion_bucket_id=127, augmentation_level=0.02).expand(FRAMES, -1)
    theirs = HOST.model.apply_model(x, sigma, **conds, y=y)
    mine = MODEL.model.apply_model(x, sigma, **conds, diffilm_time_ids=(5.0, 127.0, 0.02))
    return {
        "call": relative(mine, theirs),
        "steps": relative(*(sampled(each, 5, positive, negative, latent) for each in (MODEL, HOST))),
        "our_conditions": relative(*(sampled(each, 5, POSITIVE, NEGATIVE, LATENT) for each in (MODEL, HOST))),
    }


def check_trajectory() -> dict:
    theirs = sampled(MODEL, 25, POSITIVE, NEGATIVE, LATENT)
    mine = core_clip(25).movedim(1, 0) / 0.18215
    return {"relative": relative(mine, theirs), "scale": float(theirs.abs().max())}


def check_conditions() -> dict:
    cond, _ = image_conditions(PICTURE, *picture_networks(AUTOENCODER, ENCODER), **NUMBERS)
    again = ImageToVideo.execute(VISION, VAE, PICTURE[None], frames=FRAMES, **NUMBERS).args[0]
    concat = POSITIVE[0][1]["concat_latent_image"]
    return {
        "context": relative(POSITIVE[0][0], cond["context"]),
        "concat": relative(concat, cond["concat"][:, :, 0]),
        "repeats": torch.equal(again[0][1]["concat_latent_image"], concat),
        "negative": float(NEGATIVE[0][0].abs().max() + NEGATIVE[0][1]["concat_latent_image"].abs().max()),
        "latent": list(LATENT["samples"].shape),
    }


def check_decode() -> dict:
    """Our decoder in chunks of 3 against the core's, and the host's VAE Decode of the clip as one."""
    clip = core_clip(2)
    mine = frames.decode(AUTOENCODER, clip, 6, batch=3).collect()
    unscaled = clip / 0.18215
    adapted = frames.decode(host_svd.decoder_of(VAE), unscaled, 6, batch=3).collect()
    whole = frames.decode(AUTOENCODER, clip, 6, batch=FRAMES).collect()
    theirs = VAE.decode(unscaled.movedim(1, 0))
    return {
        "node": float((mine - adapted).abs().max()),
        "host": float((whole - theirs).abs().max()),
        "chunks_differ": float((whole - mine).abs().max()),
    }


def lora(diffusers: bool) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    weights: dict[str, torch.Tensor] = {}
    places = {"input_blocks_1_1_": "down_blocks_0_attentions_0_", "middle_block_1_": "mid_block_attentions_0_"}
    for name, value in UNET.state_dict().items():
        if name.endswith("attn1.to_q.weight") and "time_stack" not in name:
            key = name.removesuffix(".weight").replace(".", "_")
            known = [(ours, theirs) for ours, theirs in places.items() if key.startswith(ours)]
            if diffusers and not known:
                continue
            key = key.replace(*known[0]) if diffusers else key
            weights[f"lora_unet_{key}.lora_down.weight"] = torch.randn(4, value.shape[1], generator=generator)
            weights[f"lora_unet_{key}.lora_up.weight"] = torch.randn(value.shape[0], 4, generator=generator)
            weights[f"lora_unet_{key}.alpha"] = torch.tensor(4.0)
    return weights


def check_lora() -> dict:
    plain = sampled(MODEL, 2, POSITIVE, NEGATIVE, LATENT)
    out: dict[str, Any] = {}
    for name, weights in (("kohya", lora(False)), ("diffusers", lora(True))):
        for strength in (0.0, 1.0):
            patched, _ = comfy.sd.load_lora_for_models(MODEL, None, weights, strength, 0.0)
            out[f"{name}_{strength:g}"] = relative(sampled(patched, 2, POSITIVE, NEGATIVE, LATENT), plain)
            out[f"{name}_{strength:g}_patches"] = [len(patched.patches), len(weights) // 3]
    out["after"] = relative(sampled(MODEL, 2, POSITIVE, NEGATIVE, LATENT), plain)
    return out


def check_context_windows() -> dict:
    """Three windows' worth of frames at one guidance, the host's node at its defaults and with FreeNoise, and ours."""
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode as Node

    defaults = {each.id: each.default for each in Node.define_schema().inputs if each.id != "model"}
    defaults |= {"context_schedule": "standard_static", "fuse_method": "pyramid"}
    length, overlap = defaults["context_length"], defaults["context_overlap"]
    cond, uncond = image_conditions(PICTURE, *picture_networks(AUTOENCODER, ENCODER), **NUMBERS)
    schedule = sampling.EDMSchedule.between()
    guided = sampling.Guidance(sampling.Denoiser(UNET, schedule, "v"), cond, uncond, 2.5)
    windows = sampling.ContextWindows(guided, length, overlap)
    sigmas = sampling.sigmas_for(schedule, 4, "karras")
    out: dict[str, Any] = {"frames": 3 * length}
    long = {"samples": torch.zeros(3 * length, 4, HEIGHT // 8, WIDTH // 8)}
    for name, freenoise in (("defaults", False), ("freenoise", True)):
        model = Node.execute(MODEL, **{**defaults, "freenoise": freenoise}).args[0]
        theirs = sampled(model, 4, POSITIVE, NEGATIVE, long, None)
        window = {"freenoise_window": length, "overlap": overlap} if freenoise else {}
        noise = sampling.initial_noise((1, 4, 3 * length, HEIGHT // 8, WIDTH // 8), SEED, **window)
        x = sampling.noisy_start(None, noise, sigmas[0], schedule.sigma_max)
        out[name] = relative(sampling.sample_euler(windows, x, sigmas)[0].movedim(1, 0) / 0.18215, theirs)
    return out


def check_fp8() -> dict:
    """The UNet with its weights in 8-bit floats against the same in float32, one call."""
    small = host_svd.make_svd_model(UNET.config, UNET.state_dict(), "fp8", torch.float8_e4m3fn)
    generator = torch.Generator().manual_seed(1)
    x, concat = torch.randn(2, FRAMES, 4, 8, 8, generator=generator)
    conds = {
        "c_concat": concat,
        "c_crossattn": torch.randn(1, 1, UNET.config.context_dim, generator=generator).expand(FRAMES, -1, -1),
        "num_video_frames": FRAMES,
        "diffilm_time_ids": (5.0, 127.0, 0.02),
    }
    full, less = (each.model.apply_model(x, torch.full((FRAMES,), 3.0), **conds) for each in (MODEL, small))
    weights = small.model.diffusion_model.state_dict()
    stored = {str(weight.dtype) for name, weight in weights.items() if name.endswith("attn1.to_q.weight")}
    return {"stored": sorted(stored), "relative": relative(less, full), "finite": bool(less.isfinite().all())}


def check_folders() -> dict:
    """A single file, and a diffusers folder with the UNet alone, in model folders that extra paths add."""
    with tempfile.TemporaryDirectory() as place:
        pipeline, single = Path(place, "diffusers"), Path(place, "checkpoints")
        (pipeline / "tiny" / "unet").mkdir(parents=True)
        single.mkdir()
        (single / "svd_linked.safetensors").symlink_to(checkpoint)
        (single / "other.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
        weights = {name: tensor.contiguous() for name, tensor in UNET.state_dict().items()}
        save_file(weights, str(pipeline / "tiny" / "unet" / "diffusion_pytorch_model.safetensors"))
        for folder in (pipeline, single):
            folder_paths.add_model_folder_path(folder.name, str(folder))
        model, vision, vae = host_svd.load_svd(host_svd.svd_path("tiny/"))
        found = host_svd.svd_files()
        path = host_svd.svd_path("svd_linked.safetensors")
    return {
        "found": found, "path": Path(path).name, "absent": vision is None and vae is None,
        "same": relative(*(sampled(each, 1, POSITIVE, NEGATIVE, LATENT) for each in (model, MODEL))),
    }  # fmt: skip


CHECKS = {
    "folders": check_folders,
    "fp8": check_fp8,
    "hosts_unet": check_hosts_unet,
    "trajectory": check_trajectory,
    "conditions": check_conditions,
    "decode": check_decode,
    "lora": check_lora,
    "context_windows": check_context_windows,
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

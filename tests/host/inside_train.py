"""Runs inside ComfyUI's process and prints figures as JSON: `python inside_train.py COMFYUI PACK MODEL CLIPS WORK`.

MODEL: a small Diffilm model; CLIPS: a folder of videos; WORK: where files go. Motion is trained by the node for it, and
for a Stable Diffusion 1.x model narrow enough for a CPU, in the host's inference mode as nodes run.
"""

# ruff: noqa: E402
from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

host, pack_folder, MODEL, CLIPS, WORK = (Path(arg) for arg in sys.argv[1:6])
sys.path.insert(0, str(host))
sys.argv = ["main.py", "--cpu", "--base-directory", str(WORK)]
import comfy.options

comfy.options.enable_args_parsing()
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import folder_paths
import torch

import nodes as host_nodes

spec = importlib.util.spec_from_file_location(
    "pack", pack_folder / "__init__.py", submodule_search_locations=[str(pack_folder)]
)
assert spec is not None and spec.loader is not None
module = importlib.util.module_from_spec(spec)
sys.modules["pack"] = module
spec.loader.exec_module(module)
from pack import nodes
from pack.diffilm_core import bundle, frames, sampling
from pack.diffilm_core.checkpoints import inspect, load_motion
from pack.diffilm_core.checkpoints.files import read_tensors
from pack.diffilm_core.models import is_temporal
from pack.diffilm_core.training.base import BaseConfig
from pack.diffilm_core.training.config import StageConfig
from pack.diffilm_core.training.motion import ClipsConfig, MotionTraining, train
from pack.nodes import host as ours
from pack.nodes import host_models, host_motion, host_train
from pack.nodes import train as node

host_motion.register_folders()
ours.register_folders()
node.TrainMotion.hidden = SimpleNamespace(unique_id=None)
SIZE = {"width": 32, "height": 32, "frames": 4}
WIDTHS = (32, 64, 64, 64)


def own_model() -> tuple[Any, Any, Any]:
    with torch.inference_mode():
        core = bundle.load_model(MODEL, device="cpu", dtype=torch.float32)
        return host_models.make_model(core), host_models.make_clip(core), host_models.make_vae(core)


def run(wires: tuple[Any, Any, Any], **changes: Any) -> tuple[str, Path]:
    """The node's outputs, as the host calls it."""
    inputs = {
        "name": "tale", "steps": 4, **SIZE, "min_fps": 4.0, "max_fps": 16.0, "batch": 2, "learning_rate": 1e-2,
        "seed": 0, "save_memory": False, "folder": str(CLIPS), "preview": "", "source_fps": 8.0, **changes,
    }  # fmt: skip
    listed = {key: value if isinstance(value, list) else [value] for key, value in inputs.items()}
    with torch.inference_mode():
        name, path = node.TrainMotion.execute([wires[0]], [wires[1]], [wires[2]], **listed).args
    return name, Path(path)


def sampled(model: Any, clip: Any) -> Any:
    with torch.inference_mode():
        words = ours.encode_text(clip, "a fox in the snow", 8.0)
        empty = {"samples": torch.zeros(4, 8, 4, 4)}
        return host_nodes.common_ksampler(model, 7, 3, 3.0, "euler", "normal", words, words, empty)[0]["samples"]


def check_core() -> dict:
    """The node's own motion is what the core learns from the same clips, and the host samples with it."""
    wires = own_model()
    node.StageConfig = partial(StageConfig, precision="fp32")
    name, path = run(wires)
    node.StageConfig = StageConfig
    before = sampled(wires[0], wires[1])
    with torch.inference_mode():
        moved = nodes.motion.ApplyMotion.execute(wires[0], name, 1.0, "", "as trained").args[0]
    data = ClipsConfig(str(CLIPS), **SIZE, workers=0)
    stage = StageConfig(steps=4, batch=2, lr=1e-2, warmup=1, keep=2, precision="fp32")
    whole = train(MotionTraining(data, stage, BaseConfig(str(MODEL))), WORK / "core", torch.device("cpu"))
    first, after = bundle.read_model(MODEL)[0], bundle.read_model(whole)[0]
    prefix = bundle.PREFIXES["unet"]
    mine = load_motion(path, dtype=torch.float32).state_dict()
    theirs = {key.removeprefix(prefix): value.float() for key, value in after.items() if key.startswith(prefix)}
    theirs = {key: value for key, value in theirs.items() if is_temporal(key)}
    learnt = torch.cat([(theirs[key] - first[prefix + key].float()).flatten() for key in theirs]).norm()
    apart = torch.cat([(mine[key] - theirs[key]).flatten() for key in theirs]).norm()
    core = bundle.load_model(whole, device="cpu", dtype=torch.float32)
    fps = torch.tensor([8.0])
    words = {"context": core.text.encode(["a fox in the snow"]), "fps": fps}
    with torch.no_grad():
        latents = sampling.sample_clip(
            core.unet, core.schedule, core.prediction, words, words, shape=(8, 4, 4, 4), seed=7, steps=3, cfg=3.0,
            sampler="euler", spacing="normal",
        ).movedim(1, 0) / core.vae.config.scale_factor  # fmt: skip
    info, after_all = inspect(path), sampled(moved, wires[1])
    return {
        "same_names": mine.keys() == theirs.keys(), "learnt": float(learnt), "apart": float(apart / learnt),
        "sampled": float((after_all - latents).abs().max() / latents.abs().max()),
        "moved": float((after_all - before).abs().max() / before.abs().max()),
        "unchanged": bool(torch.equal(sampled(wires[0], wires[1]), before)),
        "file": [info.system, info.parts[0].role],
        "listed": name in folder_paths.get_filename_list("animatediff_models"),
    }  # fmt: skip


def check_cancel() -> dict:
    """Cancelled after two steps: the run is kept there, and the next one ends where an undisturbed one ends."""
    wires = own_model()
    _, whole = run(wires, name="whole")
    say, steps = ours.say, []

    def interrupt(text: str, unique: Any) -> None:
        steps.append(text)
        if len(steps) == 2:
            comfy.model_management.interrupt_current_processing()

    ours.say = interrupt
    stopped = ""
    try:
        run(wires, name="parts")
    except comfy.model_management.InterruptProcessingException as error:
        stopped = type(error).__name__
    folder = next(path for path in (WORK / "output/diffilm/training").iterdir() if path.name.startswith("parts"))
    kept = torch.load(folder / "motion.ckpt", weights_only=True)["step"]
    none = [each.name for each in (WORK / "models/animatediff_models").iterdir() if each.name.startswith("parts")]
    _, parts = run(wires, name="parts")
    ours.say = say
    one, other = read_tensors(whole)[0], read_tensors(parts)[0]
    return {
        "stopped": stopped, "kept": kept, "files_before": none, "said": steps[-2:],
        "equal": all(torch.equal(one[key], other[key]) for key in one),
    }  # fmt: skip


def check_videos() -> dict:
    """A list of host VIDEOs, one of them lazy and one of them trimmed, and frames: the same clips are the same run."""
    from comfy_api.latest import InputImpl
    from pack.nodes.video import StreamVideo

    paths = sorted(CLIPS.glob("*.mp4"))
    seen = [InputImpl.VideoFromFile(str(paths[0])), StreamVideo(frames.read(paths[1]))]
    seen.append(frames.read(paths[0]).collect()[:20])
    first, _ = run(own_model(), folder="", videos=seen, steps=1, name="list")
    again, _ = run(own_model(), folder="", videos=seen, steps=1, name="list")
    more, _ = run(own_model(), folder="", videos=seen, steps=2, name="list")
    other, _ = run(own_model(), folder="", videos=seen[:1], steps=1, name="list")
    folder = WORK / "output/diffilm/training" / first.removesuffix(".safetensors") / "clips"
    return {"same": len({first, again, more}), "other": other != first, "clips": len(list(folder.iterdir()))}


def image_model() -> Any:
    """A MODEL as the host's own loader makes it of a Stable Diffusion 1.x checkpoint, with random weights."""
    config = comfy.supported_models.SD15(
        {
            "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": WIDTHS[0],
            "num_res_blocks": [2] * 4, "channel_mult": [width // WIDTHS[0] for width in WIDTHS],
            "transformer_depth": [1] * 6 + [0] * 2, "transformer_depth_output": [1] * 9 + [0] * 3,
            "transformer_depth_middle": 1, "context_dim": 32, "use_linear_in_transformer": False,
            "use_spatial_transformer": True, "legacy": False, "adm_in_channels": None, "use_temporal_attention": False,
        }
    )  # fmt: skip
    config.set_inference_dtype(torch.float32, None)
    model = comfy.model_base.BaseModel(config, device=torch.device("cpu"))
    torch.manual_seed(0)
    weights = {}
    for name, value in model.diffusion_model.state_dict().items():
        fan = value[0].numel() if value.ndim > 1 else 25
        weights[name] = torch.randn(value.shape) / fan**0.5 + (value.ndim == 1 and name.endswith("weight"))
    model.diffusion_model.load_state_dict(weights)
    patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    return patcher(model, load_device=torch.device("cpu"), offload_device=torch.device("cpu"))


def image_wires() -> tuple[Any, Any, Any]:
    """With a VAE of four channels in the host's own layers, and the small model's text encoder."""
    core = bundle.load_model(MODEL, device="cpu", dtype=torch.float32)
    torch.manual_seed(2)
    from pack.diffilm_core.models import AutoencoderConfig, AutoencoderKL

    shape = AutoencoderConfig(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1)
    vae = host_models.make_vae(SimpleNamespace(vae=AutoencoderKL(shape), fingerprint="random"))
    with torch.inference_mode():
        return image_model(), host_models.make_clip(core), vae


def check_modules() -> dict:
    """AnimateDiff's modules for a Stable Diffusion 1.x model: learnt, applied, gone on with; its LoRA counts."""
    wires = image_wires()
    generator = torch.Generator().manual_seed(1)
    key = "diffusion_model.input_blocks.1.1.proj_in.weight"
    change = torch.randn(wires[0].model.state_dict()[key].shape, generator=generator) * 0.1
    changed = wires[0].clone()
    changed.add_patches({key: ("diff", (change,))}, 0.5)
    base = host_train.open_base(host_train.Wires(changed, *wires[1:]), torch.device("cpu"))
    worked = base.unet.state_dict()[key.removeprefix("diffusion_model.")] - wires[0].model.state_dict()[key]
    x, t = torch.randn(1, 4, 4, 8, 8, generator=generator), torch.tensor([300.0])
    with torch.no_grad():
        fresh, still = (base.unet(x, t, base.context, enable_time=on) for on in (True, False))
    size = {"width": 64, "height": 64}
    name, path = run(wires, name="modules", steps=2, learning_rate=1e-3, **size)
    with torch.inference_mode():
        moved = nodes.motion.ApplyMotion.execute(wires[0], name, 1.0, "", "as trained").args[0]
    further, _ = run((moved, *wires[1:]), name="further", steps=1, **size)
    sigma = float(moved.get_model_object("model_sampling").sigmas[-1])
    trained = float(base.objective.schedule.sigmas[-1])
    return {
        "lora": float((worked - 0.5 * change).abs().max()), "identity": float((fresh - still).abs().max()),
        "file": [inspect(path).system, inspect(path).parts[0].layout], "sigmas": abs(sigma - trained) / sigma,
        "own_lora": bool(name != run((changed, *wires[1:]), name="modules", steps=2, learning_rate=1e-3, **size)[0]),
        "further": inspect(WORK / "models/animatediff_models" / further).system,
    }  # fmt: skip


def check_refusals() -> dict:
    wires, image = own_model(), image_wires()
    name, _ = run(wires, steps=1, name="refused")
    apply = nodes.motion.ApplyMotion.execute
    out = {}
    for word, call in {
        "size": lambda: run(wires, width=40),
        "vae": lambda: run((wires[0], wires[1], image[2])),
        "both": lambda: run(wires, videos=[torch.zeros(4, 32, 32, 3)]),
        "neither": lambda: run(wires, folder=""),
        "folder": lambda: run(wires, folder="nowhere"),
        "name": lambda: run(wires, name="../outside"),
        "short": lambda: run(wires, frames=200),
        "scale": lambda: apply(wires[0], name, 0.5, "", "as trained"),
        "other": lambda: apply(image[0], name, 1.0, "", "as trained"),
    }.items():
        try:
            call()
            out[word] = ""
        except Exception as error:
            out[word] = f"{type(error).__name__}: {error}"
    return out


CHECKS = {name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")}


def main() -> None:
    results: dict[str, Any] = {}
    for name, check in CHECKS.items():
        try:
            results[name] = check()
        except Exception:
            results[name] = {"error": traceback.format_exc()}
    sys.__stdout__.write("\nFIGURES " + json.dumps(results) + "\n")


main()

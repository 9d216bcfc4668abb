"""ComfyUI's internals: progress and Cancel, folders, text, sampling, decoding. Networks are in `host_models`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from einops import rearrange
from torch import Tensor

from ..diffilm_core.errors import DiffilmError

SHIPPED = "diffilm (ships with the pack)"
FOLDERS = ("diffilm", "checkpoints", "diffusion_models")
PARTS = {"image.safetensors", "video.safetensors"}  # a model in a folder


# Progress and Cancel


def check_cancel() -> None:
    """Raises the host's exception when Cancel was pressed."""
    comfy.model_management.throw_exception_if_processing_interrupted()


class Progress:
    """The core's `progress(stage, done, total, message)` on the bar of the node that is running."""

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self.bar = comfy.utils.ProgressBar(max(1, total or 1))

    def __call__(self, stage: str, done: int, total: int, message: str = "") -> None:
        check_cancel()
        self.bar.update_absolute(done, max(1, self.total or total))

    def show(self, done: int, preview: Any = None) -> None:
        """The bar at `done`, with the host's preview picture where there is one."""
        check_cancel()
        self.bar.update_absolute(done, preview=preview)


def say(text: str, node: str | None) -> None:
    """Words on the node that is running."""
    if node is not None:
        from server import PromptServer

        PromptServer.instance.send_progress_text(text, node)


# Folders and files


def register_folders() -> None:
    """`models/diffilm` as a model folder; extra_model_paths.yaml may name more under `diffilm`."""
    folder_paths.add_model_folder_path("diffilm", os.path.join(folder_paths.models_dir, "diffilm"))
    paths, extensions = folder_paths.folder_names_and_paths["diffilm"]
    folder_paths.folder_names_and_paths["diffilm"] = (paths, set(extensions) | {".safetensors"})


def files(folders: tuple[str, ...]) -> list[str]:
    """The names of the files in these folders of models."""
    known = [name for name in folders if name in folder_paths.folder_names_and_paths]
    return list(dict.fromkeys(name for folder in known for name in folder_paths.get_filename_list(folder)))


def find_file(name: str, folders: tuple[str, ...]) -> str | None:
    """The path of a file that `files` gave, or None where it is gone."""
    known = [folder for folder in folders if folder in folder_paths.folder_names_and_paths]
    return next((path for folder in known if name and (path := folder_paths.get_full_path(folder, name))), None)


def folder_of(name: str, kind: str) -> str:
    """A folder that was named by its path, or by its name in models/`kind`; the name itself where there is none."""
    places = folder_paths.get_folder_paths(kind) if kind in folder_paths.folder_names_and_paths else []
    tried = [name, *(os.path.join(place, name) for place in [*places, os.path.join(folder_paths.models_dir, kind)])]
    return next((path for path in tried if name and os.path.isdir(path)), name)


def file_stamp(name: str, folders: tuple[str, ...]) -> str:
    """Changes when the file does."""
    path = find_file(name, folders)
    return f"{path} {os.stat(path).st_mtime_ns}" if path else name


def model_files() -> list[str]:
    """What the loader offers: the model that ships, then every Diffilm file of the model folders.

    A model that is a folder of several files is one entry, with a slash at its end.
    """
    names: set[str] = set()
    for folder in FOLDERS:
        if folder not in folder_paths.folder_names_and_paths:
            continue
        ours = [name for name in folder_paths.get_filename_list(folder) if _is_ours(folder, name)]
        files: dict[str, set[str]] = {}
        for name in ours:
            files.setdefault(os.path.dirname(name), set()).add(os.path.basename(name))
        parted = {place for place, there in files.items() if place and there == PARTS}
        names |= {place.replace(os.sep, "/") + "/" for place in parted}
        names |= {name for name in ours if os.path.dirname(name) not in parted}
    return [SHIPPED, *sorted(names)]


def model_path(name: str) -> str | None:
    """The file or folder of a name that `model_files` gave; None is the model that ships. Raises DiffilmError."""
    if name == SHIPPED:
        return None
    for folder in FOLDERS:
        if folder not in folder_paths.folder_names_and_paths:
            continue
        for root in folder_paths.get_folder_paths(folder) if name.endswith("/") else []:
            if os.path.isdir(os.path.join(root, name)):
                return os.path.join(root, name)
        path = None if name.endswith("/") else folder_paths.get_full_path(folder, name)
        if path is not None:
            return path
    raise DiffilmError(f"model {name!r}: no such file in {', '.join(FOLDERS)}; put it into models/diffilm")


def _is_ours(folder: str, name: str) -> bool:
    path = folder_paths.get_full_path(folder, name)
    try:
        stat = os.stat(path or "")
        return path.endswith(".safetensors") and _header_is_ours(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return False


@lru_cache(maxsize=4096)
def _header_is_ours(path: str, mtime: int, size: int) -> bool:
    """Whether the metadata at the head of a safetensors file names Diffilm; the tensors are not read."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return 0 < length < 100_000_000 and b"diffilm" in file.read(min(length, 65536)).lower()


def output_directory() -> str:
    return folder_paths.get_output_directory()


def input_directory() -> str:
    return folder_paths.get_input_directory()


def models_directory(kind: str) -> str:
    """The first folder of models of this kind, made where it is not there."""
    path = folder_paths.get_folder_paths(kind)[0]
    os.makedirs(path, exist_ok=True)
    return path


def temp_directory() -> str:
    path = folder_paths.get_temp_directory()
    os.makedirs(path, exist_ok=True)
    return path


def metadata_disabled() -> bool:
    from comfy.cli_args import args

    return bool(args.disable_metadata)


def save_path(prefix: str, width: int, height: int) -> tuple[str, str, int, str]:
    """Folder, stem, next free number and subfolder for a result of this prefix in the output folder."""
    folder, stem, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), width, height
    )
    return folder, stem, counter, subfolder


# Sampling and decoding


def device() -> torch.device:
    """Where the host computes."""
    return comfy.model_management.get_torch_device()


class HostDecoder:
    """A host VAE as what `frames.decode` needs: the host's latents `(b, c, h, w)` to pixels in [-1, 1]."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.downscale = int(vae.spacial_compression_decode())

    def decode(self, z: Tensor) -> Tensor:
        check_cancel()
        pixels = self.vae.decode(z)
        return rearrange(pixels[..., :3].float().cpu(), "b h w c -> b c h w") * 2 - 1


def encode_text(clip: Any, text: str, fps: float | None = None) -> list:
    """CONDITIONING of one prompt, with the frame rate that our model reads beside it."""
    if clip is None:
        raise DiffilmError("no text encoder: the model file has none; connect a CLIP that belongs to the model")
    values = {} if fps is None else {"diffilm_fps": float(fps)}
    return clip.encode_from_tokens_scheduled(clip.tokenize(text), add_dict=values)


def sampler_names() -> list[str]:
    import comfy.samplers

    return list(comfy.samplers.KSampler.SAMPLERS)


def scheduler_names() -> list[str]:
    import comfy.samplers

    return list(comfy.samplers.KSampler.SCHEDULERS)


def sample_clip(
    model: Any, latent: Tensor, *, positive: list, negative: list, seed: int, steps: int, cfg: float,
    sampler: str, scheduler: str, on_step: Callable[[int, Any], None],
) -> Tensor:  # fmt: skip
    """One clip `(frames, c, h, w)` with the host's own sampler, as KSampler makes it.

    `on_step(steps done, preview or None)` is called after each step and may raise.
    """
    import comfy.sample
    import latent_preview

    latent = comfy.sample.fix_empty_latent_channels(model, latent)
    noise = comfy.sample.prepare_noise(latent, seed)
    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)

    def callback(step: int, denoised: Tensor, x: Tensor, total: int) -> None:
        preview = previewer.decode_latent_to_preview_image("JPEG", denoised) if previewer else None
        on_step(step + 1, preview)

    return comfy.sample.sample(
        model, noise, steps, cfg, sampler, scheduler, positive, negative, latent,
        callback=callback, disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED, seed=seed,
    )  # fmt: skip


# What decides the pixels


def model_key(model: Any) -> str:
    """A digest of a MODEL: its weights, LoRAs and other patches, sampling settings and options."""
    base = getattr(model.model, "diffilm_fingerprint", None) or weights_key(model.model)
    return digest("model", base, model.patches, model.object_patches, model.model_options)


def vae_key(vae: Any) -> str:
    """A digest of a VAE."""
    return getattr(vae, "diffilm_fingerprint", None) or weights_key(vae.first_stage_model)


def weights_key(module: torch.nn.Module, samples: int = 64) -> str:
    """A digest of a network from a few values of each of its tensors: quick, and different for other weights."""
    parts = []
    for name, value in sorted(module.state_dict().items()):
        flat = value.reshape(-1)
        picked = flat[:: max(1, flat.numel() // samples)][:samples]
        parts.append((name, tuple(value.shape), str(value.dtype), picked))
    return digest(parts)


def digest(*values: Any) -> str:
    """A hex digest of numbers, texts, tensors, containers and objects, the same in every run."""
    hasher = hashlib.sha256()
    _feed(hasher.update, values, set())
    return hasher.hexdigest()


def _feed(update: Callable[[bytes], Any], value: Any, seen: set[int]) -> None:
    if value is None or isinstance(value, (bool, int, float, str, bytes, torch.dtype, torch.device)):
        update(f"{type(value).__name__}:{value!r};".encode("utf-8", "surrogatepass"))
        return
    if isinstance(value, Tensor):
        data = value.detach().to("cpu").contiguous()
        update(f"tensor:{tuple(data.shape)}:{data.dtype};".encode())
        update(data.reshape(-1).view(torch.uint8).numpy().tobytes())
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    update(f"{type(value).__qualname__}(".encode())
    for item in _members(value):
        _feed(update, item, seen)
    update(b")")


def _members(value: Any) -> Iterator[Any]:
    """What tells one object from another of its type, in an order that does not change from run to run."""
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield str(key)
            yield value[key]
    elif isinstance(value, (set, frozenset)):
        yield from sorted(map(str, value))
    elif isinstance(value, (list, tuple)):
        yield from value
    elif isinstance(value, torch.nn.Module):
        yield weights_key(value) if any(True for _ in value.parameters()) else value.state_dict()
    elif callable(value) and hasattr(value, "__qualname__"):
        yield value.__qualname__
        yield [cell.cell_contents for cell in getattr(value, "__closure__", None) or () if _filled(cell)]
    elif hasattr(value, "__dict__"):
        yield vars(value)


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False

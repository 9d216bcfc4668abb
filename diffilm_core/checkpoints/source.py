"""Opening what a model is published as: a file, a folder, an index of shards or a state dict, as a dict of tensors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import DiffilmError
from .files import read_tensors
from .pickles import SUFFIXES, read_pickle

Source = str | Path | Mapping[str, Tensor]

LONGEST = 500  # characters of an error
INDEX = ".index.json"
WEIGHT_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model", "open_clip_model", "open_clip_pytorch_model")
# part of a diffusers pipeline: the folder, which becomes its tensors' prefix
PARTS = ("unet", "vae", "text_encoder", "image_encoder", "motion_adapter")


@contextmanager
def one_line() -> Iterator[None]:
    """DiffilmErrors come out as one line of at most 500 characters, whatever a file calls its tensors."""
    try:
        yield
    except DiffilmError as error:
        text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
        raise DiffilmError(text if len(text) <= LONGEST else f"{text[:LONGEST]} ...") from error.__cause__


class Checkpoint(dict[str, Tensor]):
    """The tensors of an opened source by name, with what to call it and the metadata of its files; `configs` are a
    folder's config.json as "", those of a pipeline's parts by their folders' names."""

    def __init__(self, tensors: Mapping[str, Tensor], label: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(tensors)
        self.label = label
        self.metadata = dict(metadata or {})
        self.configs: dict[str, dict[str, Any]] = {}

    def copy(self) -> Checkpoint:
        again = Checkpoint(self, self.label, self.metadata)
        again.configs = self.configs
        return again


def open_source(source: Source, *, meta: bool = False) -> Checkpoint:
    """Read a source, memory-mapped where its format can be; with `meta`, names and shapes alone.

    source: a .safetensors, .ckpt, .pth, .pt or .bin file, an index of shards (.index.json), a folder with weights or
    of a diffusers pipeline (its parts prefixed with their folder's name), or a state dict. Raises DiffilmError for
    one that is missing, damaged, of another kind, or without a tensor.
    """
    if isinstance(source, Checkpoint):
        found = source.copy()
    elif isinstance(source, Mapping):
        found = Checkpoint(
            {k: v for k, v in source.items() if isinstance(k, str) and isinstance(v, Tensor)}, "the state dict"
        )
    elif isinstance(source, (str, Path)):
        found = _open_path(Path(source), meta)
    else:
        raise DiffilmError(f"{source!r:.80} given as a model: give a path or a state dict")
    if not found:
        raise DiffilmError(f"{found.label} holds no tensors: give the weights of a model")
    if meta:
        found.update({name: tensor.to("meta") for name, tensor in found.items()})
    return found


def _open_path(path: Path, meta: bool) -> Checkpoint:
    try:
        if path.is_dir():
            return _open_folder(path, meta)
        return _open_index(path, meta) if path.name.endswith(INDEX) else _open_file(path, meta)
    except OSError as error:
        raise DiffilmError(f"model {path} cannot be read ({error.strerror or error}): give one that can be") from error
    except MemoryError as error:
        raise DiffilmError(f"model {path} does not fit into memory: free some, or take a smaller file") from error


def _open_file(path: Path, meta: bool) -> Checkpoint:
    if path.suffix.lower() in SUFFIXES:
        return Checkpoint(read_pickle(path, meta=meta), str(path))
    return Checkpoint(*_labelled(path))


def _labelled(path: Path) -> tuple[dict[str, Tensor], str, dict[str, str]]:
    tensors, metadata = read_tensors(path)
    return tensors, str(path), metadata


def _open_index(path: Path, meta: bool) -> Checkpoint:
    """The shards that an index names; nothing outside of its folder is read."""
    try:
        places = json.loads(path.read_text("utf-8"))["weight_map"]
        names = sorted({str(name) for name in places.values()})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DiffilmError(f"{path} is no index of shards (a JSON with weight_map): get it again") from error
    tensors: dict[str, Tensor] = {}
    for name in names:
        if Path(name).name != name:
            raise DiffilmError(f"{path} names the shard {name!r}, expected a file beside it: get the model again")
        if not (path.parent / name).is_file():
            raise DiffilmError(f"{path.parent / name} is not there, one of the {len(names)} shards of {path.name}")
        tensors.update(_open_file(path.parent / name, meta))
    if lost := sorted(places.keys() - tensors.keys()):
        raise DiffilmError(f"{path}: its shards lack {len(lost)} tensors (first: {lost[0]}): get them again")
    return Checkpoint(tensors, str(path))


def _weights_of(folder: Path) -> list[Path]:
    """What a folder's weights are read from: diffusers' or transformers' names first, fp32 before fp16, safetensors
    before pickles; the files of a Diffilm model."""
    for stem in WEIGHT_STEMS:
        for variant in ("", ".fp16", ".bf16", ".non_ema"):
            for suffix in (".safetensors", ".bin", ".pth", ".pt"):
                for name in (f"{stem}{variant}{suffix}", f"{stem}{suffix}{INDEX.replace('.json', variant + '.json')}"):
                    if (folder / name).is_file():
                        return [folder / name]
    return sorted(folder.glob("*.safetensors"))


def _config_of(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _open_folder(folder: Path, meta: bool) -> Checkpoint:
    parts = [name for name in PARTS if (folder / name).is_dir() and _weights_of(folder / name)]
    if parts and not (folder / "config.json").is_file():
        opened = {part: _open_path(_one(folder / part, _weights_of(folder / part)), meta) for part in parts}
        found = Checkpoint({f"{part}.{n}": t for part, each in opened.items() for n, t in each.items()}, str(folder))
        found.configs = {part: _config_of(folder / part) for part in parts}
        return found
    weights = _weights_of(folder)
    if not weights:
        raise DiffilmError(
            f"folder {folder} holds no weights: expected diffusion_pytorch_model.safetensors or model.safetensors in "
            "it, or a pipeline's folders (unet, vae, text_encoder)"
        )
    files = [_open_path(path, meta) for path in weights]
    if len(files) > 1 and not any("diffilm" in each.metadata for each in files):
        _one(folder, weights)
    found = Checkpoint({}, str(folder if len(files) > 1 else weights[0]))
    for each in files:
        found.update(each)
        found.metadata.update(each.metadata)
    found.configs = {"": _config_of(folder)}
    return found


def _one(folder: Path, weights: list[Path]) -> Path:
    if len(weights) > 1:
        names = ", ".join(path.name for path in weights[:3])
        raise DiffilmError(f"folder {folder} holds {len(weights)} models ({names} ...): give the path of one")
    return weights[0]

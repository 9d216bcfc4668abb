"""The movie's folder: sampled latents and finished shots under their keys, and a manifest of what is what.

    NAME.diffilm/
      manifest.json            the storyboard, the settings, and the keys of every shot
      latents/KEY.safetensors  `latents (c, t, h, w)`; key and digest in its metadata
      latents/KEY.part.safetensors  the sampler's state of a clip that is not done: where a killed run goes on
      shots/KEY.mp4            a finished shot, or the transition into one (.mov, .mkv where its codec wants that)
      shots/KEY.json           its size and digest, written after it: the shot counts when both agree

A key is the digest of all that decides the pixels, so a file is either right or missing. Every file appears whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic import check_writable, remove_stale, written_whole
from ..checkpoints.files import file_digest, read_tensors, write_tensors
from ..errors import DiffilmError
from ..sampling.samplers import SamplerState

log = logging.getLogger(__name__)

VERSION = 1
KEY_LENGTH = 40


def digest_key(settings: Mapping[str, Any]) -> str:
    """The sha256 (hex) of the canonical JSON of `settings`: plain values, fractions, paths' text, nested as needed."""
    return hashlib.sha256(
        json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode()
    ).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (Fraction, torch.dtype, torch.device)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical form for a key")


def movie_folder(out: str | os.PathLike[str]) -> Path:
    """Where the movie `out` keeps its parts: `OUT-stem.diffilm` beside it."""
    out = Path(out)
    return out.with_name(f"{out.stem}.diffilm")


class ShotStore:
    """Latents and finished shots of one movie under their keys; safe to open by several runs at once.

    A file that is truncated or altered is named in a warning, removed, and reported as missing. Raises DiffilmError
    when the folder cannot be made or written to, or was made by a newer Diffilm.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._latents, self._shots = self.folder / "latents", self.folder / "shots"
        try:
            for part in (self._latents, self._shots):
                part.mkdir(parents=True, exist_ok=True)
            for part in (self.folder, self._latents, self._shots):
                check_writable(part)
                remove_stale(part)
        except OSError as error:
            raise DiffilmError(
                f"cannot make the movie's folder {self.folder} ({error.strerror}): expected a place to write to; "
                "choose another output"
            ) from error
        self.manifest()

    def latents_path(self, key: str) -> Path:
        return self._latents / f"{key[:KEY_LENGTH]}.safetensors"

    def segment_path(self, key: str, suffix: str = ".mp4") -> Path:
        return self._shots / f"{key[:KEY_LENGTH]}{suffix}"

    def latents(self, key: str) -> Tensor | None:
        """The clip stored under `key`, `(c, t, h, w)` on the CPU, or None."""
        return _read(self.latents_path(key), key, lambda tensors: tensors["latents"])

    def put_latents(self, key: str, latents: Tensor, about: Mapping[str, str] | None = None) -> None:
        """Stores a clip's latents, in place of its state; `about` are texts for people who look into the file."""
        _write(self.latents_path(key), key, {"latents": latents}, about)
        _remove(self.state_path(key))

    def state_path(self, key: str) -> Path:
        return self._latents / f"{key[:KEY_LENGTH]}.part.safetensors"

    def state(self, key: str) -> SamplerState | None:
        """Where the sampler of the clip `key` was last saved, or None."""
        return _read(self.state_path(key), key, SamplerState.from_tensors)

    def put_state(self, key: str, state: SamplerState) -> None:
        """Stores a sampler's state in place of the one before."""
        _write(self.state_path(key), key, state.to_tensors())

    def segment(self, key: str, suffix: str = ".mp4") -> Path | None:
        """The finished shot stored under `key`, or None."""
        path = self.segment_path(key, suffix)
        record = path.with_suffix(".json")
        if not path.is_file() or not record.is_file():
            return None
        try:
            wanted = json.loads(record.read_bytes())
            if wanted["key"] != key or wanted["sha256"] != file_digest(path):
                raise ValueError("its contents are not what was stored")
        except (ValueError, KeyError, TypeError, OSError) as error:
            _discard(path, error)
            return None
        return path

    def put_segment(
        self,
        key: str,
        write: Callable[[Path], Any],
        about: Mapping[str, Any] | None = None,
        suffix: str = ".mp4",
    ) -> Path:
        """Has `write(path)` write the finished shot, then records it."""
        path = self.segment_path(key, suffix)
        _remove(path.with_suffix(".json"))
        write(path)
        _write_json(path.with_suffix(".json"), {**(about or {}), "key": key, "sha256": file_digest(path)})
        return path

    def forget(self, key: str) -> None:
        """Removes what is stored under `key`: a clip, its state, a finished shot."""
        record = self.segment_path(key, ".json")
        for path in (record, *self._shots.glob(f"{record.stem}.*"), self.latents_path(key), self.state_path(key)):
            _remove(path)

    def manifest(self) -> dict[str, Any]:
        """What the last run wrote with `put_manifest`; empty where there is none or it is damaged."""
        path = self.folder / "manifest.json"
        if not path.is_file():
            return {}
        try:
            found = json.loads(path.read_bytes())
            version = found["version"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            _discard(path, error)
            return {}
        if version != VERSION:
            raise DiffilmError(
                f"{path} has version {version!r}, expected {VERSION}: another Diffilm made it; update Diffilm, or "
                "choose another output"
            )
        return found

    def put_manifest(self, contents: Mapping[str, Any]) -> Path:
        """Writes the manifest: plain values, for people and for tools."""
        path = self.folder / "manifest.json"
        _write_json(path, {**contents, "version": VERSION})
        return path

    def note(self, section: str, name: str, value: Any) -> None:
        """One entry of a section of the manifest, beside what is there."""
        contents = self.manifest()
        contents[section] = {**contents.get(section, {}), name: value}
        self.put_manifest(contents)


def _read(path: Path, key: str, take: Callable[[dict[str, Tensor]], Any]) -> Any:
    """What `take` makes of the tensors that `_write` stored under this key; None where they are missing or damaged."""
    if not path.is_file():
        return None
    try:
        tensors, metadata = read_tensors(path)
        if metadata.get("key") != key or metadata.get("sha256") != _digest(tensors):
            raise DiffilmError("its contents are not what was stored")
        return take({name: tensor.clone() for name, tensor in tensors.items()})
    except (DiffilmError, KeyError, OSError) as error:
        _discard(path, error)
        return None


def _write(path: Path, key: str, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    write_tensors(path, tensors, {"format": "pt", **(about or {}), "key": key, "sha256": _digest(tensors)})


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DiffilmError(
            f"cannot remove {path} ({error.strerror or error}): expected a writable folder with room; choose another "
            "output"
        ) from error


def _discard(path: Path, reason: Exception) -> None:
    log.warning("%s is damaged and is made again: %s", path, " ".join(str(reason).split()))
    with suppress(OSError):
        path.unlink()


def _write_json(path: Path, contents: Mapping[str, Any]) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(contents, ensure_ascii=False, indent=2, default=_plain), encoding="utf-8")


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the tensors in the order of their names; of one tensor, over its form and bytes alone."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name if len(tensors) > 1 else ''}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

"""Reading and writing weight files: safetensors alone, checked before a tensor is made."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..atomic import written_whole
from ..errors import DiffilmError

MAX_HEADER = 100_000_000


def _header(path: Path) -> dict[str, dict]:
    """The JSON header of a safetensors file; DiffilmError where the file is none, or is cut short."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= MAX_HEADER or file.read(1) != b"{":
            raise DiffilmError(f"{path} is no safetensors file ({size} bytes): give a model's .safetensors")
        if 8 + length > size:
            raise DiffilmError(f"{path} is truncated inside its header ({size} bytes): get it again")
        file.seek(8)
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            expected = 8 + length + max(ends, default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise DiffilmError(f"{path} is no safetensors file (header is not valid): get it again") from error
    if size != expected:
        raise DiffilmError(f"{path} is truncated or altered: {size} bytes, its header says {expected}; get it again")
    return header


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors (memory-mapped, on the CPU) and metadata of a safetensors file.

    Raises DiffilmError for a file that is missing, unreadable, none, or cut short.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise DiffilmError(f"model file {path} {what}: give the path of a .safetensors file")
        _header(path)
    except OSError as error:
        raise DiffilmError(
            f"model file {path} cannot be read ({error.strerror or error}): give a .safetensors file that can be"
        ) from error
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DiffilmError(f"{path} cannot be read as safetensors ({error}): get it again") from error


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Path:
    """Write a safetensors file; it appears whole. Raises DiffilmError where it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    with written_whole(path) as temporary:
        try:
            save_file({name: t.contiguous() for name, t in tensors.items()}, str(temporary), metadata=dict(metadata))
        except SafetensorError as error:  # a full disk
            raise OSError(str(error)) from error
    return path


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, as hex."""
    with Path(path).open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

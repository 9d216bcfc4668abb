"""Is a weight file whole? Against the record that `diffilm fetch` left beside it, or what is known without one."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..atomic import written_whole
from ..errors import DiffilmError
from .files import read_tensors
from .published import PUBLISHED

BLOCK = 1 << 22
RECORD = ".fetched.json"  # after the file's whole name


@dataclass(frozen=True)
class Record:
    """Where a file came from and what it must be: bytes, and the hub's hash.

    digest: SHA-256 as hex, or the git blob's SHA-1 for the small files that the hub keeps in git.
    """

    repository: str
    path: str
    revision: str
    size: int
    digest: str


def record_path(file: Path) -> Path:
    return file.with_name(file.name + RECORD)


def write_record(file: Path, record: Record) -> None:
    """Beside the file. Raises DiffilmError where it cannot be written."""
    with written_whole(record_path(file)) as temporary:
        temporary.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


def read_record(file: Path) -> Record | None:
    """The record beside the file; None where there is none that can be read."""
    try:
        record = Record(**json.loads(record_path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return record if isinstance(record.size, int) and isinstance(record.digest, str) else None


def digest_of(file: Path, like: str, progress: Callable[..., None] | None = None) -> str:
    """The file's hash of the kind of `like`: SHA-256 (64 digits), or git's blob SHA-1 (40)."""
    size = file.stat().st_size
    hasher = hashlib.sha256()
    if len(like) == 40:
        hasher = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as stream:
        done = 0
        while block := stream.read(BLOCK):
            hasher.update(block)
            done += len(block)
            if progress is not None:
                progress(f"checking {file.name}", done, size)
    return hasher.hexdigest()


def check_against(file: Path, record: Record, progress: Callable[..., None] | None = None) -> None:
    """Raises DiffilmError where the file's size or hash is not the record's."""
    size = file.stat().st_size
    if size != record.size:
        what = "truncated" if size < record.size else "altered"
        raise DiffilmError(f"{file} is {what}: {size} bytes, {record.repository} has {record.size}; fetch it again")
    found = digest_of(file, record.digest, progress)
    if found != record.digest:
        raise DiffilmError(
            f"{file} is altered: its hash is {found[:16]}..., {record.repository} has {record.digest[:16]}...; fetch "
            "it again"
        )


def verify(path: str | Path, progress: Callable[..., None] | None = None) -> str:
    """What was checked, in one line. Raises DiffilmError for a file that is truncated or altered.

    The first that there is: the record of `diffilm fetch` beside it; the hash of the published file of this name; the
    structure of the file (a safetensors' header and length, the checksums inside a torch .pth, .ckpt or .bin).
    """
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise DiffilmError(f"{file} {what}: give the path of one weight file")
    try:
        record = read_record(file)
        if record is not None:
            check_against(file, record, progress)
            return f"whole: the size and hash that {record.repository} has for {record.path}"
        known = {each.sha256: each for m in PUBLISHED.values() for each in m.files if each.filename == file.name}
        known.pop("", None)
        if known:
            found = digest_of(file, "0" * 64, progress)
            if found in known:
                return f"whole: the hash of {known[found].path} in {known[found].repository}"
            published = next(iter(known.values()))
            _structure(file, progress)
            raise DiffilmError(
                f"{file} is not the published {published.path} of {published.repository}: its hash is {found[:16]}..., "
                f"expected {published.sha256[:16]}...; it is altered or another version; fetch it again"
            )
        return _structure(file, progress)
    except OSError as error:
        raise DiffilmError(f"{file} cannot be read ({error.strerror or error}): give a file that can be") from error


def _structure(file: Path, progress: Callable[..., None] | None) -> str:
    with file.open("rb") as stream:
        start = stream.read(4)
    if start == b"PK\x03\x04":
        return _zip_structure(file, progress)
    if file.suffix == ".safetensors":
        read_tensors(file)
        return "whole in structure: as long as its header says; no hash is known that would show altered bytes"
    raise DiffilmError(
        f"{file} holds nothing to check it by: expected a record of `diffilm fetch` beside it, a safetensors file or a "
        "torch file in zip form; fetch it again"
    )


def _zip_structure(file: Path, progress: Callable[..., None] | None) -> str:
    """torch.save's zip holds a CRC-32 of every tensor."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            total, done = sum(entry.file_size for entry in entries), 0
            for entry in entries:
                with archive.open(entry) as stream:
                    while block := stream.read(BLOCK):
                        done += len(block)
                        if progress is not None:
                            progress(f"checking {file.name}", done, total)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DiffilmError(f"{file} is truncated or altered ({error}): fetch it again") from error
    return f"whole: the checksums of its {len(entries)} records are right"

"""Download a published model from the Hugging Face hub because the user asked for it by name.

A file is written under a hidden temporary name that carries the hub's hash of it, so that a download that was cut off
goes on where it stopped; it gets its own name once its size and hash are the hub's.
"""

from __future__ import annotations

import errno
import glob
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DiffilmError
from .published import PublishedFile, PublishedModel, size_text
from .verify import Record, check_against, read_record, write_record

HUB = "https://huggingface.co"
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES, errno.EPERM)
SPARE = 64 * 10**6  # bytes that are left free on the disk
MISSING = "downloads need the package huggingface_hub: install it with `pip install huggingface_hub`"
Progress = Callable[..., None]


class DownloadFailed(DiffilmError):
    """The request was right, but the hub or the network failed; what has come is kept for the next try."""


@dataclass(frozen=True)
class Remote:
    """A published file as the hub has it now: size in bytes, hash (SHA-256, or git's SHA-1), revision, address."""

    file: PublishedFile
    record: Record
    url: str


def models_folder(to: str | Path | None = None) -> Path:
    """Where models go: `to`, else $COMFYUI_PATH/models, else ./models."""
    if to is not None:
        return Path(to)
    comfy = os.environ.get("COMFYUI_PATH")
    return Path(comfy) / "models" if comfy else Path("models")


def fetch(model: PublishedModel, folder: Path, *, progress: Progress | None = None) -> list[Path]:
    """Download what is not there yet into `folder`/`file.folder`; the files' paths.

    HF_ENDPOINT names another hub. Raises DiffilmError where the disk is too full, a name is taken by another file or
    what came is not what the hub says it has, DownloadFailed where the hub does not answer or breaks off.
    """
    remotes = [look_up(file) for file in model.files]
    missing = [remote for remote in remotes if not is_there(remote, folder / remote.file.target, progress)]
    _check_disk(missing, folder)
    for remote in missing:
        _bring(remote, folder / remote.file.target, progress)
    return [folder / remote.file.target for remote in remotes]


def look_up(file: PublishedFile) -> Remote:
    """Ask the hub for a file's size and hash."""
    with _hub_errors(file):
        hub = _hub()
        url = hub.hf_hub_url(file.repository, file.path, endpoint=_endpoint())
        found = hub.get_hf_file_metadata(url)
        revision, digest, size = found.commit_hash, found.etag or "", found.size
        if not revision or size is None or len(digest) not in (40, 64):
            raise DownloadFailed(f"{url} answers, but not as the hub does: expected a commit, a size and a hash there")
        pinned = hub.hf_hub_url(file.repository, file.path, revision=revision, endpoint=_endpoint())
        return Remote(file, Record(file.repository, file.path, revision, size, digest), pinned)


def is_there(remote: Remote, target: Path, progress: Progress | None = None) -> bool:
    """Whether the target is the hub's file already; DiffilmError where it is another one."""
    if not target.exists():
        return False
    if not target.is_file():
        raise DiffilmError(f"{target} is not a file: move it away, or give another folder with --to")
    old = read_record(target)
    size = target.stat().st_size
    if old is not None and (old.size, old.digest) == (size, remote.record.digest):
        return True
    try:
        check_against(target, remote.record, progress)
    except DiffilmError as error:
        raise DiffilmError(
            f"{target} is there and is not the hub's file ({size} bytes, the hub has {remote.record.size}): move it "
            "away, or give another folder with --to"
        ) from error
    write_record(target, remote.record)
    return True


def _part(remote: Remote, target: Path) -> Path:
    return target.with_name(f".{target.name}.{remote.record.digest[:12]}.part")


def _check_disk(missing: Sequence[Remote], folder: Path) -> None:
    """DiffilmError where what is still to come does not fit."""
    if not missing:
        return
    need = SPARE
    for remote in missing:
        part = _part(remote, folder / remote.file.target)
        need += max(0, remote.record.size - (part.stat().st_size if part.exists() else 0))
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < need:
        raise DiffilmError(
            f"{folder} has {size_text(free)} free, expected {size_text(need)}: free space there, or give another "
            "folder with --to"
        )


def _bring(remote: Remote, target: Path, progress: Progress | None) -> None:
    part = _part(remote, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _Counted(part, f"fetching {target.name}", remote.record.size, progress) as out, _hub_errors(remote.file):
            _download(remote.url, out, remote.record.size)
            os.fsync(out.fileno())
        try:
            check_against(part, remote.record, progress)
        except DiffilmError as error:
            part.unlink()
            raise DiffilmError(
                f"what the hub sent for {remote.file.path} is not what it says it has (size or hash differ): nothing "
                "was kept; run again, and if it stays so, the hub or a proxy on the way alters it"
            ) from error
        os.replace(part, target)
        write_record(target, remote.record)
        for older in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
            older.unlink()
    except OSError as error:
        raise DiffilmError(
            f"cannot write {target} ({error.strerror or error}): expected a writable folder with room; free space, or "
            "give another folder with --to"
        ) from error


class _Counted(io.FileIO):
    """A file that is appended to and tells the progress as it grows. size: bytes that it will have."""

    def __init__(self, path: Path, stage: str, size: int, progress: Progress | None) -> None:
        super().__init__(path, "ab")
        _lock(self)
        if self.tell() > size:
            self.truncate(0)
        self.stage, self.size, self.progress = stage, size, progress

    def write(self, block: Any) -> int:
        """All of the block, or OSError."""
        view = memoryview(block)
        done = 0
        while done < len(view):
            done += super().write(view[done:]) or 0
        if self.progress is not None:
            self.progress(self.stage, self.tell(), self.size)
        return done


def _lock(file: io.FileIO) -> None:
    """Keeps the file to this process until it is closed, where the system can; DiffilmError where it is taken."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise DiffilmError(f"another process is downloading {file.name}: wait for it, or end it") from error
    except OSError:  # a file system without locks
        return


def _hub() -> Any:
    """huggingface_hub. Raises DiffilmError where it is not installed."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise DiffilmError(MISSING) from error
    return huggingface_hub


def _download(url: str, out: _Counted, size: int) -> None:
    """The bytes from the file's length on; the bar is ours, not the hub's."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers, disable_progress_bars, logging

    disable_progress_bars()
    logging.set_verbosity_error()
    out.seek(0, io.SEEK_END)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    http_get(url, out, resume_size=out.tell(), headers=headers, expected_size=size)


@contextmanager
def _hub_errors(file: PublishedFile) -> Iterator[None]:
    """The hub's and the network's errors as DownloadFailed; those of our own disk pass."""
    try:
        yield
    except DiffilmError:
        raise
    except Exception as error:
        kind = type(error)
        where, page = f"{file.repository}/{file.path}", f"{_endpoint() or HUB}/{file.repository}"
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        if kind.__name__ == "GatedRepoError":
            text = f"{where} needs its licence accepted on the hub too: do so at {page}, then run `hf auth login`"
        elif kind.__name__ in ("RepositoryNotFoundError", "RemoteEntryNotFoundError", "EntryNotFoundError"):
            text = f"the hub has no {where} (any more): look at {page}"
        elif isinstance(error, OSError) or kind.__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "requests"):
            reason = str(error).split("\n")[0] or kind.__name__
            text = f"{where} did not come whole ({reason}): run the same command again, it goes on where it stopped"
        else:
            raise
        raise DownloadFailed(text) from error


def _endpoint() -> str | None:
    """The hub that the user named instead of huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None

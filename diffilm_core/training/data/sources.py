"""Pictures and GIFs with captions, wherever the captions are: what there is, before anything is decoded.

    items = pictures("pictures")                      # .txt beside, captions in JSONL or CSV, WebDataset tar shards
    items = gifs("tumblr.tsv", "gifs")                # a table: URL or file, tab, caption
    train = [item for item in items if side(item.source, validation=0.05, test=0.05) == "train"]

An item costs some 600 bytes of memory; its pixels are read when they are asked for.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import DiffilmError
from ...frames import read
from ...frames.progress import Progress

log = logging.getLogger(__name__)
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
NAMES, WORDS = ("file_name", "file", "image", "path"), ("caption", "text", "prompt")
"""What tables call the picture and its caption."""


@dataclass(frozen=True)
class Item:
    """A captioned picture or clip: `width` x `height` pixels, `frames` frames at `fps` (0 for a picture).

    `source` is what the split goes by: all that is cut from one file has one. `offset`, `size`: where in `path`, a tar
    file, it lies; -1 where `path` is the file itself.
    """

    path: str
    source: str
    caption: str
    width: int
    height: int
    frames: int = 1
    fps: float = 0.0
    offset: int = -1
    size: int = 0

    def data(self) -> bytes:
        """The bytes of its file."""
        with open(self.path, "rb") as file:
            if self.offset < 0:
                return file.read()
            file.seek(self.offset)
            return file.read(self.size)


def side(source: str, *, validation: float, test: float = 0.0, seed: int = 0) -> str:
    """ "train", "validation" or "test", by nothing but the source's name and the seed, so that files that come later
    move no other. Raises DiffilmError where the shares leave nothing to train on."""
    if min(validation, test) < 0 or validation + test >= 1:
        raise DiffilmError(f"validation {validation} and test {test}: expected shares from 0 that add up to below 1")
    found = hashlib.sha256(f"{seed} {source}".encode("utf-8", "surrogateescape")).digest()
    drawn = int.from_bytes(found[:8], "big") / 2**64
    if drawn < validation:
        return "validation"
    return "test" if drawn < validation + test else "train"


def parted(items: Sequence[Item], validation: float, seed: int = 0) -> tuple[list[Item], list[Item]]:
    """(training, validation), see `side`. Raises DiffilmError where nothing is left to train on."""
    sides = [side(item.source, validation=validation, seed=seed) for item in items]
    used, held = (
        [item for item, each in zip(items, sides, strict=True) if each == name] for name in ("train", "validation")
    )
    if not used:
        raise DiffilmError(f"validation {validation} takes all {len(items)} items: give more, or a smaller share")
    return used, held


def bare_pictures(folder: str | Path) -> list[Item]:
    """The pictures of a folder and those below it, whatever their captions; one that cannot be opened is named and
    left out. Raises DiffilmError for a folder that is missing."""
    root = _folder(folder)
    found = []
    for path in sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURES):
        if (size := _size(path, str(path))) is not None:
            found.append(Item(str(path), path.relative_to(root).as_posix(), "", *size))
    return found


def _folder(folder: str | Path) -> Path:
    root = Path(folder)
    if not root.is_dir():
        raise DiffilmError(f"pictures folder {root}: no such folder, expected one with pictures; check the name")
    return root


def pictures(folder: str | Path, progress: Progress | None = None) -> list[Item]:
    """The captioned pictures of a folder: of its tar shards, else of its .jsonl or .csv tables, else with .txt beside.

    A picture that cannot be opened is named and left out. Raises DiffilmError for a folder that is missing or holds no
    pictures, for pictures without captions, and for a table that names pictures which are not there.
    """
    root = _folder(folder)
    shards = sorted(root.rglob("*.tar"))
    tables = sorted([*root.rglob("*.jsonl"), *root.rglob("*.csv")])
    found: Iterator[Item]
    if shards:
        found = (item for shard in shards for item in _of_shard(shard, root))
    elif tables:
        found = (item for table in tables for item in _of_table(table, root))
    else:
        found = _with_text_beside(root)
    items = []
    for item in found:
        items.append(item)
        if progress is not None:
            progress("pictures", len(items), 0, item.source)
    if not items:
        raise DiffilmError(
            f"pictures folder {root}: it holds no captioned picture, expected {', '.join(PICTURES)} with a .txt beside "
            "each, a .jsonl or .csv of file and caption, or .tar shards"
        )
    return items


def _with_text_beside(root: Path) -> Iterator[Item]:
    without = []
    for path in sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURES):
        try:
            caption = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        except OSError:
            caption = ""
        if not caption:
            without.append(path)
        elif (size := _size(path, str(path))) is not None:
            yield Item(str(path), path.relative_to(root).as_posix(), caption, *size)
    if without:
        raise _without_captions(root, [path.relative_to(root).as_posix() for path in without])


def _without_captions(root: Path, names: list[str]) -> DiffilmError:
    return DiffilmError(
        f"pictures folder {root}: {len(names)} pictures have no caption, the first is {names[0]}; write one into a "
        ".txt of its name or take it out"
    )


def _of_table(table: Path, root: Path) -> Iterator[Item]:
    """Files are named from the table's own folder."""
    without = []
    for number, row in enumerate(_table_rows(table), 1):
        name = next((str(row[key]) for key in NAMES if row.get(key)), "")
        caption = next((str(row[key]).strip() for key in WORDS if row.get(key)), "")
        if not name:
            raise DiffilmError(f"table {table}, row {number}: expected a picture under one of {', '.join(NAMES)}")
        path = table.parent / name
        if not path.is_file():
            raise DiffilmError(f"table {table}, row {number}: there is no {path}; mend the table or add the picture")
        if not caption:
            without.append(name)
        elif (size := _size(path, str(path))) is not None:
            yield Item(str(path), path.relative_to(root).as_posix(), caption, *size)
    if without:
        raise _without_captions(root, without)


def _table_rows(table: Path) -> Iterator[dict[str, Any]]:
    with table.open(encoding="utf-8", newline="") as file:
        if table.suffix.lower() == ".csv":
            yield from csv.DictReader(file)
            return
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield dict(json.loads(line))
                except (ValueError, TypeError) as error:
                    raise DiffilmError(f"table {table}, line {number}: expected a JSON object ({error})") from error


def _of_shard(shard: Path, root: Path) -> Iterator[Item]:
    """WebDataset: members whose names are alike up to the first dot of the last part are one sample."""
    name = shard.relative_to(root).as_posix()
    without = []
    try:
        with tarfile.open(shard) as archive:
            for key, members in _samples(archive):
                picture = next((members[suffix] for suffix in members if f".{suffix}" in PICTURES), None)
                if picture is None:
                    continue
                caption = _shard_caption(archive, members)
                content = archive.extractfile(picture)
                size = None if content is None else _size(io.BytesIO(content.read()), f"{name}: {picture.name}")
                if not caption:
                    without.append(f"{name}: {picture.name}")
                elif size is not None:
                    place = picture.offset_data, picture.size
                    yield Item(str(shard), f"{name}/{key}", caption, *size, 1, 0.0, *place)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DiffilmError(
            f"shard {shard}: it cannot be read ({error}), expected a whole tar; make it again"
        ) from error
    if without:
        raise _without_captions(root, without)


def _samples(archive: tarfile.TarFile) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    key, members = "", dict[str, tarfile.TarInfo]()
    for member in archive:
        if not member.isfile():
            continue
        path = PurePosixPath(member.name)
        stem, _, suffix = path.name.partition(".")
        mine = str(path.with_name(stem))
        if mine != key and members:
            yield key, members
            members = {}
        key = mine
        members[suffix.lower()] = member
    if members:
        yield key, members


def _shard_caption(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> str:
    for suffix in ("txt", "caption", "json"):
        content = archive.extractfile(members[suffix]) if suffix in members else None
        if content is None:
            continue
        text = content.read().decode("utf-8", "replace").strip()
        if suffix != "json":
            return text
        try:
            row = dict(json.loads(text))
        except (ValueError, TypeError):
            continue
        return next((str(row[key]).strip() for key in WORDS if row.get(key)), "")
    return ""


def _size(file: Path | io.BytesIO, name: str) -> tuple[int, int] | None:
    """Width and height; None, with a word in the log, for what is no picture."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return image.size
    except (OSError, ValueError, SyntaxError) as error:
        log.warning("left out: %s is no picture that can be opened (%s)", name, error)
        return None


def gifs(table: str | Path, folder: str | Path | None = None, progress: Progress | None = None) -> list[Item]:
    """The clips of a table of URL or file, tab, caption (the form of the Tumblr GIF data); no header.

    A clip is looked for in `folder` (None: the table's own) by its path from there, or by the last part of its URL.
    What is not there or cannot be read is counted, and the first is named. A clip with several captions is several
    items of one source. Raises DiffilmError for a table that is missing, has a line without a tab, or none of whose
    clips is there.
    """
    path = Path(table)
    root = path.parent if folder is None else Path(folder)
    items: list[Item] = []
    gone: list[str] = []
    known: dict[str, Item | None] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DiffilmError(
            f"caption table {path}: it cannot be read ({error}), expected lines of file, tab, caption"
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place, tab, caption = line.partition("\t")
        if not tab or not caption.strip():
            raise DiffilmError(f"caption table {path}, line {number}: expected file, tab, caption; got {line[:60]!r}")
        if place not in known:
            known[place] = _clip(root, place)
        found = known[place]
        if found is None:
            gone.append(place)
        else:
            items.append(Item(**{**vars(found), "caption": caption.strip()}))
        if progress is not None:
            progress("clips", number, len(lines), place)
    if gone:
        log.warning("%d of %d captions are of clips that are not in %s, first %s", len(gone), len(lines), root, gone[0])
    if not items:
        raise DiffilmError(
            f"caption table {path}: none of its clips can be read in {root}; give the folder of the clips"
        )
    return items


def _clip(root: Path, place: str) -> Item | None:
    path = root / place
    if not path.is_file():
        path = root / PurePosixPath(unquote(urlsplit(place).path)).name
    if not path.is_file():
        return None
    try:
        stream = read(path)
    except DiffilmError as error:
        log.warning("left out: %s", error)
        return None
    name = path.relative_to(root).as_posix()
    return Item(str(path), name, "", stream.width, stream.height, stream.frames, float(stream.fps))

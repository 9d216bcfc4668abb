"""The sprite bank: Fluent emoji (MIT) as trimmed, foot-aligned sprites, stills and animations, in one small file.

Sprites are squares of `SIDE` pixels: the picture is trimmed to its alpha, its longer side fills the square less a
margin of two pixels, it is centred across and stands on the bottom margin. In memory colours are premultiplied by
alpha.
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..checkpoints.files import write_tensors
from ..errors import DiffilmError
from .vocabulary import OBJECTS, PROPS

log = logging.getLogger(__name__)

SIDE = 96
MARGIN = 2
CLIP_FRAMES = 24
SHEET_COLUMNS = 6
ASSETS = "package/assets/"

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class SpriteBank:
    """Sprites on one device.

    stills (s, 4, side, side) uint8, premultiplied RGBA: the vocabulary's objects in order, then the props;
    extent (s, 2) float, width and height of the picture as a share of the square;
    clips (c, 24, 4, side, side) uint8; clip_of (objects,) long, -1 where an object has no animation;
    clip_seconds (c,) the loop's length; clip_zoom (c,) how much larger the clip's square is than the object at rest.
    """

    stills: Tensor
    extent: Tensor
    clips: Tensor
    clip_of: Tensor
    clip_seconds: Tensor
    clip_zoom: Tensor
    props: dict[str, int]

    def to(self, device: torch.device | str) -> SpriteBank:
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    def prop(self, name: str) -> np.ndarray:
        """One prop or still as float32 (side, side, 4), premultiplied, in [0, 1]."""
        index = self.props[name]
        return self.stills[index].permute(1, 2, 0).cpu().numpy().astype(np.float32) / 255.0

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> SpriteBank:
        """Read a bank written by `build_bank`. Raises DiffilmError when the file is missing or made for other words."""
        from safetensors import safe_open

        if not Path(path).is_file():
            raise DiffilmError(f"no sprite bank at {path}: make it with `python scripts/fetch_data.py`")
        with safe_open(str(path), framework="pt") as file:
            meta = json.loads((file.metadata() or {}).get("diffilm", "{}"))
            if meta.get("codes") != _codes():
                raise DiffilmError(f"{path} was made for another vocabulary: run `python scripts/fetch_data.py` again")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        stills = [_premultiply(_decode(blob)) for blob in _split(tensors["stills"], tensors["still_ends"])]
        clips = [_cells(_decode(blob)) for blob in _split(tensors["clips"], tensors["clip_ends"])]
        return cls(
            stills=torch.from_numpy(np.stack(stills)).permute(0, 3, 1, 2).contiguous(),
            extent=tensors["extent"],
            clips=torch.from_numpy(np.stack(clips)).permute(0, 1, 4, 2, 3).contiguous(),
            clip_of=tensors["clip_of"],
            clip_seconds=tensors["clip_seconds"],
            clip_zoom=tensors["clip_zoom"],
            props={name: len(OBJECTS) + i for i, name in enumerate(PROPS)},
        ).to(device)


def build_bank(archives: Iterable[Path], out: Path) -> Path:
    """Read the npm tarballs of @lobehub/fluent-emoji-3d and -anim-1..4 and write the bank (about 15 MB) to `out`."""
    codes = _codes()
    stills: dict[str, bytes] = {}
    extents: dict[str, tuple[float, float]] = {}
    clips: dict[str, tuple[bytes, float, float]] = {}
    for archive in archives:
        animated = "anim" in archive.name
        wanted = set(codes["objects"]) if animated else {*codes["objects"], *codes["props"]}
        for code, data in _assets(archive, wanted):
            image = Image.open(io.BytesIO(data))
            if animated and getattr(image, "n_frames", 1) > 1:
                clips[code] = _clip(image)
            elif not animated:
                stills[code], extents[code] = _still(image)
        log.info("%s: %d stills, %d clips so far", archive.name, len(stills), len(clips))
    order = codes["objects"] + codes["props"]
    lost = [code for code in order if code not in stills]
    if lost:
        raise DiffilmError(f"{len(lost)} emoji are not in the archives ({', '.join(lost[:5])} ...): fetch them again")
    kept = [code for code in codes["objects"] if code in clips]
    still_bytes, still_ends = _join([stills[c] for c in order])
    clip_bytes, clip_ends = _join([clips[c][0] for c in kept])
    tensors = {
        "stills": still_bytes,
        "still_ends": still_ends,
        "extent": torch.tensor([extents[c] for c in order], dtype=torch.float32),
        "clips": clip_bytes,
        "clip_ends": clip_ends,
        "clip_of": torch.tensor([kept.index(c) if c in clips else -1 for c in codes["objects"]]),
        "clip_seconds": torch.tensor([clips[c][1] for c in kept], dtype=torch.float32),
        "clip_zoom": torch.tensor([clips[c][2] for c in kept], dtype=torch.float32),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    return write_tensors(out, tensors, {"diffilm": json.dumps({"codes": codes, "license": "MIT (Fluent Emoji)"})})


def _codes() -> dict[str, list[str]]:
    return {"objects": [o.code for o in OBJECTS], "props": list(PROPS.values())}


def _assets(archive: Path, wanted: set[str]) -> Iterable[tuple[str, bytes]]:
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            code = member.name.removeprefix(ASSETS).removesuffix(".webp")
            if member.name.startswith(ASSETS) and code in wanted:
                file = tar.extractfile(member)
                if file is not None:
                    yield code, file.read()


def _box(alpha: np.ndarray) -> Box:
    rows, columns = np.flatnonzero((alpha > 12).any(1)), np.flatnonzero((alpha > 12).any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _fit(image: Image.Image, box: Box) -> Image.Image:
    """`box` of the RGBA image, scaled into the square: longer side full, centred across, standing on the
    bottom margin.
    """
    inner = SIDE - 2 * MARGIN
    scale = inner / max(box[2] - box[0], box[3] - box[1])
    size = max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale))
    square = Image.new("RGBA", (SIDE, SIDE))
    square.paste(
        image.crop(box).resize(size, Image.Resampling.LANCZOS), ((SIDE - size[0]) // 2, SIDE - MARGIN - size[1])
    )
    return square


def _still(image: Image.Image) -> tuple[bytes, tuple[float, float]]:
    image = image.convert("RGBA")
    box = _box(np.asarray(image)[..., 3])
    square = _fit(image, box)
    longer = max(box[2] - box[0], box[3] - box[1])
    share = (SIDE - 2 * MARGIN) / SIDE / longer
    return _encode(square, lossless=True), ((box[2] - box[0]) * share, (box[3] - box[1]) * share)


def _clip(image: Image.Image) -> tuple[bytes, float, float]:
    """A sprite sheet of 24 frames sampled evenly over the loop, the loop's seconds, and its zoom (see SpriteBank)."""
    frames, seconds = [], 0.0
    for index in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(index)
        frames.append(image.convert("RGBA"))
        seconds += float(image.info.get("duration", 42)) / 1000.0
    frames = [frames[int(i * len(frames) / CLIP_FRAMES)] for i in range(CLIP_FRAMES)]
    boxes = np.array([_box(np.asarray(f)[..., 3]) for f in frames])
    union = tuple(int(v) for v in (*boxes[:, :2].min(0), *boxes[:, 2:].max(0)))
    rest = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(1)))
    rows = CLIP_FRAMES // SHEET_COLUMNS
    sheet = Image.new("RGBA", (SIDE * SHEET_COLUMNS, SIDE * rows))
    for i, frame in enumerate(frames):
        sheet.paste(_fit(frame, union), (i % SHEET_COLUMNS * SIDE, i // SHEET_COLUMNS * SIDE))  # type: ignore[arg-type]
    zoom = max(union[2] - union[0], union[3] - union[1]) / rest
    return _encode(sheet, lossless=False), seconds, zoom


def _encode(image: Image.Image, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=80, alpha_quality=90, method=4)
    return buffer.getvalue()


def _decode(blob: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(blob)).convert("RGBA"))


def _premultiply(rgba: np.ndarray) -> np.ndarray:
    out = rgba.astype(np.float32)
    out[..., :3] *= out[..., 3:] / 255.0
    return np.round(out).astype(np.uint8)


def _cells(sheet: np.ndarray) -> np.ndarray:
    rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    cells = _premultiply(sheet).reshape(rows, SIDE, columns, SIDE, 4).swapaxes(1, 2)
    return cells.reshape(rows * columns, SIDE, SIDE, 4)


def _join(blobs: list[bytes]) -> tuple[Tensor, Tensor]:
    ends = torch.tensor(np.cumsum([len(b) for b in blobs]))
    return torch.frombuffer(bytearray(b"".join(blobs)), dtype=torch.uint8), ends


def _split(data: Tensor, ends: Tensor) -> list[bytes]:
    whole, starts = data.numpy().tobytes(), [0, *ends.tolist()]
    return [whole[a:b] for a, b in pairwise(starts)]

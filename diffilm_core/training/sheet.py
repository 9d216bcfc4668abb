"""Contact sheets: many pictures on one, each with its words beneath."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

PAD, LINE = 6, 14


def contact_sheet(
    pictures: Tensor | Sequence[Tensor],
    path: str | Path,
    *,
    columns: int = 8,
    labels: Sequence[str] = (),
    lines: int = 2,
) -> Path:
    """Write pictures `(n, 3, h, w)` uint8 as one PNG or JPEG, row by row, `labels` wrapped to `lines` beneath."""
    font = ImageFont.load_default(size=11)
    height, width = pictures[0].shape[1:]
    rows = -(-len(pictures) // columns)
    foot = LINE * lines if labels else 0
    sheet = Image.new("RGB", (columns * (width + PAD) + PAD, rows * (height + foot + PAD) + PAD), "white")
    draw = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        x = PAD + index % columns * (width + PAD)
        y = PAD + index // columns * (height + foot + PAD)
        sheet.paste(Image.fromarray(picture.permute(1, 2, 0).cpu().numpy()), (x, y))
        if index < len(labels):
            words = textwrap.wrap(labels[index], max(8, width // 6))[:lines]
            draw.multiline_text((x, y + height + 1), "\n".join(words), fill="black", font=font, spacing=1)
    sheet.save(path, quality=90)
    return Path(path)

"""Named styles: the words that a name stands for, and what such a picture is not."""

from __future__ import annotations

from dataclasses import dataclass

from .clean import one_line


@dataclass(frozen=True)
class Style:
    """words: the end of every prompt. negative: the end of every negative prompt."""

    words: str
    negative: str = ""


_PHOTO = "photograph, photorealistic, 3d render"
_DRAWN = "drawing, painting, cartoon"

# One name, its words, what it is not. British and American spellings are both names.
STYLES: dict[str, Style] = {
    "anime": Style("anime, cel shading, clean lines", _PHOTO),
    "claymation": Style("claymation, stop motion, clay figures, studio light", "photograph, drawing, flat colours"),
    "comic": Style("comic book art, bold ink outlines, flat colours", _PHOTO),
    "documentary": Style("documentary footage, natural light, handheld camera", _DRAWN),
    "fairy tale": Style("fairy tale illustration, soft light, rich colours", _PHOTO),
    "film noir": Style("film noir, black and white, hard shadows", f"colour, {_DRAWN}"),
    "oil painting": Style("oil painting on canvas, visible brush strokes", _PHOTO),
    "paper cut": Style("paper cut-out, layered paper, soft shadows", _PHOTO),
    "pencil": Style("pencil sketch, hatching, on white paper", f"colour, {_PHOTO}"),
    "picture book": Style("picture book illustration, gentle colours, simple shapes", _PHOTO),
    "pixel art": Style("pixel art, 16-bit, limited palette", f"blurry, {_PHOTO}"),
    "realistic": Style("photorealistic, natural light, 35mm film", _DRAWN),
    "silent film": Style("silent film, black and white, film grain, 1920s", f"colour, {_DRAWN}"),
    "watercolour": Style("watercolour painting, soft washes, paper texture", _PHOTO),
    "woodcut": Style("woodcut print, bold black lines", f"colour, {_PHOTO}"),
}
SPELLINGS = {"watercolor": "watercolour", "noir": "film noir", "storybook": "picture book", "photo": "realistic"}


def style_of(words: str) -> Style:
    """The preset of that name, else the words themselves as a style."""
    plain = one_line(words)
    name = plain.casefold()
    return STYLES.get(SPELLINGS.get(name, name), Style(plain))

"""The way back: a film described in words, shot by shot, by any local model that captions pictures or clips."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import DiffilmError
from ..frames import FrameStream
from ..frames.progress import Progress
from .storyboard import Shot, Storyboard

log = logging.getLogger(__name__)

FRAMES = 3
"""Frames of a shot that are captioned: at the middle of equal parts, so none lies on a cut."""
OPENINGS = re.compile(
    r"^(?:there (?:is|are)|this is|(?:an? |the )?(?:image|picture|photo\w*|video|clip) (?:of|shows))\s+", re.IGNORECASE
)

ENDINGS = re.compile(r"(?<=\w{3})(?:ing|ed|es|s)$")
GRAMMAR = frozenset(
    re.findall(
        r"\w+",
        "the and with his her its their they she him them from into over under this that was were has had have are for "
        "very some one two there here while then",
    )
)


class Captioner(Protocol):
    """A model that says what a shot shows."""

    def caption(self, frames: Tensor) -> str:
        """Frames `(t, h, w, 3)` of one shot, in [0, 1], in words."""
        ...


@dataclass(frozen=True)
class ShotCaption:
    """What one shot shows: its first frame and end, seconds, and the words."""

    start: int
    end: int
    seconds: tuple[float, float]
    text: str


@dataclass(frozen=True)
class Description:
    """A film in words. `text` is the captions as prose; `shots` says which frames each is of."""

    shots: tuple[ShotCaption, ...]
    fps: float

    @property
    def text(self) -> str:
        return prose(shot.text for shot in self.shots)

    def storyboard(self) -> Storyboard:
        """A storyboard that films it again: a shot for each caption, as long as it was."""
        text, shots, at = self.text, [], 0
        sentences = [sentence(shot.text) for shot in self.shots]
        for index, (shot, words) in enumerate(zip(self.shots, sentences, strict=True)):
            repeated = index > 0 and words == sentences[index - 1]
            if not repeated:
                at = text.index(words, at)
            span = (0, 0) if repeated else (at, at + len(words))
            at = at if repeated else span[1]
            length = (shot.end - shot.start) / self.fps
            shots.append(Shot(index, words.rstrip("."), words, span, duration=length, seed=index))
        return Storyboard(shots=tuple(shots))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "text": self.text,
            "fps": self.fps,
            "shots": [
                {"frames": [shot.start, shot.end], "seconds": list(shot.seconds), "text": shot.text}
                for shot in self.shots
            ],
        }


def describe(
    stream: FrameStream, captioner: Captioner, *, frames: int = FRAMES, progress: Progress | None = None
) -> Description:
    """Each shot of `stream` (between its `cuts`) in words. The film is pulled once; a shot's few frames are held.

    `progress("describe", shots done, shots, caption)` is called after every shot. Raises DiffilmError for fewer than
    one frame a shot.
    """
    if frames < 1:
        raise DiffilmError(f"{frames} frames a shot: expected at least 1; 3 are usual")
    shots = stream.shots
    wanted = [chosen(start, end, frames) for start, end in shots]
    captions: list[ShotCaption] = []
    held: list[Tensor] = []
    at = 0
    for chunk in stream:
        for frame in chunk:
            if len(captions) < len(shots) and at in wanted[len(captions)]:
                held.append(frame)
                if at == wanted[len(captions)][-1]:
                    start, end = shots[len(captions)]
                    text = " ".join(captioner.caption(torch.stack(held)).split())
                    seconds = (float(start / stream.fps), float(end / stream.fps))
                    captions.append(ShotCaption(start, end, seconds, text))
                    held = []
                    if progress is not None:
                        progress("describe", len(captions), len(shots), text)
            at += 1
    return Description(tuple(captions), float(stream.fps))


def chosen(start: int, end: int, count: int) -> list[int]:
    """`count` frames of `[start, end)` (fewer in a shorter shot), each at the middle of an equal part, ascending."""
    count = min(count, end - start)
    return [start + (2 * part + 1) * (end - start) // (2 * count) for part in range(count)]


def sentence(caption: str) -> str:
    """A caption as a sentence: without "there is" or "a picture of", capital first, full stop last."""
    words = OPENINGS.sub("", caption.strip()).strip(" .,;") or "Nothing to be seen"
    return words[0].upper() + words[1:] + ("" if words[-1] in "!?" else ".")


def prose(captions: Iterable[str]) -> str:
    """Captions as one text. What a shot says again after the one before it is not repeated."""
    out: list[str] = []
    for caption in captions:
        words = sentence(caption)
        if not out or words != out[-1]:
            out.append(words)
    return " ".join(out)


def matches(description: Description, board: Storyboard) -> list[float]:
    """For each shot of the storyboard, how much of its prompt the film's caption at that time says, 0 to 1.

    The share of the prompt's words (three letters and more, without words of grammar and common endings) that
    the captions of the shot's time hold. A film of another length is stretched to the storyboard's.
    """
    total = description.shots[-1].seconds[1]
    unit, at, out = total / board.duration, 0.0, []
    for shot in board.shots:
        start, end = at * unit, (at + shot.duration) * unit
        at += shot.duration
        during = [each for each in description.shots if each.seconds[0] < end - 1e-6 and each.seconds[1] > start + 1e-6]
        wanted = stems(shot.prompt)
        out.append(len(wanted & stems(" ".join(each.text for each in during))) / len(wanted) if wanted else 1.0)
    return out


def stems(text: str) -> set[str]:
    """The content words of a text: three letters and more, without common endings and words of grammar."""
    words = re.findall(r"[^\W\d_]{3,}", text.casefold())
    return {ENDINGS.sub("", word) for word in words if word not in GRAMMAR}


def merged(captions: Sequence[str]) -> str:
    """Of several frames' captions the one that shares most words with the others; the earliest of equals."""
    sets = [set(re.findall(r"\w+", caption.casefold())) for caption in captions]

    def shared(at: int) -> float:
        return sum(len(sets[at] & other) / max(1, len(sets[at] | other)) for other in sets)

    return captions[max(range(len(captions)), key=lambda at: (shared(at), -at))]


def load_captioner(folder: str | Path, *, device: str | torch.device | None = None, words: int = 40) -> Captioner:
    """The captioning model in a local transformers folder: image-to-text (BLIP, GIT, ViT-GPT2 ...) or video-to-text.

    Raises DiffilmError where the folder is missing or holds no model that captions; nothing is downloaded.
    """
    from .captioner import TransformersCaptioner

    return TransformersCaptioner(Path(folder), device=device, words=words)

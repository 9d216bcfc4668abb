"""A reading into a storyboard: shots with their pictures, prompts, lengths, framing, transitions and seeds."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal

from ..errors import DiffilmError
from .beats import Beat, beat_words, beats, fewer
from .clean import clean_sentence
from .framing import SHORTEST, TALK, camera_of, lengths, natural_length
from .pictures import Pictures
from .prompts import Phrasing, Picture, phrasing_of, prompt_of, token_counter
from .read import check_text
from .reading import Reading, read
from .storyboard import MAX_SEED, Shot, Storyboard
from .styles import style_of

DEFAULT_FRAMES = 16
DEFAULT_FPS = 8
COMFORTABLE = 2.0  # seconds of a shot, on average, where shots are joined to fit a length

Length = float | Literal["auto"] | None


def split_story(
    text: str,
    *,
    style: str = "",
    seed: int = 0,
    frames: int | None = None,
    fps: float | Fraction | None = None,
    max_shots: int | None = None,
    length: Length = None,
    phrasing: str = "plain",
    negative: str = "",
) -> Storyboard:
    """Reads a story and plans its shots: `plan(read(text))` with the checks that come before slow work.

    Raises DiffilmError: blank or not text, no word in it, a number out of range, an unknown phrasing.
    """
    check_text(text, "story")
    check_numbers(seed, frames, fps, max_shots, length)
    phrasing_of(phrasing)
    return plan(
        read(text), style=style, seed=seed, frames=frames, fps=fps, max_shots=max_shots, length=length,
        phrasing=phrasing, negative=negative,
    )  # fmt: skip


def plan(
    reading: Reading,
    *,
    style: str = "",
    seed: int = 0,
    frames: int | None = None,
    fps: float | Fraction | None = None,
    max_shots: int | None = None,
    length: Length = None,
    phrasing: str = "plain",
    negative: str = "",
    shots: Sequence[Beat] | None = None,
) -> Storyboard:
    """Shots with one picture each: a sentence, a part of a long one, or a few short ones. Their spans in order hold
    every character that is not white space exactly once, unless max_shots ends the storyboard after the first so
    many. Headings are in the span of the shot that follows, not in its prompt.

    style: words for the end of every prompt, or the name of a preset of `styles.STYLES`. phrasing: "plain" for the
    model that ships, "sentence" for ModelScope and others, "tags" for Stable Diffusion 1.5. negative: what no shot may
    show; the preset's and the phrasing's own follow it. frames, fps: of a shot as the model makes it; None is 16 and
    8, two seconds, which is what the model that ships was trained on: longer shots cost it further windows. length:
    seconds of the whole story, to which the shots' own lengths (1 to 10 s, by words and acts) are stretched, and
    for which shots are joined where they are too many; "auto" gives each shot its own length. shots: the beats,
    where they are already divided. A shot's seed comes from its own words and the story's seed.
    """
    check_numbers(seed, frames, fps, max_shots, length)
    phrases, look = phrasing_of(phrasing), style_of(style)
    divided = list(beats(reading) if shots is None else shots)
    if isinstance(length, (int, float)) and len(divided) * SHORTEST > length:
        divided = fewer(divided, int(length / COMFORTABLE))
    divided = divided[:max_shots]
    pictures = _pictures(reading, divided, look.words)
    avoid = ", ".join(part for part in (negative.strip(), look.negative, phrases.negative) if part)
    made = _shots(reading, divided, pictures, phrases, avoid, seed)
    made = _timed(made, divided, pictures, frames, fps, length)
    return Storyboard(shots=tuple(made), title=_title(reading), style=" ".join(style.split()), cast=reading.cast)


def shot_seed(seed: int, sentence: str, occurrence: int = 0) -> int:
    """48 bits (exact in every JSON reader) from the story's seed, the sentence and how often it came before."""
    key = f"{seed}\n{occurrence}\n{sentence}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(key).digest()[:6], "big")


def check_numbers(
    seed: int, frames: int | None, fps: float | Fraction | None, max_shots: int | None, length: Length
) -> None:
    """Raises DiffilmError for a number that no storyboard can have."""
    if not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise DiffilmError(f"seed is {seed}, expected a whole number from 0 to 2**64 - 1")
    if frames is not None and (not isinstance(frames, int) or frames < 1):
        raise DiffilmError(f"frames is {frames}, expected a whole number of at least 1")
    if fps is not None and (not math.isfinite(fps) or fps <= 0):
        raise DiffilmError(f"fps is {fps}, expected frames a second above 0")
    if max_shots is not None and max_shots < 1:
        raise DiffilmError(f"max_shots is {max_shots}, expected at least 1")
    if length is None or length == "auto":
        return
    if isinstance(length, (str, bool)) or not math.isfinite(length) or length < SHORTEST:
        raise DiffilmError(f"length is {length!r}, expected seconds of at least {SHORTEST:g}, or 'auto'")
    if frames is not None:
        raise DiffilmError(f"length {length:g} s and frames {frames} a shot are two ways to say how long; give one")


def _pictures(reading: Reading, divided: Sequence[Beat], style: str) -> list[Picture]:
    out: list[Picture] = []
    pictures = Pictures(reading)
    place = ""
    for beat in divided:
        lead = beat.pieces[0].sentence
        new_place = bool(lead.place) and lead.place != place
        place = lead.place
        verbs = [clause.verb for piece in beat.pieces for clause in piece.clauses if clause.filmed]
        cast = {who for piece in beat.pieces for who in piece.cast}
        talks = any(piece.sentence.speaker for piece in beat.pieces) or (bool(verbs) and verbs[0] in TALK)
        camera = camera_of(len(cast), verbs, new_place=new_place, talks=talks)
        out.append(pictures.of(beat, beat_words(reading, beat), camera, style))
    return out


def _shots(
    reading: Reading, divided: Sequence[Beat], pictures: Sequence[Picture], phrasing: Phrasing, negative: str, seed: int
) -> list[Shot]:
    count = token_counter(phrasing)
    seen: Counter[str] = Counter()
    out: list[Shot] = []
    for index, (beat, picture) in enumerate(zip(divided, pictures, strict=True)):
        words = beat_words(reading, beat)
        lead = beat.pieces[0].sentence
        cast = dict.fromkeys(who for piece in beat.pieces for who in piece.cast)
        lapse = any(p.sentence.time_lapse and p.first for p in beat.pieces[:1])
        flash = index > 0 and divided[index - 1].pieces[-1].sentence.flashback != lead.flashback
        out.append(
            Shot(
                index=index,
                prompt=prompt_of(picture, phrasing, count),
                text=reading.text[beat.start : beat.end],
                span=(beat.start, beat.end),
                scene=lead.scene,
                negative=negative,
                cast=tuple(cast),
                action=" and ".join(act.words for act in picture.acts if act.figures),
                place=lead.place,
                time=lead.time,
                weather=lead.weather,
                camera=picture.camera,
                seed=shot_seed(seed, words, seen[words]),
                transition="dissolve" if index and (lapse or flash) else "cut",
            )
        )
        seen[words] += 1
    return out


def _timed(
    shots: Sequence[Shot],
    divided: Sequence[Beat],
    pictures: Sequence[Picture],
    frames: int | None,
    fps: float | Fraction | None,
    length: Length,
) -> list[Shot]:
    rate = Fraction(DEFAULT_FPS if fps is None else fps)
    if length is None:
        seconds = [float((DEFAULT_FRAMES if frames is None else frames) / rate)] * len(shots)
    else:
        natural = [
            natural_length(beat.words, len(picture.acts), len(shot.cast))
            for beat, picture, shot in zip(divided, pictures, shots, strict=True)
        ]
        seconds = lengths(natural, None if length == "auto" else float(length), float(rate))
    return [replace(shot, duration=value) for shot, value in zip(shots, seconds, strict=True)]


def _title(reading: Reading) -> str:
    """The heading that a story starts with, else nothing."""
    first = next((sentence for sentence in reading.sentences if sentence.kind != "break"), None)
    return clean_sentence(reading.text[slice(*first.span)]) if first and first.kind == "heading" else ""

"""Published ways to measure, as TOML: which prompts, how many clips, which frames of the real ones, which metrics."""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import DiffilmError
from .options import Options
from .sets import STARTS, Cut, MediaSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHOICES = ("all", "first", "random", "classes")


@dataclass(frozen=True)
class Protocol:
    """What a table of a paper stands on.

    choose: which prompts of the list are filmed: all, the first of each video, one of each at random (by `seed`), or
    one sentence for each class, the classes being the folders of the real set. template: of such a sentence, with
    {class}. samples: clips to film (0: one a prompt); with classes as many of each as the real set has, in proportion.
    frames, size, fps, start: of every clip that is measured. sources: where each fact is from; differs: what is not as
    in the papers.
    """

    name: str
    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    choose: str = "all"
    template: str = "{class}"
    samples: int = 0
    frames: int = 16
    fps: str = ""
    start: str = "first"
    size: tuple[int, int] | None = None
    resize: str = "tensorflow"
    splits: int = 10
    seed: int = 0
    differs: tuple[str, ...] = ()

    @property
    def cut(self) -> Cut:
        return Cut(self.frames, Fraction(self.fps) if self.fps else None, self.start, self.size)

    def options(self, rounds: int) -> Options:
        return Options(rounds=rounds, splits=self.splits, resize=self.resize, seed=self.seed)

    def prompts(self, rows: Sequence[tuple[str, str]], real: MediaSet | None) -> list[str]:
        """The words to film, from (video, words). Raises DiffilmError for classes without a real set."""
        if self.choose == "classes":
            return self._of_classes(real)
        if self.choose == "all":
            chosen = [words for _, words in rows]
        else:
            groups: dict[str, list[str]] = {}
            for at, (name, words) in enumerate(rows):
                groups.setdefault(name or str(at), []).append(words)
            dice = random.Random(self.seed)
            chosen = [group[0] if self.choose == "first" else dice.choice(group) for group in groups.values()]
        return chosen[: self.samples or None]

    def _of_classes(self, real: MediaSet | None) -> list[str]:
        if real is None or not all(item.parent != real.path for item in real.items):
            raise DiffilmError(f"protocol {self.name} takes its prompts from the classes: give the real clips' folder, "
                               "with a folder for each class")  # fmt: skip
        counts = Counter(item.parent.name for item in real.items)
        total = sum(counts.values())
        wanted = self.samples or total
        exact = {name: wanted * count / total for name, count in sorted(counts.items())}
        shares = {name: int(value) for name, value in exact.items()}
        rest = sorted(exact, key=lambda name: (shares[name] - exact[name], name))[: wanted - sum(shares.values())]
        sentences = {name: self.template.replace("{class}", class_words(name)) for name in exact}
        return [sentences[name] for name, share in shares.items() for _ in range(share + (name in rest))]


def class_words(name: str) -> str:
    """ "ApplyEyeMakeup" to "apply eye makeup"; words in capitals stay."""
    parts = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return " ".join(part if len(part) > 1 and part.isupper() else part.lower() for part in parts) or name


def read_protocol(path: str | Path) -> Protocol:
    """Raises DiffilmError for a missing file, broken TOML, unknown or missing keys, values out of range."""
    try:
        with Path(path).open("rb") as file:
            values: dict[str, Any] = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DiffilmError(f"protocol {path} cannot be read: {error}") from error
    known = {field.name for field in fields(Protocol)}
    if unknown := sorted(values.keys() - known):
        raise DiffilmError(f"protocol {path}: unknown key {unknown[0]!r}; it may be one of {', '.join(sorted(known))}")
    try:
        given: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        found = Protocol(**given)
        found.cut, found.options(0)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise DiffilmError(f"protocol {path}: {error}") from error
    if found.choose not in CHOICES or found.start not in STARTS:
        raise DiffilmError(
            f"protocol {path}: choose {found.choose!r}, start {found.start!r}: expected one of {', '.join(CHOICES)},"
            f" and {' or '.join(STARTS)}"
        )
    return found

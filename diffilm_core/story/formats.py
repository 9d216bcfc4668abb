"""The ways in: prose, a Fountain screenplay, a list or table of shots, a storyboard's JSON; told by the suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import DiffilmError
from .filming import split_story
from .fountain import storyboard_from_fountain
from .read import check_text, read_story
from .storyboard import Storyboard
from .tables import storyboard_from_csv, storyboard_from_list

Form = Literal["story", "fountain", "shots", "csv", "json"]
FORMS: tuple[Form, ...] = get_args(Form)
SUFFIXES: dict[str, Form] = {
    ".fountain": "fountain", ".spmd": "fountain", ".csv": "csv", ".tsv": "csv", ".shots": "shots", ".json": "json",
}  # fmt: skip


def form_of(path: str | Path) -> Form:
    """By the suffix; prose where it tells nothing."""
    return SUFFIXES.get(Path(path).suffix.lower(), "story")


def storyboard_from(text: str, form: str = "story", **options: Any) -> Storyboard:
    """The storyboard of a text in one of FORMS. options: those of `split_story`; a storyboard's JSON keeps its own.
    Raises DiffilmError: another form, or what that form's reader says, with the line where there is one."""
    if form == "story":
        return split_story(text, **options)
    if form == "json":
        return Storyboard.from_json(text)
    readers: dict[str, Callable[..., Storyboard]] = {
        "fountain": storyboard_from_fountain,
        "shots": storyboard_from_list,
        "csv": storyboard_from_csv,
    }
    if form not in readers:
        raise DiffilmError(f"form {form!r} is not known; choose one of {', '.join(FORMS)}")
    return readers[form](check_text(text, "story"), **options)


def open_storyboard(path: str | Path, form: str | None = None, **options: Any) -> Storyboard:
    """`storyboard_from` for a file; form None: by its suffix."""
    return storyboard_from(read_story(path), form or form_of(path), **options)

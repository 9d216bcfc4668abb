"""Storyboards changed, chosen from and joined, and as lists that any nodes can map over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from comfy_api.latest import io

from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.story import Storyboard as Board
from ..diffilm_core.story import edit
from .types import CATEGORY, Storyboard


@dataclass(frozen=True)
class IllustratedBoard(Board):
    """A storyboard with reference pictures, `(n, h, w, 3)` in [0, 1], by the ids of the cast."""

    references: Mapping[str, torch.Tensor] = field(default_factory=dict, compare=False)


def references_of(board: Board) -> dict[str, torch.Tensor]:
    return dict(getattr(board, "references", {}))


def illustrated(board: Board, references: Mapping[str, torch.Tensor]) -> Board:
    """The storyboard with these pictures; as it is where there are none."""
    if not references:
        return board
    parts = {"shots": board.shots, "title": board.title, "style": board.style, "cast": board.cast}
    return IllustratedBoard(**parts, references=dict(references))


def frames_of(board: Board, fps: float) -> list[int]:
    """Frames of each shot at that rate, at least one."""
    return [max(1, round(shot.duration * fps)) for shot in board.shots]


def shown(board: Board) -> dict[str, Any]:
    """What a node that makes a storyboard shows on itself: `web/js/storyboard.js` draws the table."""
    return {"diffilm_storyboard": [board.to_json(indent=None)]}


BOARD_INPUT = {"tooltip": "From Story Splitter, or another node that gives a storyboard."}
BOARD_OUTPUT = {"display_name": "storyboard", "tooltip": "The changed storyboard."}


class PickShots(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmPickShots",
            display_name="Pick Shots",
            category=CATEGORY,
            description="Some shots of a storyboard, to film only those, or to put them into another order.",
            inputs=[
                Storyboard.Input("storyboard", **BOARD_INPUT),
                io.String.Input("shots", default="1", tooltip="Numbers and ranges, counted from 1: 3 or 1, 4-6."),
            ],
            outputs=[Storyboard.Output(**BOARD_OUTPUT)],
        )

    @classmethod
    def execute(cls, storyboard: Board, shots: str) -> io.NodeOutput:
        board = edit.pick_shots(storyboard, shots)
        return io.NodeOutput(board, ui=shown(board))


class ReplacePrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmReplacePrompt",
            display_name="Replace Prompt",
            category=CATEGORY,
            description="Another prompt, negative prompt or seed for one shot. The other shots stay as they are.",
            inputs=[
                Storyboard.Input("storyboard", **BOARD_INPUT),
                io.Int.Input("shot", default=1, min=1, max=100_000, tooltip="The shot's number, counted from 1."),
                io.String.Input("prompt", multiline=True, default="", tooltip="What the shot shows. Empty: as it was."),
                io.String.Input("negative", default="", tooltip="What it must not show. Empty: as it was."),
                io.Int.Input(
                    "seed", default=-1, min=-1, max=2**63 - 1, tooltip="The shot's seed; -1 leaves it as it was."
                ),
            ],
            outputs=[Storyboard.Output(**BOARD_OUTPUT)],
        )

    @classmethod
    def execute(cls, storyboard: Board, shot: int, prompt: str, negative: str, seed: int) -> io.NodeOutput:
        if shot > len(storyboard):
            raise DiffilmError(f"shot {shot}: the storyboard has {len(storyboard)}; choose 1 to {len(storyboard)}")
        change: dict[str, Any] = {"index": shot - 1}
        change |= {key: text.strip() for key, text in (("prompt", prompt), ("negative", negative)) if text.strip()}
        if seed >= 0:
            change["seed"] = seed
        board = edit.apply_edits(storyboard, [change])
        return io.NodeOutput(board, ui=shown(board))


class CastMember(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmCastMember",
            display_name="Cast Member",
            category=CATEGORY,
            description=(
                "How somebody of the story looks: the words are put into the prompts of every shot that shows them, "
                "and the picture goes to models that start from one."
            ),
            inputs=[
                Storyboard.Input("storyboard", **BOARD_INPUT),
                io.String.Input("member", default="", tooltip="Their name in the story, or an alias or an id."),
                io.String.Input(
                    "description", multiline=True, default="",
                    tooltip="Such as: a small grey mouse with one torn ear. Empty: as the story says.",
                ),
                io.Image.Input("reference", optional=True, tooltip="A picture of them, for Storyboard to Lists."),
            ],
            outputs=[Storyboard.Output(**BOARD_OUTPUT)],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, storyboard: Board, member: str, description: str, reference: torch.Tensor | None = None
    ) -> io.NodeOutput:
        found = edit.board_member(storyboard, member, "member")
        board = storyboard
        if description.strip():
            board = edit.set_member(board, found.id, description=" ".join(description.split()))
        if reference is not None:
            board = illustrated(board, {**references_of(board), found.id: reference})
        return io.NodeOutput(board, ui=shown(board))


class MergeStoryboards(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmMergeStoryboards",
            display_name="Merge Storyboards",
            category=CATEGORY,
            description="Storyboards one after the other. Members of the cast with one name are one.",
            inputs=[
                Storyboard.Input("first", **BOARD_INPUT),
                Storyboard.Input("second", **BOARD_INPUT),
                Storyboard.Input("third", optional=True, **BOARD_INPUT),
                Storyboard.Input("fourth", optional=True, **BOARD_INPUT),
            ],
            outputs=[Storyboard.Output(**BOARD_OUTPUT)],
        )

    @classmethod
    def execute(cls, first: Board, second: Board, third: Board | None = None, fourth: Board | None = None) -> Any:
        boards = [board for board in (first, second, third, fourth) if board is not None]
        merged = edit.merge(boards)
        plain = replace(merged, references={}) if isinstance(merged, IllustratedBoard) else merged
        references: dict[str, torch.Tensor] = {}
        for board in reversed(boards):
            names = {member.id: member.name for member in board.cast}
            for key, picture in references_of(board).items():
                references |= {member.id: picture for member in merged.cast if member.name == names[key]}
        board = illustrated(plain, references)
        return io.NodeOutput(board, ui=shown(board))


class StoryboardLists(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmStoryboardLists",
            display_name="Storyboard to Lists",
            category=CATEGORY,
            description=(
                "A storyboard as lists, an item a shot: the nodes after it run once a shot, so that any model films it."
            ),
            inputs=[
                Storyboard.Input("storyboard", **BOARD_INPUT),
                io.Float.Input(
                    "fps", default=8.0, min=0.5, max=120.0, step=0.5,
                    tooltip="Frames a second of the shots as the model makes them; it decides the lengths.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="prompts", is_output_list=True, tooltip="The prompt of each shot."),
                io.String.Output(display_name="negatives", is_output_list=True, tooltip="What a shot must not show."),
                io.Int.Output(display_name="seeds", is_output_list=True, tooltip="The seed of each shot."),
                io.Int.Output(display_name="lengths", is_output_list=True, tooltip="The frames of each shot."),
                io.Image.Output(
                    display_name="references", is_output_list=True,
                    tooltip="The picture of the first of each shot's cast that has one; grey where none has.",
                ),
                io.String.Output(display_name="json", tooltip="The storyboard as JSON, to read or keep."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, storyboard: Board, fps: float) -> io.NodeOutput:
        pictures = references_of(storyboard)
        like = next(iter(pictures.values()), torch.zeros(1, 64, 64, 3))
        grey = torch.full_like(like[:1], 0.5)
        references = [next((pictures[who] for who in shot.cast if who in pictures), grey) for shot in storyboard.shots]
        return io.NodeOutput(
            [shot.prompt for shot in storyboard.shots],
            [shot.negative for shot in storyboard.shots],
            [shot.seed for shot in storyboard.shots],
            frames_of(storyboard, fps),
            references,
            storyboard.to_json(),
        )

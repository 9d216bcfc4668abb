"""A story to a storyboard, and to lists that any nodes can map over."""

from __future__ import annotations

from comfy_api.latest import io

from ..diffilm_core.story.edit import apply_edits
from ..diffilm_core.story.formats import FORMS, storyboard_from
from ..diffilm_core.story.prompts import PHRASINGS
from .storyboard import frames_of, shown
from .types import CATEGORY, PHRASING_TIP, Storyboard

EXAMPLE = (
    "A fox sat in the snowy forest. The fox saw a rabbit in the snow. The rabbit ran to the meadow. "
    "A bee flew over a flower in the meadow. At night an owl sat in the forest."
)


class StorySplitter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmStorySplitter",
            display_name="Diffilm Story Splitter",
            category=CATEGORY,
            description=(
                "Reads a story and makes shots of it: who is seen, where and when. The storyboard goes into Film "
                "Storyboard and is shown here as a table whose cells can be changed; the lists drive any other nodes, "
                "which then run once a shot."
            ),
            is_output_node=True,
            inputs=[
                io.String.Input("story", multiline=True, default=EXAMPLE, tooltip="The story, in plain sentences."),
                io.String.Input(
                    "style", default="", tooltip="Added to every shot's prompt, such as: watercolour, soft light."
                ),
                io.String.Input("negative", default="", tooltip="What no shot may show. May be empty."),
                io.Int.Input(
                    "seed", default=0, min=0, max=2**64 - 1, control_after_generate=False,
                    tooltip=(
                        "The story's seed; each shot's own comes from it and from the sentence, so that changing one "
                        "sentence leaves the other shots as they are."
                    ),
                ),
                io.Int.Input(
                    "frames", default=16, min=1, max=4096,
                    tooltip="Frames of each shot as the model makes them. The model that ships was trained on 16.",
                ),
                io.Float.Input(
                    "fps", default=8.0, min=0.5, max=120.0, step=0.5,
                    tooltip="Frames a second of the shots as the model makes them, before interpolation.",
                ),
                io.Int.Input("max_shots", default=0, min=0, max=10000, tooltip="Only the first so many shots; 0: all."),
                io.String.Input(
                    "edits", multiline=True, default="", optional=True,
                    tooltip=(
                        "What was changed by hand, as JSON; cells changed in the table on this node are written here. "
                        'Such as [{"index": 2, "prompt": "a fox asleep"}], with index from 0.'
                    ),
                ),
                io.Combo.Input(
                    "read_as", options=list(FORMS), default="story", optional=True,
                    tooltip=(
                        "story: prose. fountain: a screenplay. shots: one a paragraph, or with --- between. csv: a "
                        "table with a column prompt. json: a storyboard."
                    ),
                ),
                io.Combo.Input(
                    "phrasing", options=list(PHRASINGS), default="plain", optional=True,
                    tooltip=PHRASING_TIP,
                ),
                io.Float.Input(
                    "length", default=0.0, min=0.0, max=86400.0, step=1.0, optional=True,
                    tooltip="Seconds of the whole movie, to which the shots are fitted; 0: each as long as frames say.",
                ),
            ],
            outputs=[
                Storyboard.Output(display_name="storyboard", tooltip="All shots, for Film Storyboard."),
                io.String.Output(display_name="prompts", is_output_list=True, tooltip="The prompt of each shot."),
                io.String.Output(display_name="negatives", is_output_list=True, tooltip="What a shot must not show."),
                io.Int.Output(display_name="seeds", is_output_list=True, tooltip="The seed of each shot."),
                io.Int.Output(display_name="lengths", is_output_list=True, tooltip="The frames of each shot."),
                io.String.Output(display_name="json", tooltip="The storyboard as JSON, to read or keep."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, story: str, style: str, negative: str, seed: int, frames: int, fps: float, max_shots: int, edits: str = "",
        read_as: str = "story", phrasing: str = "plain", length: float = 0.0,
    ) -> io.NodeOutput:  # fmt: skip
        board = storyboard_from(
            story, read_as, style=style, negative=negative, seed=seed, frames=None if length else frames, fps=fps,
            length=length or None, max_shots=max_shots or None, phrasing=phrasing,
        )  # fmt: skip
        board = apply_edits(board, edits)
        return io.NodeOutput(
            board,
            [shot.prompt for shot in board.shots],
            [shot.negative for shot in board.shots],
            [shot.seed for shot in board.shots],
            frames_of(board, fps),
            board.to_json(),
            ui=shown(board),
        )

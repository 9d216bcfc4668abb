"""A language model as director: what it is asked, and its answer as a storyboard."""

from __future__ import annotations

from comfy_api.latest import io

from ..diffilm_core.story import split_story
from ..diffilm_core.story.director import director_messages, storyboard_from_answer
from ..diffilm_core.story.prompts import PHRASINGS
from .storyboard import shown
from .types import CATEGORY, PHRASING_TIP, Storyboard


class DirectorPrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmDirectorPrompt",
            display_name="Director Prompt",
            category=CATEGORY,
            description=(
                "What to ask a language model, so that it answers with a storyboard. Connect it to the prompt of "
                "ComfyUI's text generation, or of any other chat node."
            ),
            inputs=[
                io.String.Input("story", multiline=True, default="", tooltip="The story, a few hundred words at most."),
                io.Combo.Input("phrasing", options=list(PHRASINGS), default="plain", tooltip=PHRASING_TIP),
            ],
            outputs=[io.String.Output(display_name="prompt", tooltip="The question, with the story in it.")],
        )

    @classmethod
    def execute(cls, story: str, phrasing: str) -> io.NodeOutput:
        return io.NodeOutput("\n\n".join(message["content"] for message in director_messages(story, phrasing=phrasing)))


class DirectorStoryboard(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmDirectorStoryboard",
            display_name="Director's Storyboard",
            category=CATEGORY,
            description=(
                "A language model's answer as a storyboard. It is checked and mended; where it cannot be used, the "
                "storyboard of Story Splitter stands, and the reason is told."
            ),
            is_output_node=True,
            inputs=[
                io.String.Input("story", multiline=True, default="", tooltip="The story that was asked about."),
                io.String.Input(
                    "answer", multiline=True, default="", tooltip="What the language model said, as it came."
                ),
                io.String.Input("style", default="", tooltip="Added to every shot's prompt, such as: watercolour."),
                io.Int.Input(
                    "seed", default=0, min=0, max=2**64 - 1, control_after_generate=False, tooltip="The story's seed."
                ),
                io.Int.Input("frames", default=16, min=1, max=4096, tooltip="Frames of each shot, as sampled."),
                io.Float.Input(
                    "fps", default=8.0, min=0.5, max=120.0, step=0.5, tooltip="Frames a second, as sampled."
                ),
                io.Combo.Input("phrasing", options=list(PHRASINGS), default="plain", tooltip=PHRASING_TIP),
            ],
            outputs=[
                Storyboard.Output(display_name="storyboard", tooltip="All shots, for Film Storyboard."),
                io.String.Output(display_name="reason", tooltip="What was mended or left out; empty: nothing."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, story: str, answer: str, style: str, seed: int, frames: int, fps: float, phrasing: str
    ) -> io.NodeOutput:
        rules = split_story(story, style=style, seed=seed, frames=frames, fps=fps, phrasing=phrasing)
        board, reason = storyboard_from_answer(answer, story, rules, phrasing=phrasing, seed=seed)
        return io.NodeOutput(board, reason, ui={**shown(board), "text": [reason]})

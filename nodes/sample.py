"""Film a whole storyboard, shot by shot, into the movie's folder; what is there already is not made again."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..diffilm_core.movie.film import Film
from ..diffilm_core.story import Shot
from . import host
from .latent import check_size, empty_clip
from .store import open_store
from .storyboard import frames_of
from .types import CATEGORY, Storyboard


class FilmStoryboard(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        samplers, schedulers = host.sampler_names(), host.scheduler_names()
        return io.Schema(
            node_id="DiffilmFilmStoryboard",
            display_name="Diffilm Film Storyboard",
            category=CATEGORY,
            description=(
                "Samples every shot of a storyboard with any MODEL and keeps each finished one in the movie's folder. "
                "After a Cancel, a crash or a change of one sentence, only what is missing is sampled."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model, from Load Diffilm Model or any other loader."),
                io.Clip.Input("clip", tooltip="The text encoder that belongs to the model."),
                Storyboard.Input("storyboard", tooltip="The shots, from the Story Splitter."),
                io.String.Input(
                    "movie", default="diffilm/movie",
                    tooltip="The movie's name. Finished shots are kept in NAME.diffilm in the output folder.",
                ),
                io.Int.Input("width", default=128, min=16, max=4096, step=8, tooltip="Width of the shots in pixels."),
                io.Int.Input("height", default=128, min=16, max=4096, step=8, tooltip="Height of the shots in pixels."),
                io.Float.Input(
                    "fps", default=8.0, min=0.5, max=120.0, step=0.5,
                    tooltip="Frames a second of the shots; with a shot's duration it gives its frames.",
                ),
                io.Int.Input("steps", default=20, min=1, max=10000, tooltip="Denoising steps of each shot."),
                io.Float.Input(
                    "cfg", default=4.0, min=0.0, max=100.0, step=0.1, round=0.01,
                    tooltip="How closely a shot follows its prompt (classifier-free guidance). 1: off.",
                ),
                io.Combo.Input(
                    "sampler_name", options=samplers, default="euler_ancestral", tooltip="The sampling algorithm."
                ),
                io.Combo.Input(
                    "scheduler", options=schedulers, default="sgm_uniform",
                    tooltip="How the noise levels are spread over the steps.",
                ),
                io.Int.Input(
                    "take", default=0, min=0, max=2**32, control_after_generate=False,
                    tooltip="Added to every shot's seed: another take of the movie. Earlier takes stay in the folder.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latents", is_output_list=True, tooltip="One clip a shot, in order."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model: Any, clip: Any, storyboard: Any, movie: str, width: int, height: int, fps: float, steps: int,
        cfg: float, sampler_name: str, scheduler: str, take: int,
    ) -> io.NodeOutput:  # fmt: skip
        lengths = frames_of(storyboard, fps)
        for frames in lengths:
            check_size(width, height, frames)
        channels = model.model.latent_format.latent_channels
        settings = {"cfg": cfg, "sampler": sampler_name, "scheduler": scheduler, "steps": steps}
        model_key = host.model_key(model)
        progress = host.Progress(steps * len(lengths))

        def plan(shot: Shot) -> dict[str, Any]:
            return {
                "positive": host.encode_text(clip, shot.prompt, fps),
                "negative": host.encode_text(clip, shot.negative, fps),
                "seed": (shot.seed + take) % 2**64,
                **settings,
            }

        def key_of(shot: Shot) -> str:
            host.check_cancel()
            return host.digest("clip", model_key, lengths[shot.index], channels, width, height, plan(shot))

        def sample_shot(shot: Shot) -> Any:
            samples = host.sample_clip(
                model, empty_clip(lengths[shot.index], width, height, channels), **plan(shot),
                on_step=lambda step, preview: progress.show(shot.index * steps + step, preview),
            )  # fmt: skip
            return samples.movedim(0, 1)

        store = open_store(movie)
        keys = {shot.index: key_of(shot) for shot in storyboard.shots}
        made = [{"index": index, "latents": key, "take": take, **settings} for index, key in keys.items()]
        store.put_manifest({**storyboard.to_dict(), "version": 1, "made": made})
        latents = []
        for shot, clip_latents in Film(storyboard, sample_shot, store, lambda shot: keys[shot.index]):
            progress.show((shot.index + 1) * steps)
            latents.append({"samples": clip_latents.movedim(1, 0).contiguous()})
        return io.NodeOutput(latents)

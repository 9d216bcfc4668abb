"""Film a whole storyboard, shot by shot, into the movie's folder; what is there already is not made again."""

from __future__ import annotations

import logging
from typing import Any

from comfy_api.latest import io

from ..diffilm_core.errors import DiffilmError
from . import host
from .latent import check_size, empty_clip
from .store import LatentStore
from .story import frames_of
from .types import CATEGORY, Storyboard

log = logging.getLogger(__name__)


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
                    "sampler_name", options=samplers, default="dpmpp_2m", tooltip="The sampling algorithm."
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
        store = LatentStore(movie)
        channels = model.model.latent_format.latent_channels
        settings = {"cfg": cfg, "sampler": sampler_name, "scheduler": scheduler, "steps": steps}
        model_key = host.model_key(model)
        progress = host.Progress(steps * len(lengths))
        latents = []
        for number, (shot, frames) in enumerate(zip(storyboard.shots, lengths, strict=True)):
            host.check_cancel()
            seed = (shot.seed + take) % 2**64
            positive = host.encode_text(clip, shot.prompt, fps)
            negative = host.encode_text(clip, shot.negative, fps)
            empty = empty_clip(frames, width, height, channels)
            key = host.digest("clip", model_key, positive, negative, tuple(empty.shape), seed, settings)
            samples = store.load(key)
            if samples is None:
                samples = host.sample_clip(
                    model, empty, positive, negative, seed=seed, **settings,
                    on_step=lambda step, preview, done=number * steps: progress.show(done + step, preview),
                )  # fmt: skip
                if not bool(samples.isfinite().all()):
                    raise DiffilmError(
                        f"shot {number + 1} came out as not-a-number: expected finite latents; lower cfg or start "
                        "ComfyUI with --fp32-unet"
                    )
                store.save(key, samples, shot)
            else:
                log.info("Diffilm: shot %d of %d is taken from %s", number + 1, len(lengths), store.folder)
            progress.show((number + 1) * steps)
            latents.append({"samples": samples})
        return io.NodeOutput(latents)

"""Any video with more frames a second and more pixels, whatever its length."""

from __future__ import annotations

from workflow_parts import INTERPOLATE, UPSCALE, Node, Workflow

NOTE = """## Finish any video

More frames a second and more pixels, a few frames in memory at a time: a film of an hour takes no more memory than
one of a second. Cuts are looked for first, and nothing is mixed across them. The sound is kept.

**method** `diffilm` is the networks that ship with the pack; `blend` and `bicubic` are much quicker on a CPU.

Other networks: **Load Frame Interpolation Model** (RIFE, FILM) into *interp_model*, **Load Upscale Model** (ESRGAN
and others) into *upscale_model*; with those, *steady* takes away flicker.
"""


def describe() -> Workflow:
    interpolate = {"video": ("load", 0), "fps": 48.0, **INTERPOLATE}
    upscale = {"video": ("interpolate", 0), "scale": 2.0, "width": 0, "height": 0, **UPSCALE}
    write = {"videos": ("upscale", 0), "movie": "diffilm/finished", "crf": 18}
    return Workflow(
        "finish_any_video",
        {
            "load": Node("LoadVideo", {"file": "clip.mp4"}, (40, 90), (320, 360)),
            "interpolate": Node("DiffilmInterpolateVideo", interpolate, (440, 90), (320, 230)),
            "upscale": Node("DiffilmUpscaleVideo", upscale, (440, 390), (320, 290)),
            "write": Node("DiffilmWriteMovie", write, (840, 90), (420, 480)),
        },
        [
            ("1. Your video", "story", (20, 20, 360, 680)),
            ("2. Finish", "film", (420, 20, 360, 680)),
            ("3. Save", "finish", (820, 20, 460, 680)),
        ],
        NOTE,
        (40, 760, 740, 230),
    )

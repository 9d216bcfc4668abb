"""Write workflows/*.json (for the canvas) and workflows/api/*.json (for HTTP) from one description of each.

The types of inputs and outputs come from a running ComfyUI that has the pack:
    python scripts/make_workflows.py --server http://127.0.0.1:8188
"""

from __future__ import annotations

import argparse
import json
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STORY = (
    "A fox sat in the snowy forest. The fox saw a rabbit in the snow. The rabbit ran to the meadow. "
    "A bee flew over a flower in the meadow. At night an owl sat in the forest."
)
STORY_NOTE = """## A story becomes a movie

Type your story on the left and press **Run**. Every sentence is a shot; the movie is in the output folder and
below on the right.

Finished shots are kept in `output/diffilm/story.diffilm`: after a Cancel, or when you change one sentence, only
what is missing is made again.

The small model that ships knows animals, things and people in a few places (forest, meadow, snow, city, night ...).
Other models go into `models/diffilm`.
"""
CLIP_NOTE = """## A sentence becomes a clip

The sampler is ComfyUI's own: LoRA loaders, context windows and other samplers fit between.

More than 16 frames: put **Context Windows (Manual)** (`context_length` 16, `dim` 0) between the model and KSampler.
"""
BOARD_NOTE = """## The storyboard drives ComfyUI's own nodes

The lists of the Story Splitter make every node after it run once a shot.

**Another model:** replace *Load Diffilm Model* by **Load Checkpoint** (or any loader) and connect its MODEL, CLIP
and VAE in the same places; set width, height, steps and cfg to what that model likes. *Empty Diffilm Clip* takes the
channels of the model. A model with an empty latent of its own: use that one instead. An image model makes the
frames of a shot without motion between them.

Here a Cancel loses the shots of this run; *Diffilm Film Storyboard* keeps them.
"""
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
COLOURS = {"story": "#3f789e", "film": "#a1309b", "finish": "#88aa88", "model": "#b58b2a"}


@dataclass
class Node:
    """A node: class, values by input (a tuple is a link: node name, output index), place, size, title."""

    kind: str
    inputs: dict[str, Any]
    pos: tuple[int, int]
    size: tuple[int, int]
    title: str = ""


@dataclass
class Workflow:
    name: str
    nodes: dict[str, Node]
    groups: list[tuple[str, str, tuple[int, int, int, int]]]
    note: str
    note_box: tuple[int, int, int, int]
    ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ids = {name: number for number, name in enumerate(self.nodes, start=1)}


def load(pos: tuple[int, int]) -> Node:
    return Node("DiffilmLoadModel", {"model_name": "diffilm (ships with the pack)"}, pos, (330, 110))


def finish(video: tuple[str, int], x: int, y: int, movie: str) -> dict[str, Node]:
    """Decoded clip to file: interpolate, upscale, write."""
    return {
        "interpolate": Node(
            "DiffilmInterpolateVideo", {"video": video, "fps": 24.0, "method": "blend"}, (x, y), (300, 90)
        ),
        "upscale": Node(
            "DiffilmUpscaleVideo",
            {"video": ("interpolate", 0), "scale": 4.0, "width": 0, "height": 0, "method": "bicubic"},
            (x, y + 160), (300, 140),
        ),
        "write": Node(
            "DiffilmWriteMovie", {"videos": ("upscale", 0), "movie": movie, "crf": 18}, (x + 350, y), (400, 480)
        ),
    }  # fmt: skip


def splitter(pos: tuple[int, int], size: tuple[int, int]) -> Node:
    values = {"story": STORY, "style": "", "negative": "", "seed": 0, "frames": 16, "fps": 8.0, "max_shots": 0}
    return Node("DiffilmStorySplitter", values, pos, size)


def story_to_movie() -> Workflow:
    movie = "diffilm/story"
    film = {
        "model": ("load", 0), "clip": ("load", 1), "storyboard": ("split", 0), "movie": movie, "width": 128,
        "height": 128, "fps": 8.0, "steps": 20, "cfg": 4.0, "sampler_name": "dpmpp_2m", "scheduler": "sgm_uniform",
        "take": 0,
    }  # fmt: skip
    return Workflow(
        "story_to_movie",
        {
            "load": load((40, 90)),
            "split": splitter((40, 280), (400, 400)),
            "film": Node("DiffilmFilmStoryboard", film, (520, 90), (340, 420)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("film", 0), "fps": 8.0, "batch": 4},
                (520, 570), (340, 110),
            ),
            **finish(("decode", 0), 940, 90, movie),
        },
        [
            ("1. Story", "story", (20, 20, 440, 690)),
            ("2. Film every shot", "film", (500, 20, 380, 690)),
            ("3. Finish", "finish", (920, 20, 790, 690)),
        ],
        STORY_NOTE,
        (40, 780, 820, 170),
    )  # fmt: skip


def text_to_clip() -> Workflow:
    text = {"clip": ("load", 1), "prompt": "a fox in the snow", "negative": "", "fps": 8.0}
    sampler = {
        "model": ("load", 0), "seed": 1, "steps": 20, "cfg": 4.0, "sampler_name": "dpmpp_2m",
        "scheduler": "sgm_uniform", "positive": ("text", 0), "negative": ("text", 1), "latent_image": ("empty", 0),
        "denoise": 1.0,
    }  # fmt: skip
    return Workflow(
        "text_to_clip",
        {
            "load": load((40, 90)),
            "text": Node("DiffilmTextEncode", text, (40, 270), (400, 260)),
            "empty": Node("DiffilmEmptyLatent", {"frames": 16, "width": 128, "height": 128}, (40, 590), (400, 120)),
            "sample": Node("KSampler", sampler, (520, 90), (340, 480)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("sample", 0), "fps": 8.0, "batch": 4},
                (520, 620), (340, 110),
            ),
            **finish(("decode", 0), 940, 90, "diffilm/clip"),
        },
        [
            ("1. What to show", "story", (20, 20, 440, 740)),
            ("2. Sample", "film", (500, 20, 380, 740)),
            ("3. Finish", "finish", (920, 20, 790, 740)),
        ],
        CLIP_NOTE,
        (40, 830, 820, 130),
    )  # fmt: skip


def storyboard_with_host_sampler() -> Workflow:
    sampler = {
        "model": ("load", 0), "seed": ("split", 3), "steps": 20, "cfg": 4.0, "sampler_name": "dpmpp_2m",
        "scheduler": "sgm_uniform", "positive": ("positive", 0), "negative": ("negative", 0),
        "latent_image": ("empty", 0), "denoise": 1.0,
    }  # fmt: skip
    empty = {"frames": ("split", 4), "width": 128, "height": 128}
    return Workflow(
        "storyboard_with_host_sampler",
        {
            "load": load((40, 90)),
            "split": splitter((40, 280), (400, 400)),
            "positive": Node(
                "CLIPTextEncode", {"clip": ("load", 1), "text": ("split", 1)}, (520, 90), (330, 120), "What to show"
            ),
            "negative": Node(
                "CLIPTextEncode", {"clip": ("load", 1), "text": ("split", 2)}, (520, 270), (330, 120), "What to avoid"
            ),
            "empty": Node("DiffilmEmptyLatent", empty, (520, 450), (330, 130)),
            "sample": Node("KSampler", sampler, (900, 90), (330, 480)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("sample", 0), "fps": 8.0, "batch": 4},
                (900, 620), (330, 110),
            ),
            **finish(("decode", 0), 1310, 90, "diffilm/storyboard"),
        },
        [
            ("1. Story and model", "story", (20, 20, 440, 740)),
            ("2. Once a shot, with ComfyUI's own nodes", "film", (500, 20, 750, 740)),
            ("3. Finish", "finish", (1290, 20, 790, 740)),
        ],
        BOARD_NOTE,
        (40, 830, 1190, 220),
    )  # fmt: skip


def api_form(flow: Workflow) -> dict[str, Any]:
    """`{node id: {class_type, inputs, _meta}}`, what /prompt takes."""
    out = {}
    for name, node in flow.nodes.items():
        inputs = {
            key: [str(flow.ids[value[0]]), value[1]] if isinstance(value, tuple) else value
            for key, value in node.inputs.items()
        }
        title = {"title": node.title or node.kind}
        out[str(flow.ids[name])] = {"class_type": node.kind, "inputs": inputs, "_meta": title}
    return out


def ui_form(flow: Workflow, info: dict[str, Any]) -> dict[str, Any]:
    """What the canvas saves."""
    links: list[list[Any]] = []
    nodes = []
    for name, node in flow.nodes.items():
        nodes.append(_ui_node(flow, name, node, info[node.kind], links, info))
    for link in links:
        source = nodes[link[1] - 1]["outputs"][link[2]]
        source["links"] = [*(source["links"] or []), link[0]]
    x, y, width, height = flow.note_box
    nodes.append(
        {
            "id": len(nodes) + 1, "type": "MarkdownNote", "pos": [x, y], "size": [width, height], "flags": {},
            "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {}, "widgets_values": [flow.note],
            "color": "#432", "bgcolor": "#653",
        }
    )  # fmt: skip
    groups = [
        {"id": number, "title": title, "bounding": list(box), "color": COLOURS[colour], "font_size": 24, "flags": {}}
        for number, (title, colour, box) in enumerate(flow.groups, start=1)
    ]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"diffilm/{flow.name}")), "revision": 0,
        "last_node_id": len(nodes), "last_link_id": len(links), "nodes": nodes, "links": links, "groups": groups,
        "config": {}, "extra": {"ds": {"scale": 0.75, "offset": [40, 40]}}, "version": 0.4,
    }  # fmt: skip


def _ui_node(
    flow: Workflow, name: str, node: Node, info: dict[str, Any], links: list[list[Any]], every: dict[str, Any]
) -> dict[str, Any]:
    inputs, values = [], []
    declared = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    for slot, (key, spec) in enumerate(sort_sockets(declared)):
        kind = "COMBO" if isinstance(spec[0], list) else spec[0]
        given = node.inputs.get(key)
        link = None
        if isinstance(given, tuple):
            link = len(links) + 1
            source = every[flow.nodes[given[0]].kind]["output"][given[1]]
            links.append([link, flow.ids[given[0]], given[1], flow.ids[name], slot, source])
        entry: dict[str, Any] = {"name": key, "type": kind}
        if kind in WIDGETS:
            entry["widget"] = {"name": key}
        inputs.append({**entry, "link": link})
    for key, spec in declared.items():
        kind = "COMBO" if isinstance(spec[0], list) else spec[0]
        if kind not in WIDGETS:
            continue
        given = node.inputs.get(key)
        options = spec[1] if len(spec) > 1 else {}
        values.append(options.get("default", "") if given is None or isinstance(given, tuple) else given)
        if options.get("control_after_generate"):
            values.append("fixed")
    outputs = [
        {"name": label, "type": kind, "links": None, **({"shape": 6} if is_list else {})}
        for label, kind, is_list in zip(info["output_name"], info["output"], info["output_is_list"], strict=True)
    ]
    return {
        "id": flow.ids[name], "type": node.kind, "pos": list(node.pos), "size": list(node.size), "flags": {},
        "order": flow.ids[name], "mode": 0, "inputs": inputs, "outputs": outputs,
        **({"title": node.title} if node.title else {}),
        "properties": {"Node name for S&R": node.kind}, "widgets_values": values,
    }  # fmt: skip


def sort_sockets(declared: dict[str, Any]) -> list[tuple[str, Any]]:
    """Plain sockets first, then the sockets of widgets, as the canvas numbers them."""

    def is_widget(spec: Any) -> bool:
        return isinstance(spec[0], list) or spec[0] in WIDGETS

    plain = [(key, spec) for key, spec in declared.items() if not is_widget(spec)]
    return plain + [(key, spec) for key, spec in declared.items() if is_widget(spec)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="http://127.0.0.1:8188")
    args = parser.parse_args()
    with urllib.request.urlopen(f"{args.server}/object_info") as reply:
        info = json.load(reply)
    for flow in (story_to_movie(), text_to_clip(), storyboard_with_host_sampler()):
        for path, data in (
            (ROOT / "workflows" / f"{flow.name}.json", ui_form(flow, info)),
            (ROOT / "workflows" / "api" / f"{flow.name}.json", api_form(flow)),
        ):
            path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()

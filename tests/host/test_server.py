"""Proves that the pack works in a real ComfyUI: loads without a complaint, lists its nodes, runs its workflows."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from hostkit import PACK, Server, api_workflow, listen

SCHEMAS = json.loads((PACK / "tests/nodes/schemas.json").read_text("utf-8"))
WORKFLOWS = sorted(path.stem for path in (PACK / "workflows/api").glob("*.json"))
STORIES = ["story_to_movie", "storyboard_with_host_sampler", "text_to_clip"]
"""The workflows whose movies are checked here; each other one is run by the test file of its system."""
SHORT = "A fox sat in the snow. A bee flew over a flower in the meadow. At night an owl sat in the forest."
COMPLAINTS = re.compile(r"warn|error|traceback|failed|missing|unexpected|not loaded|deprecat", re.IGNORECASE)


def complaints(log: str) -> list[str]:
    """Log lines in which the host complains about the pack or about its models."""
    about = re.compile(r"diffilm|custom_nodes|IMPORT FAILED|unet |clip |VAE keys|lora key", re.IGNORECASE)
    return [line for line in log.splitlines() if COMPLAINTS.search(line) and about.search(line)]


def video(path: Path) -> dict:
    """What a player sees: frames counted, size, rate, codec, colour tags."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        context = stream.codec_context
        return {
            "frames": frames, "size": (context.width, context.height), "fps": float(stream.average_rate),
            "codec": context.name, "format": context.pix_fmt, "metadata": dict(container.metadata),
        }  # fmt: skip


def test_loads_without_a_complaint(server: Server) -> None:
    log = server.log_text().split("got prompt")[0]  # later lines are those of runs that other tests want refused
    assert "IMPORT FAILED" not in log
    assert complaints(log) == []
    assert re.search(r"seconds: .*custom_nodes/diffilm", log)


@pytest.mark.parametrize("node", sorted(SCHEMAS))
def test_every_node_is_listed_with_tooltips(server: Server, node: str) -> None:
    info = server.call(f"/object_info/{node}")[node]
    assert info["description"]
    inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    assert inputs
    for name, spec in inputs.items():
        assert len(spec) > 1 and spec[1].get("tooltip"), f"{node}.{name} has no tooltip"
    assert all(info["output_tooltips"])
    assert list(inputs) == [entry["name"] for entry in SCHEMAS[node]["inputs"]]
    assert info["output"] == [entry["type"] for entry in SCHEMAS[node]["outputs"]]


@pytest.mark.parametrize("node", sorted(SCHEMAS))
def test_every_node_has_a_help_page(server: Server, node: str) -> None:
    assert server.status(f"/extensions/diffilm/docs/{node}.md") == 200


def test_workflows_are_templates(server: Server) -> None:
    listed = server.call("/api/workflow_templates")["diffilm"]
    assert sorted(listed) == WORKFLOWS
    for name in WORKFLOWS:
        assert server.status(f"/api/workflow_templates/diffilm/{name}.json") == 200
        assert server.status(f"/api/workflow_templates/diffilm/{name}.jpg") == 200


def test_names_are_translated(server: Server) -> None:
    texts = server.call("/api/i18n")
    for language in ("en", "de"):
        assert set(texts[language]["nodeDefs"]) >= set(SCHEMAS)


@pytest.mark.parametrize("name", STORIES)
def test_workflow_runs_as_it_is(server: Server, name: str) -> None:
    before = len(server.log_text())
    files = server.files(server.run(api_workflow(name)))
    assert len(files) == 1
    shots = 1 if name == "text_to_clip" else 5
    seen = video(files[0])
    assert seen["size"] == (512, 512) and seen["fps"] == 24
    assert seen["codec"] == "h264" and seen["format"] == "yuv420p"
    assert seen["frames"] == pytest.approx(shots * 48, abs=shots * 2)
    assert complaints(server.log_text()[before:]) == []


def test_the_movie_carries_its_workflow(server: Server) -> None:
    graph = api_workflow("text_to_clip", KSampler__steps=1)
    seen = video(server.files(server.run(graph))[0])
    carried = json.loads(seen["metadata"]["prompt"])
    assert carried.keys() == graph.keys()
    assert all(carried[key]["inputs"] == node["inputs"] for key, node in graph.items())


def test_save_video_and_components_take_our_video(server: Server) -> None:
    graph = api_workflow("text_to_clip", KSampler__steps=1, DiffilmEmptyLatent__frames=6)
    decode = next(key for key, node in graph.items() if node["class_type"] == "DiffilmDecodeVideo")
    writer = next(key for key, node in graph.items() if node["class_type"] == "DiffilmWriteMovie")
    del graph[writer]
    save = {"video": [decode, 0], "filename_prefix": "saved", "format": "auto", "codec": "auto"}
    graph["90"] = {"class_type": "SaveVideo", "inputs": save}
    graph["91"] = {"class_type": "GetVideoComponents", "inputs": {"video": [decode, 0]}}
    graph["92"] = {"class_type": "SaveImage", "inputs": {"images": ["91", 0], "filename_prefix": "frame"}}
    outputs = server.run(graph)
    saved = video(server.files({"90": outputs["90"]})[0])
    assert (saved["frames"], saved["size"], saved["fps"]) == (6, (128, 128), 8)
    assert len(server.files({"92": outputs["92"]})) == 6


def test_newer_video_nodes_take_our_video(server: Server) -> None:
    """Trim Video, and WebM out of Save Video, where the host has them."""
    known = server.call("/object_info")
    if "Video Slice" not in known:
        pytest.skip("this ComfyUI has no Trim Video")
    graph = api_workflow("text_to_clip", KSampler__steps=1, DiffilmEmptyLatent__frames=8)
    decode = next(key for key, node in graph.items() if node["class_type"] == "DiffilmDecodeVideo")
    del graph[next(key for key, node in graph.items() if node["class_type"] == "DiffilmWriteMovie")]
    trim = {"video": [decode, 0], "start_time": 0.25, "duration": 0.5, "strict_duration": True}
    graph["90"] = {"class_type": "Video Slice", "inputs": trim}
    save = {"video": ["90", 0], "filename_prefix": "trimmed", "format": "webm", "codec": "auto"}
    graph["91"] = {"class_type": "SaveVideo", "inputs": save}
    seen = video(server.files(server.run(graph))[0])
    assert (seen["frames"], seen["size"]) == (4, (128, 128))


def test_interpolation_takes_a_video_of_the_host(server: Server) -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 5, "color": 255}},
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0}},
        "3": {"class_type": "DiffilmInterpolateVideo", "inputs": {"video": ["2", 0], "fps": 16.0, "method": "blend"}},
        "4": {"class_type": "DiffilmWriteMovie", "inputs": {"videos": ["3", 0], "movie": "plain", "crf": 18}},
        "5": {"class_type": "DiffilmWriteMovie", "inputs": {"videos": ["4", 0], "movie": "again", "crf": 18}},
    }
    outputs = server.run(graph)
    first, again = video(server.files({"4": outputs["4"]})[0]), video(server.files({"5": outputs["5"]})[0])
    assert first["size"] == (64, 48) and first["fps"] == 16
    assert again["frames"] == first["frames"] >= 9


def test_cancel_stops_within_a_step_and_the_next_run_goes_on(server: Server) -> None:
    steps = 24
    graph = api_workflow(
        "story_to_movie", DiffilmStorySplitter__story=SHORT, DiffilmFilmStoryboard__steps=steps,
        DiffilmFilmStoryboard__movie="cancelled", DiffilmWriteMovie__movie="cancelled",
    )  # fmt: skip
    times: dict[int, float] = {}

    def second_shot(kind: str, data: dict) -> bool:
        if kind == "progress" and data["max"] == 3 * steps:
            times[data["value"]] = time.monotonic()
        return bool(times) and max(times) >= steps + 5

    import threading

    queued: list[str] = []
    threading.Timer(1.0, lambda: queued.append(server.queue(graph, "cancel"))).start()
    listen(server, "cancel", second_shot)
    step = (max(times.values()) - min(times.values())) / (max(times) - min(times))
    pressed = time.monotonic()
    server.call("/interrupt", {})
    entry = server.wait(queued[0])
    took = time.monotonic() - pressed
    assert any(kind == "execution_interrupted" for kind, _ in entry["status"]["messages"])
    assert took < max(2 * step, 1.0), f"{took:.2f} s after Cancel, a step takes {step:.2f} s"

    latents = server.output / "cancelled.diffilm/latents"
    done = {path.name: path.stat().st_mtime_ns for path in latents.iterdir()}
    assert len(done) == 1
    before = len(server.log_text())
    files = server.files(server.run(graph))
    log = server.log_text()[before:]
    assert "shot 1 is taken from" in log and "shot 2 is taken from" not in log
    now = {path.name: path.stat().st_mtime_ns for path in latents.iterdir()}
    assert len(now) == 3 and all(now[name] == when for name, when in done.items())
    assert video(files[0])["frames"] == pytest.approx(3 * 48, abs=6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DiffilmStorySplitter__story": "  \n "}, "story is empty"),
        ({"DiffilmStorySplitter__story": "A fox\x00sat."}, "not text"),
        ({"DiffilmFilmStoryboard__movie": "../outside"}, "expected a name in the output folder"),
        ({"DiffilmWriteMovie__movie": ""}, "expected a name in the output folder"),
        ({"DiffilmUpscaleVideo__width": 200}, "expected both or neither"),
    ],
)
def test_bad_input_is_a_node_error_in_one_line(server: Server, changes: dict, words: str) -> None:
    settings = {"DiffilmFilmStoryboard__steps": 1, "DiffilmStorySplitter__max_shots": 1, **changes}
    message = server.fails(api_workflow("story_to_movie", **settings)).split("\n")[0]
    assert words in message


def test_a_truncated_model_is_an_error_before_sampling(server: Server) -> None:
    folder = server.base / "models/diffilm"
    folder.mkdir(exist_ok=True)
    whole = next((PACK / "diffilm_core/assets").rglob("*.safetensors")).read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "cut.safetensors" in str(server.call("/object_info/DiffilmLoadModel"))
    message = server.fails(api_workflow("text_to_clip", DiffilmLoadModel__model_name="cut.safetensors"))
    assert "truncated" in message.split("\n")[0]

"""Proves that Video Diffusion Models, prompt travel and walks do in the host what they do in the core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostkit import Server, api_workflow, run_inside

from tests.core.test_frames_audio import tone, write_wav
from tests.published.vdm import write_bert, write_vdm


def measure(host_path: Path, work: Path, *flags: str) -> dict:
    write_vdm(work / "model-1.pt")
    write_bert(work / "bert")
    return run_inside(host_path, "inside_vdm.py", str(work), *flags)


@pytest.fixture(scope="session")
def figures(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return measure(host_path, tmp_path_factory.mktemp("vdm"))


def figure(figures: dict, name: str) -> dict[str, Any]:
    assert "error" not in figures[name], figures[name]["error"]
    return figures[name]


@pytest.mark.parametrize(
    ("name", "bound"),
    # the host's ddpm computes in float32 what cancels at the first step, from sigma 64,000 down
    [("euler_ancestral", 1e-4), ("dynamic", 1e-4), ("plain", 1e-4), ("ddpm", 5e-3)],
)
def test_the_hosts_ancestral_samplers_make_our_clip(figures: dict, name: str, bound: float) -> None:
    found = figure(figures, f"vdm {name}")
    assert found["relative"] <= bound and found["scale"] > 0.1 and found["largest"] <= 1.0001


@pytest.mark.parametrize(("dtype", "bound"), [("fp16", 0.005), ("bf16", 0.03), ("fp8_e4m3fn", 0.3)])
def test_the_hosts_weight_dtypes_work(host_path: Path, tmp_path: Path, dtype: str, bound: float) -> None:
    found = figure(measure(host_path, tmp_path, f"--{dtype}-unet"), "dtype")
    names = {"bf16": "torch.bfloat16", "fp16": "torch.float16", "fp8_e4m3fn": "torch.float8_e4m3fn"}
    assert found["dtype"] == names[dtype] and found["finite"] and found["relative"] < bound


def test_the_schedule_is_the_published_one(figures: dict) -> None:
    assert figure(figures, "vdm sigmas") == {"relative": 0, "steps": 1000}


def test_pixels_are_handed_through(figures: dict) -> None:
    found = figure(figures, "pixels")
    assert found["shape"] == [3, 3, 16, 24] and found["back"] < 1e-5 and found["ours"] < 1e-5 and found["range"]


def test_context_windows_make_our_clip(figures: dict) -> None:
    found = figure(figures, "vdm windows")
    assert found["shape"][0] == 15 and found["relative"] <= 1e-4


@pytest.mark.parametrize("name", ["travel", "travel on modelscope", "travel on animatediff"])
def test_prompt_travel_gives_each_frame_its_text(figures: dict, name: str) -> None:
    found = figure(figures, name)
    assert found["shape"][0] == 6 and found["relative"] <= 1e-4 and found["change"] > 1e-3


def test_context_windows_take_each_frames_text_along(figures: dict) -> None:
    found = figure(figures, "travel windows")
    assert found["finite"] and found["lengths"] == [4] * 6 and found["texts"] < 1e-5


def test_a_walk_in_the_host_is_the_cores_walk(figures: dict) -> None:
    found = figure(figures, "walk")
    assert found["batches"] == [4, 2] and found["relative"] <= 1e-4


def first_frames(path: Path) -> dict:
    import av

    with av.open(str(path)) as container:
        video = container.streams.video[0]
        times = [float(frame.time) for frame in container.decode(video)]
        tracks = [stream.type for stream in container.streams]
    return {"times": times, "size": (video.width, video.height), "tracks": tracks}


def test_the_caption_workflow_asks_for_its_files_and_then_runs(server: Server) -> None:
    graph = api_workflow("vdm_caption_to_gif", KSampler__steps=4, DiffilmEmptyPixels__frames=5)
    with pytest.raises(AssertionError, match="No weights of Video Diffusion Models were published"):
        server.queue(graph)
    write_vdm(server.base / "models/diffusion_models/model-1.pt")
    graph = api_workflow(
        "vdm_caption_to_gif", KSampler__steps=4, DiffilmEmptyPixels__frames=5, DiffilmLoadVDM__model_name="model-1.pt"
    )
    with pytest.raises(AssertionError, match=r"bert-base-cased \(436 MB, Apache-2.0"):
        server.queue(graph)
    write_bert(server.base / "models/text_encoders/bert-base-cased")
    listed = server.call("/object_info")
    assert "model-1.pt" in str(listed["DiffilmLoadVDM"]) and "bert-base-cased" in str(listed["DiffilmEncodeCaption"])
    files = server.files(server.run(graph))
    assert [path.suffix for path in files] == [".gif"]
    seen = first_frames(files[0])
    assert seen["size"] == (64, 64) and seen["times"] == pytest.approx([0, 0.12, 0.24, 0.36, 0.48])


def test_the_walk_workflow_runs_with_music_and_without(server: Server) -> None:
    quick = {"DiffilmPromptWalk__frames": 5, "DiffilmPromptWalk__batch": 4, "BasicScheduler__steps": 1}
    graph = api_workflow("prompt_walk_music", **quick)
    silent = first_frames(server.files(server.run(graph))[0])
    assert len(silent["times"]) == 10 and silent["tracks"] == ["video"]
    (server.base / "input").mkdir(exist_ok=True)
    write_wav(server.base / "input/song.wav", tone(1.5))
    graph["90"] = {"class_type": "LoadAudio", "inputs": {"audio": "song.wav"}}
    for node in graph.values():
        if node["class_type"] in ("DiffilmPromptWalk", "DiffilmWriteMovie"):
            node["inputs"]["audio"] = ["90", 0]
        if node["class_type"] == "DiffilmPromptWalk":
            node["inputs"]["frames"] = 0
    heard = first_frames(server.files(server.run(graph))[0])
    assert len(heard["times"]) == 18 and heard["tracks"] == ["video", "audio"]


def test_prompt_travel_over_http(server: Server) -> None:
    graph = api_workflow("text_to_clip", KSampler__steps=1, DiffilmEmptyLatent__frames=6)
    text = next(key for key, node in graph.items() if node["class_type"] == "DiffilmTextEncode")
    travel = {"schedule": "0: a fox / 4: a bee", "negative": "", "frames": 6, "blend": 2, "fps": 8.0}
    graph[text] = {"class_type": "DiffilmPromptTravel", "inputs": {"clip": graph[text]["inputs"]["clip"], **travel}}
    assert len(server.files(server.run(graph))) == 1
    graph[text]["inputs"]["schedule"] = "0: a fox / 6: a bee"
    with pytest.raises(AssertionError, match="frame 6 of a clip of 6 frames"):
        server.queue(graph)
